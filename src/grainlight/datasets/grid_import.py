"""Turn a user's grid of parameters and spectra into a data set."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from grainlight.core import (
    FileFormatError,
    OutputExistsError,
    ParameterError,
    Parameters,
    RangeError,
)
from grainlight.datasets.grid_hdf5 import HDF5, open_hdf5_grid
from grainlight.datasets.grid_shards import (
    KeptModels,
    ShardPlan,
    grid_parameters,
    write_shards,
)
from grainlight.datasets.grid_source import GridSource, Wave
from grainlight.datasets.grid_tables import TABLES, read_table_grid
from grainlight.datasets.grids import KIND, GridDataset, covered_filters
from grainlight.datasets.spectral_units import (
    spectral_scale,
    wavelengths_um,
)
from grainlight.datasets.statements import (
    identity_of,
    parameters_to_json,
    write_statement,
)
from grainlight.photometry import FilterSet
from grainlight.simulators import Progress

FORMAT = 1
COLUMNS = ("parent", "log_luminosity")


def import_grid(
    path: Path | str,
    out: Path | str,
    *,
    parameters: Sequence[str],
    log: Sequence[str] = (),
    wave: Wave | None = None,
    spectrum: str | None = None,
    theta: str | None = None,
    wave_unit: str | None = None,
    spectrum_unit: str | None = None,
    distance_mpc: float | None = None,
    filters: FilterSet | None = None,
    shard_size: int = 1000,
    progress: Progress | None = None,
) -> GridDataset:
    """Make a data set of a grid: Parquet shards of spectra in um and erg/s/Hz.

    A table (ECSV, CSV, FITS, Parquet) has a row a model, and the spectrum in an array
    column, or in one column a wavelength, named by it. HDF5 has data sets. Rows that
    are no models are left out and counted; `dataset.json` lists them, with file name,
    hash and units of the grid.

    Args:
        path: The grid.
        out: Where the data set goes: a new folder, or an empty one.
        parameters: Names of the parameters, columns or data sets of one number a model.
        log: Those of them that are sampled in the logarithm.
        wave: Rest wavelengths of spectra in an array: the name of a column or data set,
            a text file with one a line, or an array.
        spectrum: Column or data set of the spectra, or what stands before the
            wavelength in the names of columns; may be left out where only one is
            possible.
        theta: Data set of HDF5 that holds all parameters, a column each.
        wave_unit: Unit of the wavelengths, in place of what the file states.
        spectrum_unit: Unit of the spectra, per frequency or per wavelength, in place of
            what the file states; `dex(erg/s/Hz)` for log10 values.
        distance_mpc: Where flux densities were computed for, at redshift zero [Mpc].
        filters: Filters that the wavelengths must reach across.
        shard_size: Models in one file.
        progress: Called with the rows read and their number.

    Raises:
        FileFormatError: The file is broken, or holds no such spectra.
        ParameterError: A parameter is missing, or the same in all rows.
        UnitError: A unit is missing or impossible, or the distance.
        RangeError: The wavelengths are too short for the filters.
        OutputExistsError: There are files in `out`.
    """
    path, out = Path(path), Path(out)
    _check_out(out)
    _check_names(parameters, log)
    if shard_size < 1:
        raise ParameterError(
            f"Expected shard_size of one or more; got {shard_size}. Raise it."
        )
    with _open(path, parameters, wave, spectrum, theta) as source:
        grid = _checked_wave(source, wave_unit or source.wave_unit)
        if filters is not None:
            _check_filters(grid, filters)
        unit = spectrum_unit or source.spectrum_unit
        scale = spectral_scale(unit, grid, distance_mpc)
        _check_shape(path, source)
        place = next(one for one in out.resolve().parents if one.exists())
        partial = place / f".{out.name}.{os.getpid()}.part"
        try:
            partial.mkdir()
            plan = ShardPlan(partial, parameters, log, shard_size)
            kept = write_shards(plan, source, scale, progress)
            members = grid_parameters(path, source, kept, parameters, log)
            origin = {
                "file": path.name,
                "sha256": _hash(path),
                "rows": len(source.theta),
                "wave_unit": wave_unit or source.wave_unit,
                "spectrum_unit": unit,
                "distance_mpc": distance_mpc,
            }
            _state(partial, members, grid, kept, origin, shard_size)
            out.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return GridDataset.open(out)


def _open(
    path: Path,
    names: Sequence[str],
    wave: Wave | None,
    spectrum: str | None,
    theta: str | None,
) -> AbstractContextManager[GridSource]:
    kind = path.suffix.lower()
    if not path.is_file():
        raise FileFormatError(
            f"Expected a file with a grid; got {str(path)!r}, which is not one. Check "
            "the path."
        )
    if kind in HDF5:
        return open_hdf5_grid(path, names, wave, spectrum, theta)
    if kind not in TABLES:
        raise FileFormatError(
            f"Expected a grid whose name ends in {', '.join((*TABLES, *HDF5))}; got "
            f"{path.name!r}. Convert or rename it."
        )
    if theta is not None:
        raise FileFormatError(
            f"Expected theta with HDF5 alone; got it with {path.name!r}. Leave it out: "
            "in a table each parameter is a column."
        )
    return nullcontext(read_table_grid(path, names, wave, spectrum))


def _checked_wave(source: GridSource, unit: str | None) -> np.ndarray:
    """Wavelengths [um], increasing."""
    wave = wavelengths_um(np.asarray(source.wave, dtype=float), unit)
    if wave.ndim != 1 or wave.size < 2:
        raise FileFormatError(
            f"Expected two wavelengths or more, in a row; got an array of shape "
            f"{wave.shape}. Give one for each value of a spectrum."
        )
    bad = np.flatnonzero(~(np.isfinite(wave) & (wave > 0)))
    if bad.size:
        raise FileFormatError(
            f"Expected finite, positive wavelengths; got {wave[bad[0]]:g} um at number "
            f"{bad[0] + 1}. Remove it, and its column of the spectra."
        )
    back = np.flatnonzero(np.diff(wave) <= 0)
    if back.size:
        i = back[0]
        raise FileFormatError(
            f"Expected increasing wavelengths; got {wave[i + 1]:g} um after "
            f"{wave[i]:g} um, at number {i + 2}. Sort them, once each, and the columns "
            "of the spectra with them."
        )
    return wave


def _check_filters(wave: np.ndarray, filters: FilterSet) -> None:
    missing = set(filters.names) - set(covered_filters(wave, filters).names)
    if missing:
        ends = [np.exp(m.quadrature.ln_wave[[0, -1]]) for m in filters]
        low, high = min(e[0] for e in ends) / 1.015, max(e[1] for e in ends)
        raise RangeError(
            f"Expected wavelengths over {low:.4g} to {high:.4g} um for these filters "
            f"up to redshift 0.015; got {wave[0]:.4g} to {wave[-1]:.4g} um, too short "
            f"for {', '.join(sorted(missing))}. Extend the spectra, or leave these out."
        )


def _check_shape(path: Path, source: GridSource) -> None:
    expected = (len(source.theta), len(source.wave))
    if tuple(source.spectra.shape) != expected:
        turned = tuple(source.spectra.shape) == expected[::-1]
        mend = "Transpose them." if turned else "Check which data belong together."
        raise FileFormatError(
            f"Expected spectra of {expected[0]} models at {expected[1]} wavelengths in "
            f"{path}; got an array of shape {tuple(source.spectra.shape)}. {mend}"
        )


def _state(
    folder: Path,
    parameters: Parameters,
    wave: np.ndarray,
    kept: KeptModels,
    origin: dict,
    shard_size: int,
) -> None:
    fixed = {
        "kind": KIND,
        "format": FORMAT,
        "origin": origin,
        "parameters": parameters_to_json(parameters),
        "wave_um": wave.tolist(),
        "shard_size": shard_size,
    }
    counts = {
        "num_models": kept.num_models,
        "num_shards": kept.num_shards,
        "left_out": kept.left_out,
    }
    write_statement(folder, fixed | {"identity": identity_of(fixed)} | counts)


def _check_names(names: Sequence[str], log: Sequence[str]) -> None:
    got = ""
    if isinstance(names, str) or not names or len(set(names)) != len(names):
        got = f"{names!r}"
    elif set(names) & set(COLUMNS):
        got = f"{names!r}, where {', '.join(COLUMNS)} are columns of a data set"
    if got:
        raise ParameterError(
            f"Expected names of one parameter or more, each once; got {got}. Name the "
            "columns that the grid varies."
        )
    unknown = [name for name in log if name not in names]
    if unknown:
        raise ParameterError(
            f"Expected parameters of a logarithmic scale among {', '.join(names)}; got "
            f"{', '.join(unknown)}. Correct the names."
        )


def _check_out(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(
            f"Expected a new folder for the data set; got {out}, which holds other "
            "files. Name another folder."
        )


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
