"""Processes that share work, ended at once if it is interrupted."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def worker_processes(workers: int) -> Iterator[Executor]:
    """Fresh processes; an interrupt does not wait for what they do.

    What they write must be written whole or not at all. After an error, what runs
    is awaited, and nothing more is begun.
    """
    # threads of compiled code do not survive a fork: start fresh processes
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            yield pool
        except Exception:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        except BaseException:
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
