"""Where objects end on the ladder, what each rung costs, and whether rungs agree.

    python benchmarks/ladder.py --objects 2000 --chains 100 --out results/ladder

Objects are those of `amortized.py --objects 20000`: drawn from prior and likelihood of
the model, and observed at random. With `--sky-limits` few errors tell more of a
flux than the likelihood knows (`mock_photometry`). Of all: the rung that answered, the
status, processor seconds of every stage, and the calibration of what was answered
(ranks, coverage), by rung and in the slices of `amortized.py`. Coverage of so few
objects is uncertain by a point or two, most of which is the luck of their truths. The
network, asked for the same objects, has the same luck, and what it covers of all 20,000
is known better: `adjusted` is the coverage less that of the network of the same objects
plus that of the network of all in the slice, with its standard error (a control
variate).

Of the first `--chains` objects: chains from the prior, whatever the ladder said; the
widths of intervals beside those of the chains; and a classifier that tells draws of the
network, and those of the ladder, from those of the chains (C2ST; 0.5 if it cannot),
with a control: two halves of the chains. Batches are kept: the same command goes on
where it was stopped.
"""

import argparse
import json
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from mock_photometry import FloorProposal, floor_target, random_objects, slices

from grainlight.core import status_name
from grainlight.estimators.shell_model import ShellModel
from grainlight.evaluation import Ranks, measure_coverage
from grainlight.evaluation.two_sample import classify_samples
from grainlight.sampling import ladder as climbing
from grainlight.sampling.correction import CorrectionSettings
from grainlight.sampling.gate import Gate
from grainlight.sampling.ladder import Climb, climb
from grainlight.sampling.run import sample_posterior
from grainlight.sampling.settings import Settings
from grainlight.simulators import SHELL_PARAMETERS

POOL = 20_000  # objects that are drawn; the first of them are used
BATCH = 125  # objects that climb together
CHAINED = 20  # objects whose chains run together
TOGETHER = 500  # objects that the network is asked for together
KEPT = 399  # draws of an object that are ranked
ROWS = 300  # draws of an object that a classifier tells apart
FEWEST = 20  # objects of which ranks can be judged
LEVELS = (0.16, 0.5, 0.84)
RUNGS = ("corrected", "refined", "guided", "sampled", "settled")
#: Functions of the ladder that are timed, and the rungs whose objects pass them.
STAGES = {
    "_weighed": RUNGS,
    "_explored": RUNGS[1:],
    "_refined": RUNGS[1:],
    "_chains": RUNGS[2:],
    "_settled": RUNGS[4:],  # and what failed there
}


class Clock:
    """Processor seconds of the stages of the ladder."""

    def __init__(self):
        self.seconds = dict.fromkeys(STAGES, 0.0)

    def timed(self, name):
        """A stage that adds to its seconds."""
        stage = getattr(climbing, name)

        def run(*given):
            began = time.process_time()
            found = stage(*given)
            self.seconds[name] += time.process_time() - began
            return found

        return run


def climb_batch(key, target, proposal, some, settings):
    """What the ladder makes of a batch, as arrays."""
    count = len(jax.tree.leaves(some)[0])
    usable = np.ones(count, bool)
    plan = Climb(1000, 4, Gate(), settings, CorrectionSettings())
    clock = Clock()
    began, cpu = time.monotonic(), time.process_time()
    with ExitStack() as stack:
        for name in STAGES:
            stack.enter_context(mock.patch.object(climbing, name, clock.timed(name)))
        found = climb(key, target, proposal, some, usable, plan)
    wall, cpu = time.monotonic() - began, time.process_time() - cpu
    scaled = [np.asarray(target.parameters.scale(one.theta), float) for one in found]
    generator = np.random.default_rng(0)
    draws = [one[generator.choice(len(one), KEPT, replace=False)] for one in scaled]
    return {
        "rung": np.array([one.certificate.rung for one in found]),
        "status": np.array([status_name(one.status) for one in found]),
        "efficiency": np.array([one.certificate.efficiency for one in found]),
        "effective": np.array([one.certificate.num_effective for one in found]),
        "draws": np.stack(draws).astype(np.float32),
        "wall": np.full(count, wall / count),
        "cpu": np.full(count, cpu / count),
    } | {name: np.full(count, one / count) for name, one in clock.seconds.items()}


def chain_batch(key, target, proposal, some, settings):
    """Chains from the prior and draws of the network, of a batch, as arrays."""
    count = len(jax.tree.leaves(some)[0])
    began, cpu = time.monotonic(), time.process_time()
    chains = sample_posterior(key, target, some, settings=settings)
    wall, cpu = time.monotonic() - began, time.process_time() - cpu
    keys = jr.split(jr.fold_in(key, 1), count)
    raw = jax.jit(jax.vmap(lambda k, one: proposal.draw(k, 1000, one).theta))(
        keys, some
    )
    scaled = [np.asarray(target.parameters.scale(one.theta), float) for one in chains]
    return {
        "status": np.array([status_name(one.status) for one in chains]),
        "draws": np.stack([one[::4] for one in scaled]).astype(np.float32),
        "network": np.asarray(raw, np.float32),
        "wall": np.full(count, wall / count),
        "cpu": np.full(count, cpu / count),
    }


def in_batches(folder, number, size, one_batch):
    """Arrays of all batches; those that a folder has are read."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for place, start in enumerate(range(0, number, size)):
        path = folder / f"batch-{place:04d}.npz"
        if not path.exists():
            arrays = one_batch(place, slice(start, min(start + size, number)))
            whole = path.with_suffix(".part")
            with whole.open("wb") as file:
                np.savez(file, **arrays)
            whole.replace(path)
        with np.load(path) as saved:
            parts.append(dict(saved))
        last = parts[-1]
        print(
            f"{folder.name}: {min(start + size, number)} of {number}, "
            f"{Counter(last['status'].tolist())}, {last['wall'][0]:.2f} s an object",
            flush=True,
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def network_shares(key, proposal, objects, truth):
    """Shares of draws of the network that are below the truth, of every object."""

    @jax.jit
    def some(keys, few, truth):
        draws = jax.vmap(lambda k, one: proposal.draw(k, KEPT, one).theta)(keys, few)
        return jnp.mean(draws < truth[:, None], axis=1)

    keys, found = jr.split(key, len(truth)), []
    for start in range(0, len(truth), TOGETHER):
        rows = slice(start, start + TOGETHER)
        few = jax.tree.map(lambda leaf, r=rows: jnp.asarray(leaf)[r], objects)
        found.append(np.asarray(some(keys[rows], few, truth[rows])))
    return np.concatenate(found)


def inside(shares, level):
    """Whether the truth is in the central interval, object by object."""
    return (np.abs(shares - 0.5) < level / 2).astype(float)


def adjusted(shares, same, every, level):
    """Coverage with the luck of the network's taken off, and its standard error.

    Args:
        shares: Shares of draws below the truth, of the objects judged.
        same: Those of the network, of the same objects.
        every: Those of the network, of all such objects.
        level: Level of the intervals.
    """
    gap, known = inside(shares, level) - inside(same, level), inside(every, level)
    value = gap.mean(axis=0) + known.mean(axis=0)
    parts = [one.std(axis=0) / np.sqrt(len(one)) for one in (gap, known)]
    return [value.round(4).tolist(), np.hypot(*parts).round(4).tolist()]


def calibration(draws, truth, same, every=None):
    """Coverage of central intervals, parameter by parameter, and the smallest p.

    Beside it that of the network: of the same objects, and of all if they are given.
    """
    names, below = SHELL_PARAMETERS.names, draws < truth[:, None]
    shares = below.mean(axis=1)
    coverage = measure_coverage(shares, names)
    pairs = zip(coverage.level, coverage.fraction, strict=True)
    found = {
        "objects": len(truth),
        "coverage": {f"{level:g}": row.round(4).tolist() for level, row in pairs},
        "network": {
            f"{level:g}": inside(same, level).mean(axis=0).round(4).tolist()
            for level in coverage.level
        },
        "rank_pvalue": float(
            Ranks(names, below.sum(axis=1), KEPT).adjusted_pvalue.min()
        ),
    }
    if every is None:
        return found
    return found | {
        "adjusted": {
            f"{level:g}": adjusted(shares, same, every, level)
            for level in coverage.level
        }
    }


def seconds_of_stages(found, batch):
    """Processor seconds of the objects that pass a stage, in the median batch.

    Most batches compile nothing. Several mixtures, or chains begun anew, are together.
    """
    medians = {}
    for name, rungs in STAGES.items():
        passing = np.isin(found["rung"], rungs) | (found["status"] != "ok")
        parts = [slice(i, i + batch) for i in range(0, passing.size, batch)]
        each = [
            float(found[name][one].sum() / passing[one].sum())
            for one in parts
            if passing[one].any()
        ]
        medians[name.strip("_")] = float(np.median(each)) if each else None
    return medians


def describe_ladder(found, truth, chosen, shares):
    """Shares of the rungs and the calibration of answers, all and in slices.

    Args:
        found: What the ladder made of the first objects.
        truth: Their scaled parameters.
        chosen: Which of all objects are in each slice.
        shares: Shares of draws of the network below the truth, of all objects.
    """
    fine, count = found["status"] == "ok", len(truth)
    rungs = {name: found["rung"] == name for name in RUNGS}
    parts = {name: (fine & part[:count], shares[part]) for name, part in chosen.items()}
    # of the objects of a rung there is no larger sample
    parts |= {name: (fine & part, None) for name, part in rungs.items()}
    return {
        "objects": len(truth),
        "ok": float(fine.mean()),
        "rungs": {name: float(np.mean(part)) for name, part in rungs.items()},
        "statuses": Counter(found["status"].tolist()),
        "cpu_seconds_an_object": float(found["cpu"].mean()),
        "wall_seconds_an_object": float(found["wall"].mean()),
        "calibration": {
            name: calibration(
                found["draws"][part], truth[part], shares[:count][part], every
            )
            for name, (part, every) in parts.items()
            if np.sum(part) >= FEWEST
        },
    }


def width(draws):
    """Widths of central intervals of 95 %."""
    return np.diff(np.quantile(draws, (0.025, 0.975), axis=1), axis=0)[0]


def compare_widths(chains, ladder):
    """Logarithm of widths of the ladder over those of chains, rung by rung."""
    count, found = len(chains["status"]), {}
    fine = (chains["status"] == "ok") & (ladder["status"][:count] == "ok")
    for name in RUNGS:
        chosen = np.flatnonzero(fine & (ladder["rung"][:count] == name))
        if chosen.size > 1:
            ratio = width(ladder["draws"][chosen]) / width(chains["draws"][chosen])
            each = np.log(ratio).mean(axis=1)
            error = each.std() / np.sqrt(chosen.size)
            found[name] = [int(chosen.size), float(each.mean()), float(error)]
    return found


def compare(key, chains, ladder):
    """C2ST of network and ladder beside chains that passed, and of their halves."""
    tests = {"network": [], "ladder": [], "control": []}
    apart, generator = [], np.random.default_rng(0)
    for i in np.flatnonzero(chains["status"] == "ok"):
        exact = generator.permutation(chains["draws"][i])
        mine = ladder["draws"][i]
        first, second = exact[::2], exact[1::2]
        pairs = {
            "network": (chains["network"][i], first),
            "ladder": (generator.permutation(np.unique(mine, axis=0)), first),
            "control": (second, first),
        }
        for place, (name, pair) in enumerate(pairs.items()):
            one = jr.fold_in(jr.fold_in(key, int(i)), place)
            some = [part[:ROWS] for part in pair]  # few numbers: few programs
            tests[name].append(classify_samples(one, *some).accuracy)
        gap = np.quantile(mine, LEVELS, axis=0) - np.quantile(exact, LEVELS, axis=0)
        apart.append(np.abs(gap / exact.std(axis=0)).max())
        if len(np.unique(mine, axis=0)) < ROWS:
            jax.clear_caches()  # a program of its own
    return {
        "objects": len(apart),
        "statuses": Counter(chains["status"].tolist()),
        "cpu_seconds_a_chain_object": float(chains["cpu"].mean()),
        "wall_seconds_a_chain_object": float(chains["wall"].mean()),
        "c2st": {
            name: {
                "median": float(np.median(one)),
                "mean": float(np.mean(one)),
                "error": float(np.std(one) / np.sqrt(len(one))),
                "tenth": np.quantile(one, [0.1, 0.9]).tolist(),
            }
            for name, one in tests.items()
        },
        "median_quantile_gap_sd": float(np.median(apart)),
    }


def claim(path, words):
    """Refuse a folder whose batches are of other objects."""
    if path.exists():
        before = json.loads(path.read_text())
        other = [name for name in words if before.get(name) != words[name]]
        if other:
            raise SystemExit(
                f"Expected batches of the same objects in {path.parent}; got another "
                f"{' and '.join(other)} in {path.name}. Name another folder by --out."
            )
    path.write_text(json.dumps(words, indent=1))


def arguments():
    """What is asked for."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--model", default="ccsn-dust")
    words.add_argument("--objects", type=int, default=2000)
    words.add_argument("--chains", type=int, default=100)
    words.add_argument("--batch", type=int, default=BATCH)
    words.add_argument("--together", type=int, help="objects whose chains run together")
    words.add_argument("--sky-limits", action="store_true", help="none in other noise")
    words.add_argument("--only", choices=("climb", "chains"), help="do no other part")
    words.add_argument("--seed", type=int, default=77)
    words.add_argument("--out", type=Path, default=Path("results/ladder"))
    return words.parse_args()


def main() -> None:
    """Measure, print and save."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    model = ShellModel.load(given.model).under(clumpy=False)
    keys = jr.split(jr.key(given.seed), 6)
    pool, data, conditions = random_objects(
        keys[0], model, POOL, sky_limits=given.sky_limits
    )
    objects = (data, conditions.floor)
    target, proposal = floor_target(model), FloorProposal(model.posterior)
    settings = Settings(chunk_size=given.together, retry_chunk_size=given.together)

    def some(rows):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows], objects)

    def one_climb(place, rows):
        one = jr.fold_in(keys[3], place)
        return climb_batch(one, target, proposal, some(rows), settings)

    def one_chain(place, rows):
        one = jr.fold_in(keys[5], place)
        return chain_batch(one, target, proposal, some(rows), settings)

    path = given.out / "ladder.json"
    words = {"identity": model.identity, "seed": given.seed, "batch": given.batch}
    words["sky_limits"] = given.sky_limits
    claim(given.out / "objects.json", words)
    result = {"model": given.model, **words, "device": jax.devices()[0].device_kind}
    truth = np.asarray(pool.theta, np.float32)[: given.objects]
    if given.only != "chains":
        found = in_batches(given.out / "climbed", given.objects, given.batch, one_climb)
        shares = network_shares(
            jr.fold_in(keys[3], given.objects),
            proposal,
            objects,
            np.asarray(pool.theta, np.float32),
        )
        chosen = slices(conditions, data, model.bands)
        result["ladder"] = describe_ladder(found, truth, chosen, shares)
        result["seconds"] = seconds_of_stages(found, given.batch)
        print(json.dumps(result, indent=1), flush=True)
        path.write_text(json.dumps(result, indent=1))
    if given.only != "climb":
        chains = in_batches(given.out / "chains", given.chains, CHAINED, one_chain)
    if given.only is None:
        result["widths"] = compare_widths(chains, found)
        print(json.dumps(result["widths"]), flush=True)
        result["agreement"] = compare(keys[4], chains, found)
        print(json.dumps(result["agreement"], indent=1), flush=True)
        path.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
