r"""Where parameters may lie, and the way from there to all reals.

Between bounds $a < b$ the probit of the place is a real number,

$$ s = a + (b - a)\, \Phi(y) , $$

so that what is uniform up to a bound is standard normal, and a flow has nothing to
learn. A parameter without bounds stays as it is. No draw leaves the bounds.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float

from grainlight.core import ParameterError
from grainlight.networks import AbstractConstant

#: Nearer to a bound than this fraction of the range counts as lying there.
EDGE = 1e-6


class Support(AbstractConstant):
    """Lower and upper bound of every parameter; both infinite for one without.

    Attributes:
        lower: Lower bounds.
        upper: Upper bounds.
    """

    lower: Float[Array, " param"]
    upper: Float[Array, " param"]

    @classmethod
    def between(
        cls,
        lower: Float[np.ndarray, " param"] | Array,
        upper: Float[np.ndarray, " param"] | Array,
    ) -> "Support":
        """Check the bounds; raises `ParameterError` if they are none."""
        low, high = np.asarray(lower, float), np.asarray(upper, float)
        both = np.isfinite(low) & np.isfinite(high) & (low < high)
        none = (low == -np.inf) & (high == np.inf)
        if low.shape != high.shape or not np.all(both | none):
            raise ParameterError(
                f"Expected lower < upper, both finite or both infinite; got {low} and "
                f"{high}. Give a parameter two bounds or none."
            )
        return cls(jnp.asarray(low), jnp.asarray(high))

    @classmethod
    def blank(cls, num_param: int) -> "Support":
        """Bounds to be filled from a file."""
        return cls(jnp.zeros(num_param), jnp.ones(num_param))

    @property
    def _bounded(self) -> Bool[Array, " param"]:
        return jnp.isfinite(self.lower)

    @property
    def _range(self) -> tuple[Float[Array, " param"], Float[Array, " param"]]:
        """Lower bound and width, zero and one where there is none."""
        low = jnp.where(self._bounded, self.lower, 0.0)
        return low, jnp.where(self._bounded, self.upper, 1.0) - low

    def contains(self, theta: Float[Array, " param"]) -> Bool[Array, ""]:
        """Whether a vector lies within the bounds, these included."""
        return jnp.all((theta >= self.lower) & (theta <= self.upper))

    def unconstrain(self, theta: Float[Array, " param"]) -> Float[Array, " param"]:
        """To all reals; clipped just inside the bounds."""
        low, width = self._range
        unit = jnp.clip((theta - low) / width, EDGE, 1 - EDGE)
        return jnp.where(self._bounded, ndtri(unit), theta)

    def constrain(self, y: Float[Array, " param"]) -> Float[Array, " param"]:
        """From all reals to within the bounds."""
        low, width = self._range
        inside = jnp.clip(low + width * ndtr(y), low, low + width)
        return jnp.where(self._bounded, inside, y)

    def log_det(self, y: Float[Array, " param"]) -> Float[Array, ""]:
        """Log volume element d(real) / d(parameter), at the reals `y`."""
        width = self._range[1]
        slope = jnp.log(width) + norm.logpdf(y)
        return -jnp.sum(jnp.where(self._bounded, slope, 0.0))
