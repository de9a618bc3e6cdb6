"""A model grid in a table: ECSV, CSV, FITS or Parquet, one row a model."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table
from yaml import YAMLError

from grainlight.core import FileFormatError, ParameterError
from grainlight.datasets.grid_source import (
    Column,
    GridSource,
    Wave,
    broken_file,
    given_wave,
    numbers,
    some_names,
    text_of,
)

TABLES = {
    ".ecsv": "ascii.ecsv",
    ".csv": "ascii.csv",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
}


def read_table_grid(
    path: Path, names: Sequence[str], wave: Wave | None, spectrum: str | None
) -> GridSource:
    """Read a grid from a table; see `import_grid` for the arguments."""
    return _table_grid(_columns(path), path, names, wave, spectrum)


def _columns(path: Path) -> dict[str, Column]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd units are judged where they are used
            if path.suffix.lower() == ".parquet":
                read = pq.read_table(path)
                return {n: Column(_arrow(read[n]), None) for n in read.column_names}
            table = Table.read(path, format=TABLES[path.suffix.lower()])
    except (OSError, ValueError, KeyError, TypeError, IndexError, YAMLError) as error:
        raise broken_file(path, error) from error
    return {
        name: Column(_plain(table[name]), text_of(table[name].unit))
        for name in table.colnames
    }


def _table_grid(
    columns: dict[str, Column],
    path: Path,
    names: Sequence[str],
    wave: Wave | None,
    spectrum: str | None,
) -> GridSource:
    there = {n: c for n, c in columns.items() if len(c.values)}
    if not there:
        raise FileFormatError(
            f"Expected one row or more in {path}; got none. Give each model a row."
        )
    missing = [name for name in names if name not in there]
    if missing:
        raise ParameterError(
            f"Expected columns of the parameters {', '.join(names)} in {path}; got "
            f"none named {', '.join(missing)}, but {some_names(there)}. Correct the "
            "names."
        )
    theta = np.stack([numbers(there[n].values) for n in names], axis=1)
    units = tuple(there[name].unit or "" for name in names)
    place = _spectrum_column(there, names, wave, spectrum)
    if place is None:
        if wave is not None:
            raise FileFormatError(
                f"Expected a column of spectra to go with the wavelengths; got {path} "
                f"with {some_names(there)}. Name it as the spectrum."
            )
        return GridSource(theta, units, *_wide(there, path, names, spectrum or ""))
    found = _wave_of(there, path, wave)
    values = _rectangle(there[place].values)
    return GridSource(theta, units, found.values, found.unit, values, there[place].unit)


def _spectrum_column(
    columns: dict[str, Column],
    names: Sequence[str],
    wave: Wave | None,
    spectrum: str | None,
) -> str | None:
    """The array column of the spectra; none if there is a column a wavelength."""
    used = (*names, wave if isinstance(wave, str) else "")
    arrays = [
        name
        for name, column in columns.items()
        if name not in used and _is_array(column.values)
    ]
    if spectrum is not None:
        return spectrum if spectrum in arrays else None
    if len(arrays) > 1:
        raise FileFormatError(
            f"Expected one column of spectra; got {', '.join(arrays)}. Name the "
            "spectrum, and the wavelengths."
        )
    return arrays[0] if arrays else None


def _wide(
    columns: dict[str, Column], path: Path, names: Sequence[str], prefix: str
) -> tuple[np.ndarray, None, np.ndarray, str | None]:
    """Wavelengths and spectra of a table with one column a wavelength."""
    found = {}
    for name in columns:
        if name not in names and name.startswith(prefix):
            try:
                found[name] = float(name.removeprefix(prefix))
            except ValueError:
                continue
    if len(found) < 2:
        raise FileFormatError(
            f"Expected in {path} a column of spectra, or columns named by their "
            f"wavelengths{f' after {prefix!r}' if prefix else ''}; got "
            f"{some_names(columns)}. Name the spectrum: a column, or what stands "
            "before the wavelengths."
        )
    ordered = sorted(found, key=lambda name: found[name])
    units = {columns[name].unit for name in ordered}
    if len(units) > 1:
        raise FileFormatError(
            f"Expected one unit of all spectra in {path}; got "
            f"{', '.join(sorted(map(str, units)))}. Convert them."
        )
    values = np.stack([numbers(columns[name].values) for name in ordered], axis=1)
    return np.array([found[name] for name in ordered]), None, values, units.pop()


def _wave_of(columns: dict[str, Column], path: Path, wave: Wave | None) -> Column:
    """Wavelengths: of a column with the same ones in every row, or from elsewhere."""
    if wave is None:
        raise FileFormatError(
            f"Expected the wavelengths of the spectra in {path}; got none. Name the "
            "column that holds them, or a text file with one a line."
        )
    if not isinstance(wave, str) or wave not in columns:
        return Column(given_wave(wave, path, columns), None)
    values = columns[wave].values
    rows = _rectangle(values) if _is_array(values) else numbers(values)[:, None]
    whole = np.flatnonzero(np.isfinite(rows).all(axis=1))
    first = rows[whole[0]] if whole.size else rows[0]
    other = np.flatnonzero(~np.all(np.isclose(rows, first, rtol=1e-9, atol=0), axis=1))
    if other.size:
        raise FileFormatError(
            f"Expected the same wavelengths in every row of {wave}; got others in row "
            f"{other[0] + 1}. Interpolate all spectra onto the same ones."
        )
    return Column(first, columns[wave].unit)


def _is_array(values: np.ndarray) -> bool:
    if values.dtype == object and len(values):
        return isinstance(values[0], np.ndarray | list)
    return values.ndim == 2


def _rectangle(values: np.ndarray) -> np.ndarray:
    """Rows of one length; those of another are nan."""
    if values.dtype != object:
        return values
    lengths = [np.size(row) for row in values]
    usual = max(set(lengths), key=lengths.count)
    table = np.full((len(values), usual), np.nan)
    for i, row in enumerate(values):
        if lengths[i] == usual and row is not None:
            table[i] = numbers(np.ravel(row))
    return table


def _plain(column: Any) -> np.ndarray:
    """Cells of a column of Astropy; masked numbers are nan."""
    if not np.ma.isMaskedArray(column):
        return np.asarray(column)
    kind = float if column.dtype.kind in "iuf" else object
    return np.ma.filled(column.astype(kind), np.nan)


def _arrow(column: pa.ChunkedArray) -> np.ndarray:
    kind = column.type
    if pa.types.is_fixed_size_list(kind) and column.null_count == 0:
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        cells = np.empty(len(column), dtype=object)
        for i, cell in enumerate(column.to_pylist()):
            cells[i] = np.array([] if cell is None else cell)
        return cells
    return column.to_numpy()
