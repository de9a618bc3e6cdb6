"""Work that several threads of this process share.

Compiled programs run outside the interpreter's lock, and all threads use the same ones.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from grainlight.core import ClusterError

#: What XLA must be told before it starts. Batched triangular solves of jaxlib 0.10
#: wait, in a thread of XLA's pool, for other threads of it: programs that run at the
#: same time can wait for each other for ever.
ALONE = "--xla_cpu_multi_thread_eigen=false"
FLAGS = "XLA_FLAGS"
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class _Answer:
    """What a thread made of an item, or why it could not."""

    item: Any
    made: Any = None
    error: BaseException | None = None


def run_alone() -> None:
    """Have compiled programs use their own thread alone, if XLA has not started."""
    given = os.environ.get(FLAGS, "")
    if ALONE not in given:
        os.environ[FLAGS] = f"{given} {ALONE}".strip()


def check_alone() -> None:
    """Raise `ClusterError` if programs of several threads may block each other."""
    given = os.environ.get(FLAGS, "")
    if ALONE not in given:
        raise ClusterError(
            f"Expected {ALONE} in the environment's {FLAGS} for several threads; got "
            f"{given!r}. Set it before JAX starts, or use the processes of Dask, or "
            "one worker."
        )


def work_in_threads(
    make: Callable[[Item], Made],
    items: Iterable[Item],
    workers: int,
    take: Callable[[Item, Made], None],
) -> None:
    """Make something of every item in threads, and take it in this one.

    There are never more items underway than threads, so that memory does not grow with
    their number. After an error, what is underway is awaited, and nothing more is
    begun. An interrupt waits for nothing: what is underway is not taken any more.

    Args:
        make: What is done with an item, several at a time.
        items: Asked for one by one, when a thread is free.
        workers: Threads.
        take: What is done with an item and what was made of it, one at a time.
    """
    asked: SimpleQueue[Item | None] = SimpleQueue()
    answers: SimpleQueue[_Answer] = SimpleQueue()
    threads = [
        Thread(target=_labor, args=(make, asked, answers)) for _ in range(workers)
    ]
    try:
        for thread in threads:
            thread.start()
        _hand_out(asked, answers, iter(items), workers, take)
    except Exception:
        _dismiss(asked, threads, wait=True)
        raise
    except BaseException:
        _dismiss(asked, threads, wait=False)
        raise
    _dismiss(asked, threads, wait=True)


def _hand_out(
    asked: SimpleQueue,
    answers: SimpleQueue,
    items: Iterator[Item],
    workers: int,
    take: Callable[[Item, Made], None],
) -> None:
    underway = 0
    for item in islice(items, workers):
        asked.put(item)
        underway += 1
    while underway:
        answer = answers.get()
        underway -= 1
        if answer.error is not None:
            raise answer.error
        for item in islice(items, 1):
            asked.put(item)
            underway += 1
        take(answer.item, answer.made)


def _labor(make: Callable, asked: SimpleQueue, answers: SimpleQueue) -> None:
    """Work until told to stop; errors are for the one who asked."""
    while (item := asked.get()) is not None:
        try:
            answers.put(_Answer(item, make(item)))
        except BaseException as error:
            answers.put(_Answer(item, error=error))


def _dismiss(asked: SimpleQueue, threads: list[Thread], *, wait: bool) -> None:
    for _ in threads:
        asked.put(None)
    for thread in threads:
        if wait and thread.ident is not None:  # else it was never begun
            thread.join()
