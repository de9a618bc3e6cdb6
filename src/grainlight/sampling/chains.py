"""Markov chains of two Metropolis moves, both cheap where gradients are dear.

A step proposes either a draw from a mixture fitted to an archive of draws (independence
Metropolis: it crosses a bend or jumps between modes at once), or a difference of two
archived draws (differential evolution: it walks where the mixture is too thin). Archive
and mixture are frozen while the chain runs, so every step leaves the posterior
invariant exactly.

References:
    Tierney (1994), Annals of Statistics 22, 1701; ter Braak & Vrugt (2008),
    Statistics and Computing 18, 435.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from grainlight.sampling.anneal import difference_step
from grainlight.sampling.mixture import Mixture
from grainlight.sampling.target import Target, log_density

#: The shortest steps by a difference serve where the posterior is thinnest.
LOG_SMALLEST = -3.0


class Guide(eqx.Module):
    """What proposes the steps of a chain, frozen while it runs.

    Attributes:
        archive: Unconstrained draws close to the posterior.
        mixture: A mixture fitted to them.
    """

    archive: Float[Array, "draw param"]
    mixture: Mixture


class Chain(eqx.Module):
    """The recorded draws of one chain, in order of time.

    Attributes:
        y: Unconstrained coordinates.
        acceptance: Mean acceptance over all steps.
    """

    y: Float[Array, "draw param"]
    acceptance: Float[Array, ""]


class Walker(eqx.Module):
    """Where a chain stands: point, log-posterior, log-density of the mixture."""

    y: Float[Array, " param"]
    log_posterior: Float[Array, ""]
    log_mixture: Float[Array, ""]
    accepted: Int[Array, ""]


def run_chain(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    guide: Guide,
    start: Float[Array, " param"],
    steps_per_draw: Int[Array, ""],
    *,
    num_draws: int,
    num_burn: int,
    mixture_fraction: float,
) -> Chain:
    """Run one chain of one object; `steps_per_draw` may vary without recompiling."""

    def step(walker: Walker, step_key: Key[Array, ""]) -> Walker:
        return _step(step_key, target, data, guide, walker, mixture_fraction)

    def draw(walker: Walker, draw_key: Key[Array, ""]):
        def one(index, state):
            return step(state, jr.fold_in(draw_key, index))

        walker = jax.lax.fori_loop(0, steps_per_draw, one, walker)
        return walker, walker.y

    posterior = log_density(target, data, start).posterior
    none = jnp.zeros((), int)
    first = Walker(start, posterior, guide.mixture.log_prob(start), none)
    total = num_burn + num_draws
    last, ys = jax.lax.scan(draw, first, jr.split(key, total))
    return Chain(ys[num_burn:], last.accepted / (total * steps_per_draw))


def _step(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    guide: Guide,
    walker: Walker,
    mixture_fraction: float,
) -> Walker:
    """One Metropolis step."""
    kind_key, mixture_key, difference_key, accept_key = jr.split(key, 4)
    leap = jr.uniform(kind_key) < mixture_fraction
    local = walker.y + difference_step(
        difference_key, guide.archive, jnp.zeros(()), log_smallest=LOG_SMALLEST
    )
    proposed = jnp.where(leap, guide.mixture.sample(mixture_key), local)
    density = log_density(target, data, proposed)
    log_mixture = guide.mixture.log_prob(proposed)
    gain = density.posterior - walker.log_posterior
    gain = gain + jnp.where(leap, walker.log_mixture - log_mixture, 0.0)
    accept = (jnp.log(jr.uniform(accept_key)) < gain) & density.finite
    return Walker(
        jnp.where(accept, proposed, walker.y),
        jnp.where(accept, density.posterior, walker.log_posterior),
        jnp.where(accept, log_mixture, walker.log_mixture),
        walker.accepted + accept,
    )
