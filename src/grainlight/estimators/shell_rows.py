"""The rows that a shell model is trained on: all in memory, or streamed from disk.

Beyond some number of rows the photometry of the training set is written to disk once,
in random order, and read in blocks. In memory stay one row a parent, for what does not
depend on the redshift, and the validation set.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool
from rich.console import Console
from rich.progress import Progress

from grainlight.datasets import Dataset, Pairs, RowBlocks
from grainlight.photometry import FilterSet

#: Seeds of the redshifts.
TRAIN_SEED, HELD_SEED = 0, 1


@dataclass(frozen=True)
class ShellRows:
    """Rows of a data set for the estimators of a shell model.

    Attributes:
        dataset: Simulated parents.
        filters: Bands of the magnitudes.
        variants: Redshifts of each parent.
        streamed: Whether the rows of the likelihood are read from disk.
        train: Rows to train on; if streamed, one a parent and in one band only.
        held: Rows of the validation set.
    """

    dataset: Dataset
    filters: FilterSet
    variants: int
    streamed: bool
    train: Pairs
    held: Pairs

    @classmethod
    def read(
        cls, dataset: Dataset, filters: FilterSet, *, variants: int, most: int
    ) -> "ShellRows":
        """Read what stays in memory.

        Args:
            dataset: Simulated parents.
            filters: Bands of the magnitudes.
            variants: Redshifts of each parent.
            most: Rows of the data set beyond which they are streamed.
        """
        streamed = variants * dataset.recipe.num_parents > most
        train = dataset.pairs(
            filters.subset(filters.names[:1]) if streamed else filters,
            split="train",
            variants=1 if streamed else variants,
            seed=TRAIN_SEED,
        )
        held = dataset.pairs(
            filters, split="validation", variants=variants, seed=HELD_SEED
        )
        return cls(dataset, filters, variants, streamed, train, held)

    def likelihood(
        self, cache: Path, *, block_size: int, progress: bool = False
    ) -> tuple[Array, Array, Array] | RowBlocks:
        """Rows to train the likelihood on.

        Args:
            cache: Folder where streamed rows are written, or were.
            block_size: Rows of a block of them.
            progress: Whether to show a bar while they are written.
        """
        if not self.streamed:
            return likelihood_data(self.train)
        with _bar(progress) as advance:
            rows = self.dataset.write_rows(
                cache,
                self.filters,
                split="train",
                variants=self.variants,
                seed=TRAIN_SEED,
                progress=advance,
            )
        return replace(rows, block_size=min(block_size, rows.num_rows))


def sample_rows(rows: tuple[Array, ...] | RowBlocks) -> tuple[Array | np.ndarray, ...]:
    """Rows to standardize on: all, or the first block of those in random order."""
    return rows if isinstance(rows, tuple) else rows.block(0)


def count_rows(rows: tuple[Array, ...] | RowBlocks) -> int:
    """Rows of a training set, in memory or not."""
    return len(rows[0]) if isinstance(rows, tuple) else rows.num_rows


def likelihood_data(pairs: Pairs) -> tuple[Array, Array, Array]:
    """Columns of the likelihood's loss."""
    return (
        jnp.asarray(pairs.theta, jnp.float32),
        jnp.asarray(pairs.condition, jnp.float32),
        jnp.asarray(pairs.x, jnp.float32),
    )


def outcome_data(pairs: Pairs) -> tuple[Array, Array, Array]:
    """Columns of the emulator's loss: one row a parent that has any dust left."""
    _, first = np.unique(pairs.parent, return_index=True)
    first = first[np.isfinite(pairs.outcomes["dust_temperature"][first])]
    log_temperature = np.log10(pairs.outcomes["dust_temperature"][first])
    return (
        jnp.asarray(pairs.theta[first], jnp.float32),
        jnp.zeros((len(first), 0), jnp.float32),
        jnp.asarray(log_temperature[:, None], jnp.float32),
    )


def density_data(pairs: Pairs, prior: Bool[np.ndarray, " object"]) -> tuple[Array]:
    """Scaled thesis parameters of the parents drawn from one prior."""
    prior = prior & np.isfinite(pairs.outcomes["dust_temperature"])
    _, first = np.unique(pairs.parent[prior], return_index=True)
    theta = pairs.theta[prior][first]
    temperature = np.log10(pairs.outcomes["dust_temperature"][prior][first])
    columns = [theta[:, :3], temperature[:, None], theta[:, 3:5]]
    return (jnp.asarray(np.concatenate(columns, axis=1), jnp.float32),)


@contextmanager
def _bar(shown: bool) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("writing rows", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
