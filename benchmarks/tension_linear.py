"""Learned tension beside the exact law of linear Gaussian pairs.

    python benchmarks/tension_linear.py [--pairs 30000] [--dims 1 3 6]
        [--priors 0.1 1 10 1000] [--bend] [--figure docs/figures/tension_linear.png]

Data sets see `dim` parameters with noise of 0.1 and 0.2; the prior has the given
standard deviations, from as narrow as the noise to as wide as 10,000 times it. Printed
are the mutual information, the root-mean-square error of the learned log-ratio over
matched pairs and over pairs of 2 exact sigmas or more, the learned T of pairs of 1, 2
and 3 exact sigmas with its scatter, and the verdict of the health checks. With --bend
the first data set is replaced by its arcsinh, which changes no ratio but is not
Gaussian. Seconds are of processor time, compilation included.
"""

import argparse
import json
import time
from pathlib import Path

import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from grainlight.tension import LinearPair, calibrate, log_ratios, train_ratio

TESTED = 100_000
LEVELS = (1.0, 2.0, 3.0)
#: Pairs whose exact T is as near as this to a level are read together.
NEAR = 0.1


def tensions(
    log_ratio: Float[np.ndarray, " sim"], law: Float[np.ndarray, " law"]
) -> Float[np.ndarray, " sim"]:
    """T of many log-ratios at once, beside those of a law in concordance."""
    below = np.searchsorted(np.sort(law), log_ratio)
    return norm.isf(0.5 * np.maximum(below, 1) / law.size)


def measure(pair: LinearPair, num: int, *, bend: bool) -> dict[str, object]:
    """Train on pairs and compare with the law."""
    change = np.arcsinh if bend else np.asarray
    started = time.process_time()
    a, b = pair.simulate(np.random.default_rng(0), num)
    neural = train_ratio(jr.key(0), change(a), b)
    seconds = time.process_time() - started
    generator = np.random.default_rng(1)
    a, b = pair.simulate(generator, TESTED)
    exact = pair.log_ratio(a, b)
    learned = log_ratios(neural.classifier, change(a), b)
    off = learned - exact
    law = pair.concordance(generator, 1_000_000)
    true, found = tensions(exact, law), tensions(learned, neural.concordance)
    tense = true > 2
    row = int(np.argmin(np.abs(true - 2.5)))
    shown = calibrate(float(learned[row]), neural.concordance).tension
    return {
        "dim": pair.prior.size,
        "prior_sd": float(np.sqrt(pair.prior[0])),
        "information": pair.mutual_information,
        "information_learned": neural.health.information,
        "rms": float(np.sqrt(np.mean(off**2))),
        "rms_tense": float(np.sqrt(np.mean(off[tense] ** 2))),
        "tension": {level: _read(true, found, level) for level in LEVELS},
        "at_2.5": str(shown),
        "health": neural.health.verdict.split(":")[0],
        "largest_information": neural.health.largest_information,
        "seconds": seconds,
    }


def _read(true: np.ndarray, found: np.ndarray, level: float) -> list[float]:
    near = found[np.abs(true - level) < NEAR]
    return [float(np.mean(near)), float(np.std(near))]


def line_of(row: dict[str, object]) -> str:
    """One row in words."""
    words = []
    for name, value in row.items():
        if isinstance(value, dict):
            read = (f"{k:g}: {mean:.2f} +- {sd:.2f}" for k, (mean, sd) in value.items())
            words.append(f"T of {', '.join(read)}")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            words.append(f"{name} {shown}")
    return "  ".join(words)


def draw(rows: list[dict], path: Path) -> None:
    """Error of the log-ratio by mutual information; T learned against exact."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.9), layout="constrained")
    limit = rows[0]["largest_information"]
    left.axvspan(limit - 3, 60, color="0.92", lw=0, label="warned: saturated")
    left.axvline(limit, color="0.5", lw=0.8, ls=":", label="ln(number of pairs)")
    right.axline((0, 0), slope=1, color="0.6", lw=0.8)
    dims = sorted({row["dim"] for row in rows})
    for number, row in enumerate(rows):
        place = dims.index(row["dim"])
        warned = row["health"] != "ok"
        style = {
            "marker": "os^"[place % 3],
            "color": f"C{place}",
            "mfc": "white" if warned else f"C{place}",
            "ms": 6,
            "ls": "none",
        }
        left.plot(row["information"], row["rms"], **style)
        shift = 0.02 * (number - len(rows) / 2)
        for level, (mean, sd) in row["tension"].items():
            right.errorbar(level + shift, mean, yerr=sd, lw=0.9, **style)
    for place, dim in enumerate(dims):
        label = f"{dim} parameter{'s' if dim > 1 else ''}"
        left.plot(
            [], [], marker="os^"[place % 3], color=f"C{place}", ls="", label=label
        )
    least, most = (f(row["information"] for row in rows) for f in (min, max))
    left.set(xlim=(0.7 * least, 1.4 * most), xscale="log", yscale="log")
    left.set(xlabel="mutual information [nat]", ylabel=r"rms error of $\ln R$ [nat]")
    right.set(xlabel="exact T", ylabel="learned T (open: warned of)")
    right.set(xlim=(0.7, 3.3), ylim=(0.7, 3.3), xticks=LEVELS)
    left.legend(frameon=False, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Measure every dimension and prior, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30_000)
    parser.add_argument("--dims", type=int, nargs="+", default=[1, 3, 6])
    priors = [0.1, 1.0, 10.0, 1000.0]
    parser.add_argument("--priors", type=float, nargs="+", default=priors)
    parser.add_argument("--bend", action="store_true")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results/tension_linear.json"))
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for dim in given.dims:
        for prior in given.priors:
            pair = LinearPair(
                np.full(dim, prior**2), np.full(dim, 0.01), np.full(dim, 0.04)
            )
            rows.append(measure(pair, given.pairs, bend=given.bend))
            given.out.write_text(json.dumps(rows, indent=1))
            print(line_of(rows[-1]), flush=True)
    if given.figure is not None:
        draw(rows, given.figure)


if __name__ == "__main__":
    main()
