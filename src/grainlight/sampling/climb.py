r"""Where the posterior is highest: from draws of the prior uphill, by least squares.

Particles that are annealed may lose a mode on the way: where it is narrow it has little
weight until the likelihood counts in full. If the likelihood is close to a Gaussian
one, of residuals $r(y)$ with a covariance $C(y)$, a damped Gauss-Newton step

$$ (A + \lambda \, \mathrm{diag} A) \, \Delta y = - J^T C^{-1} r , \qquad
   A = J^T C^{-1} J + V^{-1} , \quad J = \partial r / \partial y , $$

with $V$ the variances of the prior, climbs such a mode from far away. The pull is that
of the likelihood alone; a step is taken if the posterior rises. Of many draws of the
prior those where the posterior is highest climb; around the summits normal draws are
made, of the covariance $A^{-1}$. The end of a climb counts by a power of its mass
$p(y) |A|^{-1/2}$, as often as it is reached: what proposes learns the weights later.

A target with a draft is climbed on that: what only its own likelihood has is not found.

References:
    Levenberg (1944), Quarterly of Applied Mathematics 2, 164; Marquardt (1963), SIAM J.
    11, 431; Transtrum & Sethna (2012), arXiv:1201.5885.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float, Key

from grainlight.sampling.settings import Settings
from grainlight.sampling.target import (
    Target,
    draw_prior,
    has_draft,
    log_density,
    log_draft,
)

BLOCK = 1024  # draws of the prior whose densities are computed together
SOFTER, HARDER = 0.25, 5.0  # factors on the damping after a step up, or none
LEAST_DAMPING, MOST_DAMPING, FIRST_DAMPING = 1e-4, 1e5, 0.1
FARTHEST = 1.5  # step of one coordinate, in standard deviations of the prior
POWER = 0.3  # of the mass of a summit
LEAST_VALUE = 1e-4  # of a scaled curvature, relative to its diagonal


@runtime_checkable
class Residuals(Protocol):
    """A target whose likelihood is close to a Gaussian one.

    With a property `is_gaussian` it may say that it is not, after all.
    """

    def residual(
        self, scaled: Float[Array, " param"], data: Any
    ) -> tuple[Float[Array, " dim"], Float[Array, "dim dim"]]:
        """Residuals of one object and their covariance."""
        ...


class Summit(NamedTuple):
    """Where a climb ended.

    Attributes:
        y: Unconstrained coordinates.
        log_posterior: The posterior that was climbed, there: of the draft, if any.
        curvature: The matrix $A$.
    """

    y: Float[Array, "*climb param"]
    log_posterior: Float[Array, "*climb"]
    curvature: Float[Array, "*climb param param"]


def has_residual(target: Target) -> bool:
    """Whether summits of a target can be climbed."""
    return isinstance(target, Residuals) and getattr(target, "is_gaussian", True)


def draw_summits(
    key: Key[Array, ""], target: Target, data: Any, num_draws: int, settings: Settings
) -> Float[Array, "draw param"]:
    """Unconstrained draws around the summits of one object's posterior.

    Args:
        key: Random key.
        target: Prior and likelihood, with `residual`.
        data: What was observed of one object.
        num_draws: How many draws.
        settings: How many draws of the prior there are, how many climb, how far.
    """
    climb_key, pick_key, draw_key = jr.split(key, 3)
    summits = climb(climb_key, target, data, settings)
    half = jax.vmap(_half_width)(summits.curvature)
    mass = summits.log_posterior + half.log_volume
    mass = jnp.where(jnp.isfinite(mass), mass, -jnp.inf)
    picked = jr.categorical(pick_key, POWER * mass, shape=(num_draws,))
    noise = jr.normal(draw_key, (num_draws, summits.y.shape[1]))
    draws = summits.y[picked]
    moved = draws + jax.vmap(jnp.matmul)(half.root[picked], noise)
    return jnp.where(jnp.isfinite(moved).all(axis=1, keepdims=True), moved, draws)


def climb(key: Key[Array, ""], target: Target, data: Any, settings: Settings) -> Summit:
    """The ends of all climbs of one object; arguments as of `draw_summits`."""
    slope = _Slope(target, data, draw_prior(key, target, settings.num_scanned))
    size = min(BLOCK, settings.num_scanned)
    value = jax.lax.map(slope.height, slope.draws, batch_size=size)
    first, start = jax.lax.top_k(value, min(settings.num_climbs, len(value)))

    def one_climb(y: Float[Array, " param"], value: Float[Array, ""]) -> Summit:
        begin = (y, value, jnp.asarray(FIRST_DAMPING))

        def step(state, _):
            return slope.step(*state), None

        (y, value, _), _ = jax.lax.scan(step, begin, length=settings.climb_steps)
        return Summit(y, value, slope.normal_equations(y)[0])

    return jax.vmap(one_climb)(slope.draws[start], first)


class _Slope:
    """The posterior of one object, seen by a climber.

    Attributes:
        draws: Draws of the prior.
        spread: Their standard deviations.
    """

    def __init__(
        self, target: Any, data: Any, draws: Float[Array, "draw param"]
    ) -> None:
        self.target, self.data, self.draws = target, data, draws
        self.spread = jnp.std(draws, axis=0)

    def height(self, y: Float[Array, " param"]) -> Float[Array, ""]:
        """What is climbed."""
        near = log_draft if has_draft(self.target) else log_density
        return near(self.target, self.data, y).posterior

    def residual(
        self, y: Float[Array, " param"]
    ) -> tuple[Float[Array, " dim"], Float[Array, "dim dim"]]:
        """Residuals and their covariance."""
        return self.target.residual(self.target.parameters.constrain(y), self.data)

    def normal_equations(
        self, y: Float[Array, " param"]
    ) -> tuple[Float[Array, "param param"], Float[Array, " param"]]:
        """The matrix $A$, and $-J^T C^{-1} r$."""
        apart, covariance = self.residual(y)
        slope = jax.jacfwd(lambda y: self.residual(y)[0])(y)
        factor = (jnp.linalg.cholesky(covariance), True)
        both = cho_solve(factor, jnp.column_stack([slope, apart]))
        product = jnp.matmul(slope.T, both, precision="highest")
        return product[:, :-1] + jnp.diag(self.spread**-2), -product[:, -1]

    def step(
        self,
        y: Float[Array, " param"],
        value: Float[Array, ""],
        damping: Float[Array, ""],
    ) -> tuple[Float[Array, " param"], Float[Array, ""], Float[Array, ""]]:
        """One step, if it leads up; the damping follows."""
        matrix, pull = self.normal_equations(y)
        damped = matrix + damping * jnp.diag(jnp.diagonal(matrix))
        farthest = FARTHEST * self.spread
        move = jnp.clip(jnp.linalg.solve(damped, pull), -farthest, farthest)
        new = self.height(y + move)
        up = new > value
        damping = damping * jnp.where(up, SOFTER, HARDER)
        damping = jnp.clip(damping, LEAST_DAMPING, MOST_DAMPING)
        return jnp.where(up, y + move, y), jnp.where(up, new, value), damping


class _HalfWidth(NamedTuple):
    """A root of the inverse of a matrix, and the logarithm of its determinant."""

    root: Float[Array, "param param"]
    log_volume: Float[Array, ""]


def _half_width(matrix: Float[Array, "param param"]) -> _HalfWidth:
    """Of a matrix that is scaled first, so that single precision holds it."""
    scale = jax.lax.rsqrt(jnp.diagonal(matrix))
    value, vector = jnp.linalg.eigh(matrix * scale[:, None] * scale[None, :])
    width = jax.lax.rsqrt(jnp.maximum(value, LEAST_VALUE))
    volume = jnp.sum(jnp.log(scale)) + jnp.sum(jnp.log(width))
    return _HalfWidth(scale[:, None] * vector * width[None, :], volume)
