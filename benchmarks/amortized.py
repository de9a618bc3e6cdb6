"""How good the amortized posterior of a model is, on objects that it has not seen.

    python benchmarks/amortized.py --model ccsn-dust --objects 2000 --weighed 300
        --out results/amortized

Objects are drawn from the prior and the likelihood of the model, and observed at random
(`random_observing`), with other seeds than in the training. Of the amortized posterior
as it is: ranks of the truth, coverage of central intervals, coverage around random
points (TARP), in slices by number of bands, error and share of limits. Of the first
`--weighed` objects: efficiency of the importance weights, Pareto k-hat, the same
calibration after the correction, and the seconds that each takes; of those that fail,
what the mixture makes that learns from them. `ladder.py` goes on from there to chains.
"""

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
from mock_photometry import FloorProposal, random_objects, slices, weigh

from grainlight.estimators.shell_model import ShellModel
from grainlight.evaluation import Ranks, measure_coverage, measure_expected_coverage
from grainlight.sampling.adaptive import adapt_draws
from grainlight.sampling.correction import CorrectionSettings, resample
from grainlight.simulators import SHELL_PARAMETERS

NUM_DRAWS = 399
NARROWED = 0.7  # width of the posteriors of the negative control
BLOCK = 250  # objects drawn for together
BATCH = 8  # objects whose mixtures learn together


def calibration(draws, truth, chosen, key, bounds):
    """Coverage, ranks and TARP of some objects, and of a negative control."""
    names = SHELL_PARAMETERS.names
    draws, truth = draws[chosen], truth[chosen]
    coverage = measure_coverage(np.mean(draws < truth[:, None], axis=1), names)
    rank = np.sum(draws < truth[:, None], axis=1)
    middle = np.median(draws, axis=1, keepdims=True)
    narrow = np.sum(middle + NARROWED * (draws - middle) < truth[:, None], axis=1)
    tarp = measure_expected_coverage(key, draws, truth, bounds=bounds)
    ranks, narrowed = (Ranks(names, r, draws.shape[1]) for r in (rank, narrow))
    return {
        "objects": int(np.sum(chosen)),
        "coverage": {
            f"{level:g}": dict(zip(names, row.round(4).tolist(), strict=True))
            for level, row in zip(coverage.level, coverage.fraction, strict=True)
        },
        "largest_gap": {
            f"{level:g}": float(np.abs(row - level).max())
            for level, row in zip(coverage.level, coverage.fraction, strict=True)
        },
        "rank_pvalue": float(ranks.adjusted_pvalue.min()),
        "control_pvalue": float(narrowed.adjusted_pvalue.min()),
        "tarp_gap": tarp.largest_gap,
        "tarp_pvalue": tarp.pvalue,
    }


def plot(path, found, rank, efficiency, error):
    """Coverage by slice, ranks of the truth, efficiency against the error."""
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    names = list(found)
    for level, marker in (("0.68", "o"), ("0.95", "s")):
        for i, name in enumerate(names):
            values = list(found[name]["coverage"][level].values())
            axes[0].plot(values, [i] * len(values), marker, color=f"C{i % 10}", ms=4)
        axes[0].axvline(float(level), color="0.5", lw=1)
    axes[0].set(yticks=range(len(names)), yticklabels=names, xlabel="coverage")
    for i, name in enumerate(SHELL_PARAMETERS.names):
        count, edge = np.histogram(rank[:, i] / NUM_DRAWS, 20, range=(0, 1))
        axes[1].stairs(count, edge, baseline=None, label=name)
    even = len(rank) / 20
    scatter = 2 * np.sqrt(even * 19 / 20)
    axes[1].axhspan(even - scatter, even + scatter, color="0.92", zorder=0)
    axes[1].axhline(even, color="0.5", lw=1)
    axes[1].set(xlabel="rank of the truth", ylabel="objects", ylim=(0, 1.6 * even))
    axes[1].legend(fontsize=7)
    axes[2].loglog(error, np.maximum(efficiency, 1e-4), ".")
    axes[2].set(xlabel="error [mag]", ylabel="importance efficiency")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_all(key, posterior, data, floor):
    """Amortized draws of all objects, and how many a second of processor time."""

    @eqx.filter_jit
    def draw(keys, data, floor):
        return jax.vmap(lambda k, d, f: posterior.draw(k, NUM_DRAWS, d, f).theta)(
            keys, data, floor
        )

    keys = jr.split(key, len(floor))
    parts, seconds = [], []
    for start in range(0, len(floor) - BLOCK + 1, BLOCK):
        some = slice(start, start + BLOCK)
        piece = jax.tree.map(lambda leaf, s=some: leaf[s], data)
        began = time.process_time()
        parts.append(np.asarray(draw(keys[some], piece, floor[some]), float))
        seconds.append(time.process_time() - began)
    rate = BLOCK * NUM_DRAWS / float(np.median(seconds[1:] or seconds))
    return np.concatenate(parts), rate


def mean_log_density(posterior, theta, data, floor):
    """Mean of the log-density of the truths: the larger, the better the network."""

    @eqx.filter_jit
    def given(theta, data, floor):
        return jax.vmap(posterior.log_prob)(theta, data, floor)

    number = len(theta) // BLOCK * BLOCK
    parts = [
        given(
            *jax.tree.map(lambda leaf, s=s: leaf[s : s + BLOCK], (theta, data, floor))
        )
        for s in range(0, number, BLOCK)
    ]
    return float(np.mean(np.concatenate(parts)))


def describe(name, one):
    """One line of the calibration of one slice."""
    gaps = one["largest_gap"]
    return (
        f"{name:22s} {one['objects']:5d} objects: coverage off by "
        f"{100 * gaps['0.68']:.1f} (68 %) {100 * gaps['0.95']:.1f} (95 %) points, "
        f"ranks p = {one['rank_pvalue']:.2g}, control {one['control_pvalue']:.1g}, "
        f"TARP gap {one['tarp_gap']:+.3f}"
    )


def tabulate(found, judged):
    """The slices as a table in Markdown."""
    lines = [
        "| slice | objects | off at 68 % | at 95 % | ranks p | TARP | efficiency |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        gaps, weights = one["largest_gap"], judged["slices"].get(name)
        worth = f"{100 * weights['median_efficiency']:.0f} %" if weights else "-"
        lines.append(
            f"| {name} | {one['objects']} | {100 * gaps['0.68']:.1f} | "
            f"{100 * gaps['0.95']:.1f} | {one['rank_pvalue']:.2g} | "
            f"{100 * one['tarp_gap']:+.1f} | {worth} |"
        )
    return "\n".join(lines) + "\n"


def refine(key, target, proposal, few, weighed):
    """The same with what a mixture makes of those that failed, and its seconds."""
    left = [i for i, one in enumerate(weighed) if not one.passed and one.is_finite]
    left = left[: len(left) // BATCH * BATCH]
    done, seconds = list(weighed), []
    for start in range(0, len(left), BATCH):
        batch = left[start : start + BATCH]
        some = jax.tree.map(lambda leaf, i=batch: leaf[np.array(i)], few)
        cpu = time.process_time()
        found = adapt_draws(
            jr.fold_in(key, start),
            target,
            some,
            [weighed[i] for i in batch],
            CorrectionSettings(),
            proposal=proposal,
        )
        seconds.append((time.process_time() - cpu) / BATCH)
        for i, one in zip(batch, found, strict=True):
            done[i] = one
    efficiency = [done[i].certificate.efficiency for i in left]
    passed = [done[i].passed for i in left]
    return done, {
        "objects": len(left),
        "passed": float(np.mean(passed)) if left else None,
        "median_efficiency": float(np.median(efficiency)) if left else None,
        "cpu_seconds_an_object": float(np.median(seconds[1:] or seconds or [0])),
        "share_answered": float(np.mean([one.passed for one in done])),
    }


def judge_weights(weighed, seconds, masks):
    """Efficiencies and shares that passed, in slices."""
    efficiency = np.array([one.certificate.efficiency for one in weighed])
    shape = np.array([one.certificate.shape for one in weighed])
    passed = np.array([one.passed for one in weighed])
    few = {name: mask[: len(weighed)] for name, mask in masks.items()}
    return {
        "objects": len(weighed),
        "draws": weighed[0].certificate.num_weighed,
        "cpu_seconds_an_object": seconds,
        "passed": float(passed.mean()),
        "shape_below_0.7": float(np.mean(shape < 0.7)),
        "median_efficiency": float(np.median(efficiency)),
        "slices": {
            name: {
                "median_efficiency": float(np.median(efficiency[mask])),
                "passed": float(passed[mask].mean()),
            }
            for name, mask in few.items()
            if mask.sum() >= 10
        },
    }


def arguments():
    """What is asked for."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--model", default="ccsn-dust")
    words.add_argument("--objects", type=int, default=2000)
    words.add_argument("--weighed", type=int, default=256)
    words.add_argument("--draws", type=int, default=2048)
    words.add_argument("--seed", type=int, default=77)
    words.add_argument("--out", type=Path, default=Path("results/amortized"))
    return words.parse_args()


def main() -> None:
    """Measure, print and save."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    model = ShellModel.load(given.model).under(clumpy=False)
    keys = jr.split(jr.key(given.seed), 6)
    support = model.posterior.posterior.support
    pool, data, conditions = random_objects(keys[0], model, given.objects)
    bounds = np.asarray([support.lower, support.upper])
    draws, rate = draw_all(keys[1], model.posterior, data, conditions.floor)
    truth = np.asarray(pool.theta, float)[: len(draws)]
    masks = {
        n: m[: len(draws)] for n, m in slices(conditions, data, model.bands).items()
    }
    found = {
        name: calibration(draws, truth, mask, keys[2], bounds)
        for name, mask in masks.items()
        if mask.sum() >= 50
    }
    for name, one in found.items():
        print(describe(name, one), flush=True)
    result = {
        "model": given.model,
        "identity": model.identity,
        "seed": given.seed,
        "draws_a_cpu_second": rate,
        "mean_log_density": mean_log_density(
            model.posterior, pool.theta, data, conditions.floor
        ),
        "amortized": found,
    }
    print("mean log-density of the truths", result["mean_log_density"], flush=True)
    few = jax.tree.map(lambda leaf: leaf[: given.weighed], (data, conditions.floor))
    weighed, target, seconds = weigh(keys[3], model, few, given.draws, time_it=True)
    result["weighed"] = judge_weights(weighed, seconds, masks)
    print(json.dumps(result["weighed"], indent=1), flush=True)
    save(given.out, result)
    efficiency = np.array([one.certificate.efficiency for one in weighed])
    error = np.asarray(conditions.error)[: len(weighed)]
    rank = np.sum(draws < truth[:, None], axis=1)
    plot(given.out / "amortized.png", found, rank, efficiency, error)
    weighed, result["refined"] = refine(
        jr.fold_in(keys[3], 1), target, FloorProposal(model.posterior), few, weighed
    )
    print(json.dumps(result["refined"], indent=1), flush=True)
    passed = np.array([one.passed for one in weighed])
    if passed.sum() >= 50:
        generator = np.random.default_rng(given.seed)
        corrected = np.stack([resample(generator, w, NUM_DRAWS) for w in weighed])
        result["corrected"] = calibration(
            corrected, truth[: len(weighed)], passed, keys[4], bounds
        )
        print(describe("corrected", result["corrected"]), flush=True)
    save(given.out, result)


def save(folder, result):
    """Write what is known so far."""
    (folder / "amortized.json").write_text(json.dumps(result, indent=1))
    table = tabulate(result["amortized"], result["weighed"])
    (folder / "slices.md").write_text(table)


if __name__ == "__main__":
    main()
