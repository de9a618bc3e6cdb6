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
from pathlib import Path

import jax.random as jr
import matplotlib.pyplot as plt

from grainlight.datasets import Dataset, Pairs, Recipe, generate
from grainlight.datasets.dataset import SHARES
from grainlight.estimators.shell_model import ShellModel
from grainlight.evaluation import (
    LikelihoodQuality,
    PosteriorQuality,
    judge_likelihood,
    judge_posteriors,
    make_mock_objects,
)
from grainlight.photometry import load_filters, read_observations
from grainlight.report import plot_errors, plot_ranks, plot_reliability, trust_of
from grainlight.report.evaluation import matching_prior, read_test_pairs
from grainlight.report.evaluation_folder import plain
from grainlight.report.table import write_trust
from grainlight.sampling.fit import FitSettings, fit_observations
from grainlight.sampling.prior import PriorChoice
from grainlight.simulators import FILLING

RECIPE = Recipe(20_000, 2023, {"thesis2023": 0.75, "ansari2022": 0.25})
EXAMPLE = Path(__file__).parents[1] / "examples" / "sn2017eaw.ecsv"


def open_data(folder: Path | None) -> Dataset:
    """The data set given, or a small one of the same recipe."""
    if folder is None:
        folder = Path(tempfile.gettempdir()) / "grainlight-test-parents"
        generate(folder, RECIPE, progress=lambda done, _: print(f"parents {done}"))
    return Dataset.open(folder)


def judge_objects(
    model: ShellModel, data: Dataset, pairs: Pairs, num: int, seed: int, floor: float
) -> PosteriorQuality:
    """Gate, calibration and cost of the posteriors of simulated objects."""
    filters = load_filters(model.bands)
    objects = make_mock_objects(pairs, filters, num, seed=seed, floor=floor)
    prior = matching_prior(data, clumpy=FILLING.name in pairs.parameters.names)
    return judge_posteriors(
        model,
        objects,
        FitSettings(prior=prior, floor=floor),
        seed,
        progress=lambda done, total: print(f"objects {done} of {total}", flush=True),
    )


def judge_example(model: ShellModel, clumpy: bool) -> dict:
    """SN 2017eaw with and without the model-error floor."""
    prior = PriorChoice.read("thesis2023")
    prior = prior.with_clumps() if clumpy else prior
    observation = read_observations(EXAMPLE).observations[0]
    found = {}
    for floor in (0.05, 0.0):
        started = time.time()
        settings = FitSettings(prior=prior, floor=floor)
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


def _draw(
    out: Path, likelihood: LikelihoodQuality, posteriors: list[PosteriorQuality]
) -> None:
    for name, reliability in likelihood.reliability.items():
        figure = plot_reliability(reliability).figure
        figure.savefig(out / f"reliability_{name.replace(' ', '_')}.png", dpi=150)
        plt.close(figure)
    figure = plot_errors(likelihood.errors).figure
    figure.savefig(out / "errors_a_band.png", dpi=150)
    plt.close(figure)
    for result in posteriors:
        for name in result.ranks.names:
            figure = plot_ranks(result.ranks.histogram(name, 10)).figure
            figure.savefig(out / f"ranks_{name}_floor{result.floor:g}.png", dpi=100)
            plt.close(figure)


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
    pairs = read_test_pairs(
        model, data, clumps=clumpy, seed=given.seed, split=given.split
    )
    likelihood = judge_likelihood(model, pairs, given.seed)
    found = {
        "parameters": pairs.parameters.names,
        "likelihood": likelihood.words(),
        "sn2017eaw": judge_example(model, clumpy),
        "processors": os.cpu_count(),
    }
    posteriors = [
        judge_objects(model, data, pairs, given.objects, given.seed, floor)
        for floor in (given.floors if given.objects else ())
    ]
    found["posteriors"] = [result.words() for result in posteriors]
    text = json.dumps(plain(found), indent=1)
    (given.out / "ccsn_dust.json").write_text(text)
    print(text)
    _draw(given.out, likelihood, posteriors)


if __name__ == "__main__":
    main()
