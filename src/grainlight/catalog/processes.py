"""A run that several processes of this machine share.

Threads will not do: programs of jaxlib 0.10 that run at the same time wait for each
other for ever, in the batched triangular solves of its thread pool.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice

from grainlight.catalog.cluster import Order, finish_piece
from grainlight.catalog.source import Piece
from grainlight.datasets.workers import worker_processes


def finish_in_processes(
    order: Order,
    pieces: Iterator[Piece],
    workers: int,
    count: Callable[[Piece, Mapping[str, int]], None],
) -> None:
    """Have every piece made and written by fresh processes.

    There are never more than two pieces a process underway or waiting, so that memory
    does not grow with the table. An interrupt waits for nothing: what was underway is
    made again by the next run.

    Args:
        order: What the processes must know.
        pieces: Asked for as there is room.
        workers: Processes.
        count: Called with every piece that is written and its counts of statuses.
    """
    underway: dict[Future[dict[str, int]], Piece] = {}
    with worker_processes(workers) as pool:
        while True:
            for piece in islice(pieces, 2 * workers - len(underway)):
                underway[pool.submit(finish_piece, order, piece)] = piece
            if not underway:
                return
            finished, _ = wait(underway, return_when=FIRST_COMPLETED)
            for task in finished:
                count(underway.pop(task), task.result())
