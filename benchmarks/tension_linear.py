"""Learned tension beside the exact law of linear Gaussian pairs.

    python benchmarks/tension_linear.py [--pairs 50000] [--dims 1 3 6]
        [--priors 1 10 1000] [--bend]

Data sets see `dim` parameters with noise of 0.1 and 0.2; the prior has the given
standard deviations. Printed are the mutual information, the root-mean-square error of
the learned log-ratio over matched pairs, and T of one pair at 2.5 exact sigmas, learned
and exact. With --bend the first data set is replaced by its arcsinh, which changes no
ratio but is not Gaussian.
"""

import argparse
import json
import time
from pathlib import Path

import jax.random as jr
import numpy as np

from grainlight.tension import LinearPair, calibrate, log_ratios, train_ratio


def measure(pair: LinearPair, num: int, *, bend: bool) -> dict[str, object]:
    """Train on pairs and compare with the law."""
    change = np.arcsinh if bend else np.asarray
    started = time.process_time()
    a, b = pair.simulate(np.random.default_rng(0), num)
    neural = train_ratio(jr.key(0), change(a), b)
    seconds = time.process_time() - started
    generator = np.random.default_rng(1)
    a, b = pair.simulate(generator, 10_000)
    exact = pair.log_ratio(a, b)
    learned = log_ratios(neural.classifier, change(a), b)
    law = pair.concordance(generator, 1_000_000)
    target = np.quantile(law, 0.0124)  # 2.5 sigma
    row = int(np.argmin(np.abs(exact - target)))
    found = calibrate(float(learned[row]), neural.concordance)
    return {
        "dim": pair.prior.size,
        "prior_sd": float(np.sqrt(pair.prior[0])),
        "information": pair.mutual_information,
        "information_learned": neural.health.information,
        "rms": float(np.sqrt(np.mean((learned - exact) ** 2))),
        "tension": str(found.tension),
        "tension_exact": calibrate(float(exact[row]), law).tension.value,
        "health": neural.health.verdict.split(":")[0],
        "seconds": seconds,
    }


def main() -> None:
    """Measure every dimension and prior, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=50_000)
    parser.add_argument("--dims", type=int, nargs="+", default=[1, 3, 6])
    parser.add_argument("--priors", type=float, nargs="+", default=[1.0, 10.0, 1000.0])
    parser.add_argument("--bend", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/tension_linear.json"))
    given = parser.parse_args()
    rows = []
    for dim in given.dims:
        for prior in given.priors:
            pair = LinearPair(
                np.full(dim, prior**2), np.full(dim, 0.01), np.full(dim, 0.04)
            )
            rows.append(measure(pair, given.pairs, bend=given.bend))
            print(" ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
