"""Training of the model of dusty supernovae on simulated parents.

Smooth shells and such with clumps may be trained on together, each a data set of its
own. The filling factor of a smooth shell then is one: clumps that fill all of it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import OutputExistsError, ParameterError
from grainlight.datasets import BLOCK_SIZE, REDSHIFTS, Dataset, Pairs
from grainlight.estimators.density import FlowDensity
from grainlight.estimators.emulator import Emulator
from grainlight.estimators.files import save_estimator
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.settings import TrainingSettings
from grainlight.estimators.shell_model import (
    CLUMPY_DENSITY,
    DENSITY,
    DENSITY_PRIOR,
    OUTCOMES,
    TEMPERATURE,
    ShellModel,
    density_bounds,
    thesis_parameters,
)
from grainlight.estimators.shell_rows import (
    ShellRows,
    count_rows,
    density_data,
    likelihood_data,
    sample_rows,
)
from grainlight.estimators.training import Training, fit_estimator
from grainlight.photometry import jwst_filters
from grainlight.simulators import (
    CLUMPY_PARAMETERS,
    SHELL_PARAMETERS,
    clump_softening,
    luminosity_gain,
    named_prior,
    scale_free_mixing,
)

ROWS = "checkpoints/rows"  # where streamed rows are, unless told otherwise
NOTE = "checkpoints/datasets.json"  # which data sets a folder is trained on
#: Scatter of the noise that the likelihood is trained under [mag]: from the best
#: photometry to the errors of faint detections.
BLUR = (0.01, 0.1)
#: Star, carbon and silicate.
NUM_SOURCES = 3
#: Draws from the prior that the joint density of shells with clumps is learned from,
#: and those that it is validated on.
DENSITY_DRAWS = (100_000, 5_000)


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
            the filling factor is a parameter of the model.
        folder: Where the model goes.
        settings: Settings of the likelihood's training; the two smaller estimators
            take a tenth of its time limit.
        sizes: Sizes of the networks.
        cache: Folder of streamed rows; `folder/checkpoints/rows` if not given.
        progress: Whether to show progress bars.
    """
    sizes = sizes or Sizes()
    folder = Path(folder)
    datasets = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    _check_folder(folder, datasets)
    keys = jr.split(key, 8)
    rows = ShellRows.read(
        datasets, jwst_filters(), variants=sizes.variants, most=sizes.most_in_memory
    )
    for what, pairs in (("training", rows.train), ("validation", rows.held)):
        _check_enough(what, rows, pairs)
    _claim(folder, datasets)
    cache = cache or folder / ROWS
    _train_likelihood(keys[:2], rows, folder, cache, settings, sizes, progress)
    outcomes = _train_outcomes(keys[2:4], rows, folder, settings, sizes, progress)
    _train_densities(keys[4:], rows, outcomes, folder, settings, progress)
    return ShellModel.load(folder)


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


def _check_enough(what: str, rows: ShellRows, pairs: Sequence[Pairs]) -> None:
    """Raise `ParameterError` if nothing is there to train on, or to validate."""
    if any(len(some) == 0 for some in pairs):
        raise ParameterError(
            f"Expected parents of every data set for {what}; got none of one. Simulate "
            "more: a hundred at least, better thousands."
        )
    smooth = rows.smooth(pairs)
    if smooth and not any((some.prior == DENSITY_PRIOR).any() for some in smooth):
        raise ParameterError(
            f"Expected parents of the prior {DENSITY_PRIOR} for {what}; got none. "
            "Simulate more: a hundred at least, better thousands."
        )


def _largest(datasets: Sequence[Dataset]) -> float:
    """Largest filling factor of shells with clumps."""
    return max(data.recipe.largest_filling_factor for data in datasets)


def _clumpy_draws(
    outcomes: Emulator, largest: float, num: int, seed: int
) -> tuple[Float[Array, "draw param"]]:
    """Scaled parameters of the thesis under the prior, filling factor included.

    The dust temperature is the emulator's: it is as many draws as wanted from the very
    density that a prior of the dust temperature is divided by.
    """
    generator = np.random.default_rng(np.random.SeedSequence((2023, seed)))
    theta = named_prior(DENSITY_PRIOR).sample(generator, num)
    filling = largest * generator.random((num, 1))
    table = jnp.asarray(np.concatenate([theta, filling], axis=1), jnp.float32)
    scaled = CLUMPY_PARAMETERS.scale(table)
    temperature = jax.jit(jax.vmap(lambda s: outcomes(s, jnp.zeros(0))))(scaled)
    temperature = jnp.clip(temperature, *TEMPERATURE.scaled_bounds)
    return (jax.vmap(thesis_parameters)(scaled, temperature),)


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
        mixing=scale_free_mixing(clumpy=rows.clumpy),
        gain=luminosity_gain(len(rows.filters), clumpy=rows.clumpy),
        softening=clump_softening() if rows.clumpy else None,
        widths=sizes.widths,
        blur=BLUR,
        num_sources=NUM_SOURCES,
    )
    trained = fit_estimator(
        keys[1],
        likelihood,
        source,
        likelihood_data(*rows.held),
        settings,
        folder=folder / "checkpoints" / "likelihood",
        progress=progress,
    )
    _stop_if_interrupted(trained)
    meta = _meta(rows) | {"num_train": count_rows(source)}
    save_estimator(folder, trained.estimator, trained.record, meta)


def _meta(rows: ShellRows) -> dict[str, Any]:
    """What is written in the model file beside the architecture."""
    parameters = CLUMPY_PARAMETERS if rows.clumpy else SHELL_PARAMETERS
    recipes = [data.recipe for data in rows.datasets]
    return {
        "bands": list(rows.filters.names),
        "redshifts": list(REDSHIFTS),
        "parameters": list(parameters.names),
        "smooth": not all(data.is_clumpy for data in rows.datasets),
        "largest_filling_factor": _largest(rows.datasets),
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
) -> Emulator:
    data = rows.outcomes(rows.train)
    emulator = Emulator.from_data(
        keys[0],
        *data,
        mixing=scale_free_mixing(clumpy=rows.clumpy)[:-1, :-1],
        softening=clump_softening()[:-1] if rows.clumpy else None,
        widths=sizes.outcome_widths,
        delta=0.1,
    )
    trained = fit_estimator(
        keys[1],
        emulator,
        data,
        rows.outcomes(rows.held),
        _tenth(settings, 512),
        folder=folder / "checkpoints" / OUTCOMES,
        progress=progress,
    )
    _stop_if_interrupted(trained)
    save_estimator(folder / OUTCOMES, trained.estimator, trained.record)
    return trained.estimator


def _train_densities(
    keys: Key[Array, " 4"],
    rows: ShellRows,
    outcomes: Emulator,
    folder: Path,
    settings: TrainingSettings,
    progress: bool,
) -> None:
    """The joint densities of smooth shells and of those with clumps, if there are."""
    if rows.smooth(rows.train):
        data = [
            density_data(rows.smooth(pairs), DENSITY_PRIOR)
            for pairs in (rows.train, rows.held)
        ]
        place = folder / DENSITY
        _train_density(keys[:2], data, density_bounds(), place, settings, progress)
    if rows.clumpy:
        largest, place = _largest(rows.datasets), folder / CLUMPY_DENSITY
        data = [
            _clumpy_draws(outcomes, largest, num, seed)
            for seed, num in enumerate(DENSITY_DRAWS)
        ]
        bounds = density_bounds(clumpy=True, largest=largest)
        _train_density(keys[2:], data, bounds, place, settings, progress)


def _train_density(
    keys: Key[Array, " 2"],
    data: Sequence[tuple[Array]],
    bounds: tuple[np.ndarray, np.ndarray],
    place: Path,
    settings: TrainingSettings,
    progress: bool,
) -> None:
    density = FlowDensity.from_data(keys[0], data[0][0], *bounds)
    trained = fit_estimator(
        keys[1],
        density,
        *data,
        _tenth(settings, 512),
        folder=place.parent / "checkpoints" / place.name,
        progress=progress,
    )
    _stop_if_interrupted(trained)
    save_estimator(place, trained.estimator, trained.record)


def _stop_if_interrupted(trained: Training) -> None:
    """Pass Ctrl-C on: a half-trained estimator is no model; its checkpoint is kept."""
    if trained.record.stopped == "interrupted":
        raise KeyboardInterrupt


def _tenth(settings: TrainingSettings, batch_size: int) -> TrainingSettings:
    return replace(
        settings,
        batch_size=batch_size,
        num_epochs=min(settings.num_epochs, 100),
        time_limit_s=settings.time_limit_s / 10,
    )
