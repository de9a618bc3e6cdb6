"""The trained model of dusty supernovae: likelihood, dust temperature, joint prior.

The *likelihood* of AB magnitudes at 10 Mpc given the parameters and the redshift; an
*emulator* of the dust temperature, which the parameters fix; and the *joint density* of
the parameters of the thesis, dust temperature among them and the outer radius not,
under one named prior. The dust temperature is an outcome, so its prior is not to be
chosen but to be learned.

A model may have a second part in its folder, `clumps`: a model of its own, of shells
with clumps, with their filling factor as a seventh parameter. `under` gives what it
says of smooth shells, or of such with clumps.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.core import ModelError, Parameter, ParameterError, Parameters
from grainlight.estimators.belonging import FILE, Belonging
from grainlight.estimators.clumpy import ClumpyLikelihood
from grainlight.estimators.density import FlowDensity
from grainlight.estimators.effective import EffectiveEmulator
from grainlight.estimators.emulator import Emulator
from grainlight.estimators.files import (
    WEIGHTS,
    WORDS,
    SavedEstimator,
    find_model,
    load_estimator,
)
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.photometric_posterior import PhotometricPosterior
from grainlight.simulators import FILLING, SHELL_PARAMETERS

OUTCOMES, DENSITY, CLUMPS = "outcomes", "density", "clumps"
POSTERIOR = "posterior"
DENSITY_PRIOR = "thesis2023"
TEMPERATURE = Parameter("dust_temperature", 5.0, 4000.0, "K", "log10", r"T_\mathrm{d}")
#: Parameters of the thesis (table 1) that a smooth shell has.
THESIS_PARAMETERS = Parameters(
    (
        *SHELL_PARAMETERS.members[:3],
        TEMPERATURE,
        *SHELL_PARAMETERS.members[3:5],
    )
)
#: Those of a shell with clumps.
CLUMPY_THESIS_PARAMETERS = Parameters((*THESIS_PARAMETERS.members, FILLING))


@dataclass(frozen=True)
class ShellModel:
    """The trained model, ready for fits.

    Attributes:
        name: Name or folder that it was loaded by.
        likelihood: Magnitudes at 10 Mpc given scaled parameters and redshift.
        outcomes: log10 of the dust temperature [K] given scaled parameters.
        density: Joint density of `THESIS_PARAMETERS` under `density_prior`; of
            `CLUMPY_THESIS_PARAMETERS`, filling factors even, if it is of clumps.
        bands: Bands of the magnitudes.
        redshifts: Range of redshifts that it was trained on.
        meta: What else is written in the model file.
        identity: Hash of all its files, but for those of `clumps`.
        clumps: What it says of shells with clumps, if it was trained on such.
        posterior: Amortized posterior of its shells; none if it was not trained.
        belonging: Simulated objects as they were fitted, which others are laid beside;
            none if there are not any. No part of the identity.
    """

    name: str
    likelihood: GaussianLikelihood | ClumpyLikelihood
    outcomes: Emulator | EffectiveEmulator
    density: FlowDensity
    bands: tuple[str, ...]
    redshifts: tuple[float, float]
    meta: dict[str, Any]
    identity: str = ""
    clumps: "ShellModel | None" = None
    posterior: PhotometricPosterior | None = None
    belonging: Belonging | None = None

    @classmethod
    def load(cls, folder_or_name: Path | str) -> "ShellModel":
        """Load from a folder, or a packaged model by name; raises `ModelError`."""
        folder = find_model(folder_or_name)
        saved = load_estimator(folder)
        if "bands" not in saved.meta or "redshifts" not in saved.meta:
            raise ModelError(
                f"Expected a model of photometry in {folder}; got one without bands. "
                "Make one with `grainlight train`."
            )
        outcomes = load_estimator(folder / OUTCOMES)
        inner = Path(folder_or_name) / CLUMPS
        posterior = None
        if (folder / POSTERIOR / WORDS).is_file():
            posterior = _checked(
                load_estimator(folder / POSTERIOR), PhotometricPosterior
            )
        parts = (OUTCOMES, DENSITY, *([POSTERIOR] if posterior else []))
        return cls(
            name=str(folder_or_name),
            likelihood=_checked(saved, GaussianLikelihood, ClumpyLikelihood),
            outcomes=_checked(outcomes, Emulator, EffectiveEmulator),
            density=_checked(load_estimator(folder / DENSITY), FlowDensity),
            bands=tuple(saved.meta["bands"]),
            redshifts=tuple(saved.meta["redshifts"]),
            meta=saved.meta,
            identity=_identity(folder, parts),
            clumps=cls.load(inner) if (folder / CLUMPS / WORDS).is_file() else None,
            posterior=posterior,
            belonging=Belonging.load(folder) if (folder / FILE).is_file() else None,
        )

    @property
    def is_clumpy(self) -> bool:
        """Whether the clump filling factor is among its parameters."""
        return self.likelihood.num_param > len(SHELL_PARAMETERS)

    @property
    def largest_filling_factor(self) -> float:
        """Largest filling factor of shells with clumps that it was trained on."""
        return float(self.meta.get("largest_filling_factor", 0.0))

    def under(self, *, clumpy: bool) -> "ShellModel":
        """What it says of shells with clumps, or of smooth ones.

        Args:
            clumpy: Whether the filling factor is a parameter; if not, shells are
                smooth.

        Raises:
            ParameterError: It was not trained on such shells.
        """
        if clumpy == self.is_clumpy:
            return self
        if clumpy and self.clumps is not None:
            return self.clumps
        if clumpy:
            raise ParameterError(
                "Expected a model that was trained on shells with clumps; "
                f"{self.name!r} was not. Leave out the prior of {FILLING.name}, or use "
                "another model."
            )
        raise ParameterError(
            f"Expected a model that was trained on smooth shells; {self.name!r} is the "
            f"part of one that knows clumps. Name the folder above it, or give "
            f"{FILLING.name} a prior (`--clumps`)."
        )

    def dust_temperature(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Mass-weighted mean dust temperature [K] at scaled parameters."""
        return 10.0 ** self.outcomes(scaled, jnp.zeros(0))[0]

    def thesis_parameters(
        self, scaled: Float[Array, " param"]
    ) -> Float[Array, " thesis"]:
        """Scaled `THESIS_PARAMETERS` of scaled shell parameters.

        With the filling factor, if that is a parameter.
        """
        return thesis_parameters(scaled, self.outcomes(scaled, jnp.zeros(0)))


def thesis_parameters(
    scaled: Float[Array, " param"], temperature: Float[Array, " 1"]
) -> Float[Array, " thesis"]:
    """Scaled parameters of the thesis, from those of a shell and its temperature.

    Args:
        scaled: Six parameters of a smooth shell, or seven with the filling factor.
        temperature: log10 of the dust temperature [K].
    """
    return jnp.concatenate([scaled[:3], temperature, scaled[3:5], scaled[6:]])


def _checked(saved: SavedEstimator, *kinds: type) -> Any:
    if not isinstance(saved.estimator, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ModelError(
            f"Expected an estimator of the kind {names} in {saved.folder}; got "
            f"{type(saved.estimator).__name__}. Copy the model again, or make one with "
            "`grainlight train`."
        )
    return saved.estimator


def _identity(folder: Path, parts: tuple[str, ...]) -> str:
    """Hash of words and weights of all estimators."""
    digest = hashlib.sha256()
    for part in (folder, *(folder / name for name in parts)):
        for name in (WORDS, WEIGHTS):
            digest.update((part / name).read_bytes())
    return digest.hexdigest()[:16]


def density_bounds(
    *, clumpy: bool = False, largest: float = FILLING.upper
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the joint density: those of the prior, and of the temperature.

    Args:
        clumpy: Whether the filling factor is among the parameters.
        largest: Its upper bound.
    """
    parameters = CLUMPY_THESIS_PARAMETERS if clumpy else THESIS_PARAMETERS
    low, high = np.array([one.scaled_bounds for one in parameters.members]).T
    high[4] = 6.0  # the luminosity of the prior thesis2023 ends at 1e6 Lsun
    if clumpy:
        high[-1] = largest
    return low, high
