"""A run that the worker processes of a Dask cluster share.

A task is a piece and an `Order`, plain values both. A process loads model and table
once, and writes its pieces, each whole or not at all, to the folder that all see.
"""

import importlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import jax

from grainlight.catalog.pieces import PieceMaker, status_counts
from grainlight.catalog.source import Piece, Source
from grainlight.catalog.statement import STATEMENT, state
from grainlight.catalog.tables import open_source
from grainlight.catalog.worker import CatalogSettings, Worker
from grainlight.core import ClusterError
from grainlight.datasets.shards import shard_path, write_table
from grainlight.estimators.files import is_saved
from grainlight.estimators.shell_model import ShellModel

LOCAL = "local"
SPARE = 8  # pieces that wait at the scheduler, so that no worker does
_loading = Lock()


@dataclass(frozen=True)
class Order:
    """What a process must know to make any piece of a run.

    Attributes:
        stated: What the results depend on, as it stands in their folder.
        folder: The folder.
        seed: Seed of every random number.
        model: Folder of the model, or name of a packaged one.
        source: The table.
        settings: How it is done.
        reading: What `read_rows` is told.
        is_double: Whether JAX computes in double precision.
        programs: Where compiled programs are kept, if processes of this machine may.
    """

    stated: str
    folder: Path
    seed: int = field(compare=False)
    model: str = field(compare=False)
    source: Path = field(compare=False)
    settings: CatalogSettings = field(compare=False)
    reading: dict[str, Any] = field(compare=False)
    is_double: bool
    programs: str | None = None

    @classmethod
    def of(
        cls,
        stated: dict[str, Any],
        seed: int,
        model: ShellModel,
        source: Source,
        folder: Path,
        settings: CatalogSettings,
        reading: dict[str, Any],
    ) -> "Order":
        """The order of a run; its paths are absolute."""
        place = Path(model.name)
        is_own = is_saved(place)
        return cls(
            json.dumps(stated),
            folder.resolve(),
            seed,
            str(place.resolve()) if is_own else model.name,
            source.path.resolve(),
            settings,
            reading,
            bool(jax.config.jax_enable_x64),
            jax.config.jax_compilation_cache_dir,
        )


def finish_on_cluster(
    address: str,
    order: Order,
    pieces: Iterator[Piece],
    workers: int,
    count: Callable[[Piece, Mapping[str, int]], None],
) -> None:
    """Have every piece made and written by the workers of a Dask cluster.

    There are never more tasks than twice the threads of the cluster, and a few. After
    an error or an interrupt, what waits is taken back; what runs at workers of others
    is finished there, or lost: either way a rerun goes on.

    Args:
        address: Of the scheduler; `local` starts processes here.
        order: What they must know.
        pieces: Asked for as there is room.
        workers: Processes to start, if they are started here.
        count: Called with every piece that is written and its counts of statuses.
    """
    distributed = _dask()
    if address != LOCAL:
        order = replace(order, programs=None)
    underway: dict[Any, Piece] = {}
    with _client(distributed, address, workers) as client:
        finished = distributed.as_completed(loop=client.loop)

        def fill() -> None:
            room = 2 * sum(client.nthreads().values()) + SPARE - len(underway)
            for piece in islice(pieces, max(room, 0)):
                # impure: what an earlier run was answered does not count
                task = client.submit(finish_piece, order, piece, pure=False)
                underway[task] = piece
                finished.add(task)

        try:
            fill()
            for task in finished:
                count(underway.pop(task), task.result())
                fill()
        except distributed.KilledWorker as error:
            raise ClusterError(
                f"Expected workers that live; some died again and again ({error}). See "
                "their logs; often the memory was too small: give --rows a smaller "
                "number."
            ) from error
        finally:
            client.cancel(list(underway))


@contextmanager
def _client(distributed: ModuleType, address: str, workers: int) -> Iterator[Any]:
    """A client of a cluster, one started here if it is to be local."""
    if address == LOCAL:
        started = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=None,  # pieces bound it
            dashboard_address=None,
        )
        with started, distributed.Client(started, set_as_default=False) as client:
            yield client
        return
    try:
        client = distributed.Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"Expected a Dask scheduler at {address!r}; none answered ({error}). Start "
            "one by `dask scheduler`, or give `local`."
        ) from error
    with client:
        yield client


def _dask() -> ModuleType:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ClusterError(
            "Expected Dask for a cluster; it is not installed. Run "
            "`pip install grainlight[dask]`, or use processes here: --workers."
        ) from error


def finish_piece(order: Order, piece: Piece) -> dict[str, int]:
    """Make and write a piece on a worker; gives how many rows ended how."""
    with _loading:
        maker = _maker(order)
    table = maker.make(piece)
    write_table(shard_path(order.folder, piece.number), table)
    return dict(status_counts(table))


@lru_cache(maxsize=1)
def _maker(order: Order) -> PieceMaker:
    """What makes the pieces of a run, loaded once a process."""
    if not (order.folder / STATEMENT).is_file():
        raise ClusterError(
            f"Expected the folder {order.folder} to be there for every worker; one on "
            f"{platform.node()} does not see it. Name a folder that all share."
        )
    if order.programs is not None:
        jax.config.update("jax_compilation_cache_dir", order.programs)
    model, source = ShellModel.load(order.model), open_source(order.source)
    found = state(order.seed, model, source, order.settings, order.reading)
    stated = json.loads(order.stated)
    same = found["model"]["identity"] == stated["model"]["identity"]
    for name in ("bytes", "num_rows"):
        same &= found["source"][name] == stated["source"][name]
    if not same or order.is_double != bool(jax.config.jax_enable_x64):
        raise ClusterError(
            "Expected the same model, table and precision at every worker; got others "
            f"on {platform.node()}. Install the same package there, and let all "
            "see the same files."
        )
    worker = Worker(model, order.settings, len(source.columns))
    return PieceMaker(order.seed, worker, source, order.reading)
