r"""A mixture that learns a posterior from weighed draws: what mends weights that fail.

Draws of the amortized posterior $q_0$ and those $\theta_i \sim q_r$ of all rounds $r
\ge 1$ so far are weighed together, as if each came from all of them, and tempered,

$$ w_i = \left[ \frac{p(x | \theta_i)\, \pi(\theta_i)}
   {n_0\, q_0(\theta_i) + n \sum_r q_r(\theta_i)} \right]^\beta , $$

with the largest $\beta \le 1$ that leaves them worth a part of a round. A mixture $m_r$
is fitted to draws that are picked by these weights and, for an eighth, to draws of the
amortized posterior as they came, which are the wider ones, and to particles annealed
from the prior if there are any: these know other modes. Half of the draws of a round
come from the latest mixture, the others from all before,

$$ q_r = \tfrac12 m_r + \frac{1}{2 r} \sum_{s < r} m_s , $$

which learned from tempered weights and are wider. What answers are draws of the last of
these and, for a quarter, of the amortized posterior: it was trained to cover what it
does not know well, and where the mixtures have no draws at all, which their own weights
could not tell, its draws do. Both are fixed before these draws are made, so that their
weights, efficiency, k-hat and evidence are those of plain importance sampling.

References:
    Cappé et al. (2008), Statistics and Computing 18, 447 (population Monte Carlo);
    Cornuet et al. (2012), Scandinavian J. Statistics 39, 798 (all rounds together);
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
    Proposal,
    Weighed,
    gather_rounds,
    padded_size,
)
from grainlight.sampling.mixture import Mixture, fit_mixture
from grainlight.sampling.pool import (
    Densities,
    First,
    draw_mixtures,
    extend_pool,
    first_pool,
    mixture_shares,
)
from grainlight.sampling.refine import pick_by_weight
from grainlight.sampling.target import LOWEST, Target

#: Share of the draws of a round that tempered weights are worth at least.
WORTH = 0.1
#: Share of the draws that a mixture is fitted to, as the amortized posterior made them.
RAW_SHARE = 0.125
#: One in so many of the first draws is among the heaviest.
HEAVY = 4
#: One in so many of the draws that answer is of the amortized posterior, a guard.
GUARDS = 4
#: Rounds of draws that every answer is made of at least.
LEAST_ROUNDS = 2


def adapt_draws(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    weighed: Sequence[Weighed],
    settings: CorrectionSettings,
    *,
    proposal: Proposal | None = None,
    explored: Float[np.ndarray, "object draw param"] | None = None,
) -> list[Weighed]:
    """Draws of a mixture that learned the posterior of each object, weighed.

    Args:
        key: Random key.
        target: Prior and likelihood of one object.
        data: A pytree of arrays whose leading axis counts the objects.
        weighed: Draws of each to learn from, weighed.
        settings: How it is done, and what the weights must pass.
        proposal: The amortized posterior, if the draws are of one: it guards the
            mixture. Without it only the first mixture learns from them.
        explored: Scaled draws of each that know modes which the others may not; they
            take the place of half of the draws that are fitted as they came.
    """
    number = len(weighed)
    first = _first_draws(weighed, settings.adapt_draws, explored)
    keys = jax.vmap(lambda i: jr.fold_in(key, i))(jnp.arange(number))
    padded = np.resize(np.arange(number), padded_size(number))
    mixtures = _learn(
        keys[padded],
        target,
        proposal,
        *jax.tree.map(lambda leaf: leaf[padded], (data, first)),
        settings.adapt_rounds,
        settings.num_components,
    )

    def one_round(members: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        some = np.resize(members, padded_size(members.size))
        found = _draw_all(
            jax.vmap(lambda k: jr.fold_in(k, step))(keys[some]),
            target,
            proposal,
            *jax.tree.map(lambda leaf: leaf[some], (data, mixtures)),
            settings.num_draws,
        )
        scaled, logs = (np.asarray(part, float)[: members.size] for part in found)
        return scaled, logs

    return gather_rounds(
        number, one_round, settings, rung="refined", least_rounds=LEAST_ROUNDS
    )


def _first_draws(
    weighed: Sequence[Weighed],
    count: int,
    explored: Float[np.ndarray, "object draw param"] | None,
) -> First:
    """As many draws of every object: the heaviest, a choice of the others, explored."""
    last = 0 if explored is None else (count - count // HEAVY) // 2
    rows = [_heaviest(one, count - last, count // HEAVY) for one in weighed]
    theta, log_weight, log_count = (np.stack(part) for part in zip(*rows, strict=True))
    if explored is not None:
        more = explored[:, np.resize(np.arange(explored.shape[1]), last)]
        none = np.full((len(weighed), last), -np.inf)
        theta = np.concatenate([theta, more], axis=1)
        log_weight = np.concatenate([log_weight, none], axis=1)
        log_count = np.concatenate([log_count, none], axis=1)
    total = [np.log(one.log_weight.size / count) for one in weighed]
    parts = (theta, log_weight, log_count, np.array(total))
    return First(*(jnp.asarray(part, jnp.float32) for part in parts))


def _heaviest(
    one: Weighed, count: int, num_heavy: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws, their log-weights, and the log of how many each of them stands for."""
    size = one.log_weight.size
    if size <= count:
        picked = np.resize(np.arange(size), count)
        # those that are there twice count half
        share = -np.log(np.bincount(picked, minlength=size))
        return one.theta[picked], one.log_weight[picked], share[picked]
    order = np.argsort(-one.log_weight, kind="stable")
    heavy, rest = order[:num_heavy], np.sort(order[num_heavy:])
    # the others by turns: their weights count for those that are left out
    kept = rest[np.linspace(0, rest.size - 1, count - num_heavy).astype(int)]
    share = np.repeat([0.0, np.log(rest.size / kept.size)], [num_heavy, kept.size])
    picked = np.concatenate([heavy, kept])
    return one.theta[picked], one.log_weight[picked], share


@eqx.filter_jit
def _learn(
    keys: Key[Array, " object"],
    target: Target,
    proposal: Proposal | None,
    data: Any,
    first: First,
    rounds: int,
    num_components: int,
) -> Mixture:
    """The mixtures of all rounds of every object, the last one last."""
    count = first.theta.shape[1]

    def one_object(given: Any) -> Mixture:
        key, one, start = given
        densities = Densities(target, proposal, one)
        pool = first_pool(densities, start, rounds)
        raw = pool.y[0]

        def learn(key: Array, y: Array, log_weight: Array) -> Mixture:
            pick_key, raw_key, fit_key = jr.split(key, 3)
            picked = y[_pick(pick_key, log_weight, count)]
            some = raw[jr.randint(raw_key, (count,), count // HEAVY, count)]
            keep = (jnp.arange(count) < RAW_SHARE * count)[:, None]
            return fit_mixture(fit_key, jnp.where(keep, some, picked), num_components)

        def one_round(state: tuple, step: tuple) -> tuple[tuple, None]:
            (mixtures, pool), (number, key) = state, step
            learn_key, draw_key = jr.split(key)
            pool = extend_pool(
                draw_key, densities, pool, mixtures, number, start.log_total
            )
            every = pool.y.reshape(-1, raw.shape[1])
            new = learn(learn_key, every, pool.log_weight.reshape(-1))
            return (_replaced(mixtures, new, number + 1), pool), None

        first_key, key = jr.split(key)
        new = learn(first_key, raw, start.log_weight + start.log_count)
        blank = jax.tree.map(lambda leaf: jnp.zeros((rounds + 1, *leaf.shape)), new)
        state = (_replaced(blank, new, 0), pool)
        steps = (jnp.arange(rounds), jr.split(key, rounds))
        return jax.lax.scan(one_round, state, steps)[0][0]

    return jax.lax.map(one_object, (keys, data, first))


def _replaced(mixtures: Mixture, new: Mixture, number: Int[Array, ""] | int) -> Mixture:
    return jax.tree.map(lambda m, n: m.at[number].set(n), mixtures, new)


@eqx.filter_jit
def _draw_all(
    keys: Key[Array, " object"],
    target: Target,
    proposal: Proposal | None,
    data: Any,
    mixtures: Mixture,
    num_draws: int,
) -> tuple[Float[Array, "object draw param"], Float[Array, "object draw"]]:
    """Scaled draws for every object, and their log-weights."""
    rounds = mixtures.log_weight.shape[1]
    shares = mixture_shares(rounds, jnp.asarray(rounds - 1))
    num_guards = 0 if proposal is None else num_draws // GUARDS

    def one_object(given: Any) -> tuple[Array, Array]:
        key, one, every = given
        densities = Densities(target, proposal, one)
        draw_key, guard_key = jr.split(key)
        y = draw_mixtures(draw_key, every, shares, num_draws - num_guards)
        if proposal is not None:
            guards = proposal.draw(guard_key, num_guards, one).theta
            y = jnp.concatenate([y, target.parameters.unconstrain(guards)])
        each, log_posterior = densities.posterior(every, shares, y)
        log_proposal = logsumexp(each + jnp.log(shares), axis=1)
        part = num_guards / num_draws
        log_proposal = jnp.logaddexp(
            log_proposal + jnp.log1p(-part), densities.proposed(y) + jnp.log(part)
        )
        log_weight = log_posterior - log_proposal
        good = jnp.isfinite(log_weight) & (log_posterior > LOWEST)
        return target.parameters.constrain(y), jnp.where(good, log_weight, -jnp.inf)

    return jax.lax.map(one_object, (keys, data, mixtures))


def _pick(
    key: Key[Array, ""], log_weight: Float[Array, " draw"], count: int
) -> Int[Array, " pick"]:
    """Draws by tempered weights; evenly if no weight is finite."""
    finite = jnp.where(jnp.isfinite(log_weight), log_weight, LOWEST)
    fraction = WORTH * count / log_weight.size
    beta = next_beta(jnp.zeros(()), finite, fraction)
    tempered = jnp.where(jnp.isfinite(log_weight), beta * log_weight, -jnp.inf)
    return pick_by_weight(key, tempered, count)
