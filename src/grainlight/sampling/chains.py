r"""Markov chains of three Metropolis moves, all cheap where gradients are dear.

A step proposes one of

- a draw from a mixture fitted to an archive of draws (independence Metropolis: it
  crosses a bend or jumps between modes at once);
- a step in the shape $S_k$ of a component that answers for the place, chosen by its
  responsibility $r_k$ (regional Metropolis: it walks where the mixture is too thin);
  as the way back may choose otherwise, the step counts with
  $\sum_k r_k(z') N(z; z', S_k) / \sum_k r_k(z) N(z'; z, S_k)$;
- a difference of two archived draws (differential evolution: it has lengths and
  directions that no component has).

The latter two are made in the coordinates $z$ of the mixture, whose Jacobian is
constant. Archive and mixture are frozen while the chain runs, so every step leaves the
posterior invariant exactly.

References:
    Tierney (1994), Annals of Statistics 22, 1701; Craiu, Rosenthal & Yang (2009),
    JASA 104, 1454 (regional); ter Braak & Vrugt (2008), Statistics and Computing 18,
    435.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, Key

from grainlight.sampling.anneal import difference_step
from grainlight.sampling.mixture import Mixture
from grainlight.sampling.settings import DIFFERENCE_FRACTION
from grainlight.sampling.target import Target, log_density

#: The shortest steps by a difference serve where the posterior is thinnest.
LOG_SMALLEST = -3.0
#: Lengths of regional steps relative to the best for a Gaussian, in the logarithm.
SHORTEST, LONGEST = -1.5, 0.3


class Guide(eqx.Module):
    """What proposes the steps of a chain, frozen while it runs.

    Attributes:
        archive: Draws close to the posterior, in the coordinates of the mixture.
        mixture: A mixture fitted to them.
    """

    archive: Float[Array, "*object draw param"]
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
    """Where a chain stands: point, log-posterior, log-densities of the components."""

    y: Float[Array, " param"]
    log_posterior: Float[Array, ""]
    log_parts: Float[Array, " component"]
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

    first = Walker(
        start,
        log_density(target, data, start).posterior,
        guide.mixture.log_parts(start),
        jnp.zeros((), int),
    )
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
    kind_key, leap_key, regional_key, difference_key, accept_key = jr.split(key, 5)
    kind = jr.uniform(kind_key)
    straight = guide.mixture.straight
    leap, walk = kind < mixture_fraction, kind > 1 - DIFFERENCE_FRACTION
    scale, regional = _regional_step(regional_key, guide.mixture, walker.log_parts)
    difference = difference_step(
        difference_key, guide.archive, jnp.zeros(()), log_smallest=LOG_SMALLEST
    )
    step = jnp.where(walk, difference, regional)
    proposed = jnp.where(
        leap,
        guide.mixture.sample(leap_key),
        straight.inverse(straight(walker.y) + step),
    )
    density = log_density(target, data, proposed)
    log_parts = guide.mixture.log_parts(proposed)
    back = jnp.where(
        leap,
        logsumexp(walker.log_parts) - logsumexp(log_parts),
        _log_ratio_back(guide.mixture, walker.log_parts, log_parts, step, scale),
    )
    gain = density.posterior - walker.log_posterior + jnp.where(walk, 0.0, back)
    accept = (jnp.log(jr.uniform(accept_key)) < gain) & density.finite
    return Walker(
        jnp.where(accept, proposed, walker.y),
        jnp.where(accept, density.posterior, walker.log_posterior),
        jnp.where(accept, log_parts, walker.log_parts),
        walker.accepted + accept,
    )


def _regional_step(
    key: Key[Array, ""], mixture: Mixture, log_parts: Float[Array, " component"]
) -> tuple[Float[Array, ""], Float[Array, " param"]]:
    """A Gaussian step in the shape of a component that answers for this place."""
    pick_key, scale_key, normal_key = jr.split(key, 3)
    dim = mixture.mean.shape[1]
    shrink = jnp.exp(jr.uniform(scale_key, minval=SHORTEST, maxval=LONGEST))
    scale = 2.38 / jnp.sqrt(float(dim)) * shrink
    index = jr.categorical(pick_key, log_parts)
    return scale, scale * (mixture.factor[index] @ jr.normal(normal_key, (dim,)))


def _log_ratio_back(
    mixture: Mixture,
    here: Float[Array, " component"],
    there: Float[Array, " component"],
    step: Float[Array, " param"],
    scale: Float[Array, ""],
) -> Float[Array, ""]:
    """Log of the density of the regional step back over that of the step there."""
    back = mixture.log_step(jax.nn.log_softmax(there), step, scale)
    return back - mixture.log_step(jax.nn.log_softmax(here), step, scale)
