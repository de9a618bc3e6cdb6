r"""A mixture that learns a posterior from weighed draws: what mends weights that fail.

Draws $\theta_i \sim q_r$ of round $r$, the first ones those of the amortized posterior,
have tempered weights

$$ w_i = \left[ \frac{p(x | \theta_i)\, \pi(\theta_i)}{q_r(\theta_i)}
   \right]^{\beta_r} , $$

with the largest $\beta_r \le 1$ that leaves them worth a part of their number. A
mixture $m_{r+1}$ is fitted to draws that are picked by these weights and, for an
eighth, to draws of the amortized posterior as they came, which are the wider ones, and
to particles annealed from the prior if there are any: these know other modes. Half
of the draws of a round come from the latest mixture, the others from all before,

$$ q_r = \tfrac12 m_r + \frac{1}{2 r} \sum_{s < r} m_s , $$

which learned from tempered weights and are wider: where the latest one is too narrow,
which its own weights could not tell, theirs do. The last of these alone answers, in
several rounds if need be: it is fixed before these draws are made, so that their
weights, efficiency, k-hat and evidence are those of plain importance sampling.

References:
    Cappé et al. (2008), Statistics and Computing 18, 447 (population Monte Carlo);
    Koblents & Miguez (2015), Statistics and Computing 25, 407 (tempered weights);
    Owen & Zhou (2000), JASA 95, 135 (mixtures that keep weights bounded).
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, Key

from grainlight.sampling.anneal import next_beta
from grainlight.sampling.correction import (
    CorrectionSettings,
    Weighed,
    gather_rounds,
    padded_size,
)
from grainlight.sampling.mixture import Mixture, fit_mixture
from grainlight.sampling.refine import pick_by_weight
from grainlight.sampling.target import LOWEST, Target, log_density

#: Share of its draws that tempered weights of a round are worth at least.
WORTH = 0.1
#: Share of the draws that a mixture is fitted to, as the amortized posterior made them.
RAW_SHARE = 0.125
#: One in so many of the first draws is among the heaviest.
HEAVY = 4
BLOCK = 512  # draws whose densities are computed together


def adapt_draws(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    weighed: Sequence[Weighed],
    settings: CorrectionSettings,
    explored: Float[np.ndarray, "object draw param"] | None = None,
) -> list[Weighed]:
    """Draws of a mixture that learned the posterior of each object, weighed.

    Args:
        key: Random key.
        target: Prior and likelihood of one object.
        data: A pytree of arrays whose leading axis counts the objects.
        weighed: Amortized draws of each, weighed.
        settings: How it is done, and what the weights must pass.
        explored: Scaled draws of each that know modes which the others may not; they
            take the place of half of the draws that are fitted as they came.
    """
    number, count = len(weighed), settings.adapt_draws
    rows = [_first_draws(one, count) for one in weighed]
    theta, log_weight = (np.stack(part) for part in zip(*rows, strict=True))
    if explored is not None:
        last = (count - count // HEAVY) // 2
        picked = np.resize(np.arange(explored.shape[1]), last)
        theta[:, -last:] = explored[:, picked]
        log_weight[:, -last:] = -np.inf
    keys = jax.vmap(lambda i: jr.fold_in(key, i))(jnp.arange(number))
    padded = np.resize(np.arange(number), padded_size(number))
    mixtures = _learn(
        keys[padded],
        target,
        jax.tree.map(lambda leaf: leaf[padded], data),
        jnp.asarray(theta[padded], jnp.float32),
        jnp.asarray(log_weight[padded], jnp.float32),
        settings.adapt_rounds,
        settings.num_components,
    )

    def one_round(members: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        some = np.resize(members, padded_size(members.size))
        found = _draw_all(
            jax.vmap(lambda k: jr.fold_in(k, step))(keys[some]),
            target,
            *jax.tree.map(lambda leaf: leaf[some], (data, mixtures)),
            settings.num_draws,
        )
        scaled, logs = (np.asarray(part, float)[: members.size] for part in found)
        return scaled, logs

    return gather_rounds(number, one_round, settings, rung="refined")


def _first_draws(one: Weighed, count: int) -> tuple[np.ndarray, np.ndarray]:
    """As many draws of every object: the heaviest, then a choice of the others."""
    shifted = one.log_weight - np.max(one.log_weight, initial=LOWEST)
    if shifted.size <= count:
        picked = np.resize(np.arange(shifted.size), count)
        return one.theta[picked], shifted[picked]
    order = np.argsort(-shifted, kind="stable")
    heavy, rest = order[: count // HEAVY], np.sort(order[count // HEAVY :])
    # the others by turns: their weights count for those that are left out
    kept = rest[np.linspace(0, rest.size - 1, count - heavy.size).astype(int)]
    more = np.log(rest.size / kept.size)
    picked = np.concatenate([heavy, kept])
    logs = np.concatenate([shifted[heavy], shifted[kept] + more])
    return one.theta[picked], logs


@eqx.filter_jit
def _learn(
    keys: Key[Array, " object"],
    target: Target,
    data: Any,
    theta: Float[Array, "object draw param"],
    log_weight: Float[Array, "object draw"],
    rounds: int,
    num_components: int,
) -> Mixture:
    """The mixtures of all rounds of every object, the last one last."""
    count = theta.shape[1]

    def one_object(given: Any) -> Mixture:
        key, one, scaled, first = given
        raw = target.parameters.unconstrain(scaled)

        def learn(key: Array, y: Array, log_weight: Array) -> Mixture:
            pick_key, raw_key, fit_key = jr.split(key, 3)
            picked = y[_pick(pick_key, log_weight, count)]
            some = raw[jr.randint(raw_key, (count,), count // HEAVY, count)]
            keep = (jnp.arange(count) < RAW_SHARE * count)[:, None]
            return fit_mixture(fit_key, jnp.where(keep, some, picked), num_components)

        def one_round(state: tuple, step: tuple) -> tuple[tuple, None]:
            (mixtures, y, log_weight), (number, key) = state, step
            learn_key, draw_key = jr.split(key)
            new = learn(learn_key, y, log_weight)
            mixtures = jax.tree.map(lambda m, n: m.at[number].set(n), mixtures, new)
            shares = _log_shares(rounds + 1, number)
            y, log_weight = _draw(draw_key, target, one, mixtures, shares, count)
            return (mixtures, y, log_weight), None

        blank = jax.tree.map(
            lambda leaf: jnp.zeros((rounds + 1, *leaf.shape), leaf.dtype),
            jax.eval_shape(learn, key, raw, first),
        )
        steps = (jnp.arange(rounds + 1), jr.split(key, rounds + 1))
        return jax.lax.scan(one_round, (blank, raw, first), steps)[0][0]

    return jax.lax.map(one_object, (keys, data, theta, log_weight))


@eqx.filter_jit
def _draw_all(
    keys: Key[Array, " object"],
    target: Target,
    data: Any,
    mixtures: Mixture,
    num_draws: int,
) -> tuple[Float[Array, "object draw param"], Float[Array, "object draw"]]:
    """Scaled draws from the mixtures of every object, and their log-weights."""
    rounds = mixtures.log_weight.shape[1]
    shares = _log_shares(rounds, jnp.asarray(rounds - 1))

    def one_object(given: Any) -> tuple[Array, Array]:
        key, one, every = given
        y, log_weight = _draw(key, target, one, every, shares, num_draws)
        return target.parameters.constrain(y), log_weight

    return jax.lax.map(one_object, (keys, data, mixtures))


def _log_shares(total: int, last: Int[Array, ""]) -> Float[Array, " round"]:
    """Log of the share of every mixture: half is the last one's, none a later one's."""
    place = jnp.arange(total)
    before = jnp.where(place < last, -jnp.log(2.0 * jnp.maximum(last, 1)), -jnp.inf)
    own = jnp.where(last > 0, -jnp.log(2.0), 0.0)
    return jnp.where(place == last, own, before)


def _pick(key: Key[Array, ""], log_weight: Float[Array, " draw"], count: int) -> Array:
    """Places of draws by tempered weights; evenly if none is finite."""
    known = jnp.any(jnp.isfinite(log_weight))
    safe = jnp.where(known, log_weight, 0.0)
    beta = next_beta(jnp.zeros(()), safe, WORTH)
    return pick_by_weight(key, beta * safe, count)


def _draw(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    mixtures: Mixture,
    log_share: Float[Array, " round"],
    num_draws: int,
) -> tuple[Float[Array, "draw param"], Float[Array, " draw"]]:
    """Unconstrained draws from mixtures with these shares, and their log-weights."""

    def one(key: Array) -> tuple[Array, Array]:
        pick_key, draw_key = jr.split(key)
        pick = jr.categorical(pick_key, log_share)
        y = jax.tree.map(lambda leaf: leaf[pick], mixtures).sample(draw_key)
        density = log_density(target, data, y)
        each = jax.vmap(lambda mixture: mixture.log_prob(y))(mixtures)
        each = jnp.where(jnp.isfinite(log_share), each, -jnp.inf)
        log_weight = density.posterior - logsumexp(each + log_share)
        good = density.finite & jnp.isfinite(log_weight)
        return y, jnp.where(good, log_weight, -jnp.inf)

    return jax.lax.map(one, jr.split(key, num_draws), batch_size=BLOCK)
