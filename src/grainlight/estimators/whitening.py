"""Standardization that takes out correlations too."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from grainlight.networks import AbstractConstant


class Whitening(AbstractConstant):
    r"""Zero mean and unit covariance: $L^{-1} (y - c)$ with $L L^T$ the covariance.

    Attributes:
        center: Weighted mean.
        factor: Lower Cholesky factor of the weighted covariance.
    """

    center: Float[Array, " dim"]
    factor: Float[Array, "dim dim"]

    @classmethod
    def from_data(
        cls, table: Float[np.ndarray, "draw dim"], weight: Float[np.ndarray, " draw"]
    ) -> "Whitening":
        """Measure weighted draws; a column of one value keeps its unit."""
        share = weight / np.sum(weight)
        center = share @ table
        away = table - center
        covariance = (share[:, None] * away).T @ away
        spread = np.sqrt(np.diag(covariance))
        spread = np.where(spread > 0, spread, 1.0)
        correlation = covariance / np.outer(spread, spread)
        correlation[np.diag_indices_from(correlation)] = 1 + 1e-6
        factor = spread[:, None] * np.linalg.cholesky(correlation)
        return cls(jnp.asarray(center, float), jnp.asarray(factor, float))

    @classmethod
    def identity(cls, dim: int) -> "Whitening":
        """The whitening that changes nothing."""
        return cls(jnp.zeros(dim), jnp.eye(dim))

    def __call__(self, y: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Whiten one vector."""
        return solve_triangular(self.factor, y - self.center, lower=True)

    def table(
        self, table: Float[np.ndarray, "draw dim"]
    ) -> Float[np.ndarray, "draw dim"]:
        """Whiten many vectors, in double precision."""
        factor = np.asarray(self.factor, float)
        return np.linalg.solve(factor, (table - np.asarray(self.center, float)).T).T

    def inverse(self, white: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Put one whitened vector back."""
        return self.center + self.factor @ white

    @property
    def log_det(self) -> Float[Array, ""]:
        """Log volume element d(white) / d(vector)."""
        return -jnp.sum(jnp.log(jnp.diag(self.factor)))
