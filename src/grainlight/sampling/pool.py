r"""All draws of an adaptive mixture so far, weighed together.

A draw $\theta_i$ of any round counts as if it came from the proposals of all of them
(`adaptive`),

$$ w_i \propto \frac{p(x | \theta_i)\, \pi(\theta_i)}
   {n_0\, q_0(\theta_i) + n \sum_r q_r(\theta_i)} . $$

Every round adds a mixture: its density is needed at all draws before, and that of those
before at its own. Shapes are fixed; what was not drawn yet counts for nothing.

References:
    Cornuet et al. (2012), Scandinavian J. Statistics 39, 798.
"""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, Key

from grainlight.sampling.correction import Proposal
from grainlight.sampling.mixture import Mixture
from grainlight.sampling.target import LOWEST, Target, log_density

BLOCK = 512  # draws whose densities are computed together


class First(eqx.Module):
    """What the mixtures of one object learn from at first.

    Attributes:
        theta: Scaled draws: the heaviest of the amortized posterior, then others, then
            those that were explored.
        log_weight: Their log-weights, minus infinity where they were explored.
        log_count: Log of how many draws each stands for, likewise.
        log_total: Log of all draws of the amortized posterior, over those of a round.
    """

    theta: Float[Array, "*object draw param"]
    log_weight: Float[Array, "*object draw"]
    log_count: Float[Array, "*object draw"]
    log_total: Float[Array, "*object"]


class Pool(eqx.Module):
    """All draws so far; the first ones are of the amortized posterior.

    Attributes:
        y: Unconstrained draws.
        log_posterior: Their log-posterior.
        log_count: Log of how many draws each stands for, minus infinity for none.
        log_mixtures: Log of the sum of the densities of all mixtures so far.
        log_proposals: Log of the sum of the densities of all proposals, each by the
            number of its draws over that of a round.
    """

    y: Float[Array, "round draw param"]
    log_posterior: Float[Array, "round draw"]
    log_count: Float[Array, "round draw"]
    log_mixtures: Float[Array, "round draw"]
    log_proposals: Float[Array, "round draw"]

    @property
    def log_weight(self) -> Float[Array, "round draw"]:
        """Log-weights, minus infinity where nothing is known."""
        known = self.log_posterior - self.log_proposals
        good = jnp.isfinite(known) & (self.log_posterior > LOWEST)
        return jnp.where(good, known + self.log_count, -jnp.inf)


@dataclass(frozen=True)
class Densities:
    """The posterior of one object and what it is drawn from, in unconstrained values.

    Attributes:
        target: Prior and likelihood.
        proposal: The amortized posterior, if there is one.
        data: What was observed of the object.
    """

    target: Target
    proposal: Proposal | None
    data: Any

    def proposed(self, y: Float[Array, "draw param"]) -> Float[Array, " draw"]:
        """Log-density of the amortized posterior; `LOWEST` if it is zero or none."""
        proposal, parameters = self.proposal, self.target.parameters
        if proposal is None:
            return jnp.full(y.shape[0], LOWEST)

        def one(y: Float[Array, " param"]) -> Float[Array, ""]:
            log_prob = proposal.log_prob(parameters.constrain(y), self.data)
            log_prob = log_prob + parameters.log_det_constrain(y)
            return jnp.where(jnp.isfinite(log_prob), log_prob, LOWEST)

        return jax.lax.map(one, y, batch_size=BLOCK)

    def posterior(
        self,
        mixtures: Mixture,
        shares: Float[Array, " mixture"],
        y: Float[Array, "draw param"],
    ) -> tuple[Float[Array, "draw mixture"], Float[Array, " draw"]]:
        """Log-densities of every mixture with a share, and the log-posterior."""

        def one(y: Float[Array, " param"]) -> tuple[Array, Array]:
            density = log_density(self.target, self.data, y)
            each = jax.vmap(lambda mixture: mixture.log_prob(y))(mixtures)
            log_posterior = jnp.where(density.finite, density.posterior, LOWEST)
            return jnp.where(shares > 0, each, -jnp.inf), log_posterior

        return jax.lax.map(one, y, batch_size=BLOCK)


def first_pool(densities: Densities, first: First, rounds: int) -> Pool:
    """The draws of the amortized posterior, if any, and room for all rounds."""
    raw = densities.target.parameters.unconstrain(first.theta)
    shape = (rounds + 1, raw.shape[0])
    none = jnp.full(shape, -jnp.inf)
    log_posterior, log_count = jnp.full(shape, LOWEST), none
    log_proposals = jnp.zeros(shape)
    if densities.proposal is not None:
        own = densities.proposed(raw)
        log_posterior = log_posterior.at[0].set(first.log_weight + own)
        log_count = log_count.at[0].set(first.log_count)
        log_proposals = log_proposals.at[0].set(first.log_total + own)
    y = jnp.zeros((*shape, raw.shape[1])).at[0].set(raw)
    return Pool(y, log_posterior, log_count, none, log_proposals)


def extend_pool(
    key: Key[Array, ""],
    densities: Densities,
    pool: Pool,
    mixtures: Mixture,
    number: Int[Array, ""],
    log_total: Float[Array, ""],
) -> Pool:
    """One round of draws more, with the densities of all proposals brought up to date.

    Args:
        key: Random key.
        densities: Posterior and proposal.
        pool: The draws so far.
        mixtures: Mixtures of all rounds; those after this one are blank.
        number: Which round it is.
        log_total: That of `First`.
    """
    rounds, count, dim = pool.y.shape
    newest = jax.tree.map(lambda leaf: leaf[number], mixtures)
    there = jax.lax.map(newest.log_prob, pool.y.reshape(-1, dim), batch_size=BLOCK)
    there = there.reshape(rounds, count)
    shares = mixture_shares(rounds, number)
    before = pool.log_mixtures + jnp.log(shares[0])  # those before have equal shares
    this_round = jnp.logaddexp(
        there + jnp.log(shares[number]), jnp.where(number > 0, before, -jnp.inf)
    )
    log_mixtures = jnp.logaddexp(pool.log_mixtures, there)
    log_proposals = jnp.logaddexp(pool.log_proposals, this_round)
    y = draw_mixtures(key, mixtures, shares, count)
    each, log_posterior = densities.posterior(mixtures, shares, y)
    own = logsumexp(each + jnp.log(_drawn(rounds, number)), axis=1)
    own = jnp.logaddexp(own, log_total + densities.proposed(y))
    place = number + 1
    return Pool(
        pool.y.at[place].set(y),
        pool.log_posterior.at[place].set(log_posterior),
        pool.log_count.at[place].set(0.0),
        log_mixtures.at[place].set(logsumexp(each, axis=1)),
        log_proposals.at[place].set(own),
    )


def mixture_shares(total: int, number: Int[Array, ""]) -> Float[Array, " mixture"]:
    """Share of every mixture in a round: half is the latest one's, none a later one's.

    The first round is of the first mixture alone.
    """
    place = jnp.arange(total)
    latest = jnp.where(number > 0, 0.5, 1.0)
    before = 0.5 / jnp.maximum(number, 1)
    return jnp.where(place == number, latest, jnp.where(place < number, before, 0.0))


def _drawn(total: int, number: Int[Array, ""]) -> Float[Array, " mixture"]:
    """Shares of every mixture, summed over all rounds up to this one."""
    every = jnp.arange(total)
    each = jax.vmap(lambda one: mixture_shares(total, one))(every)
    return jnp.sum(jnp.where(every[:, None] <= number, each, 0.0), axis=0)


def draw_mixtures(
    key: Key[Array, ""],
    mixtures: Mixture,
    shares: Float[Array, " mixture"],
    num_draws: int,
) -> Float[Array, "draw param"]:
    """Unconstrained draws from mixtures by their shares."""

    def one(key: Key[Array, ""]) -> Float[Array, " param"]:
        pick_key, draw_key = jr.split(key)
        pick = jr.categorical(pick_key, jnp.log(shares))
        return jax.tree.map(lambda leaf: leaf[pick], mixtures).sample(draw_key)

    return jax.lax.map(one, jr.split(key, num_draws), batch_size=BLOCK)
