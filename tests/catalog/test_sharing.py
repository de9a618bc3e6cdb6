"""Threads and processes that share a run: the same files, whoever makes them."""

import json
import os
import sys
import threading
import time

import jax
import pytest

from grainlight.catalog import CatalogSettings, cluster, open_source, run_catalog
from grainlight.catalog.source import Piece
from grainlight.catalog.threads import ALONE
from grainlight.catalog.worker import Worker
from grainlight.core import ClusterError, RangeError

FEW = CatalogSettings(num_draws=800, rows=4)


@pytest.fixture
def one_thread(amortized_model, table_path, quick_fits, tmp_path, files_of):
    """What a single thread makes of the table."""
    out = tmp_path / "one thread"
    run = run_catalog(1, amortized_model, open_source(table_path), out, FEW)
    assert run.status == {"ok": 19, "unusable": 4}
    return files_of(out)


@pytest.mark.parametrize("workers", [2, 50])
def test_threads_write_the_same_bytes(
    amortized_model, table_path, tmp_path, one_thread, files_of, workers
):
    out, seen = tmp_path / "out", []
    run = run_catalog(
        *(1, amortized_model, open_source(table_path), out, FEW),
        progress=lambda *step: seen.append(step),
        workers=workers,
    )
    assert run.status == {"ok": 19, "unusable": 4}
    assert len(one_thread) == 6
    assert files_of(out) == one_thread
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert seen[-1] == (23, 23)
    # another seed gives other bytes
    other = tmp_path / "other"
    run_catalog(2, amortized_model, open_source(table_path), other, FEW)
    assert files_of(other) != one_thread


def test_an_interrupted_run_of_threads_goes_on(
    amortized_model, table_path, tmp_path, one_thread, files_of, monkeypatch
):
    out, quick = tmp_path / "out", Worker.fit_rows
    source, hold = open_source(table_path), threading.Event()

    def slow(self, key, observations):
        if (out / "shard-00001.parquet").exists():
            hold.wait(60)
        return quick(self, key, observations)

    def interrupt(done, _):
        if done >= 8:
            raise KeyboardInterrupt

    given = (1, amortized_model, source, out, FEW)
    monkeypatch.setattr(Worker, "fit_rows", slow)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_catalog(*given, progress=interrupt, workers=2)
    assert time.monotonic() - start < 30  # it does not wait for those that hold
    left = files_of(out)
    assert 2 <= len(left) < 6
    hold.set()
    time.sleep(0.1)
    assert files_of(out) == left  # what was underway is not written any more
    monkeypatch.setattr(Worker, "fit_rows", quick)
    run_catalog(*given, workers=3)
    assert files_of(out) == one_thread


def test_an_error_in_a_thread_reaches_the_user(
    amortized_model, table_path, tmp_path, quick_fits, monkeypatch
):
    quick = Worker.fit_rows

    def fail(self, key, observations):
        if observations[0].name == "8":
            raise RuntimeError("out of memory")
        return quick(self, key, observations)

    monkeypatch.setattr(Worker, "fit_rows", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        run_catalog(
            *(1, amortized_model, open_source(table_path), tmp_path / "out", FEW),
            workers=2,
        )


def test_workers_that_cannot_be_are_refused(
    amortized_model, table_path, tmp_path, quick_fits, monkeypatch
):
    given = (1, amortized_model, open_source(table_path), tmp_path / "out", FEW)
    with pytest.raises(RangeError, match="one worker or more; got 0"):
        run_catalog(*given, workers=0)
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/tmp")
    with pytest.raises(ClusterError, match="Set it before JAX starts"):
        run_catalog(*given, workers=2)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"grainlight\[dask\]"):
        run_catalog(*given, dask="local")


@pytest.fixture
def scheduler():
    """Address of a scheduler with two workers of two threads in this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_dask_writes_the_same_bytes(
    amortized_model, table_path, tmp_path, one_thread, files_of, scheduler
):
    out, source = tmp_path / "out", open_source(table_path)
    given = (1, amortized_model, source, out, FEW)
    run = run_catalog(*given, dask=scheduler)
    assert run.status == {"ok": 19, "unusable": 4}
    assert files_of(out) == one_thread
    for number in (0, 3):
        (out / f"shard-0000{number}.parquet").unlink()
    seen = []
    run = run_catalog(*given, dask=scheduler, progress=lambda *step: seen.append(step))
    assert seen[-1] == (23, 23)
    assert files_of(out) == one_thread


def test_a_worker_that_sees_something_else_refuses(
    amortized_model, table_path, tmp_path, quick_fits, scheduler, monkeypatch
):
    source = open_source(table_path)
    found = cluster.state(1, amortized_model, source, FEW, {})
    found["model"]["identity"] = "another"
    monkeypatch.setattr(cluster, "state", lambda *_: found)
    with pytest.raises(ClusterError, match="same model, table and precision"):
        run_catalog(
            *(1, amortized_model, source, tmp_path / "out", FEW), dask=scheduler
        )
    order = cluster.Order.of(
        {}, 1, amortized_model, source, tmp_path / "nowhere", FEW, {}
    )
    with pytest.raises(ClusterError, match="does not see it"):
        cluster.finish_piece(order, Piece(0, 0, 4))
    assert json.loads(order.stated) == {}


def test_an_error_at_a_worker_reaches_the_user(
    amortized_model, table_path, tmp_path, quick_fits, scheduler, monkeypatch
):
    def fail(self, key, observations):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Worker, "fit_rows", fail)
    given = (1, amortized_model, open_source(table_path), tmp_path / "out", FEW)
    with pytest.raises(RuntimeError, match="out of memory"):
        run_catalog(*given, dask=scheduler)


@pytest.mark.slow
def test_threads_share_programs_and_local_processes_agree(
    amortized_model, table_path, tmp_path, files_of
):
    if ALONE not in os.environ.get("XLA_FLAGS", ""):
        pytest.skip(f"XLA_FLAGS is not {ALONE}: programs could block each other")
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_comp" in name else None
    )
    source = open_source(table_path)
    pieces = CatalogSettings(num_draws=800, rows=3)
    jax.clear_caches()
    run_catalog(1, amortized_model, source, tmp_path / "one", pieces)
    once = len(compiled)
    jax.clear_caches()
    run_catalog(1, amortized_model, source, tmp_path / "three", pieces, workers=3)
    assert once > 0
    assert len(compiled) == 2 * once
    assert files_of(tmp_path / "three") == files_of(tmp_path / "one")
    pytest.importorskip("distributed")
    out = tmp_path / "processes"
    run_catalog(1, amortized_model, source, out, pieces, workers=2, dask="local")
    assert files_of(out) == files_of(tmp_path / "one")
