"""MOCASSIN, the three-dimensional Monte Carlo code, run on our shells.

The program of the Debian packages `mocassin` and `mocassin-data` is called as it is; a
run has its own folder, and a set of runs goes on where it was interrupted.

References:
    Ercolano et al. (2003), MNRAS 340, 1136; (2005), MNRAS 362, 1038.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from grainlight.core import SimulatorError
from grainlight.simulators.mocassin_input import (
    MocassinGrid,
    MocassinSettings,
    MocassinShell,
    write_input,
)
from grainlight.simulators.mocassin_output import (
    MocassinRun,
    read_converged,
    read_dust_grid,
    read_optical_depth,
    read_spectrum,
)
from grainlight.simulators.mocassin_program import (
    LOG,
    SPECTRUM,
    Children,
    cold_start,
    require_mocassin,
    warm_start,
)
from grainlight.simulators.mocassin_records import (
    FAILED,
    is_finished,
    run_path,
    write_answer,
    write_json,
)
from grainlight.simulators.shell import Progress
from grainlight.transfer.shell import SUN_LUMINOSITY


class MocassinRuns(NamedTuple):
    """How a set of runs ended.

    Attributes:
        folder: Where the runs are.
        finished: Numbers of the runs that have an answer.
        failures: What went wrong in each of the others.
    """

    folder: Path
    finished: tuple[int, ...]
    failures: dict[int, str]


def run_shell(
    folder: Path,
    shell: MocassinShell,
    settings: MocassinSettings,
    children: Children | None = None,
) -> None:
    """Solve one shell in a folder of its own; an answer that is there is kept.

    The mark is written last, so that what was cut short is done again.

    Args:
        folder: Where the run goes.
        shell: What to solve.
        settings: How finely.
        children: The programs that run now.

    Raises:
        OutputExistsError: The folder holds another run, or other files.
        SimulatorError: MOCASSIN ended without an answer.
    """
    if is_finished(folder, shell, settings):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    grid = write_input(folder, shell, settings)
    seconds = cold_start(folder, children)
    seconds += warm_start(folder, settings.last_packets, settings.last_steps, children)
    run = _collect(folder, shell, settings, grid)
    os.replace(folder / "output" / SPECTRUM, folder / SPECTRUM)
    shutil.rmtree(folder / "output")
    for name in ("input/ndust.dat", LOG):
        (folder / name).unlink()
    write_answer(folder, shell, settings, run, seconds)


def _collect(
    folder: Path, shell: MocassinShell, settings: MocassinSettings, grid: MocassinGrid
) -> MocassinRun:
    """What the output files of a run say."""
    output = folder / "output"
    spectrum = read_spectrum(output / SPECTRUM)
    packets = spectrum.packets(shell.luminosity, settings.last_packets)
    dust = read_dust_grid(output / "dustGrid.out", len(grid.axis), len(shell.species))
    with np.errstate(divide="ignore"):
        noise = 1 / np.sqrt(packets)
    return MocassinRun(
        wave=spectrum.wave,
        luminosity=spectrum.luminosity,
        noise=noise,
        axis=grid.axis,
        density=dust.density,
        temperature=dust.temperature,
        mass_fraction={name: shell.mass_fraction[name] for name in shell.species},
        optical_depth=read_optical_depth(output / "tauNu.out"),
        energy=spectrum.total / (shell.luminosity * SUN_LUMINOSITY),
        converged=read_converged(output / "summary.out"),
    )


def run_shells(
    folder: Path,
    shells: Sequence[MocassinShell],
    settings: MocassinSettings,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> MocassinRuns:
    """Solve many shells, some at a time; what is finished is kept.

    A run that fails is recorded and does not stop the others; it is tried again next
    time.

    Args:
        folder: Where each run gets a folder, `run-00000` and on.
        shells: What to solve.
        settings: How finely.
        workers: Runs at a time; as many as processors if not given.
        progress: Called with the runs done and the runs wanted.

    Raises:
        OutputExistsError: The folder holds other runs, or other files.
        SimulatorMissingError: MOCASSIN is not installed, and not all is finished.
    """
    folder = Path(folder)
    places = [run_path(folder, i) for i in range(len(shells))]
    done = [is_finished(*each, settings) for each in zip(places, shells, strict=True)]
    waiting = [i for i, finished in enumerate(done) if not finished]
    report = progress or (lambda *_: None)
    report(len(shells) - len(waiting), len(shells))
    if not waiting:
        return MocassinRuns(folder, tuple(range(len(shells))), {})
    require_mocassin()
    folder.mkdir(parents=True, exist_ok=True)
    failures: dict[int, str] = {}
    with _pool(min(workers or os.cpu_count() or 1, len(waiting))) as (pool, children):
        futures = {
            pool.submit(_try, places[i], shells[i], settings, children): i
            for i in waiting
        }
        for count, future in enumerate(as_completed(futures), start=1):
            message = future.result()
            if message is not None:
                failures[futures[future]] = message
            report(len(shells) - len(waiting) + count, len(shells))
    finished = tuple(i for i in range(len(shells)) if i not in failures)
    return MocassinRuns(folder, finished, dict(sorted(failures.items())))


@contextmanager
def _pool(workers: int) -> Iterator[tuple[ThreadPoolExecutor, Children]]:
    """Threads that wait for programs; these are killed if the work is interrupted."""
    children = Children()
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield pool, children
        except BaseException:
            children.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _try(
    folder: Path, shell: MocassinShell, settings: MocassinSettings, children: Children
) -> str | None:
    """Run one shell; gives what went wrong, and records it."""
    try:
        run_shell(folder, shell, settings, children)
    except (OSError, ValueError, ArithmeticError) as error:
        message = f"{type(error).__name__}: {error}"
        if children.stopped and isinstance(error, SimulatorError):
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.is_dir():
            write_json(folder / FAILED, {"error": message, "shell": shell.stated})
        return message
    return None
