"""The state of an unfinished training run, on disk after every epoch."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key, PyTree

from grainlight.core import ModelError
from grainlight.estimators.arrays import (
    fill_arrays,
    named_arrays,
    read_arrays,
    write_arrays,
)
from grainlight.estimators.settings import TrainingRecord, TrainingSettings

CHECKPOINT = "checkpoint.npz"


@dataclass
class Checkpoint:
    """Everything a run needs to go on.

    Attributes:
        state: Weights and optimizer state after the last epoch.
        best: Weights with the least validation loss.
        record: History so far.
    """

    state: PyTree
    best: PyTree
    record: TrainingRecord


def _identity(
    key: Key[Array, ""], settings: TrainingSettings, feed: dict[str, Any] | None
) -> dict[str, Any]:
    saved = settings.to_json()
    saved.pop("time_limit_s")
    words = {"key": np.asarray(jr.key_data(key)).tolist(), "settings": saved}
    return words | {"feed": feed}


def save_checkpoint(
    folder: Path,
    key: Key[Array, ""],
    settings: TrainingSettings,
    checkpoint: Checkpoint,
    feed: dict[str, Any] | None = None,
) -> None:
    """Write the run's state into `folder`, in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = named_arrays(checkpoint.state, "state/")
    arrays |= named_arrays(checkpoint.best, "best/")
    words = _identity(key, settings, feed) | {"record": checkpoint.record.to_json()}
    arrays["words"] = np.array(json.dumps(words))
    write_arrays(folder / CHECKPOINT, arrays)
    log = folder / "training.json"
    log.write_text(json.dumps(checkpoint.record.to_json(), indent=1))


def load_checkpoint(
    folder: Path,
    key: Key[Array, ""],
    settings: TrainingSettings,
    blank: Checkpoint,
    feed: dict[str, Any] | None = None,
) -> Checkpoint | None:
    """Read the state of a run; none if the folder holds no checkpoint.

    Raises `ModelError` if the checkpoint belongs to another key, other settings (the
    time limit may change), rows that were fed in another way, or another architecture.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    arrays = read_arrays(path)
    words = json.loads(str(arrays.pop("words", "{}")))
    expected = _identity(key, settings, feed)
    for part, value in expected.items():
        if words.get(part) != value:
            raise ModelError(
                f"Expected a checkpoint with the {part} {value}; {path} has "
                f"{words.get(part)}. Train in another folder, or delete that file."
            )
    return dataclasses.replace(
        blank,
        state=fill_arrays(blank.state, arrays, "state/"),
        best=fill_arrays(blank.best, arrays, "best/"),
        record=TrainingRecord.from_json(words["record"]),
    )
