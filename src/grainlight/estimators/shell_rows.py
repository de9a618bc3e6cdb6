"""The rows that a shell model is trained on: all in memory, or streamed from disk.

Beyond some number of rows the photometry of the training set is written to disk once,
in random order, and read in blocks. In memory stay one row a parent, for what does not
depend on the redshift, and the validation set.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.console import Console
from rich.progress import Progress

from grainlight.core import ParameterError
from grainlight.datasets import Dataset, Pairs, RowBlocks, write_rows
from grainlight.photometry import FilterSet
from grainlight.simulators import ShellSimulator

#: Seeds of the redshifts.
TRAIN_SEED, HELD_SEED = 0, 1


@dataclass(frozen=True)
class ShellRows:
    """Rows of data sets for the estimators of a shell model.

    Attributes:
        datasets: Simulated parents, all smooth or all with clumps.
        filters: Bands of the magnitudes.
        variants: Redshifts of each parent, for every data set.
        streamed: Whether the rows of the likelihood are read from disk.
        train: Rows to train on, for every data set; if streamed, one a parent and in
            one band only.
        held: Rows of the validation set, for every data set.
    """

    datasets: tuple[Dataset, ...]
    filters: FilterSet
    variants: tuple[int, ...]
    streamed: bool
    train: tuple[Pairs, ...]
    held: tuple[Pairs, ...]

    @classmethod
    def read(
        cls,
        datasets: Sequence[Dataset],
        filters: FilterSet,
        *,
        variants: Sequence[int],
        most: int,
    ) -> "ShellRows":
        """Read what stays in memory.

        Args:
            datasets: Simulated parents.
            filters: Bands of the magnitudes.
            variants: Redshifts of each parent; one number for all data sets, or one for
                each.
            most: Rows of the data sets beyond which they are streamed.

        Raises:
            ParameterError: The data sets are of different simulators, or their number
                is not that of the variants.
        """
        check_together(datasets)
        if len(variants) not in (1, len(datasets)):
            raise ParameterError(
                f"Expected variants for each of {len(datasets)} data sets, or one "
                f"number for all; got {len(variants)}."
            )
        counts = tuple(np.resize(variants, len(datasets)).tolist())
        sources = list(zip(datasets, counts, strict=True))
        total = sum(data.recipe.num_parents * count for data, count in sources)
        streamed = total > most
        some = filters.subset(filters.names[:1]) if streamed else filters
        train = [
            data.pairs(
                some,
                split="train",
                variants=1 if streamed else count,
                seed=TRAIN_SEED,
            )
            for data, count in sources
        ]
        held = [
            data.pairs(
                filters,
                split="validation",
                variants=count,
                seed=HELD_SEED,
            )
            for data, count in sources
        ]
        return cls(
            tuple(datasets), filters, counts, streamed, tuple(train), tuple(held)
        )

    @property
    def largest_filling_factor(self) -> float:
        """Largest filling factor of its shells."""
        return max(data.recipe.largest_filling_factor for data in self.datasets)

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
            return likelihood_data(*self.train)
        with _bar(progress) as advance:
            rows = write_rows(
                cache,
                list(zip(self.datasets, self.variants, strict=True)),
                self.filters,
                split="train",
                seed=TRAIN_SEED,
                progress=advance,
            )
        return replace(rows, block_size=min(block_size, rows.num_rows))

    def outcomes(self, pairs: Sequence[Pairs]) -> tuple[Array, Array, Array]:
        """Columns of the emulator's loss, with the weights of the likelihood's rows.

        Parents of a data set that has twice the variants of another count twice.
        """
        least = min(self.variants)
        parts = []
        for some, count in zip(pairs, self.variants, strict=True):
            parts.extend([outcome_data(some)] * round(count / least))
        return _joined(parts)


def check_together(datasets: Sequence[Dataset]) -> None:
    """Raise `ParameterError` if data sets are not of one simulator, but for clumps."""
    usual = ShellSimulator()

    def own(data: Dataset) -> ShellSimulator:
        """Its simulator, but for what has no effect, or only on noise."""
        simulator = replace(data.recipe.simulator, clumps_mirrored=False)
        if data.is_clumpy:
            return simulator
        return replace(
            simulator,
            clump_edge=usual.clump_edge,
            clump_contrast=usual.clump_contrast,
        )

    def smooth(data: Dataset) -> ShellSimulator:
        return replace(
            own(data),
            clump_edge=usual.clump_edge,
            clump_contrast=usual.clump_contrast,
        )

    for i, data in enumerate(datasets):
        for other in datasets[:i]:
            both = data.is_clumpy and other.is_clumpy
            form = own if both else smooth
            if form(data) != form(other):
                raise ParameterError(
                    f"Expected data sets of one simulator; got {other.folder} of "
                    f"{other.recipe.simulator} and {data.folder} of "
                    f"{data.recipe.simulator}. Simulate them with the same options."
                )


def sample_rows(rows: tuple[Array, ...] | RowBlocks) -> tuple[Array | np.ndarray, ...]:
    """Rows to standardize on: all, or the first block of those in random order."""
    return rows if isinstance(rows, tuple) else rows.block(0)


def count_rows(rows: tuple[Array, ...] | RowBlocks) -> int:
    """Rows of a training set, in memory or not."""
    return len(rows[0]) if isinstance(rows, tuple) else rows.num_rows


def likelihood_data(*pairs: Pairs) -> tuple[Array, Array, Array]:
    """Columns of the likelihood's loss."""
    return _joined([(some.theta, some.condition, some.x) for some in pairs])


def _joined(parts: Sequence[tuple]) -> tuple:
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return tuple(jnp.asarray(column, jnp.float32) for column in columns)


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


def density_data(pairs: Sequence[Pairs], prior: str) -> tuple[Array]:
    """Scaled thesis parameters of the smooth parents drawn from one prior."""
    parts = []
    for some in pairs:
        temperature = some.outcomes["dust_temperature"]
        chosen = (some.prior == prior) & np.isfinite(temperature)
        _, first = np.unique(some.parent[chosen], return_index=True)
        theta = some.theta[chosen][first]
        log_temperature = np.log10(temperature[chosen][first])
        columns = [theta[:, :3], log_temperature[:, None], theta[:, 3:5]]
        parts.append((np.concatenate(columns, axis=1),))
    return _joined(parts)


@contextmanager
def _bar(shown: bool) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("writing rows", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
