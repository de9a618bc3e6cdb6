r"""Population Monte Carlo: a mixture that learns the posterior from its own draws.

Particles that were annealed from the prior lie near a thin, curved posterior, rarely on
all of it. In every round the mixture fitted to what is known makes draws; weighed by
posterior over mixture they are resampled, and the next mixture is fitted to them and to
a half of what was known before, so that a mode once seen is not lost. A weight counts
at most $\sqrt N$ times the mean of all $N$.

References:
    Cappé et al. (2008), Statistics and Computing 18, 447 (population Monte Carlo);
    Ionides (2008), JCGS 17, 295 (truncated weights).
"""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from grainlight.sampling.chains import Guide
from grainlight.sampling.mixture import Mixture, fit_mixture
from grainlight.sampling.settings import Settings
from grainlight.sampling.target import Target, log_density

BLOCK = 512  # draws whose densities are computed together


def refine(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    draws: Float[Array, "draw param"],
    settings: Settings,
) -> Guide:
    """A guide for all chains of one object, learned from draws near its posterior."""
    first_key, round_key = jr.split(key)
    mixture = fit_mixture(first_key, draws, settings.num_components)

    def one_round(guide: Guide, key: Key[Array, ""]) -> tuple[Guide, None]:
        return _round(key, target, data, guide, settings), None

    keys = jr.split(round_key, settings.refine_rounds)
    guide, _ = jax.lax.scan(one_round, Guide(draws, mixture), keys)
    return guide


def _round(
    key: Key[Array, ""], target: Target, data: Any, guide: Guide, settings: Settings
) -> Guide:
    draw_key, pick_key, thin_key, fit_key = jr.split(key, 4)
    total = settings.refine_blocks * BLOCK
    keys = jr.split(draw_key, total).reshape(settings.refine_blocks, BLOCK)

    def weigh(keys):
        y = jax.vmap(guide.mixture.sample)(keys)
        return y, jax.vmap(lambda one: _log_weight(target, data, guide.mixture, one))(y)

    y, log_weight = jax.lax.map(weigh, keys)
    y = y.reshape(total, -1)
    count = guide.archive.shape[0]
    new = y[pick_by_weight(pick_key, log_weight.reshape(-1), count - count // 2)]
    old = guide.archive[jr.permutation(thin_key, count)[: count // 2]]
    archive = jnp.concatenate([old, new])
    return Guide(archive, fit_mixture(fit_key, archive, settings.num_components))


def _log_weight(
    target: Target, data: Any, mixture: Mixture, y: Float[Array, " param"]
) -> Float[Array, ""]:
    density = log_density(target, data, y)
    weight = density.posterior - mixture.log_prob(y)
    return jnp.where(density.finite & jnp.isfinite(weight), weight, -jnp.inf)


def pick_by_weight(
    key: Key[Array, ""], log_weight: Float[Array, " draw"], count: int
) -> Int[Array, " pick"]:
    """Systematic resampling by truncated weights; evenly if no weight is finite."""
    total = log_weight.shape[0]
    largest = jnp.max(log_weight)
    known = jnp.isfinite(largest)
    weight = jnp.where(known, jnp.exp(log_weight - jnp.where(known, largest, 0.0)), 1.0)
    weight = jnp.minimum(weight, jnp.mean(weight) * jnp.sqrt(total))
    share = jnp.cumsum(weight / jnp.sum(weight))
    ticks = (jnp.arange(count) + jr.uniform(key)) / count
    return jnp.clip(jnp.searchsorted(share, ticks), 0, total - 1)
