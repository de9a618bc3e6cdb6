"""What MOCASSIN answers: spectra with their noise, and grain temperatures in space."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.core import FileFormatError
from grainlight.dust import species
from grainlight.simulators.mocassin_input import MocassinGrid
from grainlight.transfer.shell import SUN_LUMINOSITY

PARSEC = 3.08e18  # cm, as MOCASSIN has it
JANSKY = 1e-23  # erg s^-1 cm^-2 Hz^-1
RYDBERG = 3.28984e15  # Hz
VISUAL = 0.55


class MocassinSpectrum(NamedTuple):
    """Light of a run, averaged over all directions.

    Attributes:
        wave: Wavelength, increasing [um].
        luminosity: Mean luminosity density in each bin [erg s^-1 Hz^-1].
        width: Width of each bin [Hz].
    """

    wave: Float[np.ndarray, " wave"]
    luminosity: Float[np.ndarray, " wave"]
    width: Float[np.ndarray, " wave"]

    @property
    def total(self) -> float:
        """Luminosity that left the grid [erg s^-1]."""
        return float(self.luminosity @ self.width)

    def packets(self, luminosity: float, emitted: int) -> Float[np.ndarray, " wave"]:
        """Energy packets that made each bin.

        Args:
            luminosity: Luminosity of the source [Lsun].
            emitted: Packets that it sent out.
        """
        energy = luminosity * SUN_LUMINOSITY / emitted
        return np.round(self.luminosity * self.width / energy)


class MocassinDust(NamedTuple):
    """Dust of a run in space.

    Attributes:
        density: Grains in each cell [cm^-3].
        temperature: Grain temperature of each species in each cell [K].
    """

    density: Float[np.ndarray, "cell cell cell"]
    temperature: Float[np.ndarray, "species cell cell cell"]


class RadialTemperature(NamedTuple):
    """Mean grain temperatures in spherical layers.

    Attributes:
        radius: Middle of each layer [cm].
        temperature: Mass-weighted mean of each species [K]; nan where none is left.
    """

    radius: Float[np.ndarray, " layer"]
    temperature: Float[np.ndarray, "species layer"]


@dataclass(frozen=True, eq=False)
class MocassinRun:
    """The answer of one finished run.

    Grains as hot as they sublimate are left out by MOCASSIN in the next iteration; all
    means count the others alone.

    Attributes:
        wave: Wavelength, increasing [um]; a value is the mean over a bin.
        luminosity: Luminosity density [erg s^-1 Hz^-1], averaged over all directions.
        noise: Relative 1-sigma noise of each bin; infinite where no packet came.
        axis: Centers of the cells along each axis [cm].
        density: Grains in each cell [cm^-3].
        temperature: Grain temperature of each species in each cell [K]; zero in cells
            without dust.
        mass_fraction: Share of each species in the dust mass; none is zero.
        optical_depth: Extinction optical depth from the source outwards at 0.55 um,
            mean along the three axes.
        energy: Luminosity that left the grid over that of the source.
        converged: Share of the cells with temperatures that changed by less than 2 %
            in the last iteration; nan if not stated.
    """

    wave: Float[np.ndarray, " wave"]
    luminosity: Float[np.ndarray, " wave"]
    noise: Float[np.ndarray, " wave"]
    axis: Float[np.ndarray, " cell"]
    density: Float[np.ndarray, "cell cell cell"]
    temperature: Float[np.ndarray, "species cell cell cell"]
    mass_fraction: Mapping[str, float]
    optical_depth: float
    energy: float
    converged: float

    @property
    def species(self) -> tuple[str, ...]:
        """Species in the order of the temperatures."""
        return tuple(self.mass_fraction)

    @cached_property
    def _grid(self) -> MocassinGrid:
        return MocassinGrid(self.axis, self.density)

    @cached_property
    def _mass(self) -> np.ndarray:
        """Relative mass of each species in each cell."""
        number = self._grid.density * self._grid.volume
        share = np.array(list(self.mass_fraction.values()))
        return share[:, None, None, None] * (number / number.sum())

    @cached_property
    def _left(self) -> np.ndarray:
        """The same without the grains that do not survive."""
        limit = np.array([species(name).sublimation for name in self.species])
        alive = self.temperature < limit[:, None, None, None]
        return np.where(alive & (self.temperature > 0), self._mass, 0)

    @property
    def num_grains(self) -> float:
        """Number of all grains, sublimated ones too."""
        return float((self._grid.density * self._grid.volume).sum())

    @property
    def mean_temperature(self) -> Float[np.ndarray, " species"]:
        """Mass-weighted mean of each species [K]; nan if nothing of it is left."""
        space = (1, 2, 3)
        return _mean(self._left, self.temperature, space)

    @property
    def dust_temperature(self) -> float:
        """Mass-weighted mean over all dust that is left [K]; nan if none is."""
        return float(_mean(self._left, self.temperature, None))

    @property
    def sublimated(self) -> Float[np.ndarray, " species"]:
        """Share of each species' mass that does not survive."""
        space = (1, 2, 3)
        return 1 - self._left.sum(axis=space) / self._mass.sum(axis=space)

    def radial_temperature(self, num_layers: int = 10) -> RadialTemperature:
        """Mean temperatures in layers of one width, from inside out.

        Args:
            num_layers: Layers between the innermost and the outermost dust.
        """
        radius = self._grid.radius
        dusty = radius[self.density > 0]
        edges = np.linspace(dusty.min(), dusty.max(), num_layers + 1)
        layer = np.clip(np.searchsorted(edges, radius) - 1, 0, num_layers - 1)
        columns = [
            _mean(np.where(layer == i, self._left, 0), self.temperature, (1, 2, 3))
            for i in range(num_layers)
        ]
        return RadialTemperature(
            0.5 * (edges[1:] + edges[:-1]), np.stack(columns, axis=1)
        )


def _mean(
    mass: np.ndarray, values: np.ndarray, axis: tuple[int, ...] | None
) -> np.ndarray:
    total = np.asarray(mass.sum(axis=axis))
    summed = np.asarray((mass * values).sum(axis=axis))
    return np.divide(summed, total, where=total > 0, out=np.full(total.shape, np.nan))


def read_spectrum(path: Path) -> MocassinSpectrum:
    r"""Read `SED.out`.

    Its third column is the flux density at one parsec [Jy], so that

    $$ L_\nu = 4 \pi (3.08 \times 10^{18}\,\mathrm{cm})^2 F_\nu, $$

    and the sum over the bins is the luminosity that left the grid. MOCASSIN's manual
    asks for another factor of pi, with which it would not be.

    Raises:
        FileFormatError: The file is missing, or holds no spectrum.
    """
    rows = [row for row in map(_numbers, _text(path).splitlines()) if len(row) >= 3]
    try:
        frequency, wave, flux = np.array([row[:3] for row in rows]).T
    except ValueError:
        frequency = wave = flux = np.zeros(0)
    if len(wave) < 3 or not np.all(np.isfinite(flux)) or np.any(np.diff(wave) >= 0):
        raise FileFormatError(
            f"Expected a spectrum of MOCASSIN in {path}; got {len(wave)} wavelengths, "
            "or such as do not fall. Run it again."
        )
    # a bin ends half-way to its neighbors; those at the ends are never lit
    width = np.gradient(frequency)
    width[1:-1] = 0.5 * (frequency[2:] - frequency[:-2])
    luminosity = 4 * math.pi * PARSEC**2 * JANSKY * flux
    return MocassinSpectrum(wave[::-1], luminosity[::-1], RYDBERG * width[::-1])


def read_dust_grid(path: Path, num_points: int, num_species: int) -> MocassinDust:
    """Read `dustGrid.out` of grains of one size.

    Args:
        path: The file.
        num_points: Cells along each axis.
        num_species: Number of grain species.

    Raises:
        FileFormatError: The file is missing, or one of another grid.
    """
    # a cell is its density, then means over sizes and those of the one size, each
    # with the mean over species first
    each = 1 + 2 * (num_species + 1)
    lines = _text(path).splitlines()
    values = np.array([value for line in lines for value in _numbers(line)])
    if len(values) != each * num_points**3 or not np.all(np.isfinite(values)):
        raise FileFormatError(
            f"Expected {each} finite numbers for each of {num_points}^3 cells in "
            f"{path}; got {len(values)} numbers. Run MOCASSIN again."
        )
    cells = values.reshape(num_points, num_points, num_points, each)
    return MocassinDust(cells[..., 0], np.moveaxis(cells[..., -num_species:], -1, 0))


def read_optical_depth(path: Path, wave: float = VISUAL) -> float:
    """Optical depth in `tauNu.out` at a wavelength [um], mean along the three axes.

    Raises:
        FileFormatError: The file is missing, or holds no depths.
    """
    rows = [row for row in map(_numbers, _text(path).splitlines()) if len(row) == 2]
    table = np.array(rows).reshape(-1, 2)
    if len(table) % 3 or len(table) < 6:
        raise FileFormatError(
            f"Expected optical depths along three axes in {path}; got {len(table)} "
            "rows. Run MOCASSIN again."
        )
    depths = [np.interp(-wave, -part[:, 0], part[:, 1]) for part in np.split(table, 3)]
    return float(np.mean(depths))


def read_converged(path: Path) -> float:
    """Share of converged cells after the last iteration; nan if not stated."""
    found = re.findall(r"Total: +([\d.]+) +% converged", _text(path))
    return float(found[-1]) / 100 if found else math.nan


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"Expected a file that MOCASSIN has written at {path}; got: {error}. Run "
            "it again."
        ) from error


def _numbers(text: str) -> list[float]:
    """The numbers of a text that holds nothing else; else none."""
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return []
