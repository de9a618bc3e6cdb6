"""Affine standardization of vectors."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.networks import AbstractConstant


class Scaling(AbstractConstant):
    r"""Zero mean and unit scatter in every column: $(x - c) / s$.

    Attributes:
        center: Mean of the column, in its unit.
        spread: Standard deviation of the column; one where the column is constant.
    """

    center: Float[Array, " dim"]
    spread: Float[Array, " dim"]

    @classmethod
    def from_data(cls, x: Float[np.ndarray, "sim dim"] | Array) -> "Scaling":
        """Measure the columns of a table; values that are not finite are left out."""
        table = np.asarray(x, dtype=np.float64)
        finite = np.isfinite(table)
        count = np.maximum(finite.sum(axis=0), 1)
        center = np.where(finite, table, 0.0).sum(axis=0) / count
        square = np.where(finite, table - center, 0.0) ** 2
        spread = np.sqrt(square.sum(axis=0) / count)
        constant = spread <= 1e-6 * np.maximum(np.abs(center), 1e-6)
        return cls(jnp.asarray(center), jnp.asarray(np.where(constant, 1.0, spread)))

    @classmethod
    def identity(cls, dim: int) -> "Scaling":
        """The scaling that changes nothing."""
        return cls(jnp.zeros(dim), jnp.ones(dim))

    @classmethod
    def from_json(cls, saved: dict[str, list[float]]) -> "Scaling":
        """Undo `to_json`."""
        return cls(jnp.asarray(saved["center"]), jnp.asarray(saved["spread"]))

    def to_json(self) -> dict[str, list[float]]:
        """Plain numbers for a file."""
        return {
            "center": np.asarray(self.center, float).tolist(),
            "spread": np.asarray(self.spread, float).tolist(),
        }

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Standardize one vector."""
        return (x - self.center) / self.spread

    def inverse(self, y: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Put one standardized vector back into its units."""
        return y * self.spread + self.center

    @property
    def log_det(self) -> Float[Array, ""]:
        """Log volume element d(standardized) / d(x)."""
        return -jnp.sum(jnp.log(self.spread))
