"""What this room asks of a density, and densities that need no learning."""

from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError
from grainlight.estimators import Support
from grainlight.networks.spline_flow import CUBE_EDGE


@runtime_checkable
class Density(Protocol):
    """A normalized density of a few parameters: a posterior or a prior."""

    support: Support

    def log_prob(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """Log-density of one vector; -inf outside the support."""
        ...

    def log_prob_table(
        self, table: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, " draw"]:
        """Log-density of many vectors."""
        ...

    def sample(self, key: Key[Array, ""], num_draws: int) -> Float[Array, "draw param"]:
        """Draw vectors."""
        ...

    def from_cube(self, u: Float[Array, " param"]) -> Float[Array, " param"]:
        """The vector of a point of the unit cube; even points follow the density."""
        ...


class UniformDensity(eqx.Module):
    """The same density all over a box."""

    support: Support

    def __init__(self, support: Support) -> None:
        if not np.isfinite(support.log_volume):
            raise ParameterError(
                "Expected two bounds of every parameter of a uniform prior; got "
                f"{np.asarray(support.lower)} and {np.asarray(support.upper)}. Give "
                "the bounds, or another prior."
            )
        self.support = support

    def log_prob(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        inside = self.support.contains(theta)
        return jnp.where(inside, -self.support.log_volume, -jnp.inf)

    def log_prob_table(
        self, table: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, " draw"]:
        low = np.asarray(self.support.lower, float)
        high = np.asarray(self.support.upper, float)
        slack = 1e-6 * (high - low)
        inside = (table >= low - slack) & (table <= high + slack)
        inside |= np.asarray(self.support.periodic)
        return np.where(np.all(inside, axis=1), -self.support.log_volume, -np.inf)

    def sample(self, key: Key[Array, ""], num_draws: int) -> Float[Array, "draw param"]:
        return self.from_cube(jr.uniform(key, (num_draws, self.support.dim)))

    def from_cube(self, u: Float[Array, "*draw param"]) -> Float[Array, "*draw param"]:
        return self.support.lower + u * (self.support.upper - self.support.lower)


class NormalDensity(eqx.Module):
    """A normal distribution over all reals.

    Attributes:
        support: All reals.
        mean: Its mean.
        factor: Lower Cholesky factor of its covariance.
    """

    support: Support
    mean: Float[Array, " param"]
    factor: Float[Array, "param param"]

    @classmethod
    def of(
        cls,
        mean: Float[np.ndarray, " param"] | list[float],
        covariance: Float[np.ndarray, "param param"] | list[list[float]],
    ) -> "NormalDensity":
        """The one of a mean and a covariance."""
        center, matrix = np.asarray(mean, float), np.asarray(covariance, float)
        factor = np.linalg.cholesky(matrix)
        return cls(
            Support.free(center.size),
            jnp.asarray(center, jnp.float32),
            jnp.asarray(factor, jnp.float32),
        )

    def log_prob(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        white = jax.scipy.linalg.solve_triangular(
            self.factor, theta - self.mean, lower=True
        )
        norm = jnp.sum(jnp.log(jnp.diag(self.factor)) + 0.5 * np.log(2 * np.pi))
        return -0.5 * jnp.sum(white**2) - norm

    def log_prob_table(
        self, table: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, " draw"]:
        factor, mean = np.asarray(self.factor, float), np.asarray(self.mean, float)
        white = np.linalg.solve(factor, (table - mean).T)
        norm = np.sum(np.log(np.diag(factor)) + 0.5 * np.log(2 * np.pi))
        return -0.5 * np.sum(white**2, axis=0) - norm

    def sample(self, key: Key[Array, ""], num_draws: int) -> Float[Array, "draw param"]:
        noise = jr.normal(key, (num_draws, self.mean.size))
        return self.mean + noise @ self.factor.T

    def from_cube(self, u: Float[Array, " param"]) -> Float[Array, " param"]:
        inside = jnp.clip(u, CUBE_EDGE, 1 - 2 * CUBE_EDGE)
        return self.mean + self.factor @ ndtri(inside)


def member_log_prob(
    density: Density, table: Float[np.ndarray, "draw param"]
) -> Float[np.ndarray, "draw member"]:
    """Log-density of many vectors by every member of an ensemble; else by itself."""
    by_member = getattr(density, "member_log_prob_table", None)
    return (
        density.log_prob_table(table)[:, None]
        if by_member is None
        else by_member(table)
    )
