"""The Gaussian itself: moments, densities, mixtures, and the objectives."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

LOG_TWO_PI = float(np.log(2 * np.pi))
#: Loss of one pair above which it grows as a logarithm only.
CEILING = 1000.0


class Moments(eqx.Module):
    """Mean of a Gaussian and a factor $F$ of its covariance $F F^T$.

    The factor is lower triangular, or that beside a diagonal one.
    """

    mean: Float[Array, " dim"]
    factor: Float[Array, "dim col"]

    @property
    def covariance(self) -> Float[Array, "dim dim"]:
        """The covariance matrix."""
        return jnp.matmul(self.factor, self.factor.T, precision="highest")


def gaussian_log_prob(
    residual: Float[Array, " dim"], cholesky: Float[Array, "dim dim"]
) -> Float[Array, ""]:
    """Log-density of a Gaussian at a distance `residual` from its mean."""
    white = solve_triangular(cholesky, residual, lower=True)
    log_det = jnp.sum(jnp.log(jnp.diagonal(cholesky)))
    return -0.5 * (white @ white + residual.size * LOG_TWO_PI) - log_det


def marginal_log_prob(
    residual: Float[Array, " dim"],
    covariance: Float[Array, "dim dim"],
    mask: Bool[Array, " dim"],
) -> Float[Array, ""]:
    """Log-density of the dimensions under `mask`, the others marginalized exactly.

    Shapes stay: masked rows and columns become those of the identity, their residual
    zero.
    """
    both = mask[:, None] & mask[None, :]
    factor = jnp.linalg.cholesky(jnp.where(both, covariance, jnp.eye(residual.size)))
    full = gaussian_log_prob(jnp.where(mask, residual, 0.0), factor)
    return full + 0.5 * LOG_TWO_PI * jnp.sum(~mask)


def even_mixture(
    log_prob: Sequence[Float[Array, ""]] | Float[Array, " part"],
) -> Float[Array, ""]:
    """Log-density of an even mixture of densities."""
    each = jnp.asarray(log_prob)
    return logsumexp(each) - jnp.log(each.shape[0])


def limited_loss(value: Float[Array, ""]) -> Float[Array, ""]:
    """A loss that grows as a logarithm beyond `CEILING`."""
    beyond = jnp.maximum(value - CEILING, 0.0)
    return jnp.minimum(value, CEILING) + jnp.log1p(beyond)


def annealed_floor(
    progress: Float[Array, ""], initial: float, final: float
) -> Float[Array, ""]:
    """A least variance on its geometric way from `initial` to `final`."""
    return jnp.exp((1 - progress) * np.log(initial) + progress * np.log(final))


@jax.custom_vjp
def expected_deviance(
    residual: Float[Array, " dim"],
    covariance: Float[Array, "dim dim"],
    noise: Float[Array, " dim"],
) -> Float[Array, ""]:
    r"""$\ln |C| + \mathrm{tr}\, C^{-1} (r r^T + \mathrm{diag}\, n^2)$.

    The gradient is written out, in products of $C^{-1}$: that through a factorization
    costs three times as much. It is exact in `residual` and `covariance`; `noise` is
    taken as constant.
    """
    return _expected_deviance(residual, covariance, noise)[0]


def _expected_deviance(residual, covariance, noise):
    lower = jnp.linalg.cholesky(covariance)
    inverse = solve_triangular(lower, jnp.eye(residual.size), lower=True)
    precision = inverse.T @ inverse
    pull = precision @ residual
    value = 2 * jnp.sum(jnp.log(jnp.diagonal(lower))) + residual @ pull
    value = value + jnp.sum(noise**2 * jnp.diagonal(precision))
    return value, (precision, pull, noise)


def _expected_deviance_gradient(saved, cotangent):
    precision, pull, noise = saved
    scaled = precision * noise
    in_covariance = precision - jnp.outer(pull, pull) - scaled @ scaled.T
    return 2 * cotangent * pull, cotangent * in_covariance, jnp.zeros_like(noise)


expected_deviance.defvjp(_expected_deviance, _expected_deviance_gradient)
