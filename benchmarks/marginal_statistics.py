"""Divergence and dimensionality where the answer is exact, beside margarine 2.2.

    python benchmarks/marginal_statistics.py [--draws 40000] [--seeds 0 1 2]
        [--kinds autoregressive coupling kernel] [--cases gauss8 ...] [--alone]

Every case has the same draws for all. margarine (extra `peers`) takes part if it is
installed: RealNVP in two dimensions with as many epochs, batches and the learning rate
of ours, its kernels in one, where couplings have nothing to couple, and the bounds of
the prior, which is divided out exactly. Seconds are of processor time, compilation
included. A pull is the error over the quoted one. Rows are written as they come.
"""

import argparse
import importlib
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from grainlight.estimators import DensitySettings, Support
from grainlight.marginal import (
    Chains,
    Density,
    NormalDensity,
    UniformDensity,
    learn_marginal,
    measure_marginal,
)


@dataclass(frozen=True)
class Case:
    """Draws of a posterior whose divergence and dimensionality are known."""

    name: str
    chains: Chains
    prior: Density
    divergence: float
    dimensionality: float


def _box(name: str, theta: np.ndarray, low: list, high: list, *exact, **given) -> Case:
    support = Support.between(low, high)
    inside = np.all((theta >= low) & (theta <= high), axis=1)
    weight = given.get("weight")
    chains = Chains.from_draws(
        theta[inside], support, None if weight is None else weight[inside]
    )
    return Case(name, chains, UniformDensity(support), *exact)


def make_cases(generator: np.random.Generator, num: int) -> Iterator[Case]:
    """The rows of the table of exact answers that have one experiment."""
    factor = np.linalg.cholesky(np.array([[1, 0.8], [0.8, 1]]))
    normal = generator.normal(size=(num, 2)) @ factor.T
    yield _box("gauss8", normal, [-4, -4], [4, 4], 1.831832, 2.0)
    yield _box("gauss10", normal, [-5, -5], [5, 5], 2.278119, 2.0)
    flat = np.stack([generator.triangular(-1, 0, 1, num), generator.random(num)], 1)
    yield _box("triangular", flat, [-1, 0], [1, 1], 0.193147, 0.5)
    sign = np.where(generator.random(num) < 0.75, -2.0, 2.0)
    two = (sign + generator.normal(size=num))[:, None]
    yield _box("bimodal", two, [-5], [5], 0.380664, 1.041850)
    sign = np.where(generator.random(num) < 0.5, -2.0, 2.0)
    even = sign + generator.normal(size=num)
    modes = np.exp(-0.5 * (even - np.array([[-2.0], [2.0]])) ** 2)
    weight = np.array([0.75, 0.25]) @ modes / (np.array([0.5, 0.5]) @ modes)
    exact = (0.380664, 1.041850)
    yield _box("weighted 3:1", even[:, None], [-5], [5], *exact, weight=weight)
    free = Chains.from_draws(generator.normal(1, 0.5, (num, 1)), Support.free(1))
    yield Case("normal prior", free, NormalDensity.of([0], [[1]]), 0.818147, 1.0625)


def ours(case: Case, kind: str, seed: int) -> dict[str, float]:
    """Learn and measure by this package."""
    started = time.process_time()
    learn_key, key = jr.split(jr.key(seed))
    marginal = learn_marginal(
        learn_key, case.chains, case.prior, DensitySettings(kind=kind)
    )
    found = measure_marginal(key, marginal)
    return {
        "divergence": found.divergence.value,
        "divergence_error": found.divergence.error,
        "dimensionality": found.dimensionality.value,
        "dimensionality_error": found.dimensionality.error,
        "seconds": time.process_time() - started,
        "divergence_pull": (found.divergence.value - case.divergence)
        / found.divergence.error,
        "dimensionality_pull": (found.dimensionality.value - case.dimensionality)
        / found.dimensionality.error,
    }


def margarine(case: Case, seed: int) -> dict[str, float]:
    """The same by margarine: no errors, as it quotes none."""
    flows = importlib.import_module("margarine.estimators.realnvp")
    kernels = importlib.import_module("margarine.estimators.kde")
    rngs = importlib.import_module("flax.nnx").Rngs(seed)
    started = time.process_time()
    theta, weight = jnp.asarray(case.chains.theta), jnp.asarray(case.chains.weight)
    low, high = case.chains.support.lower, case.chains.support.upper
    ranges = jnp.stack([low, high]) if np.all(np.isfinite(high - low)) else None
    dim = theta.shape[1]
    kind = flows.RealNVP if dim > 1 else kernels.KDE
    extra = {"in_size": dim, "nnx_rngs": rngs} if dim > 1 else {}
    learned = kind(theta, weights=weight, theta_ranges=ranges, **extra)
    if dim > 1:
        same = DensitySettings().training_for(len(theta))
        learned.train(
            jr.key(seed),
            learning_rate=same.learning_rate,
            epochs=same.num_epochs,
            patience=same.patience,
            batch_size=same.batch_size,
        )
    else:
        learned.train()
    rows = jr.choice(jr.key(seed), len(theta), (10_000,), p=weight / weight.sum())
    parts = [np.asarray(learned.log_prob(part)) for part in jnp.split(theta[rows], 10)]
    ratio = np.concatenate(parts).ravel() - jax.vmap(case.prior.log_prob)(theta[rows])
    good = np.isfinite(ratio)
    return {
        "divergence": float(np.mean(ratio[good])),
        "dimensionality": float(2 * np.var(ratio[good])),
        "not_finite": int(np.sum(~good)),
        "seconds": time.process_time() - started,
    }


def methods(
    kinds: list[str], alone: bool
) -> dict[str, Callable[[Case, int], dict[str, float]]]:
    """What takes part."""
    found = {
        kind: lambda case, seed, kind=kind: ours(case, kind, seed) for kind in kinds
    }
    if not alone and importlib.util.find_spec("margarine") is not None:
        found["margarine"] = margarine
    return found


def main() -> None:
    """Measure every case by every method and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=40_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    kinds = ["autoregressive", "coupling", "kernel"]
    parser.add_argument("--kinds", nargs="*", default=kinds)
    parser.add_argument("--cases", nargs="*")
    parser.add_argument("--alone", action="store_true", help="without margarine")
    out = Path("results/marginal_statistics.json")
    parser.add_argument("--out", type=Path, default=out)
    given = parser.parse_args()
    rows = []
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in given.seeds:
        for case in make_cases(np.random.default_rng(seed), given.draws):
            if given.cases and case.name not in given.cases:
                continue
            for name, method in methods(given.kinds, given.alone).items():
                found = method(case, seed)
                row = {"case": case.name, "method": name, "seed": seed} | found
                row["divergence_off"] = found["divergence"] / case.divergence - 1
                row["dimensionality_off"] = (
                    found["dimensionality"] / case.dimensionality - 1
                )
                rows.append(row)
                given.out.write_text(json.dumps(rows, indent=1))
                words = " ".join(
                    f"{part} {value:.4g}" if isinstance(value, float) else f"{value}"
                    for part, value in row.items()
                )
                print(words, flush=True)


if __name__ == "__main__":
    main()
