"""Fit the objects of a file and leave their results in a folder."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.random as jr

from grainlight.core import GrainlightError, Status, status_name
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import ObservationTable
from grainlight.report.folder import (
    FILES,
    WORDS,
    check_folder,
    folder_names,
    new_folder,
    versions,
    write_fit,
    write_words,
)
from grainlight.sampling.fit import (
    Fit,
    FitSettings,
    check_observation,
    fit_observations,
)


@dataclass(frozen=True)
class FitRun:
    """What became of the objects of a file.

    Attributes:
        fits: One for each object that could be read.
        failures: Why others could not be read, by name.
        folder: Where the results are; with several objects a folder each.
    """

    fits: tuple[Fit, ...]
    failures: dict[str, str]
    folder: Path

    @property
    def num_failed(self) -> int:
        """Objects without a posterior that passed the gate."""
        bad = sum(not bool(fit.status == Status.ok) for fit in self.fits)
        return bad + len(self.failures)


def run_fits(
    seed: int,
    model: ShellModel,
    table: ObservationTable,
    out: Path,
    settings: FitSettings,
    *,
    source: Path,
    reading: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> FitRun:
    """Fit all objects of a table and write their results.

    With one object its files lie in the folder; with several, those of each in a
    folder of its own, and the `fit.json` above them lists all objects.

    Args:
        seed: Seed of every random number.
        model: A trained model.
        table: The observations.
        out: Folder of the results, made whole or not at all.
        settings: How the fits are done.
        source: File that the observations came from, for the record.
        reading: How it was read, for the record.
        overwrite: Whether results that are there are replaced.
        progress: Called with the objects finished and their number.

    Raises:
        GrainlightError: The folder may not be written, or no object can be fitted.
    """
    check_folder(out, FILES, overwrite=overwrite)
    _check_any(model, table)
    words = {
        "source": {"file": str(source), "sha256": _checksum(source)},
        "reading": dict(reading or {}),
        "model": {"name": model.name, "identity": model.identity, **model.meta},
        "seed": seed,
        "versions": versions(),
    }
    fits = fit_observations(
        jr.key(seed), model, table.observations, settings, progress=progress
    )
    run = FitRun(tuple(fits), dict(table.failures), Path(out))
    with new_folder(out, FILES, overwrite=overwrite) as folder:
        if len(fits) + len(table.failures) == 1:
            write_fit(folder, fits[0], words)
        else:
            _write_all(folder, run, words)
    return run


def _write_all(folder: Path, run: FitRun, words: dict[str, Any]) -> None:
    names = folder_names([fit.observation.name for fit in run.fits])
    objects = []
    for name, fit in zip(names, run.fits, strict=True):
        (folder / name).mkdir()
        write_fit(folder / name, fit, words)
        text = fit.message or Status[fit.status]
        stated = {"folder": name, "status": status_name(fit.status)}
        objects.append({"object": fit.observation.name, **stated, "status_text": text})
    for name, why in run.failures.items():
        stated = {"folder": None, "status": "unusable", "status_text": why}
        objects.append({"object": name, **stated})
    settings = run.fits[0].settings.words()
    write_words(folder / WORDS, {**words, "settings": settings, "objects": objects})


def _check_any(model: ShellModel, table: ObservationTable) -> None:
    """Raise what is wrong with the first object if no object can be fitted."""
    errors = []
    for observation in table.observations:
        try:
            check_observation(model, observation)
            return
        except GrainlightError as error:
            errors.append(error)
    number = len(errors) + len(table.failures)
    if number == 1:
        raise errors[0]
    raise type(errors[0])(f"None of {number} objects can be fitted. {errors[0]}")


def _checksum(path: Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
