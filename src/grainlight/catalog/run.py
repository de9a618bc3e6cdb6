"""A table of any length: a posterior, a status and a verdict for every row.

Rows are read, fitted and written in pieces of one size, each a Parquet file that
appears whole: memory does not grow with the table, programs are compiled once, and the
same call goes on after a kill. A bad row has a status and a message; it stops nothing.
Pieces depend on each other in nothing, so processes, of this machine or of a Dask
cluster, may share them: the files are the same to the byte.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grainlight.catalog.cluster import Order, finish_on_cluster
from grainlight.catalog.pieces import STATUS, PieceMaker, status_counts
from grainlight.catalog.processes import finish_in_processes
from grainlight.catalog.source import Piece, Source
from grainlight.catalog.statement import open_folder, state
from grainlight.catalog.worker import CatalogSettings, Worker
from grainlight.core import RangeError
from grainlight.datasets.shards import is_whole, shard_path, write_table
from grainlight.estimators.shell_model import ShellModel

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CatalogRun:
    """What became of the rows of a table.

    Attributes:
        folder: Where the pieces are.
        num_rows: Rows of the table.
        status: How many rows ended how.
    """

    folder: Path
    num_rows: int
    status: dict[str, int]

    @property
    def num_failed(self) -> int:
        """Rows without a posterior that can be vouched for."""
        return self.num_rows - self.status.get("ok", 0)

    def __str__(self) -> str:
        words = ", ".join(f"{n} {name}" for name, n in sorted(self.status.items()))
        return f"{self.num_rows} rows: {words}. Results: {self.folder}"


def run_catalog(
    seed: int,
    model: ShellModel,
    source: Source,
    out: Path | str,
    settings: CatalogSettings | None = None,
    *,
    reading: dict[str, Any] | None = None,
    progress: Progress | None = None,
    workers: int = 1,
    dask: str | None = None,
) -> CatalogRun:
    """Fit every row of a wide table; the same call goes on where it was interrupted.

    The results do not depend on who makes them. What JAX is told by a `with` statement
    does not reach other processes, and a script that starts some must do so below
    `if __name__ == "__main__"`.

    Args:
        seed: Seed of every random number.
        model: A trained model.
        source: The table.
        out: Folder of the results.
        settings: How it is done.
        reading: What `read_rows` is told: unit, redshift and the like.
        progress: Called with the rows finished and their number.
        workers: Pieces that are worked on at a time; two or more each by a process of
            its own, which loads the model from where it was loaded.
        dask: Address of a Dask scheduler whose workers do it instead; they must see
            the same folders. `local` starts `workers` processes here.

    Raises:
        OutputExistsError: The folder holds results of another table, seed or setting.
        ClusterError: Workers are not there, or see another table or model.
    """
    if workers < 1:
        raise RangeError(
            f"Expected one worker or more; got {workers}. As many as there are "
            "processors serve well."
        )
    settings = settings or CatalogSettings()
    folder, reading = Path(out), dict(reading or {})
    stated = state(seed, model, source, settings, reading)
    worker = Worker(model, settings, len(source.columns))
    open_folder(folder, stated)
    tally = _Tally(folder, source.num_rows, progress)
    pieces = tally.unfinished(source.pieces(settings.rows))
    order = Order.of(stated, seed, model, source, folder, settings, reading)
    if dask is not None:
        finish_on_cluster(dask, order, pieces, workers, tally.count)
    elif workers > 1:
        finish_in_processes(order, pieces, workers, tally.count)
    else:
        make = PieceMaker(seed, worker, source, reading).make
        for piece in pieces:
            tally.write(piece, make(piece))
    return CatalogRun(folder, source.num_rows, dict(tally.status))


class _Tally:
    """Which pieces are finished, and how their rows ended."""

    def __init__(self, folder: Path, num_rows: int, progress: Progress | None) -> None:
        self.status: Counter[str] = Counter()
        self._folder = folder
        self._num_rows = num_rows
        self._progress = progress

    def unfinished(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Those that are not there yet; the others are counted."""
        for piece in pieces:
            path = shard_path(self._folder, piece.number)
            if is_whole(self._folder, piece.number, piece.num_rows):
                self.count(piece, status_counts(pq.read_table(path, columns=[STATUS])))
            else:
                yield piece

    def write(self, piece: Piece, table: pa.Table) -> None:
        """Write what was made of a piece, and count it."""
        write_table(shard_path(self._folder, piece.number), table)
        self.count(piece, status_counts(table))

    def count(self, piece: Piece, status: Mapping[str, int]) -> None:
        """Count a piece that is written."""
        self.status.update(status)
        if self._progress is not None:
            self._progress(self.status.total(), self._num_rows)
