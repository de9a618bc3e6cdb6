"""A mixture of Student distributions, fitted to draws: a proposal that knows bends."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float, Key

from grainlight.sampling.straighten import Straightening, fit_straightening

FREEDOM = 6.0  # degrees of freedom: tails heavy enough for a bounded, flat direction
ITERATIONS = 20


class Mixture(eqx.Module):
    """A mixture of multivariate Student distributions.

    Attributes:
        straight: Map to the coordinates in which it is one.
        log_weight: Log-weights of the components, summing to one.
        mean: Centers.
        factor: Lower Cholesky factors of the shape matrices.
        inverse: Inverses of the factors.
    """

    straight: Straightening
    log_weight: Float[Array, "*object component"]
    mean: Float[Array, "*object component param"]
    factor: Float[Array, "*object component param param"]
    inverse: Float[Array, "*object component param param"]

    def sample(self, key: Key[Array, ""]) -> Float[Array, " param"]:
        """One draw."""
        pick_key, normal_key, tail_key = jr.split(key, 3)
        index = jr.categorical(pick_key, self.log_weight)
        normal = jr.normal(normal_key, self.mean.shape[1:])
        # A chi-squared of six degrees of freedom is a sum of three exponentials.
        chi_squared = 2 * jnp.sum(jr.exponential(tail_key, (int(FREEDOM) // 2,)))
        stretched = normal * jnp.sqrt(FREEDOM / chi_squared)
        return self.straight.inverse(self.mean[index] + self.factor[index] @ stretched)

    def log_prob(self, y: Float[Array, " param"]) -> Float[Array, ""]:
        """Normalized log-density."""
        return logsumexp(self.log_parts(y))

    def log_parts(self, y: Float[Array, " param"]) -> Float[Array, " component"]:
        """Log-densities of the weighted components, whose sum is the density."""
        dim = y.shape[0]
        distance = self._squared_distance(self.straight(y) - self.mean)
        half = 0.5 * (FREEDOM + dim)
        constant = gammaln(half) - gammaln(0.5 * FREEDOM)
        constant = constant - 0.5 * dim * jnp.log(FREEDOM * jnp.pi)
        kernel = constant + self._log_det() - half * jnp.log1p(distance / FREEDOM)
        return self.log_weight + kernel + self.straight.log_det

    def log_step(
        self,
        log_share: Float[Array, " component"],
        step: Float[Array, " param"],
        scale: Float[Array, ""],
    ) -> Float[Array, ""]:
        """Log-density of a Gaussian step whose shape is drawn from the components.

        Args:
            log_share: Log-probability of the shape of each component.
            step: The step.
            scale: Factor on the shapes.
        """
        distance = self._squared_distance(jnp.broadcast_to(step, self.mean.shape))
        return logsumexp(log_share + self._log_det() - 0.5 * distance / scale**2)

    def _log_det(self) -> Float[Array, " component"]:
        """Log-determinants of the inverse factors."""
        diagonal = jnp.diagonal(self.inverse, axis1=-2, axis2=-1)
        return jnp.sum(jnp.log(diagonal), axis=-1)

    def _squared_distance(
        self, offset: Float[Array, "component param"]
    ) -> Float[Array, " component"]:
        return jnp.sum(jnp.einsum("kij,kj->ki", self.inverse, offset) ** 2, axis=-1)


def fit_mixture(
    key: Key[Array, ""], draws: Float[Array, "draw param"], num_components: int
) -> Mixture:
    """Fit a mixture by expectation maximization, each shape shrunk to the common one.

    Shrinking needs the pooled shape *within* components, not that of all draws: the
    latter is as thick as the bend of a curved posterior.
    """
    straight = fit_straightening(draws)
    found = fit_gaussians(key, jax.vmap(straight)(draws), num_components)
    equal = jnp.full(num_components, -jnp.log(num_components))
    # half of the draws go evenly: a thin part of the posterior gets its share of tries
    log_weight = jnp.logaddexp(found.log_weight, equal) - jnp.log(2.0)
    inverse = _inverse_factor(found.covariance)
    factor = jnp.linalg.cholesky(found.covariance)
    return Mixture(straight, log_weight, found.mean, factor, inverse)


class Gaussians(eqx.Module):
    """A mixture of Gaussians.

    Attributes:
        log_weight: Log-weights of the components, summing to one.
        mean: Their means.
        covariance: Their covariances.
    """

    log_weight: Float[Array, "*object component"]
    mean: Float[Array, "*object component param"]
    covariance: Float[Array, "*object component param param"]


def fit_gaussians(
    key: Key[Array, ""], white: Float[Array, "draw param"], num_components: int
) -> Gaussians:
    """Fit Gaussians to standardized draws, each shape shrunk to the common one."""
    count, dim = white.shape
    start = white[jr.choice(key, count, (num_components,), replace=False)]
    equal = jnp.full(num_components, -jnp.log(num_components))
    shapes = jnp.tile(jnp.cov(white.T).reshape(dim, dim), (num_components, 1, 1))
    shapes = shapes * num_components ** (-2.0 / dim) + 1e-6 * jnp.eye(dim)

    def iterate(_, state):
        log_weight, mean, shape = state
        return _maximize(white, _responsibility(white, log_weight, mean, shape))

    state = jax.lax.fori_loop(0, ITERATIONS, iterate, (equal, start, shapes))
    return Gaussians(*state)


def _inverse_factor(shape):
    """Inverses of the lower Cholesky factors of small matrices."""
    identity = jnp.eye(shape.shape[-1])
    factor = jnp.linalg.cholesky(shape)
    return jax.vmap(lambda one: solve_triangular(one, identity, lower=True))(factor)


def _responsibility(white, log_weight, mean, shape):
    inverse = _inverse_factor(shape)
    log_det = jnp.sum(jnp.log(jnp.diagonal(inverse, axis1=1, axis2=2)), axis=1)
    offset = jnp.einsum("kij,kj->ki", inverse, mean)
    scaled = jnp.einsum("kij,nj->kin", inverse, white) - offset[..., None]
    distance = jnp.sum(scaled**2, axis=1)
    return jax.nn.softmax((log_weight + log_det)[:, None] - 0.5 * distance, axis=0)


def _maximize(white, share):
    dim = white.shape[1]
    total = jnp.sum(share, axis=1)
    mean = (share @ white) / (total[:, None] + 1e-6)
    # Moments about the center of all draws: single products, no (k, n, i, j) array.
    products = (white[:, :, None] * white[:, None, :]).reshape(-1, dim * dim)
    scatter = (share @ products).reshape(-1, dim, dim)
    scatter = scatter - total[:, None, None] * mean[:, :, None] * mean[:, None, :]
    pooled = jnp.sum(scatter, axis=0) / white.shape[0]
    prior_count = dim + 2.0
    shape = (scatter + prior_count * pooled) / (total + prior_count)[:, None, None]
    shape = shape + 1e-6 * jnp.eye(dim)
    weight = (total + 1.0) / jnp.sum(total + 1.0)
    return jnp.log(weight), mean, shape
