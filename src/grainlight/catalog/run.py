"""A table of any length: a posterior, a status and a verdict for every row.

Rows are read, fitted and written in pieces of one size, each a Parquet file that
appears whole: memory does not grow with the table, programs are compiled once, and the
same call goes on after a kill. A bad row has a status and a message; it stops nothing.
"""

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Array, Key

from grainlight.catalog.summary import (
    LISTS,
    describe_belonging,
    describe_certificate,
    nothing,
)
from grainlight.catalog.tables import Source, names_of, numbered
from grainlight.catalog.worker import CatalogSettings, Worker
from grainlight.core import GrainlightError, OutputExistsError, RangeError
from grainlight.datasets.shards import is_whole, shard_path, write_table
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import Observation, read_rows
from grainlight.sampling.fit import check_observation

STATEMENT = "catalog.json"
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
) -> CatalogRun:
    """Fit every row of a wide table; the same call goes on where it was interrupted.

    Args:
        seed: Seed of every random number.
        model: A trained model.
        source: The table.
        out: Folder of the results.
        settings: How it is done.
        reading: What `read_rows` is told: unit, redshift and the like.
        progress: Called with the rows finished and their number.

    Raises:
        OutputExistsError: The folder holds results of another table, seed or setting.
    """
    settings = settings or CatalogSettings()
    folder, reading = Path(out), dict(reading or {})
    stated = _statement(seed, model, source, settings, reading)
    worker = Worker(model, settings, len(source.columns))
    _open_folder(folder, stated)
    counts: Counter[str] = Counter()
    for number, (low, high) in enumerate(source.pieces(settings.rows)):
        if not is_whole(folder, number, high - low):
            key = jr.fold_in(jr.key(seed), number)
            table = _fit_piece(key, worker, source, low, high, reading)
            write_table(shard_path(folder, number), table)
        counts.update(_statuses(shard_path(folder, number)))
        if progress is not None:
            progress(high, source.num_rows)
    return CatalogRun(folder, source.num_rows, dict(counts))


def _statuses(path: Path) -> list[str]:
    return pq.read_table(path, columns=["status"])["status"].to_pylist()


def _fit_piece(
    key: Key[Array, ""],
    worker: Worker,
    source: Source,
    low: int,
    high: int,
    reading: dict[str, Any],
) -> pa.Table:
    """The result of some rows as a table, in their order."""
    piece = source.read(low, high)
    read = read_rows(numbered(piece, low), **reading)
    rows: dict[int, dict[str, Any]] = {}
    for name, why in read.failures.items():
        rows[int(name)] = {"status": "unusable", "message": why}
    sound: dict[int, Observation] = {}
    for observation in read.observations:
        number = int(observation.name)
        try:
            check_observation(worker.model, observation)
            sound[number] = _finite(observation.dereddened())
        except GrainlightError as error:
            outside = isinstance(error, RangeError)
            status = "outside" if outside else "unusable"
            rows[number] = {"status": status, "message": str(error)}
    if sound:
        fitted = worker.fit_rows(key, list(sound.values()))
        rows |= dict(zip(sound, fitted, strict=True))
    blank = _blank(worker)
    table = [
        {"row": low + i, "object": name, **blank, **rows[low + i]}
        for i, name in enumerate(names_of(piece, low))
    ]
    return pa.Table.from_pylist(table, schema=_schema(worker))


def _finite(observation: Observation) -> Observation:
    """The observation; raises `RangeError` if single precision does not hold it."""
    usable = observation.usable
    largest = np.abs([observation.flux[usable], observation.error[usable]]).max()
    if not largest < 1e30:
        raise RangeError(
            f"Expected fluxes and errors below 1e30 nJy; got {largest:g}. Check the "
            "unit."
        )
    return observation


def _blank(worker: Worker) -> dict[str, Any]:
    """A row of which nothing is known."""
    return {
        "message": "",
        "trust": "do not trust",
        "num_detected": 0,
        "num_limits": 0,
        **dict.fromkeys(("chi_squared", "predictive_probability")),
        **{f"dust_temperature_{q}": None for q in ("q16", "q50", "q84")},
        **describe_belonging(None),
        **describe_certificate(None),
        **nothing(worker.target.parameters),
    }


def _schema(worker: Worker) -> pa.Schema:
    texts = ("object", "status", "message", "trust", "rung")
    kinds: dict[str, pa.DataType] = {"row": pa.int64()}
    kinds |= dict.fromkeys(
        ("object", "status", "trust", "rung", "message"), pa.string()
    )
    kinds |= dict.fromkeys(("num_detected", "num_limits"), pa.int32())
    for name in _blank(worker):
        if name not in kinds and name not in texts:
            kinds[name] = pa.float64()
    for name in LISTS:
        kinds[name] = pa.list_(pa.float64())
    return pa.schema(list(kinds.items()))


def _statement(
    seed: int,
    model: ShellModel,
    source: Source,
    settings: CatalogSettings,
    reading: dict[str, Any],
) -> dict[str, Any]:
    """What the results depend on, for the record and for a resumed run."""
    state = source.path.stat()
    return {
        "kind": "catalog",
        "source": {
            "file": str(source.path.resolve()),
            "bytes": state.st_size,
            "num_rows": source.num_rows,
        },
        "reading": {
            name: value for name, value in reading.items() if value is not None
        },
        "model": {"name": model.name, "identity": model.identity},
        "seed": seed,
        "settings": {
            "fit": settings.fit.words(),
            "num_draws": settings.num_draws,
            "rows": settings.rows,
            "method": settings.method,
        },
    }


def _open_folder(folder: Path, stated: dict[str, Any]) -> None:
    """Make the folder, or make sure that it is of the same run."""
    path, text = folder / STATEMENT, json.dumps(stated, indent=1)
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != json.loads(text):
            raise OutputExistsError(
                f"Expected a folder of the same table, model, seed and settings to go "
                f"on; {folder} is of others. Name another folder."
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(
            f"Expected a new folder, or one of `grainlight catalog`; got {folder}, "
            "which holds something else. It was kept. Name another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, path)
