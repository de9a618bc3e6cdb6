"""What is made of a piece of a table: one row of posterior for each of its rows."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import jax.random as jr
import numpy as np
import pyarrow as pa
from jaxtyping import Array, Key

from grainlight.catalog.source import Piece, Source, names_of, numbered
from grainlight.catalog.summary import (
    LISTS,
    describe_belonging,
    describe_certificate,
    nothing,
)
from grainlight.catalog.worker import Worker
from grainlight.core import GrainlightError, RangeError
from grainlight.photometry import Observation, read_rows
from grainlight.photometry.tables import RawTable
from grainlight.sampling.fit import check_observation

STATUS = "status"


@dataclass(frozen=True, eq=False)
class PieceMaker:
    """Makes the results of pieces, of several at a time if several threads ask.

    Attributes:
        seed: Seed of every random number.
        worker: What fits the rows.
        source: The table.
        reading: What `read_rows` is told.
    """

    seed: int
    worker: Worker
    source: Source
    reading: dict[str, Any]

    def make(self, piece: Piece) -> pa.Table:
        """The results of a piece; they depend on nothing that was made before."""
        key = jr.fold_in(jr.key(self.seed), piece.number)
        raw = self.source.read(piece.low, piece.high)
        table = _fit_rows(key, self.worker, raw, piece.low, self.reading)
        if self.source.kept is None:
            return table
        kept = self.source.kept(piece.low, piece.high)
        new = [name for name in kept.column_names if name not in table.column_names]
        for place, name in enumerate(new, start=2):
            table = table.add_column(place, name, kept[name])
        return table


def status_counts(table: pa.Table) -> Counter[str]:
    """How many rows of some results ended how."""
    return Counter(table[STATUS].to_pylist())


def _fit_rows(
    key: Key[Array, ""],
    worker: Worker,
    piece: RawTable,
    low: int,
    reading: dict[str, Any],
) -> pa.Table:
    """The result of some rows as a table, in their order."""
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
