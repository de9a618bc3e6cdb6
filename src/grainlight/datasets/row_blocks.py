"""Rows of a training set on disk, in random order, read a block at a time."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from grainlight.core import FileFormatError, ParameterError

WORDS, ROWS = "rows.json", "rows.npy"
BLOCK_SIZE = 65_536


@dataclass(frozen=True)
class RowBlocks:
    """Rows that were shuffled when they were written; blocks of them are all alike.

    Attributes:
        folder: Where they are.
        stated: What they are of, as `rows.json` has it.
        columns: Width of each column of a row.
        num_rows: Number of rows.
        block_size: Rows of a block.
    """

    folder: Path
    stated: dict[str, Any]
    columns: tuple[int, ...]
    num_rows: int
    block_size: int

    @classmethod
    def open(cls, folder: Path, *, block_size: int = BLOCK_SIZE) -> "RowBlocks":
        """Open rows that `write_shuffled` has finished.

        Args:
            folder: Where they are.
            block_size: Rows of a block; all rows if there are fewer.

        Raises:
            FileFormatError: There are none, unfinished ones, or a broken file.
        """
        if block_size < 1:
            raise ParameterError(
                f"Expected blocks of one row or more; got {block_size}. Raise it."
            )
        folder = Path(folder)
        try:
            words = json.loads((folder / WORDS).read_text())
            columns = tuple(int(width) for width in words["columns"].values())
            shape = (int(words["num_rows"]), sum(columns))
            stored = np.load(folder / ROWS, mmap_mode="r", allow_pickle=False)
            if stored.shape != shape or stored.dtype != np.float32:
                raise ValueError(f"{stored.dtype} rows of shape {stored.shape}")
            stated = words["stated"]
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise FileFormatError(
                f"Expected finished rows in {folder}; got {type(error).__name__}: "
                f"{error}. Delete that folder and write them again."
            ) from error
        return cls(folder, stated, columns, shape[0], min(block_size, shape[0]))

    def block(self, start: int) -> tuple[Float32[np.ndarray, "row _"], ...]:
        """The columns of `block_size` rows from a row on; the first follow the last."""
        start %= self.num_rows
        # mapped anew each time, so that pages once read do not stay
        stored = np.load(self.folder / ROWS, mmap_mode="r", allow_pickle=False)
        parts = [stored[start : start + self.block_size]]
        if len(parts[0]) < self.block_size:
            parts.append(stored[: self.block_size - len(parts[0])])
        rows = np.concatenate(parts)
        ends = np.cumsum(self.columns)[:-1]
        return tuple(map(np.ascontiguousarray, np.split(rows, ends, axis=1)))
