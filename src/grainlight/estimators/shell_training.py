"""Training of the model of dusty supernovae on simulated parents.

Smooth shells and such with clumps are data sets of their own. What is said of clumps is
learned after, and from, what is said of smooth shells: see `clump_training`.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from grainlight.core import OutputExistsError, ParameterError
from grainlight.datasets import BLOCK_SIZE, REDSHIFTS, Dataset, Pairs
from grainlight.estimators.clump_training import ClumpTraining, train_clumps
from grainlight.estimators.density import FlowDensity
from grainlight.estimators.emulator import Emulator
from grainlight.estimators.files import (
    find_model,
    load_estimator,
    save_estimator,
)
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.settings import TrainingSettings
from grainlight.estimators.shell_model import (
    DENSITY,
    DENSITY_PRIOR,
    OUTCOMES,
    ShellModel,
    density_bounds,
)
from grainlight.estimators.shell_rows import (
    ShellRows,
    check_together,
    count_rows,
    density_data,
    likelihood_data,
    sample_rows,
)
from grainlight.estimators.training import finish_estimator
from grainlight.photometry import jwst_filters
from grainlight.simulators import (
    CLUMPY_PARAMETERS,
    SHELL_PARAMETERS,
    luminosity_gain,
    scale_free_mixing,
)

ROWS = "checkpoints/rows"  # where streamed rows are, unless told otherwise
NOTE = "checkpoints/datasets.json"  # which data sets a folder is trained on
#: Scatter of the noise that the likelihood is trained under [mag]: from the best
#: photometry to the errors of faint detections.
BLUR = (0.01, 0.1)
#: Star, carbon and silicate.
NUM_SOURCES = 3


@dataclass(frozen=True)
class Sizes:
    """Sizes of the networks and of the training set of a shell model.

    Attributes:
        widths: Widths of the blocks of the likelihood's network.
        outcome_widths: Same for the emulator.
        variants: Redshifts of each parent: one number for all data sets, or one for
            each.
        most_in_memory: Rows of all data sets beyond which the likelihood's are
            streamed.
        block_size: Rows of a block that is streamed.
    """

    widths: tuple[int, ...] = (128, 128, 128, 128)
    outcome_widths: tuple[int, ...] = (64, 64, 64)
    variants: tuple[int, ...] = (4,)
    most_in_memory: int = 500_000
    block_size: int = BLOCK_SIZE


def train_shell_model(
    key: Key[Array, ""],
    datasets: Dataset | Sequence[Dataset],
    folder: Path,
    settings: TrainingSettings,
    *,
    smooth: ShellModel | None = None,
    sizes: Sizes | None = None,
    cache: Path | None = None,
    progress: bool = False,
) -> ShellModel:
    """Train the estimators of a shell model and save them.

    Splits are by parent. Of large data sets, the rows of the likelihood are written to
    disk once and streamed from there. Checkpoints stay in `folder/checkpoints`: the
    same call goes on where it was interrupted.

    Args:
        key: Random key.
        datasets: Simulated parents, in one data set or several; where one has clumps,
            the model has a part that knows them.
        folder: Where the model goes.
        settings: Settings of the likelihood's training; the two smaller estimators
            take a tenth of its time limit. Clumps have a schedule of their own, within
            this time limit and number of epochs.
        smooth: A trained model of smooth shells, in place of such data sets.
        sizes: Sizes of the networks.
        cache: Folder of streamed rows; `folder/checkpoints/rows` if not given.
        progress: Whether to show progress bars.

    Raises:
        ParameterError: The data sets do not go together, are too small, or there is
            nothing about smooth shells or it twice.
        OutputExistsError: The folder holds something else.
    """
    sizes = sizes or Sizes()
    folder = Path(folder)
    datasets = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    check_together(datasets)
    _check_smooth(datasets, smooth)
    _check_folder(folder, datasets)
    parts = _parts(datasets, sizes)
    _claim(folder, datasets)
    keys = jr.split(key, 8)
    if parts.smooth is not None:
        rows, cache = parts.smooth, cache or folder / ROWS
        _train_likelihood(keys[:2], rows, folder, cache, settings, sizes, progress)
        _train_outcomes(keys[2:4], rows, folder, settings, sizes, progress)
        _train_density(keys[4:6], rows, folder, settings, progress)
    elif smooth is not None:
        _copy(smooth, folder)
    if parts.clumpy is not None:
        training = ClumpTraining(
            *_smooth_estimators(ShellModel.load(folder)),
            DENSITY_PRIOR,
            parts.clumpy,
            folder,
            settings,
            progress,
        )
        train_clumps(keys[6], training, _meta(parts.clumpy))
    return ShellModel.load(folder)


@dataclass(frozen=True)
class Parts:
    """Rows of smooth shells and of such with clumps; none of a kind if not given."""

    smooth: ShellRows | None
    clumpy: ShellRows | None


def _parts(datasets: Sequence[Dataset], sizes: Sizes) -> Parts:
    """Read the rows of both kinds, and check that there are enough."""
    if len(sizes.variants) not in (1, len(datasets)):
        raise ParameterError(
            f"Expected variants for each of {len(datasets)} data sets, or one "
            f"number for all; got {len(sizes.variants)}."
        )
    counts = np.resize(sizes.variants, len(datasets)).tolist()
    found = []
    for clumpy in (False, True):
        chosen = [
            (data, count)
            for data, count in zip(datasets, counts, strict=True)
            if data.is_clumpy is clumpy
        ]
        if not chosen:
            found.append(None)
            continue
        rows = ShellRows.read(
            [data for data, _ in chosen],
            jwst_filters(),
            variants=[count for _, count in chosen],
            most=sys.maxsize if clumpy else sizes.most_in_memory,
        )
        for what, pairs in (("training", rows.train), ("validation", rows.held)):
            _check_enough(what, pairs, clumpy=clumpy)
        found.append(rows)
    return Parts(*found)


def _check_smooth(datasets: Sequence[Dataset], smooth: ShellModel | None) -> None:
    """Raise `ParameterError` unless there is one source of smooth shells."""
    given = any(not data.is_clumpy for data in datasets)
    if given == (smooth is not None):
        raise ParameterError(
            "Expected data sets of smooth shells or a trained model of them; got "
            f"{'both' if given else 'neither'}. What clumps change is learned beside "
            "smooth shells: give their folder as well, or a model (`--smooth`)."
        )
    if smooth is not None:
        _smooth_estimators(smooth)


def _smooth_estimators(model: ShellModel) -> tuple[GaussianLikelihood, Emulator]:
    """Likelihood and emulator of a model; `ParameterError` if it is one of clumps."""
    likelihood, emulator = model.likelihood, model.outcomes
    if isinstance(likelihood, GaussianLikelihood) and isinstance(emulator, Emulator):
        return likelihood, emulator
    raise ParameterError(
        f"Expected a model of smooth shells; got {model.name!r}, which knows only "
        "clumps. Name the folder above it."
    )


def _copy(smooth: ShellModel, folder: Path) -> None:
    """Save the estimators of a model of smooth shells in another folder."""
    source = find_model(smooth.name)
    for part in (".", OUTCOMES, DENSITY):
        saved = load_estimator(source / part)
        save_estimator(folder / part, saved.estimator, saved.record, saved.meta)


def _check_folder(folder: Path, datasets: Sequence[Dataset]) -> None:
    """Raise `OutputExistsError` if a folder is not for a training on data sets."""
    note = folder / NOTE
    strange = folder.exists() and not note.parent.is_dir()
    if strange and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExistsError(
            f"Expected a new folder, or one of a training to go on with; got {folder}, "
            "which holds other files. Name another folder."
        )
    if note.exists() and json.loads(note.read_text()) != _stated(datasets):
        raise OutputExistsError(
            f"Expected a training on the data sets {_stated(datasets)}; that in "
            f"{folder} is on {note.read_text().strip()}. Name another folder."
        )


def _claim(folder: Path, datasets: Sequence[Dataset]) -> None:
    """Note in a folder which data sets it is a training on."""
    try:
        (folder / NOTE).parent.mkdir(parents=True, exist_ok=True)
        (folder / NOTE).write_text(json.dumps(_stated(datasets)) + "\n")
    except OSError as error:
        raise OutputExistsError(
            f"Expected a folder that can be written; got {folder} "
            f"({error.strerror or error}). Name another one."
        ) from error


def _stated(datasets: Sequence[Dataset]) -> list[dict[str, Any]]:
    return [
        {"dataset": data.recipe.identity, "num_parents": data.recipe.num_parents}
        for data in datasets
    ]


def _check_enough(what: str, pairs: Sequence[Pairs], *, clumpy: bool) -> None:
    """Raise `ParameterError` if nothing is there to train on, or to validate."""
    if any(len(some) == 0 for some in pairs):
        raise ParameterError(
            f"Expected parents of every data set for {what}; got none of one. Simulate "
            "more: a hundred at least, better thousands."
        )
    if not clumpy and not any((some.prior == DENSITY_PRIOR).any() for some in pairs):
        raise ParameterError(
            f"Expected parents of the prior {DENSITY_PRIOR} for {what}; got none. "
            "Simulate more: a hundred at least, better thousands."
        )


def _train_likelihood(
    keys: Key[Array, " 2"],
    rows: ShellRows,
    folder: Path,
    cache: Path,
    settings: TrainingSettings,
    sizes: Sizes,
    progress: bool,
) -> None:
    source = rows.likelihood(cache, block_size=sizes.block_size, progress=progress)
    likelihood = GaussianLikelihood.from_data(
        keys[0],
        *sample_rows(source),
        mixing=scale_free_mixing(),
        gain=luminosity_gain(len(rows.filters)),
        widths=sizes.widths,
        blur=BLUR,
        num_sources=NUM_SOURCES,
    )
    trained = finish_estimator(
        keys[1],
        likelihood,
        source,
        likelihood_data(*rows.held),
        settings,
        folder=folder / "checkpoints" / "likelihood",
        progress=progress,
    )
    meta = _meta(rows) | {"num_train": count_rows(source)}
    save_estimator(folder, trained.estimator, trained.record, meta)


def _meta(rows: ShellRows) -> dict[str, Any]:
    """What is written in the model file beside the architecture."""
    clumpy = rows.largest_filling_factor > 0
    parameters = CLUMPY_PARAMETERS if clumpy else SHELL_PARAMETERS
    recipes = [data.recipe for data in rows.datasets]
    return {
        "bands": list(rows.filters.names),
        "redshifts": list(REDSHIFTS),
        "parameters": list(parameters.names),
        "largest_filling_factor": rows.largest_filling_factor,
        "datasets": [
            {
                "dataset": recipe.identity,
                "num_parents": recipe.num_parents,
                "variants": count,
                "priors": recipe.priors,
                "largest_filling_factor": recipe.largest_filling_factor,
            }
            for recipe, count in zip(recipes, rows.variants, strict=True)
        ],
        "num_parents": sum(recipe.num_parents for recipe in recipes),
        "density_prior": DENSITY_PRIOR,
    }


def _train_outcomes(
    keys: Key[Array, " 2"],
    rows: ShellRows,
    folder: Path,
    settings: TrainingSettings,
    sizes: Sizes,
    progress: bool,
) -> None:
    data = rows.outcomes(rows.train)
    emulator = Emulator.from_data(
        keys[0],
        *data,
        mixing=scale_free_mixing()[:-1, :-1],
        widths=sizes.outcome_widths,
        delta=0.1,
    )
    trained = finish_estimator(
        keys[1],
        emulator,
        data,
        rows.outcomes(rows.held),
        _tenth(settings, 512),
        folder=folder / "checkpoints" / OUTCOMES,
        progress=progress,
    )
    save_estimator(folder / OUTCOMES, trained.estimator, trained.record)


def _train_density(
    keys: Key[Array, " 2"],
    rows: ShellRows,
    folder: Path,
    settings: TrainingSettings,
    progress: bool,
) -> None:
    data = density_data(rows.train, DENSITY_PRIOR)
    trained = finish_estimator(
        keys[1],
        FlowDensity.from_data(keys[0], data[0], *density_bounds()),
        data,
        density_data(rows.held, DENSITY_PRIOR),
        _tenth(settings, 512),
        folder=folder / "checkpoints" / DENSITY,
        progress=progress,
    )
    save_estimator(folder / DENSITY, trained.estimator, trained.record)


def _tenth(settings: TrainingSettings, batch_size: int) -> TrainingSettings:
    return replace(
        settings,
        batch_size=batch_size,
        num_epochs=min(settings.num_epochs, 100),
        time_limit_s=settings.time_limit_s / 10,
    )
