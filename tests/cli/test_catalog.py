"""`grainlight catalog`: what it is told reaches the run, and an interrupt ends it."""

import os
import threading
from pathlib import Path

import pytest

from grainlight.catalog import CatalogRun
from grainlight.cli import app
from grainlight.cli import catalog as command


@pytest.fixture
def called(monkeypatch):
    """What the run was told; it vouches for its three rows."""
    told = {}

    def run(*_, **words):
        told.update(words)
        return CatalogRun(Path("out"), 3, {"ok": 3})

    monkeypatch.setenv("XLA_FLAGS", "")  # the command changes it
    monkeypatch.setattr(command, "run_catalog", run)
    monkeypatch.setattr(command, "open_source", lambda path: path)
    monkeypatch.setattr(command.ShellModel, "load", lambda name: name)
    return told


def test_workers_are_threads_or_of_dask(grainlight, called):
    assert grainlight("catalog", "table.csv", "out")[0] == 0
    assert (called["workers"], called["dask"]) == (1, None)
    assert grainlight("catalog", "table.csv", "out", "--workers", "4")[0] == 0
    assert (called["workers"], called["dask"]) == (4, None)
    place = "tcp://node:8786"
    assert grainlight("catalog", "table.csv", "out", "--dask", place)[0] == 0
    assert called["dask"] == place
    assert grainlight("catalog", "table.csv", "out", "--workers", "0")[0] == 2


def test_an_interrupt_does_not_wait_for_threads(grainlight, called, monkeypatch):
    hold, ended = threading.Event(), []

    def interrupted(*_, **__):
        threading.Thread(target=hold.wait, args=(60,)).start()
        raise KeyboardInterrupt

    def end(status):
        ended.append(status)
        raise SystemExit(status)

    monkeypatch.setattr(command, "run_catalog", interrupted)
    monkeypatch.setattr(os, "_exit", end)
    status, _, words = grainlight("catalog", "table.csv", "out")
    hold.set()
    assert status == 130
    assert ended == [130]
    assert "go on when the same command is given again" in words


def test_an_interrupt_without_threads_ends_as_usual(grainlight, called, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_catalog", interrupted)
    monkeypatch.setattr(os, "_exit", lambda status: pytest.fail("it need not"))
    monkeypatch.setattr(app.threading, "enumerate", lambda: [threading.main_thread()])
    assert grainlight("catalog", "table.csv", "out")[0] == 130
