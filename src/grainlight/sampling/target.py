"""What a sampler needs to know of a posterior: its parameters, prior and likelihood."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from grainlight.core import Parameters

LOWEST = -1e30  # stands for a log-density of minus infinity; float32 holds its sums
UNIFORM_FACTOR = 16  # uniform candidates for every draw from a prior without sampler


@runtime_checkable
class Target(Protocol):
    """A prior and a likelihood of one object's scaled parameters.

    It may also have `sample_prior(key, num_draws)`, which draws scaled values from
    the prior; without it, uniform draws are weighted by `log_prior`. And it may have
    `log_draft(scaled, data)`, a likelihood that costs little and is close to its own:
    it shows the way to the posterior and does not change it. With
    `residual(scaled, data)` it tells of a Gaussian one that is close, to be climbed.
    """

    parameters: Parameters

    def log_prior(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Log-density of the prior per unit of the scaled values; any constant."""
        ...

    def log_likelihood(
        self, scaled: Float[Array, " param"], data: Any
    ) -> Float[Array, ""]:
        """Log-likelihood of one object; `data` is a pytree without object axis."""
        ...


class LogDensity(eqx.Module):
    """Log-prior and log-likelihood at one point in unconstrained coordinates.

    Attributes:
        prior: Log-prior per unit of the unconstrained coordinates.
        likelihood: Log-likelihood.
    """

    prior: Float[Array, "*batch"]
    likelihood: Float[Array, "*batch"]

    @property
    def posterior(self) -> Float[Array, "*batch"]:
        """Log of prior times likelihood, without normalization."""
        return self.prior + self.likelihood

    @property
    def finite(self) -> Bool[Array, "*batch"]:
        """Whether both are finite."""
        return (self.prior > LOWEST) & (self.likelihood > LOWEST)


def log_density(target: Target, data: Any, y: Float[Array, " param"]) -> LogDensity:
    """Both log-densities of one object at the unconstrained point `y`.

    What is not finite becomes `LOWEST`, so that it is never accepted and never
    poisons a mean.
    """
    return _with_prior(target, target.log_likelihood, data, y)


def has_draft(target: Target) -> bool:
    """Whether a target has a likelihood to begin with; it may be its own."""
    return hasattr(target, "log_draft")


def log_draft(target: Target, data: Any, y: Float[Array, " param"]) -> LogDensity:
    """The same with the draft of the likelihood."""
    return _with_prior(target, target.log_draft, data, y)


def _with_prior(
    target: Target,
    log_likelihood: Callable[[Float[Array, " param"], Any], Float[Array, ""]],
    data: Any,
    y: Float[Array, " param"],
) -> LogDensity:
    scaled = target.parameters.constrain(y)
    volume = target.parameters.log_det_constrain(y)
    prior = target.log_prior(scaled) + volume
    return LogDensity(_bounded(prior), _bounded(log_likelihood(scaled, data)))


def _bounded(value: Float[Array, ""]) -> Float[Array, ""]:
    good = jnp.isfinite(value) & (value > LOWEST)
    return jnp.where(good, value, LOWEST)


def draw_prior(
    key: Key[Array, ""], target: Target, num_draws: int
) -> Float[Array, "draw param"]:
    """Draws from the prior in unconstrained coordinates."""
    parameters = target.parameters
    if hasattr(target, "sample_prior"):
        return parameters.unconstrain(target.sample_prior(key, num_draws))
    draw_key, pick_key = jr.split(key)
    lower, upper = parameters.lower, parameters.upper
    shape = (UNIFORM_FACTOR * num_draws, len(parameters))
    scaled = jr.uniform(draw_key, shape, minval=lower, maxval=upper)
    log_weight = jax.vmap(lambda point: _bounded(target.log_prior(point)))(scaled)
    picked = jr.categorical(pick_key, log_weight, shape=(num_draws,))
    return parameters.unconstrain(scaled[picked])
