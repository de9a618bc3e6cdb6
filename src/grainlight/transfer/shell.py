"""Light of a central blackbody through a dusty shell."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError
from grainlight.dust import SPECIES, Opacity
from grainlight.transfer.grid import ShellGeometry, cell_edges
from grainlight.transfer.kernels import KernelTable, half_edges, kernel_table
from grainlight.transfer.solver import equilibrium, responses

SUN_LUMINOSITY = 3.828e33
SUN_MASS = 1.989e33
LIGHT_SPEED_UM = 2.99792458e14
PLANCK_OVER_BOLTZMANN = 4.799243073366221e-11
WARMER = 1.3  # margin over the warmest grain that is expected
FARTHEST_STEP = 0.5
MASS_LEVELS = 1000  # at which the temperature is compared with that of sublimation
FAR_WIEN = 750.0  # [um K]; grains send out nothing that counts below this


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
        temperature: Grain temperatures [K], (species, cell).
        cell_mass: Share of the dust mass in each cell.
        mean_temperature: Mass-weighted mean temperature of each species [K].
        dust_temperature: Mass-weighted mean over all dust [K].
        sublimated: Share of the mass of each species that is hotter than its grains
            survive; it is kept all the same.
        optical_depth: Radial extinction optical depth at 0.55 um.
        energy_error: Escaping over emitted luminosity, minus one.
        iterations: Newton steps taken.
    """

    wave: Float[np.ndarray, " wave"]
    luminosity: Float[np.ndarray, " wave"]
    radius: Float[np.ndarray, " cell"]
    temperature: Float[np.ndarray, "species cell"]
    cell_mass: Float[np.ndarray, " cell"]
    mean_temperature: Float[np.ndarray, " species"]
    dust_temperature: float
    sublimated: Float[np.ndarray, " species"]
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


@lru_cache(maxsize=64)
def _table(geometry: ShellGeometry, depth: float, num_cells: int) -> KernelTable:
    edges = cell_edges(geometry, depth, num_cells)
    fine = half_edges(edges)
    power = 3 - geometry.density_power
    if abs(power) < 1e-9:
        mass = 4 * math.pi * np.diff(np.log(fine))
    else:
        mass = 4 * math.pi / power * np.diff(fine**power)
    volume = 4 * math.pi / 3 * np.diff(fine**3)
    # total radial column of one: mass per column fixes the unit of density
    density = mass / mass.sum() * geometry.mass_per_column / volume
    return kernel_table(edges, density)


def _frequency_weights(frequency: Float[np.ndarray, " wave"]) -> np.ndarray:
    """Trapezoid weights in log frequency of an integral over frequency."""
    step = np.abs(np.diff(np.log(frequency)))
    half = 0.5 * (np.concatenate([[0], step]) + np.concatenate([step, [0]]))
    return half * frequency


def _planck(wave: Float[np.ndarray, " wave"], temperature: float) -> np.ndarray:
    """Planck function in frequency, unnormalized."""
    x = PLANCK_OVER_BOLTZMANN * LIGHT_SPEED_UM / (wave * temperature)
    return wave**-3 / np.expm1(np.minimum(x, 600))


def _starlight(shell: Shell) -> Float[np.ndarray, " wave"]:
    """Luminosity density of the source [erg/s/Hz]; its integral is exact."""
    wave = shell.opacity.wave
    shape = _planck(wave, shell.source_temperature)
    weight = _frequency_weights(LIGHT_SPEED_UM / wave)
    return shape * (shell.luminosity * SUN_LUMINOSITY / (weight @ shape))


def _starlight_depth(shell: Shell) -> float:
    """Optical depth averaged over the light of the source."""
    light = _starlight(shell) * _frequency_weights(LIGHT_SPEED_UM / shell.opacity.wave)
    return shell.column * float(light @ shell.opacity.extinction / light.sum())


def solve_shell(shell: Shell, num_cells: int | None = None) -> ShellSolution:
    """Solve the transfer and radiative equilibrium of a shell.

    Args:
        shell: The shell.
        num_cells: Number of cells of one solution; two resolutions chosen by optical
            depth are extrapolated (Richardson) when it is not given.

    Returns:
        The solution, averaged over directions.
    """
    if num_cells is not None:
        return _solve(shell, num_cells)
    depth = max(shell.optical_depth(0.55), _starlight_depth(shell))
    coarse, fine = (12, 20) if depth < 5 else (16, 26) if depth < 20 else (20, 34)
    low, high = _solve(shell, coarse), _solve(shell, fine)
    return _extrapolate(low, high, coarse, fine)


def _solve(shell: Shell, num_cells: int) -> ShellSolution:
    """Solve on one grid."""
    opacity = shell.opacity
    # a handful of grids serves every shell of a geometry, so that tables are reused
    depth = max(_starlight_depth(shell), 0.25)
    rung = 2.0 ** math.ceil(math.log2(depth))
    table = _table(shell.geometry, rung, num_cells)
    forward = opacity.asymmetry**2
    scattering = opacity.scattering * (1 - forward)
    extinction = opacity.total_absorption + scattering
    frequency = LIGHT_SPEED_UM / opacity.wave
    weight = _frequency_weights(frequency)
    star = _starlight(shell) / shell.outer_radius**2
    guess = _thin_temperature(shell, star, table)
    # light is kept in: the inner edge warms as the fourth root of optical depth
    hottest = WARMER * guess.max() * (1 + depth) ** 0.25
    hot = opacity.wave * hottest < FAR_WIEN
    middle = 0.5 * (table.edges[1:] + table.edges[:-1])
    gain, light, leave, escaped = responses(
        shell.column * extinction,
        scattering / extinction,
        opacity.asymmetry / (1 + opacity.asymmetry),
        star,
        hot,
        table.matrix,
        table.escape,
        table.escape_ratio,
        middle,
        shell.geometry.column(middle),
        table.mass,
    )
    share = opacity.mass_fraction[:, None] * opacity.absorption / extinction
    temperature, _, iterations = equilibrium(
        frequency, weight, opacity.absorption, share, gain, light, guess
    )
    source = _thermal_source(temperature, share, frequency)
    received = escaped + np.einsum("wi,wi->w", leave, source)
    mass = table.mass / table.mass.sum()
    mean = temperature @ mass
    return ShellSolution(
        wave=opacity.wave,
        luminosity=received * shell.outer_radius**2,
        radius=middle * shell.outer_radius,
        temperature=temperature,
        cell_mass=mass,
        mean_temperature=mean,
        dust_temperature=float(opacity.mass_fraction @ mean),
        sublimated=_sublimated(opacity.names, temperature, table.edges, mass),
        optical_depth=shell.optical_depth(0.55),
        energy_error=float(weight @ received / (weight @ star) - 1),
        iterations=iterations,
    )


def _thermal_source(
    temperature: np.ndarray, share: np.ndarray, frequency: np.ndarray
) -> Float[np.ndarray, "wave cell"]:
    """Thermal source function of the mixture [cgs]."""
    x = PLANCK_OVER_BOLTZMANN * frequency[:, None, None] / temperature
    planck = 1.474499e-47 * frequency[:, None, None] ** 3
    planck = planck / np.expm1(np.minimum(x, 600))
    return np.einsum("sw,wsi->wi", share, planck)


def _sublimated(
    names: tuple[str, ...],
    temperature: Float[np.ndarray, "species cell"],
    edges: Float[np.ndarray, " edge"],
    mass: Float[np.ndarray, " cell"],
) -> Float[np.ndarray, " species"]:
    """Share of the mass of each species above its temperature of sublimation.

    Temperatures are interpolated as powers of the radius, so that the share is not
    one of whole cells.
    """
    limits = [SPECIES[n].sublimation if n in SPECIES else math.inf for n in names]
    inside = np.concatenate([[0], np.cumsum(mass)])
    levels = (np.arange(MASS_LEVELS) + 0.5) / MASS_LEVELS
    radius = np.log(np.interp(levels, inside, edges))
    middle = np.log(0.5 * (edges[1:] + edges[:-1]))
    place = np.clip(np.searchsorted(middle, radius) - 1, 0, len(middle) - 2)
    part = (radius - middle[place]) / np.diff(middle)[place]
    warm = np.log(temperature)
    warm = warm[:, place] + part * np.diff(warm, axis=1)[:, place]
    return np.mean(np.exp(warm) > np.array(limits)[:, None], axis=1)


def _thin_temperature(
    shell: Shell, star: np.ndarray, table: KernelTable
) -> Float[np.ndarray, "species cell"]:
    """Temperatures in unattenuated starlight, on a coarse grid of temperatures."""
    opacity = shell.opacity
    frequency = LIGHT_SPEED_UM / opacity.wave
    weight = _frequency_weights(frequency)
    middle = 0.5 * (table.edges[1:] + table.edges[:-1])
    grid = np.geomspace(3.0, 20000.0, 200)
    planck = _thermal_source(grid[None], np.ones((1, len(frequency))), frequency)
    emitted = (weight * opacity.absorption) @ planck
    absorbed = (weight * opacity.absorption) @ (star / (16 * math.pi**2))
    guess = [
        np.exp(np.interp(np.log(power / middle**2), np.log(row), np.log(grid)))
        for power, row in zip(absorbed, emitted, strict=True)
    ]
    return np.array(guess)


def _extrapolate(
    low: ShellSolution, high: ShellSolution, coarse: int, fine: int
) -> ShellSolution:
    """Richardson extrapolation of errors that fall as cell width squared."""
    gain = 1 / ((fine / coarse) ** 2 - 1)

    def limit(a, b):
        # where the coarse answer is far off, the error is not yet a power of width
        step = np.clip(np.log(b) - np.log(a), -FARTHEST_STEP, FARTHEST_STEP)
        return np.exp(np.log(b) + gain * step)

    tiny = 1e-300
    mean = limit(low.mean_temperature, high.mean_temperature)
    luminosity = limit(
        np.maximum(low.luminosity, tiny), np.maximum(high.luminosity, tiny)
    )
    return replace(
        high,
        luminosity=luminosity,
        mean_temperature=mean,
        dust_temperature=float(limit(low.dust_temperature, high.dust_temperature)),
        energy_error=high.energy_error + gain * (high.energy_error - low.energy_error),
    )
