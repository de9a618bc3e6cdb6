"""Wide tables of many objects, read piece by piece.

Parquet, FITS and HATS catalogues are read a piece at a time, so that any length fits in
memory; ECSV and CSV are read whole. A piece is handed on as texts, for which the
readers of photometry know all habits of writing fluxes, limits and missing values.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError

from grainlight.catalog.hats import is_hats, open_hats
from grainlight.catalog.parquet import ParquetRows
from grainlight.catalog.source import Source, texts
from grainlight.core import FileFormatError
from grainlight.photometry.tables import RawTable, read_table

FITS_SUFFIXES = (".fits", ".fit", ".fts")


def open_source(path: Path | str) -> Source:
    """Open a wide table: Parquet, FITS, ECSV, CSV or HATS, by what is there.

    Raises `FileFormatError` if it cannot be read, or has no rows or repeated columns.
    """
    path = Path(path)
    if is_hats(path):
        source = open_hats(path)
    elif path.is_file():
        source = _of_file(path)
    else:
        raise FileFormatError(
            f"Expected a table at {str(path)!r}; got no file there, nor the folder "
            "of a HATS catalogue. Check the path."
        )
    if source.num_rows == 0:
        raise FileFormatError(
            f"Expected rows in {str(path)!r}; got none. Give a table of objects."
        )
    return source


def _of_file(path: Path) -> Source:
    with path.open("rb") as file:
        start = file.read(9)
    if start.startswith(b"PAR1"):
        return _parquet(path)
    if start.startswith(b"SIMPLE  =") or path.suffix.lower() in FITS_SUFFIXES:
        return _fits(path)
    table = read_table(path)
    return Source(
        path,
        path.stat().st_size,
        table.num_rows,
        tuple(table.columns),
        lambda low, high: _rows(table, low, high),
    )


def _rows(table: RawTable, low: int, high: int) -> RawTable:
    return replace(
        table, columns={name: cells[low:high] for name, cells in table.columns.items()}
    )


def _parquet(path: Path) -> Source:
    rows = ParquetRows([path])
    names = tuple(rows.schema.names)
    return Source(path, path.stat().st_size, rows.num_rows, names, rows.read)


def _fits(path: Path) -> Source:
    try:
        with fits.open(path, memmap=True) as opened:
            tables = [i for i, unit in enumerate(opened) if _is_table(unit)]
            if not tables:
                raise FileFormatError(
                    f"Expected a table in {str(path)!r}; got images alone. Give a FITS "
                    "table with one row an object."
                )
            number = tables[0]
            names = tuple(opened[number].columns.names)
            units = {c.name: c.unit for c in opened[number].columns if c.unit}
            length = len(opened[number].data)
    except (OSError, VerifyError) as error:
        raise FileFormatError(
            f"Expected FITS in {str(path)!r}; it does not read ({error}). Write it "
            "again."
        ) from error

    def read(low: int, high: int) -> RawTable:
        with fits.open(path, memmap=True) as opened:
            rows = opened[number].data[low:high]
            columns = {n: texts(np.asarray(rows[n]).tolist()) for n in names}
        return RawTable(columns, dict(units))

    return Source(path, path.stat().st_size, length, names, read)


def _is_table(unit: object) -> bool:
    return isinstance(unit, fits.BinTableHDU | fits.TableHDU)
