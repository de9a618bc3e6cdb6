"""Finished runs of MOCASSIN on disk: the mark that a run is whole, and its arrays."""

import json
import math
import os
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from grainlight.core import FileFormatError, OutputExistsError
from grainlight.simulators.mocassin_input import MocassinSettings, MocassinShell
from grainlight.simulators.mocassin_output import MocassinRun
from grainlight.simulators.mocassin_program import LOG, SPECTRUM
from grainlight.transfer import ShellGeometry

MARK, FAILED, ARRAYS = "grainlight.json", "failed.json", "answer.npz"
OURS = {MARK, FAILED, ARRAYS, LOG, SPECTRUM, "input", "output"}
KIND, FORMAT = "mocassin-run", 1


@dataclass(frozen=True)
class RunRecord:
    """What the mark of a finished run states.

    Attributes:
        shell: What MOCASSIN was asked for, without a density grid.
        grid: Hash of the density grid; none for a smooth shell.
        settings: How finely it was solved.
        cpu_seconds: CPU time of MOCASSIN.
        energy: Luminosity that left the grid over that of the source.
        version: Version of this package.
    """

    shell: MocassinShell
    grid: str | None
    settings: MocassinSettings
    cpu_seconds: float
    energy: float
    version: str


def run_path(folder: Path, number: int) -> Path:
    """Folder of one run of a set."""
    return Path(folder) / f"run-{number:05d}"


def is_finished(folder: Path, shell: MocassinShell, settings: MocassinSettings) -> bool:
    """Whether a folder holds the answer of just this run.

    Raises:
        OutputExistsError: It holds the answer of another run, or other files.
    """
    if not folder.exists():
        return False
    names = {path.name for path in folder.iterdir()}
    strange = {name for name in names - OURS if not name.endswith(".part")}
    if strange:
        raise OutputExistsError(
            f"Expected a run of MOCASSIN in {folder}; got other files, such as "
            f"{min(strange)}. Name another folder."
        )
    if not (folder / MARK).exists():
        return False
    wanted = {"shell": shell.stated, "settings": asdict(settings)}
    found = _read_mark(folder)
    for part, words in wanted.items():
        differ = [name for name in words if found[part].get(name) != words[name]]
        if differ:
            name = differ[0]
            raise OutputExistsError(
                f"Expected {name} {words[name]} in the finished run {folder}; got "
                f"{found[part].get(name)}. Name another folder, or give the same "
                "shells and settings to go on."
            )
    return True


def write_json(path: Path, stated: dict) -> None:
    """Write a file, whole or not at all."""
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(stated, indent=1) + "\n")
    os.replace(partial, path)


def write_answer(
    folder: Path,
    shell: MocassinShell,
    settings: MocassinSettings,
    run: MocassinRun,
    cpu_seconds: float,
) -> None:
    """Write the arrays of an answer, then the mark that says it is whole."""
    np.savez_compressed(
        folder / ARRAYS,
        wave=run.wave,
        luminosity=run.luminosity,
        noise=run.noise,
        axis=run.axis,
        density=run.density.astype(np.float32),
        temperature=run.temperature.astype(np.float32),
    )
    stated = {
        "kind": KIND,
        "format": FORMAT,
        "shell": shell.stated,
        "settings": asdict(settings),
        "version": version("grainlight"),
        "cpu_seconds": round(cpu_seconds, 2),
        "energy": run.energy,
        "optical_depth": run.optical_depth,
        "converged": run.converged if math.isfinite(run.converged) else None,
    }
    write_json(folder / MARK, stated)


def finished_runs(folder: Path) -> list[Path]:
    """Folders of the finished runs of a set, in order."""
    return sorted(mark.parent for mark in Path(folder).glob(f"run-*/{MARK}"))


def _read_mark(folder: Path) -> dict:
    try:
        stored = json.loads((folder / MARK).read_text())
        if stored["kind"] != KIND or stored["format"] != FORMAT:
            raise ValueError(f"the kind {stored['kind']}, format {stored['format']}")
        stored |= {part: dict(stored[part]) for part in ("shell", "settings")}
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise FileFormatError(
            f"Expected a finished run of MOCASSIN in {folder}; got "
            f"{type(error).__name__}: {error}. Remove the folder and run it again."
        ) from error
    return stored


def read_record(folder: Path) -> RunRecord:
    """What the mark of a finished run states; raises `FileFormatError` without one."""
    stored = _read_mark(Path(folder))
    try:
        words = dict(stored["shell"])
        grid = words.pop("grid")
        words["geometry"] = ShellGeometry(**words["geometry"])
        return RunRecord(
            MocassinShell(**words),
            grid,
            MocassinSettings(**stored["settings"]),
            stored["cpu_seconds"],
            stored["energy"],
            stored["version"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"Expected the settings of a run in {folder / MARK}; got "
            f"{type(error).__name__}: {error}. Remove the folder and run it again."
        ) from error


def read_run(folder: Path) -> MocassinRun:
    """Read the answer of a finished run; raises `FileFormatError` if it is broken."""
    folder = Path(folder)
    stored, shell = _read_mark(folder), read_record(folder).shell
    try:
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            parts = {name: np.asarray(arrays[name]) for name in arrays.files}
        return MocassinRun(
            **parts,
            mass_fraction={name: shell.mass_fraction[name] for name in shell.species},
            optical_depth=stored["optical_depth"],
            energy=stored["energy"],
            converged=math.nan if stored["converged"] is None else stored["converged"],
        )
    except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise FileFormatError(
            f"Expected the arrays of a run in {folder / ARRAYS}; got "
            f"{type(error).__name__}: {error}. Remove the folder and run it again."
        ) from error
