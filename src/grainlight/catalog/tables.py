"""Wide tables of many objects, read piece by piece.

Parquet and FITS are read a piece at a time, so that any length fits in memory; ECSV and
CSV are read whole. A piece is handed on as texts, for which the readers of photometry
know all habits of writing fluxes, limits and missing values.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.fits.verify import VerifyError

from grainlight.core import FileFormatError
from grainlight.photometry.columns import roles_of
from grainlight.photometry.tables import RawTable, read_table

FITS_SUFFIXES = (".fits", ".fit", ".fts")


@dataclass(frozen=True)
class Source:
    """A table that is there, and how to read some of its rows.

    Attributes:
        path: The file.
        num_rows: Its rows.
        columns: Names of its columns.
        read: Rows from the first number up to the second.
    """

    path: Path
    num_rows: int
    columns: tuple[str, ...]
    read: Callable[[int, int], RawTable]

    def pieces(self, size: int) -> Iterator[tuple[int, int]]:
        """First and last row (not included) of pieces of one size."""
        for start in range(0, self.num_rows, size):
            yield start, min(start + size, self.num_rows)


def open_source(path: Path | str) -> Source:
    """Open a wide table: Parquet, FITS, ECSV or CSV, by what the file is.

    Raises `FileFormatError` if it cannot be read, or has no rows or repeated columns.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(
            f"Expected a table at {str(path)!r}; got no file there. Check the path."
        )
    with path.open("rb") as file:
        start = file.read(9)
    if start.startswith(b"PAR1"):
        source = _parquet(path)
    elif start.startswith(b"SIMPLE  =") or path.suffix.lower() in FITS_SUFFIXES:
        source = _fits(path)
    else:
        table = read_table(path)
        names = tuple(table.columns)
        source = Source(
            path, table.num_rows, names, lambda low, high: _rows(table, low, high)
        )
    if source.num_rows == 0:
        raise FileFormatError(
            f"Expected rows in {str(path)!r}; got none. Give a table of objects."
        )
    return source


def _rows(table: RawTable, low: int, high: int) -> RawTable:
    return replace(
        table, columns={name: cells[low:high] for name, cells in table.columns.items()}
    )


def _parquet(path: Path) -> Source:
    try:
        file = pq.ParquetFile(path)
        names = tuple(file.schema_arrow.names)
    except (pa.ArrowInvalid, OSError) as error:
        raise FileFormatError(
            f"Expected Parquet in {str(path)!r}; it does not read ({error}). Write it "
            "again."
        ) from error
    starts = np.cumsum(
        [0] + [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    )

    def read(low: int, high: int) -> RawTable:
        first = int(np.searchsorted(starts, low, side="right")) - 1
        last = int(np.searchsorted(starts, high, side="left"))
        groups = file.read_row_groups(list(range(first, last)))
        piece = groups.slice(low - int(starts[first]), high - low)
        return RawTable({n: _texts(piece[n].to_pylist()) for n in names})

    return Source(path, file.metadata.num_rows, names, read)


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
            columns = {n: _texts(np.asarray(rows[n]).tolist()) for n in names}
        return RawTable(columns, dict(units))

    return Source(path, length, names, read)


def _is_table(unit: object) -> bool:
    return isinstance(unit, fits.BinTableHDU | fits.TableHDU)


def _texts(values: Sequence[object]) -> list[str]:
    """Cells as a text table has them; nothing for what is not there."""
    return ["" if value is None else str(value).strip() for value in values]


def names_of(table: RawTable, first: int) -> list[str]:
    """The names of the objects of a piece; their row numbers if it has none."""
    roles = roles_of(list(table.columns))
    if "object" not in roles:
        return [str(first + row) for row in range(table.num_rows)]
    cells = table.columns[roles["object"].name]
    return [cell or str(first + row) for row, cell in enumerate(cells)]


def numbered(table: RawTable, first: int) -> RawTable:
    """A piece whose objects are called by their row, so that all names differ."""
    roles = roles_of(list(table.columns))
    name = roles["object"].name if "object" in roles else "object"
    numbers = [str(first + row) for row in range(table.num_rows)]
    return replace(table, columns={**table.columns, name: numbers})
