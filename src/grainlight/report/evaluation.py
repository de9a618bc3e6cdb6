"""Judge a model on a data set, and leave tables and figures in a folder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grainlight.core import ParameterError
from grainlight.datasets import Dataset, Pairs
from grainlight.datasets.dataset import Split
from grainlight.estimators import TrainingRecord, load_estimator
from grainlight.estimators.shell_model import ShellModel
from grainlight.evaluation import (
    LikelihoodQuality,
    PosteriorQuality,
    judge_likelihood,
    judge_posteriors,
    make_mock_objects,
)
from grainlight.evaluation.posterior_quality import check_number
from grainlight.photometry import load_filters
from grainlight.report.evaluation_folder import EVALUATION_FILES, plain, write_judged
from grainlight.report.folder import check_folder, new_folder, versions
from grainlight.sampling.fit import FitSettings
from grainlight.sampling.prior import Density, PriorChoice
from grainlight.simulators import FILLING


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is on a data set.

    Attributes:
        model: The model as it was judged: of smooth shells, or of such with clumps.
        data: The data set.
        pairs: Its test split, one row a parent, parameters of the model alone.
        likelihood: What the likelihood is worth.
        posteriors: What the posteriors of simulated objects are worth, if judged.
        record: How the likelihood was trained; none if that was not kept.
        seed: Seed of every random number.
    """

    model: ShellModel
    data: Dataset
    pairs: Pairs
    likelihood: LikelihoodQuality
    posteriors: PosteriorQuality | None
    record: TrainingRecord | None
    seed: int

    @property
    def as_smooth(self) -> bool:
        """Whether shells with clumps were judged as if they were smooth."""
        return self.data.is_clumpy and FILLING.name not in self.pairs.parameters.names

    def words(self) -> dict[str, Any]:
        """Plain values by name, for a file."""
        recipe, record = self.data.recipe, self.record
        posteriors = None if self.posteriors is None else self.posteriors.words()
        return {
            "model": {"name": self.model.name, "identity": self.model.identity},
            "data": {
                "folder": str(self.data.folder),
                "dataset": recipe.identity,
                "num_parents": recipe.num_parents,
            },
            "parameters": list(self.pairs.parameters.names),
            "as_smooth": self.as_smooth,
            "likelihood": plain(self.likelihood.words()),
            "posteriors": plain(posteriors),
            "training": None if record is None else plain(record.to_json()),
            "seed": self.seed,
            "versions": versions(),
        }


def matching_prior(data: Dataset, *, clumpy: bool) -> PriorChoice:
    """The prior that parents of the prior thesis2023 were drawn from.

    Args:
        data: Simulated parents.
        clumpy: Whether the filling factor is a parameter.
    """
    choice = PriorChoice.read("thesis2023")
    if not clumpy:
        return choice
    largest = data.recipe.largest_filling_factor
    even = Density("uniform", FILLING.lower, largest)
    return replace(choice, replaced=((FILLING.name, even),))


def read_test_pairs(
    model: ShellModel,
    data: Dataset,
    *,
    clumps: bool,
    seed: int,
    split: Split = "test",
    progress: Callable[[int, int], None] | None = None,
) -> Pairs:
    """The test split of a data set, one redshift a parent.

    Args:
        model: Whose bands the photometry has.
        data: Simulated parents.
        clumps: Whether the filling factor is a parameter; if not, that of shells with
            clumps is left out, so that they are taken for smooth.
        seed: Seed of the redshifts.
        split: Another one, of data that nothing was trained on.
        progress: Called with the shards read and their number.

    Raises:
        ParameterError: Clumps are asked for and the shells have none.
    """
    if clumps and not data.is_clumpy:
        raise ParameterError(
            f"Expected shells with clumps; those in {data.folder} have none. Leave out "
            "--clumps, or give other data."
        )
    filters = load_filters(model.bands)
    pairs = data.pairs(filters, split=split, variants=1, seed=seed, progress=progress)
    if clumps or not data.is_clumpy:
        return pairs
    members = pairs.parameters.members[:-1]
    return replace(
        pairs,
        parameters=replace(pairs.parameters, members=members),
        theta=pairs.theta[:, :-1],
    )


def run_evaluation(
    seed: int,
    model: ShellModel,
    data: Dataset,
    out: Path,
    *,
    num_objects: int = 0,
    clumps: bool = False,
    settings: FitSettings | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Judge a model on the test split of a data set and write what was found.

    Args:
        seed: Seed of every random number.
        model: A trained model.
        data: Simulated parents.
        out: Folder of the results, made whole or not at all.
        num_objects: Simulated objects whose posteriors are judged; none if zero.
        clumps: Whether the filling factor is a parameter.
        settings: How posteriors are sampled; their prior is put in, that of the data.
        overwrite: Whether results that are there are replaced.
        progress: Called with what is done and how much there is, while reading first
            and then while sampling.

    Raises:
        GrainlightError: The folder may not be written, or model and data do not fit.
    """
    check_folder(out, EVALUATION_FILES, overwrite=overwrite)
    if num_objects:
        check_number(num_objects)
    view = model.under(clumpy=clumps)
    pairs = read_test_pairs(view, data, clumps=clumps, seed=seed, progress=progress)
    prior = matching_prior(data, clumpy=clumps)
    settings = replace(settings or FitSettings(), prior=prior)
    objects = None
    if num_objects:
        filters, floor = load_filters(view.bands), settings.floor
        objects = make_mock_objects(
            pairs, filters, num_objects, seed=seed, floor=floor, prior=prior.base.name
        )
    likelihood = judge_likelihood(view, pairs, seed)
    posteriors = None
    if objects is not None:
        posteriors = judge_posteriors(view, objects, settings, seed, progress=progress)
    found = Evaluation(
        model=view,
        data=data,
        pairs=pairs,
        likelihood=likelihood,
        posteriors=posteriors,
        record=load_estimator(model.name).record,
        seed=seed,
    )
    with new_folder(out, EVALUATION_FILES, overwrite=overwrite) as folder:
        write_judged(folder, found.words(), likelihood, posteriors, found.record)
    return found
