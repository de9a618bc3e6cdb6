"""Annealed start: particles walk from the prior to the posterior, knowing no truth.

A group of particles is drawn from the prior and led through the densities
`prior * likelihood^beta`, beta from 0 to 1. Each stage raises beta until the weights
have a given effective number, resamples, and moves the particles by
differential-evolution Metropolis steps, whose proposals are differences of two
particles of the group as it stood when the stage began.

A target may have a draft, a cheap likelihood that is close to its own. Then the way
ends at the posterior of the draft: what follows goes the rest.

References:
    Del Moral, Doucet & Jasra (2006), JRSS B 68, 411 (sequential Monte Carlo);
    ter Braak (2006), Statistics and Computing 16, 239 (differential evolution).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.sampling.settings import Settings
from grainlight.sampling.target import (
    LogDensity,
    Target,
    draw_prior,
    has_draft,
    log_density,
    log_draft,
)

BISECTIONS = 24
FULL_JUMP = 0.1  # how often the whole difference is used: it leaps between modes
TARGET_ACCEPTANCE = 0.25

Evaluate = Callable[[Float[Array, " param"]], LogDensity]


class Population(eqx.Module):
    """The particles of one group at one temperature.

    Attributes:
        y: Unconstrained coordinates.
        density: Log-prior and log-likelihood of each particle.
        beta: Power of the likelihood, 1 when the posterior is reached.
        log_step: Log of the factor on the proposals, adapted by acceptance.
        stage: Temperatures passed.
        archive: Particles of the stages after arrival; its last block is the newest.
        num_blocks: Blocks of the archive that are filled.
    """

    y: Float[Array, "particle param"]
    density: LogDensity
    beta: Float[Array, ""]
    log_step: Float[Array, ""]
    stage: Int[Array, ""]
    archive: Float[Array, "block particle param"]
    num_blocks: Int[Array, ""]


def anneal(
    key: Key[Array, ""], target: Target, data: Any, settings: Settings
) -> Float[Array, "draw param"]:
    """Lead one group of particles of one object from the prior to the posterior.

    Args:
        key: Random key.
        target: Prior and likelihood, or the draft of it.
        data: What was observed of one object.
        settings: How it is done.

    Returns:
        Unconstrained draws of the last sweeps, close to the posterior; draws of the
        prior if none of these has a finite density.
    """
    prior_key, stage_key = jr.split(key)
    near = log_draft if has_draft(target) else log_density

    def evaluate(y: Float[Array, " param"]) -> LogDensity:
        return near(target, data, y)

    y = draw_prior(prior_key, target, settings.num_particles)
    density = jax.vmap(evaluate)(y)
    finite = jnp.any(density.finite)
    zero, none = jnp.zeros(()), jnp.zeros((), int)
    archive = jnp.tile(y, (settings.archive_blocks, 1, 1))
    first = Population(y, density, zero, zero, none, archive, none)

    def unfinished(population: Population) -> Bool[Array, ""]:
        return finite & (population.num_blocks < settings.archive_blocks)

    def one_stage(population: Population) -> Population:
        key = jr.fold_in(stage_key, population.stage + population.num_blocks)
        return _stage(key, evaluate, population, settings)

    last = jax.lax.while_loop(unfinished, one_stage, first)
    return last.archive.reshape(-1, y.shape[1])


def next_beta(
    beta: Float[Array, ""], log_likelihood: Float[Array, " particle"], fraction: float
) -> Float[Array, ""]:
    """The largest power up to 1 that keeps a fraction of the effective particles."""
    shifted = log_likelihood - jnp.max(log_likelihood)

    def effective(step: Float[Array, ""]) -> Float[Array, ""]:
        weight = jnp.exp(step * shifted)
        return jnp.sum(weight) ** 2 / jnp.sum(weight**2) / weight.shape[0]

    # Bisect in log beta: the first powers are as small as 1e-6.
    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        enough = effective(jnp.exp(middle)) > fraction
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    room = jnp.log(jnp.maximum(1 - beta, 1e-12))
    low, _ = jax.lax.fori_loop(0, BISECTIONS, halve, (room - 40.0, room))
    done = effective(1 - beta) > fraction
    return jnp.where(done, 1.0, jnp.minimum(beta + jnp.exp(low), 1.0))


def _stage(
    key: Key[Array, ""],
    evaluate: Evaluate,
    population: Population,
    settings: Settings,
) -> Population:
    """Raise beta, resample systematically, move; once arrived, only move and record."""
    pick_key, move_key = jr.split(key)
    arrived = (population.beta >= 1) | (population.stage >= settings.max_stages)
    log_like = population.density.likelihood
    beta = next_beta(population.beta, log_like, settings.stage_ess)
    beta = jnp.where(arrived, population.beta, beta)
    weight = jax.nn.softmax((beta - population.beta) * log_like)
    count = weight.shape[0]
    ticks = (jnp.arange(count) + jr.uniform(pick_key)) / count
    picked = jnp.clip(jnp.searchsorted(jnp.cumsum(weight), ticks), 0, count - 1)
    picked = jnp.where(arrived, jnp.arange(count), picked)
    moving = (
        population.y[picked],
        jax.tree.map(lambda v: v[picked], population.density),
    )
    y, density, log_step = _mutate(
        move_key, evaluate, moving, beta, population.log_step, settings.stage_sweeps
    )
    rolled = jnp.roll(population.archive, -1, axis=0).at[-1].set(y)
    archive = jnp.where(arrived, rolled, population.archive)
    blocks = population.num_blocks + arrived
    stage = population.stage + ~arrived
    return Population(y, density, beta, log_step, stage, archive, blocks)


def difference_step(
    key: Key[Array, ""],
    archive: Float[Array, "draw param"],
    log_step: Float[Array, ""],
    *,
    log_smallest: float = -1.5,
) -> Float[Array, " param"]:
    """A symmetric step along the difference of two archived draws.

    Its length relative to the best one for a Gaussian is drawn from `log_smallest` to
    0.3, in the logarithm.
    """
    pick_key, scale_key, jump_key, noise_key = jr.split(key, 4)
    pair = jr.randint(pick_key, (2,), 0, archive.shape[0])
    difference = archive[pair[0]] - archive[pair[1]]
    dim = archive.shape[1]
    shrink = jnp.exp(jr.uniform(scale_key, minval=log_smallest, maxval=0.3) + log_step)
    gamma = 2.38 / jnp.sqrt(2.0 * dim) * shrink
    gamma = jnp.where(jr.uniform(jump_key) < FULL_JUMP, 1.0, gamma)
    # A speck of noise lets the chain leave the span of the archive.
    noise = 1e-3 * jr.normal(noise_key, (dim,)) * jnp.std(archive, axis=0)
    return gamma * difference + noise


def _mutate(
    key: Key[Array, ""],
    evaluate: Evaluate,
    moving: tuple[Float[Array, "particle param"], LogDensity],
    beta: Float[Array, ""],
    log_step: Float[Array, ""],
    num_sweeps: int,
) -> tuple[Float[Array, "particle param"], LogDensity, Float[Array, ""]]:
    """Metropolis steps of all particles, by differences of the frozen group."""
    archive, count = moving[0], moving[0].shape[0]

    def sweep(state, sweep_key):
        y, density, log_step = state
        step_key, accept_key = jr.split(sweep_key)
        step = jax.vmap(lambda k: difference_step(k, archive, log_step))
        proposed = y + step(jr.split(step_key, count))
        new = jax.vmap(evaluate)(proposed)
        gain = new.prior - density.prior
        gain = gain + beta * (new.likelihood - density.likelihood)
        accept = jnp.log(jr.uniform(accept_key, (count,))) < gain
        accept = accept & new.finite
        y = jnp.where(accept[:, None], proposed, y)
        density = jax.tree.map(lambda a, b: jnp.where(accept, a, b), new, density)
        log_step = log_step + (jnp.mean(accept) - TARGET_ACCEPTANCE)
        return (y, density, jnp.clip(log_step, -4.0, 1.0)), None

    state, _ = jax.lax.scan(sweep, (*moving, log_step), jr.split(key, num_sweeps))
    return state
