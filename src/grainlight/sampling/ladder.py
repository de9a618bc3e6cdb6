"""The ladder: the cheapest way to a posterior that can be vouched for.

1. *Corrected*: amortized draws, weighed by likelihood and prior. They are the answer
   if they are worth enough and their largest weights are tame (Pareto k-hat).
2. *Refined*: where they are not, a mixture learns the posterior from them in a few
   rounds (`adaptive`), and from particles annealed from the prior, which meet modes
   that the network may not know; its own weighed draws, and some of the network as a
   guard, are judged in the same way. Where they fail too, a mixture of twice as many
   components learns from twice as many draws.
3. *Guided*: chains whose proposals are learned from the best draws so far, half as they
   came, half by truncated weight, and which start from the draws as they came: these
   are wider than the posterior. Where next to none of them has weight this would not
   be sound.
4. *Sampled*: chains from the prior, for what fails the gate there, and wherever the
   amortized posterior does not apply.
5. *Settled*: where even these fail, a mixture learns from them, whose weighed draws are
   judged as those of the second rung are. Chains that do not yet agree mostly know
   where the posterior is.

Every object has the certificate of the step that answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grainlight.core import Certificate, Samples, Status
from grainlight.sampling.adaptive import adapt_draws
from grainlight.sampling.correction import (
    CorrectionSettings,
    Proposal,
    Weighed,
    resample,
    weigh_draws,
)
from grainlight.sampling.explore import explore
from grainlight.sampling.gate import Gate
from grainlight.sampling.run import Progress, sample_posterior
from grainlight.sampling.settings import Settings
from grainlight.sampling.target import Target

#: Weights count at most this many times their mean when chains are guided by them.
TRUNCATION = 64.0
#: Components and draws of the mixtures tried in turn, in units of the settings.
REFINEMENTS = (1, 2)
#: Folded into the key of mixtures that learn from chains.
FROM_CHAINS = 2**31 - 1
#: Effective draws below which the amortized ones do not show where the posterior is.
LEAST_SOUND = 5.0


@dataclass(frozen=True)
class Climb:
    """How the ladder is climbed.

    Attributes:
        num_draws: Draws of each chain, or as many a chain of weighed ones.
        num_chains: Chains.
        gate: What chains must pass.
        sampler: How they work.
        correction: How amortized draws are weighed.
    """

    num_draws: int
    num_chains: int
    gate: Gate
    sampler: Settings
    correction: CorrectionSettings


def climb(
    key: Key[Array, ""],
    target: Target,
    proposal: Proposal,
    data: Any,
    usable: Bool[np.ndarray, " object"],
    plan: Climb,
    *,
    progress: Progress | None = None,
) -> list[Samples]:
    """Posterior draws of every object, by the first step that can be vouched for.

    Args:
        key: Random key.
        target: Prior and likelihood of one object.
        proposal: The amortized posterior.
        data: A pytree of arrays whose leading axis counts the objects.
        usable: Objects that the amortized posterior was trained for.
        plan: How it is done.
        progress: Called with the objects finished and their number.
    """
    keys = jr.split(key, 5)
    number = usable.size
    known = _weighed(keys[0], target, proposal, data, np.flatnonzero(usable), plan)
    seen = _explored(jr.fold_in(keys[4], 0), target, data, known, plan)
    first = dict(known)
    for factor in REFINEMENTS:
        refine_key = jr.fold_in(keys[4], factor)
        some = {i: (first[i], known[i]) for i in _failed(known, plan)}
        known |= _refined(refine_key, target, proposal, data, some, seen, plan, factor)
    answers = {i: one for i, one in known.items() if one.passed}
    done = {
        i: _drawn(jr.fold_in(keys[1], i), target, one, plan)
        for i, one in answers.items()
    }
    left = [
        i
        for i, one in known.items()
        if i not in done and one.certificate.num_effective >= LEAST_SOUND
    ]
    if left:
        start_key, chain_key = jr.split(keys[2])
        start = _starts(start_key, target, [known[i] for i in left], plan)
        shown = _offset(progress, len(done), number)
        some = _take(data, np.array(left))
        chains = _chains(chain_key, target, some, plan, start, shown)
        for i, samples in zip(left, chains, strict=True):
            if bool(samples.status == Status.ok):
                done[i] = replace(samples, certificate=_named(known[i], "guided"))
    left = [i for i in range(number) if i not in done]
    if left:
        shown = _offset(progress, len(done), number)
        some = _take(data, np.array(left))
        chains = _chains(keys[3], target, some, plan, None, shown)
        for i, samples in zip(left, chains, strict=True):
            done[i] = replace(samples, certificate=_named(known.get(i), "sampled"))
    done |= _settled(jr.fold_in(keys[4], FROM_CHAINS), target, data, done, seen, plan)
    if progress is not None:
        progress(number, number)
    return [done[i] for i in range(number)]


def _weighed(
    key: Key[Array, ""],
    target: Target,
    proposal: Proposal,
    data: Any,
    members: np.ndarray,
    plan: Climb,
) -> dict[int, Weighed]:
    """Weighed draws of the objects that the amortized posterior applies to."""
    if members.size == 0:
        return {}
    some = _take(data, members)
    weighed = weigh_draws(key, target, proposal, some, plan.correction)
    return dict(zip(members.tolist(), weighed, strict=True))


def _failed(known: dict[int, Weighed], plan: Climb) -> list[int]:
    """Objects whose draws did not pass, if a mixture may learn from them."""
    if plan.correction.adapt_rounds == 0:
        return []
    return [i for i, one in known.items() if not one.passed and one.is_finite]


def _explored(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    known: dict[int, Weighed],
    plan: Climb,
) -> dict[int, Float[np.ndarray, "draw param"]]:
    """Scaled particles annealed from the prior, of objects whose draws did not pass."""
    left = _failed(known, plan)
    if not left:
        return {}
    found = explore(key, target, _take(data, np.array(left)), plan.sampler)
    return dict(zip(left, found, strict=True))


def _settled(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    done: dict[int, Samples],
    seen: dict[int, Float[np.ndarray, "draw param"]],
    plan: Climb,
) -> dict[int, Samples]:
    """Answers of mixtures that learned from chains which did not pass."""
    left = [i for i, one in done.items() if _is_unsettled(one)]
    if plan.correction.adapt_rounds == 0 or not left:
        return {}
    scaled = [_interleaved(done[i], target) for i in left]
    none = Certificate("sampled")
    before = [Weighed(one, np.zeros(len(one)), none, passed=False) for one in scaled]
    size = plan.sampler.num_particles
    wide = [seen.get(i, one) for i, one in zip(left, scaled, strict=True)]
    explored = np.stack([np.resize(one, (size, one.shape[1])) for one in wide])
    settings = _enlarged(plan.correction, REFINEMENTS[-1])
    some = _take(data, np.array(left))
    found = adapt_draws(key, target, some, before, settings, explored=explored)
    passed = {i: one for i, one in zip(left, found, strict=True) if one.passed}
    return {
        i: _drawn(jr.fold_in(key, i), target, _renamed(one, "settled"), plan)
        for i, one in passed.items()
    }


def _interleaved(samples: Samples, target: Target) -> Float[np.ndarray, "draw param"]:
    """Scaled draws, those of all chains in turn: any part of them is of all."""
    scaled = np.asarray(target.parameters.scale(samples.theta), float)
    chains = scaled.reshape(samples.num_chains, -1, scaled.shape[1])
    return chains.swapaxes(0, 1).reshape(scaled.shape)


def _is_unsettled(samples: Samples) -> bool:
    """Whether chains ran, but did not pass."""
    failed = (Status.not_converged, Status.low_ess)
    return any(bool(samples.status == status) for status in failed)


def _refined(
    key: Key[Array, ""],
    target: Target,
    proposal: Proposal,
    data: Any,
    some: dict[int, tuple[Weighed, Weighed]],
    seen: dict[int, Float[np.ndarray, "draw param"]],
    plan: Climb,
    factor: int,
) -> dict[int, Weighed]:
    """Draws of mixtures that are better than those that did not pass.

    Args:
        key: Random key.
        target: Prior and likelihood of one object.
        proposal: The amortized posterior.
        data: What was observed of all objects.
        some: Of some objects, weighed draws of the amortized posterior, and the best
            weighed draws so far.
        seen: Scaled particles of these objects, annealed from the prior.
        plan: How it is done.
        factor: How many times as large as in the settings the mixtures are.
    """
    if not some:
        return {}
    left = list(some)
    explored = [
        _joined(jr.fold_in(key, i), first, best, seen[i])
        for i, (first, best) in some.items()
    ]
    found = adapt_draws(
        key,
        target,
        _take(data, np.array(left)),
        [first for first, _ in some.values()],
        _enlarged(plan.correction, factor),
        proposal=proposal,
        explored=np.stack(explored),
    )
    best = [best.certificate.num_effective for _, best in some.values()]
    return {
        i: new
        for i, old, new in zip(left, best, found, strict=True)
        if new.passed or new.certificate.num_effective > old
    }


def _joined(
    key: Key[Array, ""],
    first: Weighed,
    best: Weighed,
    particles: Float[np.ndarray, "draw param"],
) -> Float[np.ndarray, "draw param"]:
    """Particles, half of them replaced by the best draws if these are others."""
    if best is first:
        return particles
    seed = np.asarray(jr.key_data(key)).tolist()
    half = len(particles) // 2
    drawn = resample(np.random.default_rng(seed), best, half)
    joined = np.array(particles)
    joined[::2][:half] = drawn
    return joined


def _enlarged(correction: CorrectionSettings, factor: int) -> CorrectionSettings:
    """The same with larger mixtures that learn from more draws."""
    return replace(
        correction,
        adapt_draws=factor * correction.adapt_draws,
        num_components=factor * correction.num_components,
    )


def _take(data: Any, members: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: leaf[members], data)


def _offset(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of some objects as that of all."""
    if progress is None:
        return None
    return lambda finished, _: progress(before + finished, total)


def _named(weighed: Weighed | None, rung: str) -> Certificate:
    """The certificate of chains, with what the weights said before."""
    if weighed is None:
        return Certificate(rung)
    return replace(weighed.certificate, rung=rung)


def _renamed(weighed: Weighed, rung: str) -> Weighed:
    return replace(weighed, certificate=replace(weighed.certificate, rung=rung))


def _drawn(
    key: Key[Array, ""], target: Target, weighed: Weighed, plan: Climb
) -> Samples:
    number = plan.num_draws * plan.num_chains
    seed = np.asarray(jr.key_data(key)).tolist()
    scaled = resample(np.random.default_rng(seed), weighed, number)
    theta = target.parameters.unscale(jnp.asarray(scaled, float))
    return Samples(
        theta=theta,
        log_weight=jnp.zeros(number),
        status=Status.ok,
        parameters=target.parameters,
        num_chains=plan.num_chains,
        certificate=weighed.certificate,
    )


def _starts(
    key: Key[Array, ""], target: Target, weighed: Sequence[Weighed], plan: Climb
) -> Float[Array, "object draw param"]:
    """Unconstrained draws to learn from; the last of each chain's share are raw."""
    count, chains = plan.sampler.archive_size, plan.num_chains
    size = count // chains
    seed = np.asarray(jr.key_data(key)).tolist()
    rows = []
    for number, one in enumerate(weighed):
        generator = np.random.default_rng((*seed, number))
        mean = np.logaddexp.reduce(one.log_weight) - np.log(one.log_weight.size)
        if np.isfinite(mean):
            capped = np.minimum(one.log_weight, mean + np.log(TRUNCATION))
            one = replace(one, log_weight=capped)
        heavy = resample(generator, one, chains * size)
        raw = one.theta[generator.integers(len(one.theta), size=chains * size)]
        dealt = np.stack([heavy, raw]).reshape(2, chains, size, -1)
        half = size // 2
        both = np.concatenate([dealt[0][:, :half], dealt[1][:, half:]], axis=1)
        rows.append(both.reshape(chains * size, -1))
    scaled = jnp.asarray(np.stack(rows), float)
    return target.parameters.unconstrain(scaled)


def _chains(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    plan: Climb,
    start: Float[Array, "object draw param"] | None,
    progress: Progress | None,
) -> list[Samples]:
    sampler = plan.sampler
    if start is not None:
        # what one longer run does not settle is better begun anew, from the prior
        sampler = replace(sampler, num_retries=min(1, sampler.num_retries))
    return sample_posterior(
        key,
        target,
        data,
        num_draws=plan.num_draws,
        num_chains=plan.num_chains,
        gate=plan.gate,
        settings=sampler,
        progress=progress,
        start=start,
    )
