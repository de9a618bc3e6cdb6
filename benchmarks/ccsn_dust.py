"""How good the packaged model is: likelihood, posteriors of 200 objects, SN 2017eaw.

    python benchmarks/ccsn_dust.py [--data FOLDER] [--objects 200] [--floors 0.05 0]
        [--as-smooth] [--split test]

`--objects 0` leaves the posteriors of simulated objects out, which take most of the
time.

Without `--data`, the first 20,000 parents of the training recipe are simulated: parents
and their splits depend on their number alone, so that the test split of a small set is
part of that of the full one. Nothing here was trained or tuned on.

Shells with clumps are judged with their filling factor as a parameter. With
`--as-smooth` they are fitted as if they were smooth: what leaving clumps out does to
masses and temperatures. A data set of another seed than those that were trained on may
be judged whole: `--split train` takes its largest part.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np

from grainlight.core import Status
from grainlight.datasets import Dataset, Pairs, Recipe, generate
from grainlight.datasets.dataset import SHARES
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.shell_rows import likelihood_data
from grainlight.evaluation import (
    GaussianPrediction,
    Ranks,
    fraction_below,
    measure_accuracy,
    measure_coverage,
    measure_reliability,
    rank_of_truth,
)
from grainlight.photometry import (
    Observation,
    add_noise,
    background_noise,
    jwst_filters,
    read_observations,
)
from grainlight.report import plot_errors, plot_ranks, plot_reliability, trust_of
from grainlight.report.table import write_trust
from grainlight.sampling.fit import Fit, FitSettings, fit_observations
from grainlight.sampling.prior import PriorChoice

RECIPE = Recipe(20_000, 2023, {"thesis2023": 0.75, "ansari2022": 0.25})
RANK_DRAWS = 99
FAINTEST = 32.0  # AB at 10 Mpc: three magnitudes below the limits of JWST
ERROR = 0.05  # mag, of the simulated photometry
EXAMPLE = Path(__file__).parents[1] / "examples" / "sn2017eaw.ecsv"


def open_data(folder: Path | None) -> Dataset:
    """The data set given, or a small one of the same recipe."""
    if folder is None:
        folder = Path(tempfile.gettempdir()) / "grainlight-test-parents"
        generate(folder, RECIPE, progress=lambda done, _: print(f"parents {done}"))
    return Dataset.open(folder)


def judge_likelihood(model: ShellModel, pairs: Pairs, seed: int) -> dict:
    """NLL, errors a band, and reliability with all bands and random subsets.

    The model is one of just the parameters of the pairs.

    The likelihood is a density under the least noise of its training, which the values
    get; a fit adds the errors of its photometry, so that 0.05 mag is judged as well.
    The errors a band are those of the mean alone.
    """
    theta, condition, x = likelihood_data(pairs)
    moments = jax.jit(jax.vmap(model.likelihood.moments))(theta, condition)
    mean, factor = np.asarray(moments.mean, float), np.asarray(moments.factor, float)
    x = np.asarray(x, float)
    rng = np.random.default_rng(seed)
    some = rng.random(x.shape) < rng.uniform(0.1, 0.9, size=(len(x), 1))
    some[:, 0] |= ~some.any(axis=1)
    bright = x < FAINTEST
    least = model.likelihood.blur[0]
    noisy = x + least * rng.normal(size=x.shape)
    observed = noisy + ERROR * rng.normal(size=x.shape)
    prediction = GaussianPrediction(mean, factor)
    error = np.broadcast_to(ERROR * np.eye(x.shape[1]), (len(x), *2 * x.shape[1:]))
    wide = GaussianPrediction(mean, np.concatenate([factor, error], axis=2))
    accuracy = measure_accuracy(prediction, noisy, model.bands)
    with_errors = measure_accuracy(wide, observed, model.bands)
    seen = measure_accuracy(prediction, x, model.bands, bright)
    return {
        "num_objects": len(x),
        "noise_mag": least,
        "nll": accuracy.nll,
        "nll_error": accuracy.nll_error,
        "nll_per_band": accuracy.nll_per_band,
        "nll_with_errors": with_errors.nll,
        "rmse_mag": dict(zip(model.bands, seen.errors.rmse.tolist(), strict=True)),
        "robust_mag": dict(zip(model.bands, seen.errors.scatter.tolist(), strict=True)),
        "reliability": {
            "all bands": measure_reliability(prediction, noisy),
            "random bands": measure_reliability(prediction, noisy, some),
            "all bands with errors": measure_reliability(wide, observed),
            "random bands with errors": measure_reliability(wide, observed, some),
        },
        "accuracy": seen,
    }


def make_objects(
    pairs: Pairs, filters, num: int, seed: int, floor: float
) -> tuple[list[Observation], np.ndarray]:
    """Observations of test parents of the prior thesis2023, half on random subsets.

    The seed chooses the parents as well.

    Fluxes have the model error that a fit assumes, errors of 0.05 mag and the
    background of 10 ks; what is not detected at 3 sigma is a limit.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(pairs.prior == "thesis2023"))[:num]
    scatter = floor * 2.5 / np.log(10) * rng.normal(size=pairs.x[rows].shape)
    flux = 10 ** (0.4 * (31.4 - pairs.x[rows] - scatter))
    noisy = add_noise(
        jr.key(seed), jnp.asarray(flux, jnp.float32), background_noise(filters.names)
    )
    measured, error, limit = (
        np.asarray(v) for v in (noisy.flux, noisy.error, noisy.is_limit)
    )
    observations = []
    for i, row in enumerate(rows):
        keep = np.arange(len(filters))
        if i % 2:
            count = rng.integers(3, len(filters))
            keep = np.sort(rng.choice(len(filters), size=count, replace=False))
        observations.append(
            Observation(
                name=f"parent {pairs.parent[row]}",
                bands=tuple(filters.names[k] for k in keep),
                flux=measured[i, keep].astype(float),
                error=error[i, keep].astype(float),
                is_limit=limit[i, keep],
                redshift=float(pairs.condition[row, 0]),
                distance=10.0,
            )
        )
    return observations, rows


def choose_prior(model: ShellModel) -> PriorChoice:
    """The prior of the thesis, with clumps if they are among the parameters."""
    prior = PriorChoice.read("thesis2023")
    return prior.with_clumps() if model.knows_clumps else prior


def judge_posteriors(
    model: ShellModel, pairs: Pairs, num: int, seed: int, floor: float
) -> dict:
    """Gate, calibration and cost of the posteriors of simulated objects."""
    filters = jwst_filters()
    observations, rows = make_objects(pairs, filters, num, seed, floor)
    settings = FitSettings(prior=choose_prior(model), floor=floor)
    started, cpu = time.time(), time.process_time()
    fits = fit_observations(
        jr.key(seed + 1),
        model,
        observations,
        settings,
        progress=lambda done, total: print(f"objects {done} of {total}", flush=True),
    )
    wall, cpu = time.time() - started, time.process_time() - cpu
    passed = [bool(fit.status == Status.ok) for fit in fits]
    names, ranks, quantiles = _ranks(fits, pairs, rows)
    narrow = _ranks(fits, pairs, rows, shrink=0.7)[1]
    calibrated = Ranks(names, ranks, RANK_DRAWS)
    return {
        "floor": floor,
        "num_objects": len(fits),
        "passed": int(np.sum(passed)),
        "limits_mean": float(np.mean([o.num_limits for o in observations])),
        "seconds_an_object": wall / len(fits),
        "cpu_seconds_an_object": cpu / len(fits),
        "rank_pvalue": dict(zip(names, calibrated.pvalue.tolist(), strict=True)),
        "rank_pvalue_adjusted": float(calibrated.adjusted_pvalue.min()),
        "control_pvalue_adjusted": float(
            Ranks(names, narrow, RANK_DRAWS).adjusted_pvalue.min()
        ),
        "coverage": measure_coverage(quantiles, names),
        "median_minus_truth": _offsets(fits, pairs, rows),
        "chi_squared_a_band": float(np.median([_reduced(fit) for fit in fits])),
        "quantile_of_truth": {
            fit.observation.name: [round(float(q), 4) for q in row]
            for fit, row in zip(fits, quantiles, strict=True)
        },
        "ranks": calibrated,
    }


def _ranks(
    fits: list[Fit], pairs: Pairs, rows: np.ndarray, shrink: float = 1.0
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Ranks and quantiles of the truth; `shrink` narrows the posteriors."""
    ranks, quantiles = [], []
    for fit, row in zip(fits, rows, strict=True):
        scaled = np.asarray(fit.samples.parameters.scale(fit.samples.theta), float)
        log_t = np.log10(np.asarray(fit.samples.derived["dust_temperature"], float))
        draws = np.concatenate([scaled, log_t[:, None]], axis=1)
        true_t = np.log10(pairs.outcomes["dust_temperature"][row])
        # a fit as if smooth leaves out the last parameter
        truth = np.append(pairs.theta[row, : scaled.shape[1]], true_t)
        draws = np.median(draws, axis=0) + shrink * (draws - np.median(draws, axis=0))
        ranks.append(rank_of_truth(draws, truth, RANK_DRAWS))
        quantiles.append(fraction_below(draws, truth))
    names = (*fits[0].samples.parameters.names, "dust_temperature")
    return names, np.array(ranks), np.array(quantiles)


def _offsets(fits: list[Fit], pairs: Pairs, rows: np.ndarray) -> dict:
    """Posterior medians minus truths: median and robust scatter, by parameter."""
    names = fits[0].samples.parameters.names
    medians = np.array(
        [
            np.median(fit.samples.parameters.scale(fit.samples.theta), axis=0)
            for fit in fits
        ]
    )
    off = medians - pairs.theta[rows][:, : len(names)]
    low, mid, high = np.quantile(off, [0.16, 0.5, 0.84], axis=0)
    return {
        name: {"median": mid[i], "scatter": (high[i] - low[i]) / 2}
        for i, name in enumerate(names)
    }


def _reduced(fit: Fit) -> float:
    """Least chi-squared over the number of detected bands."""
    return float(np.min(fit.chi_squared) / max(fit.num_detected, 1))


def judge_example(model: ShellModel) -> dict:
    """SN 2017eaw with and without the model-error floor."""
    observation = read_observations(EXAMPLE).observations[0]
    found = {}
    for floor in (0.05, 0.0):
        started = time.time()
        settings = FitSettings(prior=choose_prior(model), floor=floor)
        fit = fit_observations(jr.key(1), model, [observation], settings)[0]
        levels = (0.025, 0.16, 0.5, 0.84, 0.975)
        found[f"floor {floor}"] = {
            "seconds": time.time() - started,
            "trust": write_trust(trust_of(fit)),
            "quantiles": {
                name: values.tolist()
                for name, values in fit.samples.quantile(levels).items()
            },
        }
    return found


def _draw(out: Path, likelihood: dict, posteriors: list[dict]) -> None:
    for name, reliability in likelihood["reliability"].items():
        figure = plot_reliability(reliability).figure
        figure.savefig(out / f"reliability_{name.replace(' ', '_')}.png", dpi=150)
        plt.close(figure)
    figure = plot_errors(likelihood["accuracy"].errors).figure
    figure.savefig(out / "errors_a_band.png", dpi=150)
    plt.close(figure)
    for result in posteriors:
        for name in result["ranks"].names:
            figure = plot_ranks(result["ranks"].histogram(name, 10)).figure
            figure.savefig(out / f"ranks_{name}_floor{result['floor']:g}.png", dpi=100)
            plt.close(figure)


def _plain(value):
    """Nouns to words for the JSON file."""
    if isinstance(value, dict):
        hidden = ("ranks", "accuracy")
        return {str(k): _plain(v) for k, v in value.items() if k not in hidden}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (np.floating, np.integer)):
        return value.item()
    if hasattr(value, "__dataclass_fields__"):
        return {k: _plain(getattr(value, k)) for k in value.__dataclass_fields__}
    return value


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="ccsn-dust")
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--floors", type=float, nargs="+", default=[0.05])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--as-smooth", action="store_true")
    parser.add_argument("--split", choices=list(SHARES), default="test")
    parser.add_argument("--out", type=Path, default=Path("results/ccsn-dust"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    data = open_data(given.data)
    clumpy = data.is_clumpy and not given.as_smooth
    model = ShellModel.load(given.model).under(clumpy=clumpy)
    pairs = data.pairs(jwst_filters(), split=given.split, variants=1, seed=given.seed)
    num_param = model.likelihood.num_param
    judged = replace(pairs, theta=pairs.theta[:, :num_param])
    likelihood = judge_likelihood(model, judged, given.seed)
    found = {
        "parameters": pairs.parameters.names[:num_param],
        "likelihood": likelihood,
        "posteriors": [],
        "sn2017eaw": judge_example(model),
        "processors": os.cpu_count(),
    }
    for floor in given.floors if given.objects else ():
        found["posteriors"].append(
            judge_posteriors(model, pairs, given.objects, given.seed, floor)
        )
    text = json.dumps(_plain(found), indent=1)
    (given.out / "ccsn_dust.json").write_text(text)
    print(text)
    _draw(given.out, likelihood, found["posteriors"])


if __name__ == "__main__":
    main()
