"""Sample the posteriors of many objects at once, each gated by itself.

Every object gets `num_chains` groups of particles drawn from the prior and annealed
apart, one chain a group. What proposes the steps is learned from all groups, and from
summits of the likelihood where these can be climbed: a mode seen by one is open to all,
and the chains must still agree on its weight. Objects that fail the gate run again,
longer, guided by what their chains found as well. Draws that are near the posterior
already may take the place of the annealing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from grainlight.core import Diagnostics, ParameterError, Samples, Status
from grainlight.sampling.chains import Chain, run_chain
from grainlight.sampling.diagnostics import FEWEST_DRAWS, diagnose
from grainlight.sampling.gate import Gate
from grainlight.sampling.launch import Launch, Plan, begin, begin_again
from grainlight.sampling.nuts import run_nuts
from grainlight.sampling.settings import Settings
from grainlight.sampling.target import Target

METHODS = ("annealed", "nuts")
FEWEST_CHAINS = 4

Progress = Callable[[int, int], None]


@dataclass
class Outcome:
    """What is known of one object so far; `chain` has a leading chain axis."""

    launch: Launch
    chain: Chain
    diagnostics: Diagnostics
    status: Status


def sample_posterior(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    *,
    method: str = "annealed",
    num_draws: int = 1_000,
    num_chains: int = FEWEST_CHAINS,
    gate: Gate | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    start: Float[Array, "object draw param"] | None = None,
) -> list[Samples]:
    """Posterior draws of every object, with diagnostics and a status.

    The draws of an object depend on the key, its place and its data, not on the
    other objects. An object whose density is nowhere finite gets nan draws and
    `Status.nonfinite`.

    Args:
        key: Random key.
        target: Prior and likelihood of one object.
        data: A pytree of arrays whose leading axis counts the objects.
        method: `annealed` (mixture and difference moves) or `nuts`.
        num_draws: Draws recorded by each chain.
        num_chains: Chains of each object.
        gate: What the chains must pass.
        settings: How the samplers work.
        progress: Called with the objects finished and their number.
        start: Unconstrained draws near each posterior and wider than it, to begin with
            in place of annealed ones.

    Returns:
        One result for each object, in order.
    """
    plan = Plan(method, num_draws, num_chains, settings or Settings())
    gate = gate or Gate()
    _check(plan)
    num_objects = _count(data)
    keys = jax.vmap(lambda i: jr.fold_in(key, i))(jnp.arange(num_objects))
    outcomes = _first_run(keys, target, data, plan, gate, progress, start)
    for attempt in range(1, plan.settings.num_retries + 1):
        again = [i for i, one in enumerate(outcomes) if _may_improve(one)]
        if not again:
            break
        round_keys = jax.vmap(lambda k, a=attempt: jr.fold_in(k, a))(keys)
        _run_again(round_keys, target, data, plan, gate, outcomes, again, attempt)
        if progress is not None:
            left = sum(_may_improve(one) for one in outcomes)
            progress(num_objects - left, num_objects)
    if progress is not None:
        progress(num_objects, num_objects)
    return [_samples(one, target, plan.num_chains) for one in outcomes]


def _check(plan: Plan) -> None:
    if plan.method not in METHODS:
        raise ParameterError(
            f"Expected a method among {', '.join(METHODS)}; got {plan.method!r}."
        )
    if plan.num_chains < FEWEST_CHAINS:
        raise ParameterError(
            f"Expected {FEWEST_CHAINS} chains or more; got {plan.num_chains}. "
            "Fewer cannot show that they disagree."
        )
    if plan.num_draws < FEWEST_DRAWS:
        raise ParameterError(
            f"Expected {FEWEST_DRAWS} draws or more a chain; got {plan.num_draws}."
        )


def _count(data: Any) -> int:
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if len(sizes) != 1 or sizes == {()}:
        raise ParameterError(
            "Expected data whose arrays share a leading object axis; got the leading "
            f"sizes {sorted(sizes)}. Add an axis of length one for a single object."
        )
    return sizes.pop()[0]


def _may_improve(outcome: Outcome) -> bool:
    worth = outcome.status == Status.not_converged
    return bool(worth | (outcome.status == Status.low_ess))


def _chunks(members: Sequence[int], largest: int) -> list[np.ndarray]:
    """Groups of one common size, a power of two; the last is filled by repetition."""
    size = min(largest, 2 ** int(np.ceil(np.log2(max(len(members), 1)))))
    whole = [members[i : i + size] for i in range(0, len(members), size)]
    return [np.resize(np.asarray(some), size) for some in whole]


def _take(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], tree)


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _first_run(
    keys: Key[Array, " object"],
    target: Target,
    data: Any,
    plan: Plan,
    gate: Gate,
    progress: Progress | None,
    start: Float[Array, "object draw param"] | None,
) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    num_objects = keys.shape[0]
    for chunk in _chunks(range(num_objects), plan.settings.together):
        some_keys, some_data = keys[chunk], _take(data, chunk)
        near = None if start is None else start[chunk]
        launch = begin(some_keys, target, some_data, plan, near)
        steps = jnp.asarray(plan.settings.steps_per_draw)
        chains = _run(some_keys, target, some_data, launch, steps, plan)
        outcomes.update(_judge(chunk, launch, chains, gate))
        if progress is not None:
            progress(sum(not _may_improve(o) for o in outcomes.values()), num_objects)
    return [outcomes[i] for i in range(num_objects)]


def _run_again(
    keys: Key[Array, " object"],
    target: Target,
    data: Any,
    plan: Plan,
    gate: Gate,
    outcomes: list[Outcome],
    again: list[int],
    attempt: int,
) -> None:
    """Run objects that failed once more, longer; `outcomes` is brought up to date."""
    growth = plan.settings.retry_factor**attempt
    steps = jnp.asarray(round(plan.settings.steps_per_draw * growth))
    for chunk in _chunks(again, plan.settings.together_again):
        old = _stack([outcomes[i].launch for i in chunk])
        last = _stack([outcomes[i].chain.y for i in chunk])
        some = _take(data, chunk)
        launch = begin_again(keys[chunk], target, some, old, last, plan)
        chains = _run(keys[chunk], target, some, launch, steps, plan)
        for index, outcome in _judge(chunk, launch, chains, gate).items():
            outcomes[index] = outcome


@eqx.filter_jit
def _run(
    keys: Key[Array, " object"],
    target: Target,
    data: Any,
    launch: Launch,
    steps: Int[Array, ""],
    plan: Plan,
) -> Chain:
    """All chains of some objects: axes (object, chain, draw, param)."""
    settings = plan.settings

    def annealed(key, one_data, guide, start):
        num_burn = round(settings.burn_fraction * plan.num_draws)
        return run_chain(
            key,
            target,
            one_data,
            guide,
            start,
            steps,
            num_draws=plan.num_draws,
            num_burn=num_burn,
            mixture_fraction=settings.mixture_fraction,
        )

    def nuts(key, one_data, guide, start):
        del guide
        return run_nuts(
            key,
            target,
            one_data,
            start,
            num_draws=plan.num_draws,
            num_warmup=settings.nuts_warmup,
            max_doublings=settings.nuts_doublings,
        )

    def one_object(inputs, *, chain):
        key, one_data, one = inputs
        chain_keys = jr.split(jr.fold_in(key, 1), plan.num_chains)
        run = jax.vmap(lambda k, start: chain(k, one_data, one.guide, start))
        return run(chain_keys, one.start)

    inputs = (keys, data, launch)
    if plan.method == "nuts":
        # Trees of different depth waste work side by side: one object at a time.
        return jax.lax.map(partial(one_object, chain=nuts), inputs)
    return jax.vmap(partial(one_object, chain=annealed))(inputs)


def _judge(
    chunk: np.ndarray, launch: Launch, chains: Chain, gate: Gate
) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    launch, chains = jax.tree.map(np.asarray, (launch, chains))
    for place, index in enumerate(chunk.tolist()):
        if index in outcomes:
            continue
        one_launch, chain = jax.tree.map(
            lambda leaf, p=place: leaf[p], (launch, chains)
        )
        diagnostics = diagnose(chain.y, float(np.mean(chain.acceptance)))
        status = gate.status(diagnostics) if one_launch.finite else Status.nonfinite
        outcomes[index] = Outcome(one_launch, chain, diagnostics, status)
    return outcomes


def _samples(outcome: Outcome, target: Target, num_chains: int) -> Samples:
    parameters = target.parameters
    y = jnp.asarray(outcome.chain.y).reshape(-1, len(parameters))
    theta = parameters.unscale(parameters.constrain(y))
    diagnostics = outcome.diagnostics
    if bool(outcome.status == Status.nonfinite):
        theta = jnp.full_like(theta, jnp.nan)
        diagnostics = jax.tree.map(
            lambda leaf: jnp.full_like(leaf, jnp.nan), diagnostics
        )
    return Samples(
        theta=theta,
        log_weight=jnp.zeros(theta.shape[0]),
        status=outcome.status,
        parameters=parameters,
        num_chains=num_chains,
        diagnostics=diagnostics,
    )
