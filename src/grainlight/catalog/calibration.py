"""Simulated objects that are fitted as any row of a catalogue is: what others are like.

Parameters come from a named prior, observations are drawn at random under the model
(`random_observing`), with four model errors. Objects whose weights are worth too few
draws are left out: others like them are compared with those whose conditions are
nearest. Fewer are asked for than of a posterior: two numbers are wanted of each.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from grainlight.catalog.worker import CatalogSettings, Worker
from grainlight.core import Certificate, ParameterError
from grainlight.estimators import Kind, PhotometricData
from grainlight.estimators.amortized_training import draw_pool
from grainlight.estimators.belonging import (
    Belonging,
    describe_conditions,
    log_volume,
)
from grainlight.estimators.files import is_saved
from grainlight.estimators.random_observing import Observing, observe_pool
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import Observation
from grainlight.sampling.fit import POGSON, FitSettings
from grainlight.sampling.prior import PriorChoice
from grainlight.simulators import named_prior

FLOORS = (0.0, 0.02, 0.05, 0.1)  # model errors, as fractions of the flux
PIECE = 250
PARTS = "calibration"
DISTANCE = 10.0  # Mpc, which magnitudes of the model are at
PARSEC_MODULUS = 5 / np.log(10)  # magnitudes for a relative error of the distance

Progress = Callable[[int, int], None]


def calibrate_belonging(
    key: Key[Array, ""],
    model: ShellModel,
    folder: Path,
    num: int,
    *,
    progress: Progress | None = None,
) -> Belonging:
    """Simulate and fit objects, and write what they were like beside a model.

    The same call goes on where it was interrupted.

    Args:
        key: Random key.
        model: A model of smooth shells with an amortized posterior.
        folder: Its folder.
        num: Objects, to the next multiple of 1,000.
        progress: Called with the objects finished and their number.

    Raises:
        ParameterError: The model has no amortized posterior, or is not in this folder.
    """
    model = model.under(clumpy=False)
    if model.posterior is None:
        raise ParameterError(
            f"Expected a model with an amortized posterior; {model.name!r} has none. "
            "Make one with `grainlight amortize`."
        )
    if not is_saved(folder):
        raise ParameterError(
            f"Expected the folder of the model, to write into; got {str(folder)!r}. "
            "Copy a packaged model to a folder of your own first."
        )
    prior = model.posterior.prior
    parts = folder / PARTS
    parts.mkdir(exist_ok=True)
    pieces = -(-num // (PIECE * len(FLOORS))) * len(FLOORS)
    columns = []
    for number in range(pieces):
        path = parts / f"piece-{number:03d}.npy"
        if not path.is_file():
            floor = FLOORS[number % len(FLOORS)]
            table = _fit_piece(jr.fold_in(key, number), model, prior, floor)
            partial = path.with_suffix(".part")
            with partial.open("wb") as file:
                np.save(file, table)
            partial.replace(path)
        columns.append(np.load(path, allow_pickle=False))
        if progress is not None:
            progress((number + 1) * PIECE, pieces * PIECE)
    table = np.concatenate(columns)
    found = Belonging(table[:, 2:], table[:, 0], table[:, 1], prior)
    found.save(folder)
    for path in parts.iterdir():
        path.unlink()
    parts.rmdir()
    return found


def _fit_piece(
    key: Key[Array, ""], model: ShellModel, prior: str, floor: float
) -> np.ndarray:
    """Predictive probability, density and conditions of objects that were answered."""
    observe_key, fit_key = jr.split(key)
    floor_mag = float(POGSON * floor)
    objects = observe_at_random(observe_key, model, prior, PIECE, floor_mag)
    objects = [one for one in objects if one.num_detected]
    fit = FitSettings(prior=PriorChoice.read(prior), floor=floor)
    worker = Worker(model, CatalogSettings(fit, rows=PIECE), len(model.bands))
    rows = worker.fit_rows(fit_key, objects)
    return np.array(
        [
            [
                row["predictive_probability"],
                row["log_evidence"] + log_volume(one, floor_mag),
                *describe_conditions(one, floor_mag),
            ]
            for one, row in zip(objects, rows, strict=True)
            if _is_known(row, worker.settings.num_draws)
        ]
    )


def _is_known(row: dict[str, Any], num_draws: int) -> bool:
    """Whether evidence and chi-squared of an object are known well enough."""
    names = ("efficiency", "pareto_shape", "log_evidence")
    efficiency, shape, log_evidence = (row[name] for name in names)
    if None in (efficiency, shape, log_evidence):
        return False
    found = Certificate(row["rung"], efficiency, shape, num_draws, log_evidence)
    return bool(np.isfinite(found.sound_evidence))


def observe_at_random(
    key: Key[Array, ""], model: ShellModel, prior: str, num: int, floor_mag: float
) -> list[Observation]:
    """Observations of objects that a model makes, under conditions drawn at random.

    Args:
        key: Random key.
        model: The model.
        prior: Name of the prior of their parameters.
        num: Number of objects.
        floor_mag: Model error of every band [mag].
    """
    pool_key, condition_key, measure_key = jr.split(key, 3)
    pool = draw_pool(pool_key, model, named_prior(prior), num)
    data, conditions = observe_pool(
        condition_key,
        measure_key,
        Observing.of_bands(model.bands),
        pool.magnitude,
        pool.redshift,
        floor=floor_mag,
    )
    seen = jax.tree.map(lambda leaf: np.asarray(leaf, float), data)
    distance_error = np.asarray(conditions.distance_error, float)
    return [
        _observation(model.bands, number, seen, distance_error[number])
        for number in range(num)
    ]


def _observation(
    bands: tuple[str, ...], number: int, seen: PhotometricData, distance_error: float
) -> Observation:
    flux, error, kind = (
        np.asarray(column[number]) for column in (seen.flux, seen.error, seen.kind)
    )
    there = np.flatnonzero(kind != int(Kind.missing))
    return Observation(
        name=str(number),
        bands=tuple(bands[i] for i in there),
        flux=flux[there],
        error=error[there],
        is_limit=kind[there] == int(Kind.limit),
        redshift=float(seen.redshift[number]),
        distance=DISTANCE,
        distance_err=DISTANCE * float(distance_error) / PARSEC_MODULUS,
    )
