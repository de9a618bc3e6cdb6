"""Shells of a reproduction: simulated, and read as rows, when they are first needed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from grainlight.datasets import Dataset, Recipe, generate
from grainlight.datasets.dataset import Split
from grainlight.estimators.thesis_rows import ThesisRows
from grainlight.report.reproduction_recipe import ReproductionRecipe
from grainlight.simulators import ShellSimulator

PRIORS = {"thesis2023": 0.75, "ansari2022": 0.25}
SHARD = 500
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Show = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


def rows_path(folder: Path, split: Split) -> Path:
    """Where the rows of a split are kept."""
    return folder / f"rows-{split}.npz"


@dataclass(frozen=True, eq=False)
class Shells:
    """Rows of the splits; what no stage asks for is neither simulated nor read.

    Attributes:
        recipe: How many there are, of which seed.
        out: Folder where rows are kept.
        data: Folder of simulated shells; they are simulated into `out` if not given.
        show: Opens a progress bar with some words.
        workers: Processes of the simulation.
    """

    recipe: ReproductionRecipe
    out: Path
    data: Path | None
    show: Show
    workers: int | None
    _loaded: dict[Split, ThesisRows] = field(default_factory=dict, init=False)

    def rows(self, split: Split) -> ThesisRows:
        """Rows of a split; if its file is missing, all missing splits are read."""
        if split not in self._loaded:
            if not rows_path(self.out, split).exists():
                self._read_missing()
            self._loaded[split] = ThesisRows.load(rows_path(self.out, split))
        return self._loaded[split]

    def _read_missing(self) -> None:
        opened = Dataset.open(self._simulated() if self.data is None else self.data)
        for seed, split in enumerate(SPLITS):
            path = rows_path(self.out, split)
            if path.exists():
                continue
            with self.show(f"reading {split}") as progress:
                rows = ThesisRows.read(
                    opened,
                    split,
                    variants=self.recipe.variants if split == "train" else 1,
                    seed=seed,
                    most=self.recipe.parents,
                    progress=progress,
                )
            rows.save(path)

    def _simulated(self) -> Path:
        """Simulate shells; gives their folder."""
        wanted = Recipe(
            num_parents=self.recipe.parents,
            seed=self.recipe.seed,
            priors=PRIORS,
            simulator=ShellSimulator(),
            shard_size=SHARD,
            largest_filling_factor=0.0,
        )
        folder = self.out / "parents"
        with self.show("simulating shells") as progress:
            generate(folder, wanted, workers=self.workers, progress=progress)
        return folder
