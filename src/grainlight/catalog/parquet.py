"""Rows of Parquet files, any of them, without the files in memory."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grainlight.catalog.source import texts
from grainlight.core import FileFormatError
from grainlight.photometry.tables import RawTable

GROUPS = 2  # row groups that are kept: pieces are often much smaller


class ParquetRows:
    """The rows of files that follow each other; several threads may read.

    Attributes:
        starts: First row of every file, and the number of all.
        schema: Columns that hold one value a row; what is nested is left out.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._groups: list[tuple[Path, int]] = []
        counts, starts = [0], [0]
        for file in files:
            metadata = _metadata(file)
            for group in range(metadata.num_row_groups):
                self._groups.append((file, group))
                counts.append(metadata.row_group(group).num_rows)
            starts.append(starts[-1] + metadata.num_rows)
        self.starts = starts
        self.schema = _flat(_metadata(files[0]).schema.to_arrow_schema())
        self._group_starts = np.cumsum(counts)
        self._lock = Lock()
        self._recent = lru_cache(GROUPS)(self._read_group)

    @property
    def num_rows(self) -> int:
        """All rows."""
        return self.starts[-1]

    def read(self, low: int, high: int) -> RawTable:
        """Rows from the first number up to the second, as texts."""
        columns: dict[str, list[str]] = {name: [] for name in self.schema.names}
        for part in self._parts(low, high):
            for name, cells in columns.items():
                cells += texts(part[name].to_pylist())
        return RawTable(columns)

    def take(self, names: Sequence[str], low: int, high: int) -> pa.Table:
        """Some columns of the same rows, as they are."""
        schema = pa.schema([self.schema.field(name) for name in names])
        parts = [part.select(names).cast(schema) for part in self._parts(low, high)]
        return pa.concat_tables(parts).replace_schema_metadata()

    def _parts(self, low: int, high: int) -> Iterator[pa.Table]:
        starts = self._group_starts
        first = int(np.searchsorted(starts, low, side="right")) - 1
        last = int(np.searchsorted(starts, high, side="left"))
        for number in range(first, last):
            with self._lock:  # else others would read the same again
                group = self._recent(number)
            start, end = int(starts[number]), int(starts[number + 1])
            begin = max(low, start)
            yield group.slice(begin - start, min(high, end) - begin)

    def _read_group(self, number: int) -> pa.Table:
        file, group = self._groups[number]
        names = self.schema.names
        table = pq.ParquetFile(file).read_row_group(group, columns=names)
        missing = set(names) - set(table.column_names)
        if missing:
            raise FileFormatError(
                f"Expected the same columns in all files; got {str(file)!r} without "
                f"{', '.join(sorted(missing))}. Write the catalogue again."
            )
        return table


def _metadata(path: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise FileFormatError(
            f"Expected Parquet in {str(path)!r}; it does not read ({error}). Write it "
            "again."
        ) from error


def _flat(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema if not pa.types.is_nested(field.type)])
