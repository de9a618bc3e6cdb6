"""What an epoch feeds to the compiled steps: all rows at once, or blocks of them.

A block has the same number of rows as any other, so that nothing is compiled twice. Its
batches are drawn from it alone, so the rows on disk must be in random order. Each epoch
begins at another row, takes the blocks from there on in random order, around the end to
the beginning, and shuffles the rows of each. The rows left over, fewer than a block,
are other ones in every epoch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Int, Key

from grainlight.core import ParameterError
from grainlight.estimators.settings import TrainingSettings

LARGEST_START = 2**31 - 1


@runtime_checkable
class BlockSource(Protocol):
    """Shuffled rows that are read a block at a time, such as `datasets.RowBlocks`."""

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def block_size(self) -> int:
        """Rows of every block, not more than there are."""
        ...

    def block(self, start: int) -> tuple[np.ndarray, ...]:
        """Columns of `block_size` rows from a row on; the first follow the last."""
        ...


class Call(NamedTuple):
    """What one compiled call is given: rows, and which of them each step takes."""

    data: tuple[Array, ...]
    indices: Int[Array, "step sim"]


class AbstractFeed(ABC):
    """Rows that training takes its batches from."""

    @abstractmethod
    def num_calls(self, settings: TrainingSettings) -> int:
        """Compiled calls of an epoch."""

    @abstractmethod
    def num_steps(self, settings: TrainingSettings) -> int:
        """Steps of an epoch."""

    @abstractmethod
    def calls(self, key: Key[Array, ""], settings: TrainingSettings) -> Iterator[Call]:
        """The calls of an epoch; the same key gives the same."""

    @property
    @abstractmethod
    def stated(self) -> dict[str, Any] | None:
        """What a checkpoint says of how the rows are fed, if anything."""


class WholeFeed(AbstractFeed):
    """Arrays on the device, shuffled as a whole."""

    def __init__(self, data: tuple[Array, ...]) -> None:
        self.data = tuple(jnp.asarray(column) for column in data)

    def num_calls(self, settings: TrainingSettings) -> int:
        return _shape(len(self.data[0]), settings)[0]

    def num_steps(self, settings: TrainingSettings) -> int:
        num_calls, num_steps, _ = _shape(len(self.data[0]), settings)
        return num_calls * num_steps

    def calls(self, key: Key[Array, ""], settings: TrainingSettings) -> Iterator[Call]:
        for indices in batch_indices(key, len(self.data[0]), settings):
            yield Call(self.data, indices)

    @property
    def stated(self) -> None:
        return None


class BlockFeed(AbstractFeed):
    """Blocks of rows, one on the device and one on its way there."""

    def __init__(self, source: BlockSource) -> None:
        if not 1 <= source.block_size <= source.num_rows:
            raise ParameterError(
                f"Expected blocks of one row up to all {source.num_rows}; got "
                f"{source.block_size}. Choose another size of blocks."
            )
        self.source = source

    @property
    def num_blocks(self) -> int:
        """Blocks of an epoch."""
        return self.source.num_rows // self.source.block_size

    def num_calls(self, settings: TrainingSettings) -> int:
        return self.num_blocks * _shape(self.source.block_size, settings)[0]

    def num_steps(self, settings: TrainingSettings) -> int:
        num_calls, num_steps, _ = _shape(self.source.block_size, settings)
        return self.num_blocks * num_calls * num_steps

    def calls(self, key: Key[Array, ""], settings: TrainingSettings) -> Iterator[Call]:
        size, total = self.source.block_size, self.source.num_rows
        start_key, block_key, row_key = jr.split(key, 3)
        start = int(jr.randint(start_key, (), 0, min(total, LARGEST_START)))
        for number in np.asarray(jr.permutation(block_key, self.num_blocks)).tolist():
            columns = self.source.block((start + number * size) % total)
            data = tuple(jnp.asarray(column) for column in columns)
            del columns
            for indices in batch_indices(jr.fold_in(row_key, number), size, settings):
                yield Call(data, indices)

    @property
    def stated(self) -> dict[str, Any]:
        return {"num_rows": self.source.num_rows, "block_size": self.source.block_size}


def make_feed(data: tuple[Array, ...] | BlockSource) -> AbstractFeed:
    """The feed of a training set, in memory or not."""
    return WholeFeed(data) if isinstance(data, tuple) else BlockFeed(data)


def _shape(total: int, settings: TrainingSettings) -> tuple[int, int, int]:
    """Calls, steps of a call and rows of a step that some rows give."""
    size = min(settings.batch_size, total)
    num_steps = total // size
    num_calls = -(-num_steps // settings.steps_per_call)
    return num_calls, num_steps // num_calls, size


def batch_indices(
    key: Key[Array, ""], total: int, settings: TrainingSettings
) -> Int[Array, "call step sim"]:
    """Rows of every step, in random order.

    All calls have as many steps as one another, so that one compilation serves; the few
    rows left over are other ones in every epoch.
    """
    shape = _shape(total, settings)
    return jr.permutation(key, total)[: int(np.prod(shape))].reshape(shape)
