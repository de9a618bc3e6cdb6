"""Processes that share a run: the same files, whoever makes them."""

import json
import sys

import pytest

from grainlight.catalog import CatalogSettings, cluster, open_source, run_catalog
from grainlight.catalog.source import Piece
from grainlight.catalog.worker import Worker
from grainlight.core import ClusterError, RangeError

FEW = CatalogSettings(num_draws=800, rows=4)


@pytest.fixture
def alone(amortized_model, table_path, quick_fits, tmp_path, files_of):
    """What this process makes of the table, alone."""
    out = tmp_path / "alone"
    run = run_catalog(1, amortized_model, open_source(table_path), out, FEW)
    assert run.status == {"ok": 19, "unusable": 4}
    return files_of(out)


@pytest.mark.parametrize("workers", [2, 50])
def test_processes_write_the_same_bytes(
    amortized_model,
    table_path,
    tmp_path,
    alone,
    files_of,
    in_threads,
    workers,
):
    out, seen = tmp_path / "out", []
    run = run_catalog(
        *(1, amortized_model, open_source(table_path), out, FEW),
        progress=lambda *step: seen.append(step),
        workers=workers,
    )
    assert run.status == {"ok": 19, "unusable": 4}
    assert len(alone) == 6
    assert files_of(out) == alone
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert seen[-1] == (23, 23)
    # another seed gives other bytes
    other = tmp_path / "other"
    run_catalog(2, amortized_model, open_source(table_path), other, FEW)
    assert files_of(other) != alone


def test_an_interrupted_run_goes_on(
    amortized_model, table_path, tmp_path, alone, files_of, in_threads
):
    out, source = tmp_path / "out", open_source(table_path)

    def interrupt(done, _):
        if done >= 8:
            raise KeyboardInterrupt

    given = (1, amortized_model, source, out, FEW)
    with pytest.raises(KeyboardInterrupt):
        run_catalog(*given, progress=interrupt, workers=2)
    assert 2 <= len(files_of(out)) < 6 or files_of(out) == alone
    (out / "shard-00003.parquet").unlink(missing_ok=True)
    run_catalog(*given, workers=3)
    assert files_of(out) == alone


def test_an_error_in_a_process_reaches_the_user(
    amortized_model,
    table_path,
    tmp_path,
    quick_fits,
    in_threads,
    monkeypatch,
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
    amortized_model, table_path, tmp_path, alone, files_of, scheduler
):
    out, source = tmp_path / "out", open_source(table_path)
    given = (1, amortized_model, source, out, FEW)
    run = run_catalog(*given, dask=scheduler)
    assert run.status == {"ok": 19, "unusable": 4}
    assert files_of(out) == alone
    for number in (0, 3):
        (out / f"shard-0000{number}.parquet").unlink()
    seen = []
    run = run_catalog(*given, dask=scheduler, progress=lambda *step: seen.append(step))
    assert seen[-1] == (23, 23)
    assert files_of(out) == alone


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
def test_real_fits_are_the_same_whoever_makes_them(
    amortized_model, table_path, tmp_path, files_of
):
    source = open_source(table_path)
    pieces = CatalogSettings(num_draws=800, rows=6)
    run_catalog(1, amortized_model, source, tmp_path / "alone", pieces)
    out = tmp_path / "two"
    run_catalog(1, amortized_model, source, out, pieces, workers=2)
    assert files_of(out) == files_of(tmp_path / "alone")
    pytest.importorskip("distributed")
    out = tmp_path / "dask"
    run_catalog(1, amortized_model, source, out, pieces, workers=2, dask="local")
    assert files_of(out) == files_of(tmp_path / "alone")
