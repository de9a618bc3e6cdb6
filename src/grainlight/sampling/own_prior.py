"""A prior that somebody states as a function, in place of the one of a model."""

from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from grainlight.core import Parameters
from grainlight.sampling.prior import LEAST, ReplacedPrior

CANDIDATES = 32  # draws of the old prior for each of the new one


@runtime_checkable
class LogPrior(Protocol):
    """A log-density of the parameters of an object, up to a constant.

    In physical units, but per unit of the scaled ones: of log10 where the scale is
    logarithmic, so that an even density there is a constant.
    """

    def __call__(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """The log-density at one point; it is compiled, so in JAX alone."""
        ...


class OwnPrior(eqx.Module):
    """A stated density, within the support of the prior that it replaces.

    Attributes:
        base: The prior that it replaces; where this is zero, it is zero too.
        log_density: The density.
        parameters: What it is of.
    """

    base: ReplacedPrior
    log_density: LogPrior = eqx.field(static=True)
    parameters: Parameters = eqx.field(static=True)

    def log_prob(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Log density per unit scaled parameter, up to a constant."""
        own = self.log_density(self.parameters.unscale(scaled))
        inside = jnp.isfinite(self.base.log_prob(scaled))
        return jnp.where(inside, own, -jnp.inf)

    def sample(self, key: Key[Array, ""], num_draws: int) -> Float[Array, "draw param"]:
        """Scaled draws, by importance resampling of draws of the old prior."""
        draw_key, pick_key, shuffle_key = jr.split(key, 3)
        keys = jr.split(draw_key, CANDIDATES)
        many = jax.lax.map(lambda k: self.base.sample(k, num_draws), keys)
        many = many.reshape(-1, many.shape[-1])
        log_weight = jax.vmap(self.log_prob)(many)
        log_weight = log_weight - jax.vmap(self.base.log_prob)(many)
        log_weight = jnp.where(jnp.isfinite(log_weight), log_weight, LEAST)
        share = jnp.cumsum(jax.nn.softmax(log_weight))
        ticks = (jnp.arange(num_draws) + jr.uniform(pick_key)) / num_draws
        picked = jnp.clip(jnp.searchsorted(share, ticks), 0, len(many) - 1)
        return many[jr.permutation(shuffle_key, picked)]
