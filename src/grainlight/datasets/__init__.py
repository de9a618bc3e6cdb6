"""Pairs on disk: recipes, generation, splits."""

from grainlight.datasets.card import THESIS_LIMIT, DatasetCard, describe_dataset
from grainlight.datasets.dataset import (
    REDSHIFTS,
    Dataset,
    Pairs,
    magnitudes,
    soften,
    split_of,
    write_rows,
)
from grainlight.datasets.generate import generate, spectra_table
from grainlight.datasets.grid_import import import_grid
from grainlight.datasets.grids import GridDataset
from grainlight.datasets.histogram import Evenness, Histogram
from grainlight.datasets.imported import compare_runs, import_runs
from grainlight.datasets.recipe import Recipe
from grainlight.datasets.row_blocks import BLOCK_SIZE, RowBlocks
from grainlight.datasets.rows import read_rows, simulate_rows
from grainlight.datasets.shuffle import write_shuffled
from grainlight.datasets.simulate import simulate
from grainlight.datasets.simulations import Simulations

__all__ = [
    "BLOCK_SIZE",
    "REDSHIFTS",
    "THESIS_LIMIT",
    "Dataset",
    "DatasetCard",
    "Evenness",
    "GridDataset",
    "Histogram",
    "Pairs",
    "Recipe",
    "RowBlocks",
    "Simulations",
    "compare_runs",
    "describe_dataset",
    "generate",
    "import_grid",
    "import_runs",
    "magnitudes",
    "read_rows",
    "simulate",
    "simulate_rows",
    "soften",
    "spectra_table",
    "split_of",
    "write_rows",
    "write_shuffled",
]
