"""Tables for runs of many pieces, and fits that take no time."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import jax.random as jr
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grainlight.catalog import processes
from grainlight.catalog.worker import Worker
from grainlight.estimators.shell_model import ShellModel
from grainlight.simulators import SHELL_PARAMETERS

BANDS = ("F560W", "F1000W", "F2100W")


@pytest.fixture(scope="session")
def amortized_model(amortized_model_folder):
    return ShellModel.load(amortized_model_folder)


def objects(number):
    """Columns of objects of which every fifth has no flux."""
    table = {"object": [f"SN {i}" for i in range(number)]}
    table["redshift"] = [0.002] * number
    broken = np.arange(number) % 5 == 4
    for band, flux in zip(BANDS, (6.0, 58.0, 120.0), strict=True):
        table[f"{band}_ujy"] = np.where(broken, np.nan, flux).tolist()
        table[f"{band}_err_ujy"] = [0.05 * flux] * number
    return table


@pytest.fixture
def columns_of():
    return objects


@pytest.fixture
def table_path(tmp_path):
    """A table of 23 objects, in row groups of other sizes than pieces."""
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table(objects(23)), path, row_group_size=6)
    return path


@pytest.fixture
def quick_fits(monkeypatch):
    """Fits that draw a dust mass for every row from the key of its piece.

    What all pieces share is there, but for the likelihood, which takes its time.
    """

    def set_up(self, model, settings, num_bands):
        self.model, self.settings = model, settings
        self.target = SimpleNamespace(parameters=SHELL_PARAMETERS)

    def fit_rows(self, key, observations):
        masses = np.asarray(jr.uniform(key, (len(observations),)), float)
        return [{"status": "ok", "dust_mass_q50": float(mass)} for mass in masses]

    monkeypatch.setattr(Worker, "__init__", set_up)
    monkeypatch.setattr(Worker, "fit_rows", fit_rows)


@pytest.fixture
def in_threads(monkeypatch):
    """Threads in the place of processes, which see the quick fits."""

    @contextmanager
    def few(workers):
        with ThreadPoolExecutor(workers) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    monkeypatch.setattr(processes, "worker_processes", few)


@pytest.fixture
def files_of():
    """The bytes of every piece of a run, by its name."""

    def read(folder):
        return {p.name: p.read_bytes() for p in sorted(folder.glob("shard-*"))}

    return read
