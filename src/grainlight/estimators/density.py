r"""A density of bounded vectors, learned from plain samples.

The samples $s$ are scaled parameters inside a box. A flow models the standardized
logit,

$$ y = \big( \mathrm{logit}\, \tfrac{s - a}{b - a} - c \big) / \sigma , \qquad
   \ln p(s) = \ln q(y) + \sum_i \ln \Big| \frac{dy_i}{ds_i} \Big| , $$

so that no draw leaves the box and the density integrates to one over it. Objective: the
mean of $-\ln p$ over the samples.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.estimators.scaling import Scaling
from grainlight.networks import AbstractConstant, Flow

#: Samples nearer to a bound than this fraction of the range count as lying there.
EDGE = 1e-6


class Box(AbstractConstant):
    """The support of a density: lower and upper bound of every dimension."""

    lower: Float[Array, " dim"]
    upper: Float[Array, " dim"]

    def contains(self, s: Float[Array, " dim"]) -> Array:
        """Whether a vector lies in the box, bounds included."""
        return jnp.all((s >= self.lower) & (s <= self.upper))

    def logit(self, s: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """To all reals; clipped just inside the bounds."""
        unit = (s - self.lower) / (self.upper - self.lower)
        unit = jnp.clip(unit, EDGE, 1 - EDGE)
        return jnp.log(unit) - jnp.log1p(-unit)

    def inverse(self, y: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """From all reals into the box."""
        inside = self.lower + (self.upper - self.lower) * jax.nn.sigmoid(y)
        return jnp.clip(inside, self.lower, self.upper)

    def log_det(self, y: Float[Array, " dim"]) -> Float[Array, ""]:
        """Log volume element d(logit) / d(vector), at the logit `y`."""
        width = jnp.log(self.upper - self.lower)
        return -jnp.sum(width + jax.nn.log_sigmoid(y) + jax.nn.log_sigmoid(-y))


class FlowDensity(eqx.Module):
    """A normalized density of scaled parameters within their bounds.

    Attributes:
        box: The support.
        scaling: Standardization of the logits.
        flow: Density of the standardized logits.
    """

    box: Box
    scaling: Scaling
    flow: Flow
    settings: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def __init__(
        self, key: Key[Array, ""], box: Box, scaling: Scaling, **settings: Any
    ) -> None:
        self.box, self.scaling = box, scaling
        self.flow = Flow(key, box.lower.size, **settings)
        self.settings = tuple(sorted(settings.items()))

    @classmethod
    def from_data(
        cls,
        key: Key[Array, ""],
        theta: Float[np.ndarray, "sim param"] | Array,
        lower: Float[np.ndarray, " param"] | Array,
        upper: Float[np.ndarray, " param"] | Array,
        **settings: Any,
    ) -> "FlowDensity":
        """An untrained density, standardized on samples; settings as of `Flow`."""
        box = Box(jnp.asarray(lower, float), jnp.asarray(upper, float))
        outside = ~jax.vmap(box.contains)(jnp.asarray(theta))
        if jnp.any(outside):
            raise ValueError(
                f"Expected samples within the bounds; got {int(outside.sum())} outside."
                " Widen the bounds, or drop those samples."
            )
        scaling = Scaling.from_data(jax.vmap(box.logit)(jnp.asarray(theta)))
        return cls(key, box, scaling, **settings)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {"dim": self.box.lower.size} | dict(self.settings)

    @classmethod
    def from_config(
        cls, key: Key[Array, ""], *, dim: int, **settings: Any
    ) -> "FlowDensity":
        """A density of a saved architecture, its arrays to be filled."""
        box = Box(jnp.zeros(dim), jnp.ones(dim))
        return cls(key, box, Scaling.identity(dim), **settings)

    def log_prob(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """Log-density per unit of the scaled parameters; -inf outside the bounds."""
        logit = self.box.logit(theta)
        log_prob = self.flow.log_prob(self.scaling(logit))
        log_prob += self.scaling.log_det + self.box.log_det(logit)
        return jnp.where(self.box.contains(theta), log_prob, -jnp.inf)

    def sample(self, key: Key[Array, ""], num_draws: int) -> Float[Array, "draw param"]:
        """Draw scaled parameters."""
        y = self.flow.sample(key, num_draws)
        return jax.vmap(lambda y: self.box.inverse(self.scaling.inverse(y)))(y)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
    ) -> Float[Array, ""]:
        """Minus the log-density of one sample.

        Args:
            key: Not used: this loss is not random.
            progress: Not used: this loss is the same throughout.
            theta: Scaled parameters.
        """
        del key, progress
        return -self.log_prob(theta)
