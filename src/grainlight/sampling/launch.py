"""Before the chains of some objects run: where they begin, and what proposes to them.

Particles are annealed in groups, one for each chain; where a likelihood has residuals
its summits are climbed besides, lest all groups lost one. A mixture learns from both.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from grainlight.sampling import climb
from grainlight.sampling.anneal import anneal
from grainlight.sampling.chains import Guide
from grainlight.sampling.refine import BLOCK, refine
from grainlight.sampling.settings import Settings, few_together
from grainlight.sampling.target import Target

SUMMITS = 1_000_003  # tells the key of the climbs from those of new runs


class Launch(eqx.Module):
    """Ready to run the chains of objects; those of one object share their guide."""

    guide: Guide
    start: Float[Array, "*object chain param"]
    finite: Bool[Array, "*object"]


@dataclass(frozen=True)
class Plan:
    """What is compiled once for every object of a run."""

    method: str
    num_draws: int
    num_chains: int
    settings: Settings

    def climbs(self, target: Target) -> bool:
        """Whether summits are climbed: where they can be, for what is guided."""
        guided = self.method == "annealed" and self.settings.num_climbs > 0
        return guided and climb.has_residual(target)


def begin(
    keys: Key[Array, " object"],
    target: Target,
    data: Any,
    plan: Plan,
    near: Float[Array, "object draw param"] | None,
) -> Launch:
    """Anneal every group of every object, and learn what proposes its steps.

    Summits that can be climbed are known besides, lest all groups lost one. Draws that
    are `near` spare the annealing; they are dealt to the groups.
    """
    if near is None:
        found = _anneal(keys, target, data, plan)
    else:
        size = near.shape[1] // plan.num_chains
        found = near[:, : size * plan.num_chains]
        found = found.reshape(near.shape[0], plan.num_chains, size, -1)
    size = plan.settings.archive_size
    if near is None and plan.climbs(target):
        summits = _summits(keys, target, data, size // 2, plan)
        some = _spread(found, size - size // 2)
        draws = jnp.concatenate([some, summits], axis=1)
    else:
        draws = _spread(found, size)
    guide, finite = _refine(keys, target, data, draws, plan)
    return Launch(guide, found[:, :, -1], finite)


def begin_again(
    keys: Key[Array, " object"],
    target: Target,
    data: Any,
    old: Launch,
    last: Float[Array, "object chain draw param"],
    plan: Plan,
) -> Launch:
    """Learn anew from what the chains found, and what they were guided by."""
    draws = _remember(old.guide, last, plan.settings.archive_size)
    guide, finite = _refine(keys, target, data, draws, plan)
    return Launch(guide, last[:, :, -1], finite)


@eqx.filter_jit
def _anneal(
    keys: Key[Array, " object"], target: Target, data: Any, plan: Plan
) -> Float[Array, "object chain draw param"]:
    """Where the groups of all objects arrive."""

    def one_object(given):
        key, one_data = given
        group_keys = jr.split(jr.fold_in(key, 0), plan.num_chains)
        return jax.vmap(lambda k: anneal(k, target, one_data, plan.settings))(
            group_keys
        )

    particles = plan.num_chains * plan.settings.num_particles
    size = min(len(keys), few_together(particles))
    return jax.lax.map(one_object, (keys, data), batch_size=size)


@eqx.filter_jit
def _summits(
    keys: Key[Array, " object"], target: Target, data: Any, num_draws: int, plan: Plan
) -> Float[Array, "object draw param"]:
    """Draws around the summits of all objects."""

    def one_object(given):
        key, one_data = given
        key, settings = jr.fold_in(key, SUMMITS), plan.settings
        return climb.draw_summits(key, target, one_data, num_draws, settings)

    size = min(len(keys), few_together(climb.BLOCK))
    return jax.lax.map(one_object, (keys, data), batch_size=size)


@eqx.filter_jit
def _refine(
    keys: Key[Array, " object"],
    target: Target,
    data: Any,
    draws: Float[Array, "object draw param"],
    plan: Plan,
) -> tuple[Guide, Bool[Array, " object"]]:
    """The guides of all objects; a new run needs no second compilation."""

    def one_object(given):
        key, one_data, some = given
        return refine(jr.fold_in(key, 2), target, one_data, some, plan.settings)

    size = min(len(keys), few_together(BLOCK))
    return jax.lax.map(one_object, (keys, data, draws), batch_size=size)


@partial(jax.jit, static_argnums=1)
def _spread(
    draws: Float[Array, "object chain draw param"], count: int
) -> Float[Array, "object some param"]:
    """As many draws as wanted, evenly from all chains."""
    flat = draws.reshape(draws.shape[0], -1, draws.shape[-1])
    return flat[:, jnp.linspace(0, flat.shape[1] - 1, count).astype(int)]


@partial(jax.jit, static_argnums=2)
def _remember(
    guide: Guide, last: Float[Array, "object chain draw param"], count: int
) -> Float[Array, "object some param"]:
    """Half draws of the chains, half of the archive that guided them."""

    def restore(one):
        return jax.vmap(one.mixture.straight.inverse)(one.archive)

    known = jax.vmap(restore)(guide)
    half = count // 2
    old = _spread(known[:, None], half)
    return jnp.concatenate([old, _spread(last, count - half)], axis=1)
