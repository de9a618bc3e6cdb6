"""A folder of a user's model grid, and pairs of parameters and magnitudes from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jaxtyping import Float

from grainlight.core import Parameters, RangeError
from grainlight.datasets.dataset import (
    REDSHIFTS,
    Pairs,
    Split,
    spectra_of,
    split_of,
)
from grainlight.datasets.recipe import TABLE
from grainlight.datasets.shards import check_shards, read_shards
from grainlight.datasets.simulations import SOFTENING
from grainlight.datasets.statements import (
    parameters_from_json,
    read_statement,
    scaled_theta,
)
from grainlight.photometry import (
    FilterSet,
    band_fluxes,
    flux_density_from_luminosity,
    luptitude,
)

KIND = "grid-spectra"
REFERENCE_MPC = 10.0


@dataclass(frozen=True, eq=False)
class GridDataset:
    """A folder of spectra that came from a grid of one's own; see `import_grid`.

    Attributes:
        folder: Where it is.
        parameters: What the grid varies; bounds are its least and largest values.
        wave: Rest wavelengths [um].
        num_models: Spectra that were read.
        left_out: Rows of the file that were left out, counted from one, by reason.
        origin: File, hash and units that the spectra come from.
        identity: Hash of what the numbers depend on.
        num_shards: Number of files.
    """

    folder: Path
    parameters: Parameters
    wave: Float[np.ndarray, " wave"]
    num_models: int
    left_out: dict[str, list[int]]
    origin: dict
    identity: str
    num_shards: int

    @classmethod
    def open(cls, folder: Path) -> "GridDataset":
        """Open an imported grid; raises `FileFormatError` if it is not whole."""
        folder = Path(folder)
        stated = read_statement(folder, KIND)
        check_shards(folder, stated["num_shards"], "Import the grid again.")
        return cls(
            folder,
            parameters_from_json(stated["parameters"]),
            np.array(stated["wave_um"]),
            stated["num_models"],
            stated["left_out"],
            stated["origin"],
            stated["identity"],
            stated["num_shards"],
        )

    @property
    def num_left_out(self) -> int:
        """Rows of the file that were left out."""
        return sum(map(len, self.left_out.values()))

    def shards(self) -> Iterator[pa.Table]:
        """The models, one table a shard; `parent` is the row of the file, from zero."""
        return read_shards(self.folder, self.num_shards)

    def covered(
        self, filters: FilterSet, redshifts: tuple[float, float] = REDSHIFTS
    ) -> FilterSet:
        """Those of some filters that the wavelengths reach across at all redshifts."""
        return covered_filters(self.wave, filters, redshifts)

    def pairs(
        self,
        filters: FilterSet,
        *,
        split: Split,
        variants: int,
        seed: int,
        redshifts: tuple[float, float] = REDSHIFTS,
        softening: float | Sequence[float] = SOFTENING,
    ) -> Pairs:
        """Photometry of the models of a split at random redshifts.

        All variants of a model fall into one split. Magnitudes are asinh magnitudes
        (`luptitude`) at a luminosity distance of 10 Mpc.

        Args:
            filters: Bands of the magnitudes.
            split: Which models.
            variants: Redshifts drawn for each model.
            seed: Seed of the redshifts.
            redshifts: Range that they are uniform in.
            softening: Softening flux, of all bands or one a band [nJy].
        """
        if not -1 < redshifts[0] <= redshifts[1] < np.inf:
            raise RangeError(
                f"Expected redshifts from least to largest; got {redshifts}. Exchange "
                "or correct them."
            )
        columns = []
        for table in self.shards():
            number = table["parent"].to_numpy()
            first = int(number[0]) if len(number) else 0
            table = table.filter(pa.array(split_of(number) == split))
            generator = np.random.default_rng(np.random.SeedSequence((seed, first)))
            redshift = generator.uniform(*redshifts, size=variants * len(table))
            spectra = np.repeat(spectra_of(table), variants, axis=0)
            x = _magnitudes(filters, self.wave, spectra, redshift, softening)
            theta = scaled_theta(table, self.parameters)
            columns.append((theta, redshift, x, table["parent"].to_numpy()))
        theta, redshift, x, parent = (
            np.concatenate(column) for column in zip(*columns, strict=True)
        )
        return Pairs(
            self.parameters,
            np.repeat(theta, variants, axis=0),
            redshift[:, None],
            x,
            np.repeat(parent, variants),
            np.full(len(x), TABLE),
            {},
        )


def covered_filters(
    wave: Float[np.ndarray, " wave"],
    filters: FilterSet,
    redshifts: tuple[float, float] = REDSHIFTS,
) -> FilterSet:
    """Those of some filters that wavelengths [um] reach across at all redshifts."""
    inside = []
    for member in filters:
        ends = np.exp(member.quadrature.ln_wave[[0, -1]])
        low, high = ends[0] / (1 + redshifts[1]), ends[1] / (1 + redshifts[0])
        if wave[0] <= low and high <= wave[-1]:
            inside.append(member)
    return FilterSet(tuple(inside))


def _magnitudes(
    filters: FilterSet,
    wave: np.ndarray,
    log_luminosity: np.ndarray,
    redshift: np.ndarray,
    softening: float | Sequence[float],
) -> np.ndarray:
    """Asinh magnitudes at a luminosity distance of 10 Mpc."""
    luminosity = 10.0 ** log_luminosity.astype(float)
    mean = band_fluxes(filters, wave, luminosity, redshift)
    flux = flux_density_from_luminosity(mean, REFERENCE_MPC, redshift[:, None])
    x = luptitude(jnp.asarray(flux), jnp.asarray(softening, float))
    return np.asarray(x, dtype=float)
