"""A dusty shell around a blackbody, and what is known of it when it is solved."""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError
from grainlight.dust import Opacity
from grainlight.transfer.grid import ShellGeometry

SUN_LUMINOSITY = 3.828e33  # erg s^-1
SUN_MASS = 1.989e33  # g


@dataclass(frozen=True)
class Shell:
    """A dusty shell around a blackbody: everything the light depends on.

    Attributes:
        luminosity: Luminosity of the central source [Lsun].
        source_temperature: Temperature of the central source [K].
        dust_mass: Mass of the dust [Msun].
        outer_radius: Outer radius of the shell [cm].
        opacity: Opacities of the dust, on the wavelengths of the answer.
        geometry: Shape of the shell.
    """

    luminosity: float
    source_temperature: float
    dust_mass: float
    outer_radius: float
    opacity: Opacity
    geometry: ShellGeometry = field(default_factory=ShellGeometry)

    def __post_init__(self) -> None:
        for name in ("luminosity", "source_temperature", "dust_mass", "outer_radius"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ParameterError(
                    f"Expected a positive, finite {name}; got {value}."
                )

    @property
    def column(self) -> float:
        """Radial column of dust [g cm^-2]."""
        area = self.geometry.mass_per_column * self.outer_radius**2
        return self.dust_mass * SUN_MASS / area

    def optical_depth(self, wave: float) -> float:
        """Radial extinction optical depth at a wavelength [um]."""
        grid = self.opacity.wave
        return self.column * float(np.interp(wave, grid, self.opacity.extinction))


@dataclass(frozen=True)
class ShellSolution:
    """What a shell sends out, and how warm its grains are.

    Attributes:
        wave: Wavelength [um].
        luminosity: Luminosity density [erg s^-1 Hz^-1], star and dust.
        radius: Mid-radii of the cells [cm].
        temperature: Grain temperatures [K], (species, cell); where grains were removed,
            those that they would have.
        cell_mass: Share of each cell in the mass of a species that is there.
        mean_temperature: Mass-weighted mean temperature of each species [K]; nan if
            nothing is left of it.
        dust_temperature: Mass-weighted mean over all dust [K].
        sublimated: Share of the mass of each species that is hotter than its grains
            survive: it is kept, or removed if that was asked for.
        remaining: Share of the mass of each species that is there.
        optical_depth: Radial extinction optical depth at 0.55 um.
        energy_error: Escaping over emitted luminosity, minus one.
        iterations: Newton steps taken.
    """

    wave: Float[np.ndarray, " wave"]
    luminosity: Float[np.ndarray, " wave"]
    radius: Float[np.ndarray, " cell"]
    temperature: Float[np.ndarray, "species cell"]
    cell_mass: Float[np.ndarray, "species cell"]
    mean_temperature: Float[np.ndarray, " species"]
    dust_temperature: float
    sublimated: Float[np.ndarray, " species"]
    remaining: Float[np.ndarray, " species"]
    optical_depth: float
    energy_error: float
    iterations: int


def wavelength_grid() -> Float[np.ndarray, " wave"]:
    """Wavelengths of the packaged simulations, 0.1 to 500 um.

    Steps are 7 % below 0.6 um and beyond 32 um and 3.5 % between, where the
    photometry is: the silicate features need them.
    """
    blue = np.geomspace(0.1, 0.6, 27)
    middle = np.geomspace(0.6, 32.0, 115)
    red = np.geomspace(32.0, 500.0, 41)
    return np.concatenate([blue, middle[1:], red[1:]])
