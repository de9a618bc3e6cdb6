"""A wide table that is there, of which any rows can be read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from grainlight.photometry.columns import roles_of
from grainlight.photometry.tables import RawTable


@dataclass(frozen=True)
class Piece:
    """Some rows of a table, which are fitted and written together.

    Attributes:
        number: Which piece it is.
        low: Its first row.
        high: The row after its last.
    """

    number: int
    low: int
    high: int

    @property
    def num_rows(self) -> int:
        """Its rows."""
        return self.high - self.low


@dataclass(frozen=True)
class Source:
    """A table that is there, and how to read some of its rows.

    Several threads may read at a time.

    Attributes:
        path: The file, or the folder of a HATS catalogue.
        num_bytes: Its size.
        num_rows: Its rows.
        columns: Names of its columns.
        read: Rows from the first number up to the second.
        kept: Columns of the same rows that the results take over, if there are such.
    """

    path: Path
    num_bytes: int
    num_rows: int
    columns: tuple[str, ...]
    read: Callable[[int, int], RawTable]
    kept: Callable[[int, int], pa.Table] | None = None

    def pieces(self, size: int) -> Iterator[Piece]:
        """All rows in pieces of one size; the last may have fewer."""
        for number, start in enumerate(range(0, self.num_rows, size)):
            yield Piece(number, start, min(start + size, self.num_rows))


def texts(values: Sequence[object]) -> list[str]:
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
