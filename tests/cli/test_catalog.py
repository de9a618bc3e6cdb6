"""`grainlight catalog`: what it is told reaches the run, and an interrupt ends it."""

from pathlib import Path

import pytest

from grainlight.catalog import CatalogRun
from grainlight.cli import catalog as command


@pytest.fixture
def called(monkeypatch):
    """What the run was told; it vouches for its three rows."""
    told = {}

    def run(*_, **words):
        told.update(words)
        return CatalogRun(Path("out"), 3, {"ok": 3})

    monkeypatch.setattr(command, "run_catalog", run)
    monkeypatch.setattr(command, "open_source", lambda path: path)
    monkeypatch.setattr(command.ShellModel, "load", lambda name: name)
    return told


def test_workers_are_processes_here_or_of_dask(grainlight, called):
    assert grainlight("catalog", "table.csv", "out")[0] == 0
    assert (called["workers"], called["dask"]) == (1, None)
    assert grainlight("catalog", "table.csv", "out", "--workers", "4")[0] == 0
    assert (called["workers"], called["dask"]) == (4, None)
    place = "tcp://node:8786"
    assert grainlight("catalog", "table.csv", "out", "--dask", place)[0] == 0
    assert called["dask"] == place
    assert grainlight("catalog", "table.csv", "out", "--workers", "0")[0] == 2


def test_an_interrupt_says_that_the_run_goes_on(grainlight, called, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_catalog", interrupted)
    status, _, words = grainlight("catalog", "table.csv", "out")
    assert status == 130
    assert "go on when the same command is given again" in words.replace("\n", " ")
