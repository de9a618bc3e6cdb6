"""The data that the thesis was about, made from simulated shells.

Parameters are those of its table 1 that a smooth shell has, the dust temperature among
them and the outer radius not; data are magnitudes at 10 Mpc in its 29 broad and medium
bands, at random redshifts. Shells are those of the prior thesis2023 that have any dust
left: what is not a parameter has a distribution that the prior decides.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from grainlight.core import ParameterError, Parameters
from grainlight.datasets import Dataset, Pairs
from grainlight.datasets.dataset import Split
from grainlight.estimators.arrays import read_arrays, write_arrays
from grainlight.estimators.shell_model import (
    DENSITY_PRIOR,
    THESIS_PARAMETERS,
    density_bounds,
)
from grainlight.estimators.steps import Augment
from grainlight.photometry import jwst_filters
from grainlight.simulators import Progress

_NIRCAM = (
    "F070W F090W F115W F140M F150W F162M F182M F200W F210M F250M F277W F300M F335M "
    "F356W F360M F410M F430M F444W F460M F480M"
)
_MIRI = "F560W F770W F1000W F1130W F1280W F1500W F1800W F2100W F2550W"
#: Broad and medium bands, neither narrow nor extra-wide.
BANDS = (
    *(f"JWST/NIRCam.{name}" for name in _NIRCAM.split()),
    *(f"JWST/MIRI.{name}" for name in _MIRI.split()),
)
_CHOSEN = (
    "F140M F150W F277W F300M F356W F360M F410M F560W F770W F1000W F1280W F1500W F1800W"
)
#: Set F of the thesis, its equation 9.
SET_F = tuple(name for name in BANDS if name.rpartition(".")[2] in _CHOSEN.split())


def thesis_parameters() -> Parameters:
    """Parameters of smooth shells in the thesis, with the bounds of its prior."""
    low, high = density_bounds()
    return Parameters(
        tuple(
            replace(
                member,
                lower=float(10 ** low[i] if member.scale == "log10" else low[i]),
                upper=float(10 ** high[i] if member.scale == "log10" else high[i]),
            )
            for i, member in enumerate(THESIS_PARAMETERS.members)
        )
    )


@dataclass(frozen=True, eq=False)
class ThesisRows:
    """Parameters and magnitudes of shells, without noise.

    Attributes:
        theta: Scaled `THESIS_PARAMETERS`.
        condition: Redshift.
        x: AB magnitudes at 10 Mpc in `BANDS`.
        parent: Simulation that a row came from.
    """

    theta: Float[np.ndarray, "object param"]
    condition: Float[np.ndarray, "object cond"]
    x: Float[np.ndarray, "object band"]
    parent: Int[np.ndarray, " object"]

    def __len__(self) -> int:
        return len(self.theta)

    @classmethod
    def read(
        cls,
        data: Dataset,
        split: Split,
        *,
        variants: int,
        seed: int,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> "ThesisRows":
        """Rows of one split of simulated shells.

        Args:
            data: Smooth shells.
            split: Which parents.
            variants: Redshifts of each parent.
            seed: Seed of the redshifts.
            most: Only parents with a lower number.
            progress: Called with the shards read and their number.

        Raises:
            ParameterError: The shells have clumps, or none is left.
        """
        if data.is_clumpy:
            raise ParameterError(
                f"Expected smooth shells; those in {data.folder} have clumps. Give "
                "data that were simulated without them."
            )
        filters = jwst_filters().subset(BANDS)
        pairs = data.pairs(
            filters, split=split, variants=variants, seed=seed, progress=progress
        )
        rows = cls._chosen(pairs, most)
        if len(rows) == 0:
            raise ParameterError(
                f"Expected shells of the prior {DENSITY_PRIOR} in the {split} split of "
                f"{data.folder}; got none. Simulate more: a hundred at least."
            )
        return rows

    @classmethod
    def _chosen(cls, pairs: Pairs, most: int | None) -> "ThesisRows":
        temperature = pairs.outcomes["dust_temperature"]
        low, high = THESIS_PARAMETERS["dust_temperature"].scaled_bounds
        log_temperature = np.log10(temperature)
        keep = (pairs.prior == DENSITY_PRIOR) & np.isfinite(temperature)
        keep &= (log_temperature > low) & (log_temperature < high)
        if most is not None:
            keep &= pairs.parent < most
        theta = np.concatenate(
            [pairs.theta[:, :3], log_temperature[:, None], pairs.theta[:, 3:5]], axis=1
        )
        return cls(
            theta[keep], pairs.condition[keep], pairs.x[keep], pairs.parent[keep]
        )

    def columns(self) -> tuple[Array, Array, Array]:
        """Columns of a likelihood's loss."""
        return tuple(  # type: ignore[return-value]
            jnp.asarray(part, jnp.float32)
            for part in (self.theta, self.condition, self.x)
        )

    def noisy(self, noise_mag: float, seed: int) -> "ThesisRows":
        """The same with white noise on the magnitudes."""
        noise = noise_mag * np.random.default_rng(seed).normal(size=self.x.shape)
        return replace(self, x=self.x + noise)

    def first(self, num: int) -> "ThesisRows":
        """The first rows."""
        parts = (part[:num] for part in (self.theta, self.condition, self.x))
        return ThesisRows(*parts, self.parent[:num])

    def save(self, path: Path) -> None:
        """Write the rows to a file."""
        write_arrays(
            path, {name: np.asarray(part) for name, part in vars(self).items()}
        )

    @classmethod
    def load(cls, path: Path) -> "ThesisRows":
        """Read what `save` wrote; raises `ModelError` if the file is broken."""
        return cls(**read_arrays(path))


def add_magnitude_noise(noise_mag: float) -> Augment:
    """Make an `augment` for `train` that adds white noise to magnitudes.

    Args:
        noise_mag: Its standard deviation [mag].
    """

    def augment(
        key: Key[Array, ""],
        theta: Float[Array, "sim param"],
        condition: Float[Array, "sim cond"],
        x: Float[Array, "sim band"],
    ) -> tuple[Array, ...]:
        return theta, condition, x + noise_mag * jr.normal(key, x.shape)

    return augment
