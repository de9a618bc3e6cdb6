r"""Population Monte Carlo: a mixture that learns the posterior from its own draws.

Particles that were annealed from the prior lie near a thin, curved posterior, rarely on
all of it. In every round the mixture fitted to what is known makes draws; those of all
rounds $1 \ldots R$ are weighed together, as if each came from all their mixtures,

$$ w = \frac{\pi(y)}{\sum_{r=1}^R q_r(y)} , $$

and resampled; the next mixture is fitted to them and to some of the first draws, half
at first, an eighth in the end, so that a mode once seen is not lost. A weight counts at
most $\sqrt N$ times the mean of all $N$.

References:
    Cappé et al. (2008), Statistics and Computing 18, 447 (population Monte Carlo);
    Cornuet et al. (2012), Scandinavian J. Statistics 39, 798 (all rounds together);
    Ionides (2008), JCGS 17, 295 (truncated weights).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.sampling.chains import Guide
from grainlight.sampling.mixture import Mixture, fit_mixture
from grainlight.sampling.settings import Settings
from grainlight.sampling.target import LOWEST, Target, log_density

BLOCK = 512  # draws whose densities are computed together
LEAST_SHARE = 0.125  # of the first draws in an archive


class Pool(eqx.Module):
    """All draws so far, with what they were drawn from; later rounds are empty.

    Attributes:
        y: Draws of every round.
        log_posterior: Their log-posterior, `LOWEST` where it is not finite.
        log_proposals: Log of the sum of the densities of all rounds so far there.
        mixtures: What each round drew from.
    """

    y: Float[Array, "round draw param"]
    log_posterior: Float[Array, "round draw"]
    log_proposals: Float[Array, "round draw"]
    mixtures: Mixture


def refine(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    draws: Float[Array, "draw param"],
    settings: Settings,
) -> tuple[Guide, Bool[Array, ""]]:
    """A guide for all chains of one object, learned from draws near its posterior.

    Args:
        key: Random key.
        target: Prior and likelihood.
        data: What was observed of one object.
        draws: Unconstrained draws; most should lie near the posterior.
        settings: How it is done.

    Returns:
        The guide, and whether any density was finite.
    """
    first_key, round_key = jr.split(key)
    size, rounds = settings.archive_size, settings.refine_rounds
    mixture = fit_mixture(first_key, draws, settings.num_components)
    blank = jnp.zeros((size, draws.shape[1]))
    first = (_empty_pool(mixture, draws.shape[1], settings), mixture, blank)

    def one_round(state, step):
        pool, mixture, _ = state
        number, key = step
        draw_key, pick_key, fit_key = jr.split(key, 3)
        pool = _extend(draw_key, target, data, pool, mixture, number)
        share = jnp.maximum(0.5 ** (number + 1.0), LEAST_SHARE)
        archive = _gather(pick_key, pool, draws, share, size)
        mixture = fit_mixture(fit_key, archive, settings.num_components)
        return (pool, mixture, archive), None

    steps = (jnp.arange(rounds), jr.split(round_key, rounds))
    (pool, mixture, archive), _ = jax.lax.scan(one_round, first, steps)
    finite = jnp.any(pool.log_posterior > LOWEST)
    return Guide(jax.vmap(mixture.straight)(archive), mixture), finite


def _empty_pool(mixture: Mixture, dim: int, settings: Settings) -> Pool:
    rounds, total = settings.refine_rounds, settings.refine_blocks * BLOCK
    none = jnp.full((rounds, total), LOWEST)

    def repeat(leaf: Array) -> Array:
        return jnp.broadcast_to(leaf, (rounds, *leaf.shape))

    empty = jnp.zeros((rounds, total, dim))
    return Pool(empty, none, none, jax.tree.map(repeat, mixture))


def _extend(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    pool: Pool,
    mixture: Mixture,
    number: Int[Array, ""],
) -> Pool:
    """Draw one round more, and bring the densities of all proposals up to date."""
    rounds, total, dim = pool.y.shape
    keys = jr.split(key, total).reshape(-1, BLOCK)
    mixtures = jax.tree.map(
        lambda every, one: every.at[number].set(one), pool.mixtures, mixture
    )
    known = (jnp.arange(rounds) <= number)[:, None]

    def one_block(keys):
        y = jax.vmap(mixture.sample)(keys)
        density = jax.vmap(lambda point: log_density(target, data, point))(y)
        each = jax.vmap(lambda one: jax.vmap(one.log_prob)(y))(mixtures)
        log_proposals = logsumexp(jnp.where(known, each, -jnp.inf), axis=0)
        log_posterior = jnp.where(density.finite, density.posterior, LOWEST)
        return y, log_posterior, log_proposals

    y, log_posterior, log_proposals = jax.lax.map(one_block, keys)
    older = jax.vmap(jax.vmap(mixture.log_prob))(pool.y)
    older = jnp.logaddexp(pool.log_proposals, older)
    return Pool(
        pool.y.at[number].set(y.reshape(total, dim)),
        pool.log_posterior.at[number].set(log_posterior.reshape(total)),
        older.at[number].set(log_proposals.reshape(total)),
        mixtures,
    )


def _gather(
    key: Key[Array, ""],
    pool: Pool,
    draws: Float[Array, "draw param"],
    share: Float[Array, ""],
    count: int,
) -> Float[Array, "pick param"]:
    """An archive by weight from all rounds; a share of it from the first draws."""
    pick_key, shuffle_key, old_key = jr.split(key, 3)
    log_weight = (pool.log_posterior - pool.log_proposals).reshape(-1)
    usable = (pool.log_posterior.reshape(-1) > LOWEST) & jnp.isfinite(log_weight)
    picked = pick_by_weight(pick_key, jnp.where(usable, log_weight, -jnp.inf), count)
    picked = jr.permutation(shuffle_key, picked)
    old = jr.randint(old_key, (count,), 0, draws.shape[0])
    keep = (jnp.arange(count) < share * count)[:, None]
    return jnp.where(keep, draws[old], pool.y.reshape(-1, draws.shape[1])[picked])


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
