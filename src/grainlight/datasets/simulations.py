"""Simulations of any simulator: parameters, fluxes, and pairs made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from grainlight.core import ParameterError, Parameters, SimulatorError
from grainlight.datasets.dataset import Pairs, Split, split_of
from grainlight.datasets.shards import check_shards, read_shards
from grainlight.datasets.statements import (
    parameters_from_json,
    read_statement,
    scaled_theta,
)
from grainlight.photometry import luptitude

KIND = "simulations"
#: Flux where magnitudes turn linear [nJy]: 33.9 mag, far below any detection. Those
#: brighter than 31.4 mag change by less than 0.01 mag.
SOFTENING = 0.1


@dataclass(frozen=True, eq=False)
class Simulations:
    """What a simulator answered to many draws of its parameters.

    The estimators see asinh magnitudes (`luptitude`): AB where the flux is well above
    `softening`, finite where it is zero or negative.

    Attributes:
        parameters: What the columns of `theta` are.
        bands: What those of `flux` are.
        theta: Scaled parameters.
        flux: Fluxes, all finite [nJy].
        parent: Number of each simulation, which decides its split.
        prior: What the parameters were drawn from: `bounds`, evenly on the scaled axes,
            or `own`.
        left_out: Why, by number, for simulations that gave no finite fluxes.
        softening: Softening flux of the magnitudes of each band [nJy].
    """

    parameters: Parameters
    bands: tuple[str, ...]
    theta: Float[np.ndarray, "sim param"]
    flux: Float[np.ndarray, "sim band"]
    parent: Int[np.ndarray, " sim"]
    prior: str
    left_out: dict[int, str]
    softening: Float[np.ndarray, " band"]

    def __len__(self) -> int:
        return len(self.theta)

    def __repr__(self) -> str:
        return (
            f"Simulations({len(self)} of {', '.join(self.parameters.names)} in "
            f"{len(self.bands)} bands, {self.num_left_out} left out)"
        )

    @classmethod
    def from_table(
        cls,
        table: pa.Table,
        stated: dict,
        softening: float | Sequence[float] = SOFTENING,
    ) -> "Simulations":
        """Simulations of the rows of shards; raises if none of them has fluxes.

        Args:
            table: Rows as `simulate` writes them.
            stated: Parameters, bands and prior, as in `dataset.json`.
            softening: Softening flux, of all bands or one a band [nJy].
        """
        parameters = parameters_from_json(stated["parameters"])
        bands = tuple(stated["bands"])
        flux = np.asarray(table["flux"].combine_chunks().flatten())
        parent = table["parent"].to_numpy()
        good = np.asarray(table["reason"].is_null())
        reasons = table["reason"].to_pylist()
        left_out = {int(parent[i]): reasons[i] for i in np.flatnonzero(~good)}
        if not good.any():
            raise SimulatorError(no_fluxes(left_out))
        return cls(
            parameters,
            bands,
            scaled_theta(table, parameters)[good],
            flux.reshape(len(table), len(bands))[good],
            parent[good],
            stated["prior"],
            left_out,
            _softening(softening, len(bands)),
        )

    @classmethod
    def open(
        cls, folder: Path, *, softening: float | Sequence[float] = SOFTENING
    ) -> "Simulations":
        """Open the folder of a finished `simulate`; raises `FileFormatError`."""
        stated = read_statement(folder, KIND)
        num_shards = -(-stated["num_sims"] // stated["shard_size"])
        check_shards(
            folder,
            num_shards,
            "Call `simulate` again with the same settings to finish them.",
        )
        table = pa.concat_tables(read_shards(folder, num_shards))
        return cls.from_table(table, stated, softening)

    @property
    def num_left_out(self) -> int:
        """Simulations that gave no finite fluxes."""
        return len(self.left_out)

    @property
    def train(self) -> Pairs:
        """The nine tenths to train on."""
        return self.split("train")

    @property
    def validation(self) -> Pairs:
        """The twentieth that decides when training stops."""
        return self.split("validation")

    @property
    def test(self) -> Pairs:
        """The twentieth to check with."""
        return self.split("test")

    def split(self, name: Split) -> Pairs:
        """Pairs of one split; a simulation keeps its split when there are more."""
        rows = split_of(self.parent) == name
        flux = jnp.asarray(self.flux[rows])
        x = luptitude(flux, jnp.asarray(self.softening))
        return Pairs(
            self.parameters,
            self.theta[rows],
            np.zeros((int(rows.sum()), 0)),
            np.asarray(x, dtype=float),
            self.parent[rows],
            np.full(int(rows.sum()), self.prior),
            {},
        )


def no_fluxes(left_out: dict[int, str]) -> str:
    """The message of an error: not one simulation gave finite fluxes."""
    number, reason = next(iter(left_out.items()))
    return (
        f"Expected finite fluxes of the simulator; got none from {len(left_out)} "
        f"simulations. Number {number}: {reason}. Mend the simulator; mind that JAX "
        "counts in single precision, up to 3e38."
    )


def _softening(given: float | Sequence[float], num_bands: int) -> np.ndarray:
    value = np.asarray(given, dtype=float)
    if value.shape not in ((), (num_bands,)) or not np.all(value > 0):
        raise ParameterError(
            f"Expected one positive softening flux [nJy], or one a band ({num_bands}); "
            f"got {given}. Give about the error of the faintest detection, or less."
        )
    return np.broadcast_to(value, (num_bands,))
