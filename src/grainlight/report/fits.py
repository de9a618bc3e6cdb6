"""Fit the objects of a file and leave their results in a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax.random as jr

from grainlight.core import Status
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import ObservationTable
from grainlight.report.folder import (
    WORDS,
    check_folder,
    folder_name,
    new_folder,
    versions,
    write_fit,
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
    source: str,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> FitRun:
    """Fit all objects of a table and write their results.

    Args:
        seed: Seed of every random number.
        model: A trained model.
        table: The observations.
        out: Folder of the results, made whole or not at all.
        settings: How the fits are done.
        source: Where the observations came from, for the record.
        overwrite: Whether results that are there are replaced.
        progress: Called with the objects finished and their number.

    Raises:
        GrainlightError: The folder may not be written, or a single object is unfit.
    """
    check_folder(out, WORDS, overwrite=overwrite)
    if len(table) == 1 and not table.failures:
        check_observation(model, table.observations[0])
    fits = fit_observations(
        jr.key(seed), model, table.observations, settings, progress=progress
    )
    words = {
        "source": source,
        "model": {"name": model.name, **model.meta},
        "seed": seed,
        "versions": versions(),
    }
    with new_folder(out, WORDS, overwrite=overwrite) as folder:
        for number, fit in enumerate(fits):
            place = folder
            if len(fits) + len(table.failures) > 1:
                name = folder_name(fit.observation.name)
                place = folder / name
                if place.exists():
                    place = folder / f"{name}-{number + 1}"
                place.mkdir()
            write_fit(place, fit, words)
    return FitRun(tuple(fits), dict(table.failures), out)
