r"""Where a density lives: bounded, half-bounded, free and periodic axes, mixed.

Every axis is mapped to all reals,

$$ y = \Phi^{-1}\Big( \frac{s - a}{b - a} \Big), \quad \ln(s - a), \quad -\ln(b - s),
   \quad s , $$

for two bounds, a lower one, an upper one and none. What is uniform between two bounds
becomes normal. A periodic axis is cut open, best where the density is least, and then
has two bounds.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Bool, Float
from scipy.special import ndtri as exact_ndtri

from grainlight.core import ParameterError
from grainlight.networks import AbstractConstant

#: Values nearer to a bound than this fraction of the range count as lying there.
EDGE = 1e-6
_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


class Support(AbstractConstant):
    """Lower and upper bound of every axis, infinite where there is none.

    Attributes:
        lower: Lower bounds; where a periodic axis is cut.
        upper: Upper bounds; a period beyond that cut.
        periodic: Whether the upper bound is the lower one again.
    """

    lower: Float[Array, " param"]
    upper: Float[Array, " param"]
    periodic: Bool[Array, " param"]

    @classmethod
    def between(
        cls,
        lower: Float[np.ndarray, " param"] | Array | list[float],
        upper: Float[np.ndarray, " param"] | Array | list[float],
        periodic: Bool[np.ndarray, " param"] | list[bool] | None = None,
    ) -> "Support":
        """A support of given bounds; none of them periodic unless told so."""
        low, high = np.asarray(lower, float), np.asarray(upper, float)
        turns = np.zeros(low.size, bool) if periodic is None else np.asarray(periodic)
        if not (low.shape == high.shape == turns.shape and low.ndim == 1):
            raise ParameterError(
                f"Expected a lower and an upper bound a parameter; got {low.shape}, "
                f"{high.shape} and {turns.shape}. Use infinity where there is none."
            )
        good = (low < high) & (~turns | (np.isfinite(low) & np.isfinite(high)))
        if not np.all(good):
            raise ParameterError(
                "Expected lower < upper, and finite bounds of a period; got "
                f"{low[~good]} and {high[~good]}. Mend these bounds."
            )
        return cls(
            jnp.asarray(low, jnp.float32),
            jnp.asarray(high, jnp.float32),
            jnp.asarray(turns, bool),
        )

    @classmethod
    def blank(cls, dim: int) -> "Support":
        """Bounds to be filled from a file."""
        return cls.between(np.zeros(dim), np.ones(dim))

    @classmethod
    def free(cls, dim: int) -> "Support":
        """All reals, in every dimension."""
        return cls.between(np.full(dim, -np.inf), np.full(dim, np.inf))

    @property
    def dim(self) -> int:
        """Number of axes."""
        return self.lower.size

    @property
    def log_volume(self) -> float:
        """Log of the volume; infinite if an axis has no end."""
        width = np.asarray(self.upper, float) - np.asarray(self.lower, float)
        return float(np.sum(np.log(width)))

    def cut_at(self, cut: Float[np.ndarray, " param"]) -> "Support":
        """The same support with its periodic axes cut elsewhere."""
        lower, upper = np.asarray(self.lower, float), np.asarray(self.upper, float)
        turns = np.asarray(self.periodic)
        moved = np.where(turns, cut, lower)
        width = np.where(turns, upper - lower, 0.0)
        return Support.between(moved, np.where(turns, moved + width, upper), turns)

    def covers(self, other: "Support") -> bool:
        """Whether all of another support lies in this one."""
        turns = np.asarray(self.periodic) & np.asarray(other.periodic)
        low = np.asarray(self.lower) <= np.asarray(other.lower)
        high = np.asarray(self.upper) >= np.asarray(other.upper)
        return bool(np.all(turns | (low & high)))

    def intersect(self, other: "Support") -> "Support":
        """What lies in both; raises `ParameterError` if that is nothing."""
        turns = np.asarray(self.periodic) & np.asarray(other.periodic)
        low = np.maximum(np.asarray(self.lower), np.asarray(other.lower))
        high = np.minimum(np.asarray(self.upper), np.asarray(other.upper))
        lower = np.where(turns, np.asarray(self.lower), low)
        return Support.between(
            lower, np.where(turns, np.asarray(self.upper), high), turns
        )

    def contains(self, s: Float[Array, " param"]) -> Bool[Array, ""]:
        """Whether a vector lies inside, bounds included; a period has no outside."""
        inside = (s >= self.lower) & (s <= self.upper)
        return jnp.all(inside | (self.periodic & jnp.isfinite(s)))

    def unbound(self, s: Float[Array, " param"]) -> Float[Array, " param"]:
        """To all reals; clipped just inside the bounds."""
        return self._unbound(jnp, ndtri, self.wrap(s))

    def unbound_table(
        self, table: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, "draw param"]:
        """The same for many vectors, in double precision."""
        lower, upper = np.asarray(self.lower, float), np.asarray(self.upper, float)
        turns = np.asarray(self.periodic)
        period, base = np.where(turns, upper - lower, 1.0), np.where(turns, lower, 0.0)
        wrapped = np.where(turns, base + np.mod(table - base, period), table)
        return self._unbound(np, exact_ndtri, wrapped)

    def wrap(self, s: Float[Array, " param"]) -> Float[Array, " param"]:
        """Periodic values, between the cut and a period beyond it."""
        base = jnp.where(self.periodic, self.lower, 0.0)
        period = jnp.where(self.periodic, self.upper - self.lower, 1.0)
        return jnp.where(self.periodic, base + jnp.mod(s - base, period), s)

    def _unbound(self, xp, quantile, s):
        has_low, has_high, low, width = self._ends(xp)
        unit = xp.clip((s - low) / width, EDGE, 1 - EDGE)
        one = xp.where(has_low, s - low, low + width - s)
        one = xp.log(xp.maximum(one, np.finfo(np.float32).tiny))
        one = xp.where(has_low, one, -one)
        half = has_low != has_high
        return xp.where(has_low & has_high, quantile(unit), xp.where(half, one, s))

    def _ends(self, xp):
        dtype = float if xp is np else jnp.float32
        lower, upper = xp.asarray(self.lower, dtype), xp.asarray(self.upper, dtype)
        has_low, has_high = xp.isfinite(lower), xp.isfinite(upper)
        both = has_low & has_high
        low = xp.where(has_low, lower, xp.where(has_high, upper - 1, 0.0))
        width = xp.where(both, upper - lower, 1.0)
        return has_low, has_high, low, width

    def bound(self, y: Float[Array, " param"]) -> Float[Array, " param"]:
        """From all reals into the support."""
        has_low, has_high, low, width = self._ends(jnp)
        both, none = has_low & has_high, ~(has_low | has_high)
        inside = jnp.clip(low + width * ndtr(y), low, low + width)
        one = jnp.where(has_low, low + jnp.exp(y), low + width - jnp.exp(-y))
        return jnp.where(both, inside, jnp.where(none, y, one))

    def log_det(self, y: Float[Array, " param"]) -> Float[Array, ""]:
        """Log volume element d(unbounded) / d(vector), at the unbounded vector."""
        return self._log_det(jnp, y)

    def log_det_table(
        self, table: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, " draw"]:
        """The same at many unbounded vectors, in double precision."""
        return self._log_det(np, table)

    def _log_det(self, xp, y):
        has_low, has_high, _, width = self._ends(xp)
        both = has_low & has_high
        probit = 0.5 * y**2 + _HALF_LOG_2PI - xp.log(width)
        one = xp.where(has_low, -y, xp.where(has_high, y, 0.0))
        return xp.sum(xp.where(both, probit, one), axis=-1)
