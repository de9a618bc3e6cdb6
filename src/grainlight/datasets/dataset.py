"""A folder of simulated parents, and pairs of parameters and data made from it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from grainlight.core import Parameters
from grainlight.datasets.recipe import Recipe
from grainlight.datasets.row_blocks import RowBlocks
from grainlight.datasets.shards import check_shards, read_shards, shard_path
from grainlight.datasets.shuffle import write_shuffled
from grainlight.photometry import Filter, FilterSet, band_fluxes
from grainlight.simulators import (
    CLUMPY_PARAMETERS,
    SHELL_PARAMETERS,
    Progress,
)
from grainlight.transfer import wavelength_grid

Split = Literal["train", "validation", "test"]
SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}
REFERENCE_DISTANCE_CM = 3.0856775814913673e25  # 10 Mpc
REDSHIFTS = (1e-4, 0.015)
ZERO_POINT = 31.4  # AB magnitude of 1 nJy
NJY = 1e32  # nJy in erg/s/cm2/Hz
FAINTEST = 90.0
SOFTENING = 41.0  # AB magnitude at 10 Mpc, for a source of 1e5 Lsun


@dataclass(frozen=True)
class Pairs:
    """Parameters with the data that belong to them, and the parent of each row.

    Attributes:
        parameters: What the columns of `theta` are.
        theta: Scaled parameters.
        condition: What is known beside the data, such as the redshift.
        x: The data; for photometry AB magnitudes at 10 Mpc, softened where faint.
        parent: Simulation that a row came from.
        prior: Name of the prior that the parent was drawn from.
        outcomes: Derived quantities by name.
    """

    parameters: Parameters
    theta: Float[np.ndarray, "object param"]
    condition: Float[np.ndarray, "object cond"]
    x: Float[np.ndarray, "object band"]
    parent: Int[np.ndarray, " object"]
    prior: np.ndarray
    outcomes: dict[str, Float[np.ndarray, " object"]]

    def __len__(self) -> int:
        return len(self.theta)


def split_of(parent: Int[np.ndarray, " object"]) -> np.ndarray:
    """Split of each parent: it depends on the parent's number alone.

    All redshift variants of a parent fall into one split, and a data set that grows
    keeps the split of the parents it has.
    """
    mixed = (parent.astype(np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    unit = (mixed >> np.uint64(11)).astype(float) / 2.0**53
    edges = np.cumsum([SHARES["train"], SHARES["validation"]])
    return np.array(list(SHARES))[np.searchsorted(edges, unit, side="right")]


@dataclass(frozen=True)
class Dataset:
    """A folder of simulated parents."""

    folder: Path
    recipe: Recipe

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Open a finished data set; raises `FileFormatError` if shards are missing."""
        folder = Path(folder)
        recipe = Recipe.load(folder)
        check_shards(
            folder,
            recipe.num_shards,
            "Run `grainlight simulate` again with the same settings to finish them.",
        )
        return cls(folder, recipe)

    def shards(self) -> Iterator[pa.Table]:
        """The parents, one table a shard."""
        return read_shards(self.folder, self.recipe.num_shards)

    @property
    def is_clumpy(self) -> bool:
        """Whether its shells have clumps."""
        return self.recipe.largest_filling_factor > 0

    @property
    def parameters(self) -> Parameters:
        """Parameters of its shells; where there are clumps, with the filling factor."""
        return CLUMPY_PARAMETERS if self.is_clumpy else SHELL_PARAMETERS

    def pairs(
        self,
        filters: FilterSet,
        *,
        split: Split,
        variants: int,
        seed: int,
        progress: Progress | None = None,
    ) -> Pairs:
        """Photometry of the parents of a split at random redshifts.

        Args:
            filters: Bands of the magnitudes.
            split: Which parents.
            variants: Redshifts drawn for each parent, uniform in the trained range.
            seed: Seed of the redshifts.
            progress: Called with the shards read and their number.
        """
        parts = []
        for number, table in enumerate(self.shards(), 1):
            parts.append(
                _shard_pairs(table, self.parameters, filters, split, variants, seed)
            )
            if progress is not None:
                progress(number, self.recipe.num_shards)
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        theta, condition, x, parent, prior, outcomes = columns
        names = ("dust_temperature", "optical_depth", "energy_error")
        return Pairs(
            self.parameters,
            theta,
            condition,
            x,
            parent,
            prior,
            {name: outcomes[:, i] for i, name in enumerate(names)},
        )


def write_rows(
    folder: Path,
    sources: Sequence[tuple[Dataset, int]],
    filters: FilterSet,
    *,
    split: Split,
    seed: int,
    progress: Progress | None = None,
) -> RowBlocks:
    """Write the rows of `Dataset.pairs` to disk in random order, to be read in blocks.

    Columns are theta, condition and x, as float32. Finished rows are kept, and
    unfinished ones are gone on with; rows of anything else are refused.

    Args:
        folder: Where the rows go.
        sources: Data sets of the same parameters, each with the number of redshifts
            drawn for a parent.
        filters: Bands of the magnitudes.
        split: Which parents.
        seed: Seed of the redshifts and of the order.
        progress: Called with the shards done and their number.
    """
    parameters = sources[0][0].parameters
    shards = [
        (shard_path(data.folder, shard), variants)
        for data, variants in sources
        for shard in range(data.recipe.num_shards)
    ]

    def part(number: int) -> tuple[np.ndarray, ...]:
        path, variants = shards[number]
        table = pq.read_table(path)
        return _shard_pairs(table, parameters, filters, split, variants, seed)[:3]

    def count(data: Dataset) -> int:
        return int(np.sum(split_of(np.arange(data.recipe.num_parents)) == split))

    stated = {
        "datasets": [
            {
                "dataset": data.recipe.identity,
                "num_parents": data.recipe.num_parents,
                "variants": variants,
            }
            for data, variants in sources
        ],
        "split": split,
        "filters": {member.name: _digest(member) for member in filters},
    }
    return write_shuffled(
        folder,
        stated,
        ("theta", "condition", "x"),
        part,
        num_parts=len(shards),
        num_rows=sum(variants * count(data) for data, variants in sources),
        seed=seed,
        progress=progress,
    )


def _digest(member: Filter) -> str:
    """Hash of a transmission curve."""
    curve = np.stack([member.wave, member.transmission]).astype(float)
    return hashlib.sha256(curve.tobytes()).hexdigest()[:16]


def draw_redshifts(
    parent: Int[np.ndarray, " parent"], variants: int, seed: int
) -> Float[np.ndarray, " object"]:
    """Redshifts of the parents of one shard and split, all of a parent together."""
    first = int(parent[0]) if len(parent) else 0
    generator = np.random.default_rng(np.random.SeedSequence((seed, first)))
    return generator.uniform(*REDSHIFTS, size=len(parent) * variants)


def spectra_of(table: pa.Table) -> Float[np.ndarray, "object wave"]:
    """log10 luminosity densities of a shard."""
    column = table["log_luminosity"].combine_chunks()
    return np.asarray(column.flatten()).reshape(len(table), column.type.list_size)


def magnitudes(
    filters: FilterSet,
    log_luminosity: Float[np.ndarray, "object wave"],
    redshift: Float[np.ndarray, " object"],
) -> Float[np.ndarray, "object band"]:
    r"""AB magnitudes at a luminosity distance of 10 Mpc.

    $$ f_\nu = (1 + z) L_\nu / (4 \pi d_L^2) $$
    """
    luminosity = 10.0 ** np.asarray(log_luminosity, dtype=float)
    mean = band_fluxes(filters, wavelength_grid(), luminosity, redshift)
    flux = (1 + redshift[:, None]) * mean * NJY
    flux = flux / (4 * np.pi * REFERENCE_DISTANCE_CM**2)
    with np.errstate(divide="ignore"):
        return np.minimum(ZERO_POINT - 2.5 * np.log10(flux), FAINTEST)


def soften(
    x: Float[np.ndarray, "object band"], log_luminosity: Float[np.ndarray, " object"]
) -> Float[np.ndarray, "object band"]:
    r"""Asinh magnitudes that level out far below any detection.

    A cold shell sends out next to nothing in the near infrared, down to 90 mag; no
    network should spend its skill there. The softening flux is that of 41 mag at
    10 Mpc for a source of 1e5 Lsun and scales with the source, so that magnitudes
    brighter than 38 mag are changed by less than 0.01 mag.

    Args:
        x: AB magnitudes at 10 Mpc.
        log_luminosity: log10 of the luminosity of the source [Lsun].
    """
    pogson = 2.5 / np.log(10)
    shift = 2.5 * (log_luminosity[:, None] - 5)
    ratio = 10 ** (-0.4 * (x + shift - SOFTENING))
    return SOFTENING - pogson * np.arcsinh(0.5 * ratio) - shift


def _shard_pairs(
    table: pa.Table,
    parameters: Parameters,
    filters: FilterSet,
    split: Split,
    variants: int,
    seed: int,
) -> tuple[np.ndarray, ...]:
    parent = table["parent"].to_numpy()
    table = table.filter(pa.array(split_of(parent) == split))
    parent = np.repeat(table["parent"].to_numpy(), variants)
    columns = []
    for member in parameters.members:
        value = table[member.name].to_numpy()
        columns.append(np.log10(value) if member.scale == "log10" else value)
    theta = np.repeat(np.stack(columns, axis=1), variants, axis=0)
    redshift = draw_redshifts(table["parent"].to_numpy(), variants, seed)
    spectrum = np.repeat(spectra_of(table), variants, axis=0)
    x = magnitudes(filters, spectrum, redshift)
    x = soften(x, theta[:, parameters.index("sn_luminosity")])
    outcomes = np.stack(
        [
            table[name].to_numpy()
            for name in ("dust_temperature", "optical_depth", "energy_error")
        ],
        axis=1,
    )
    outcomes = np.repeat(outcomes, variants, axis=0)
    prior = np.repeat(np.array(table["prior"].to_pylist(), dtype=str), variants)
    return theta, redshift[:, None], x, parent, prior, outcomes
