"""Light of a central blackbody through a dusty shell."""

import math
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.dust import SPECIES
from grainlight.transfer.equilibrium import equilibrium
from grainlight.transfer.grid import ShellGeometry, cell_edges
from grainlight.transfer.kernels import KernelTable, half_edges, kernel_table
from grainlight.transfer.shell import SUN_LUMINOSITY, Shell, ShellSolution
from grainlight.transfer.solver import responses
from grainlight.transfer.sublimation import (
    EdgeSearch,
    edge_temperature,
    remaining_profile,
    respond_along,
    survival_radius,
)

LIGHT_SPEED_UM = 2.99792458e14
PLANCK_OVER_BOLTZMANN = 4.799243073366221e-11
WARMER = 1.3  # margin over the warmest grain that is expected
FARTHEST_STEP = 0.5
FAR_WIEN = 750.0  # [um K]; grains send out nothing that counts below this
NEVER = 1e9  # [K]; no grain is as hot
MOST_REMOVALS = 60
AS_HOT = 2e-4  # in the logarithm, of the temperature of sublimation
EMPTIED_CELLS = 4


class Problem(NamedTuple):
    """What the equations of a shell hold beside its grid.

    Attributes:
        frequency: Frequency [Hz].
        weight: Quadrature weights of the integral over frequency.
        star: Luminosity density of the source over the outer radius squared.
        depth: Optical depth averaged over the light of the source.
        limit: Temperatures of sublimation [K]; `NEVER` where it is not known.
    """

    frequency: Float[np.ndarray, " wave"]
    weight: Float[np.ndarray, " wave"]
    star: Float[np.ndarray, " wave"]
    depth: float
    limit: Float[np.ndarray, " species"]


def solve_shell(
    shell: Shell, num_cells: int | None = None, *, remove_sublimated: bool = False
) -> ShellSolution:
    """Solve the transfer and radiative equilibrium of a shell.

    Args:
        shell: The shell.
        num_cells: Number of cells of one solution; two resolutions chosen by optical
            depth are extrapolated (Richardson) when it is not given.
        remove_sublimated: Whether grains hotter than they survive are removed, as
            MOCASSIN does; the dust mass of the shell is that before. Such a shell
            costs a hundred times as much.

    Returns:
        The solution, averaged over directions.
    """
    if num_cells is not None:
        return _solve(shell, num_cells, remove_sublimated)
    depth = max(shell.optical_depth(0.55), _pose(shell).depth)
    coarse, fine = (12, 20) if depth < 5 else (16, 26) if depth < 20 else (20, 34)
    low = _solve(shell, coarse, remove_sublimated)
    high = _solve(shell, fine, remove_sublimated)
    return _extrapolate(low, high, coarse, fine)


def _pose(shell: Shell) -> Problem:
    opacity = shell.opacity
    frequency = LIGHT_SPEED_UM / opacity.wave
    weight = frequency_weights(frequency)
    shape = planck_shape(opacity.wave, shell.source_temperature)
    # its integral is exact
    star = shape * (shell.luminosity * SUN_LUMINOSITY / (weight @ shape))
    mean = float(weight * star @ opacity.extinction / (weight @ star))
    limit = [SPECIES[n].sublimation if n in SPECIES else NEVER for n in opacity.names]
    return Problem(
        frequency,
        weight,
        star / shell.outer_radius**2,
        shell.column * mean,
        np.array(limit),
    )


def frequency_weights(frequency: Float[np.ndarray, " wave"]) -> np.ndarray:
    """Trapezoid weights in log frequency of an integral over frequency."""
    step = np.abs(np.diff(np.log(frequency)))
    half = 0.5 * (np.concatenate([[0], step]) + np.concatenate([step, [0]]))
    return half * frequency


def planck_function(frequency: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Planck function of a frequency [Hz] and a temperature [K], in cgs units."""
    x = PLANCK_OVER_BOLTZMANN * frequency / temperature
    return 1.474499e-47 * frequency**3 / np.expm1(np.minimum(x, 600))


def planck_shape(wave: Float[np.ndarray, " wave"], temperature: float) -> np.ndarray:
    """Planck function in frequency, unnormalized."""
    x = PLANCK_OVER_BOLTZMANN * LIGHT_SPEED_UM / (wave * temperature)
    return wave**-3 / np.expm1(np.minimum(x, 600))


def _solve(shell: Shell, num_cells: int, remove_sublimated: bool) -> ShellSolution:
    """Solve on one grid; without grains that are too hot, if they are to be removed."""
    problem = _pose(shell)
    whole, edges = _solve_uniform(shell, problem, num_cells)
    if not (remove_sublimated and np.any(whole.sublimated > 0)):
        return whole
    answer, limit, first = whole, problem.limit, shell.geometry.inner
    searches, inner = [EdgeSearch(first) for _ in limit], np.full(len(limit), first)
    for _ in range(MOST_REMOVALS):
        warm, cells = answer.temperature[:, -num_cells:], edges[-num_cells - 1 :]
        excess = np.log(edge_temperature(inner, warm, cells) / limit)
        there = (inner == first) & (excess <= 0) | (inner == 1) & (excess > 0)
        if np.all(there | (np.abs(excess) < AS_HOT)):
            break
        hot = survival_radius(limit, warm, cells)
        for search, over, guess in zip(searches, excess, hot, strict=True):
            search.advance(float(over), float(guess))
        inner = np.array([one.radius for one in searches])
        if inner.min() == 1:
            return _bare(shell, problem, answer)
        answer, edges = _solve_remaining(shell, problem, inner, num_cells)
    return answer


@lru_cache(maxsize=64)
def _table(geometry: ShellGeometry, depth: float, num_cells: int) -> KernelTable:
    edges = cell_edges(geometry, depth, num_cells)
    fine = half_edges(edges)
    volume = 4 * math.pi / 3 * np.diff(fine**3)
    return kernel_table(edges, np.diff(geometry.mass(fine)) / volume)


def _solve_uniform(
    shell: Shell, problem: Problem, num_cells: int
) -> tuple[ShellSolution, Float[np.ndarray, " edge"]]:
    """The solution with all grains, and the edges of its cells."""
    opacity = shell.opacity
    # a handful of grids serves every shell of a geometry, so that tables are reused
    rung = 2.0 ** math.ceil(math.log2(max(problem.depth, 0.25)))
    table = _table(shell.geometry, rung, num_cells)
    cosine = opacity.mean_asymmetry
    scattering = opacity.total_scattering * (1 - cosine**2)
    extinction = opacity.total_absorption + scattering
    middle = 0.5 * (table.edges[1:] + table.edges[:-1])
    guess = _thin_temperature(shell, problem, middle)
    answers = responses(
        shell.column * extinction,
        scattering / extinction,
        cosine / (1 + cosine),
        problem.star,
        _hot(shell, problem, guess),
        table.matrix,
        table.escape,
        table.escape_ratio,
        middle,
        shell.geometry.column(middle),
        table.mass,
    )
    source = opacity.mass_fraction[:, None] * opacity.absorption / extinction
    source = np.repeat(source[:, :, None], num_cells, axis=2)
    mass = opacity.mass_fraction[:, None] * table.mass
    answer = _balance(shell, problem, table.edges, answers, source, mass, guess)
    hot = survival_radius(problem.limit, answer.temperature, table.edges)
    gone = shell.geometry.mass(hot) / shell.geometry.mass_per_column
    return replace(answer, sublimated=gone), table.edges


def _solve_remaining(
    shell: Shell,
    problem: Problem,
    inner: Float[np.ndarray, " species"],
    num_cells: int,
) -> tuple[ShellSolution, Float[np.ndarray, " edge"]]:
    """The same with every species gone inside its inner radius [outer radii]."""
    opacity, geometry = shell.opacity, shell.geometry
    left = replace(geometry, inner=float(inner.min()))
    kept = 1 - geometry.column(inner)
    edges = cell_edges(left, max(problem.depth * kept.max(), 0.25), num_cells)
    if left.inner > geometry.inner:
        emptied = np.linspace(geometry.inner, left.inner, EMPTIED_CELLS + 1)
        edges = np.concatenate([emptied[:-1], edges])
    profile = remaining_profile(geometry, opacity.mass_fraction, inner, edges)
    middle = 0.5 * (edges[1:] + edges[:-1])
    guess = _thin_temperature(shell, problem, middle)
    hot = _hot(shell, problem, guess)
    answers, source = respond_along(opacity, shell.column, profile, problem.star, hot)
    answer = _balance(shell, problem, edges, answers, source, profile.left, guess)
    depth = (
        shell.column
        * (opacity.mass_fraction * kept)
        @ (opacity.absorption + opacity.scattering)
    )
    gone = geometry.mass(inner) / geometry.mass_per_column
    return replace(
        answer,
        sublimated=gone,
        remaining=1 - gone,
        optical_depth=float(np.interp(0.55, opacity.wave, depth)),
    ), edges


def _hot(
    shell: Shell, problem: Problem, guess: Float[np.ndarray, "species cell"]
) -> np.ndarray:
    """Wavelengths at which grains never shine."""
    # light is kept in: the inner edge warms as the fourth root of optical depth
    hottest = WARMER * guess.max() * (1 + max(problem.depth, 0.25)) ** 0.25
    return shell.opacity.wave * hottest < FAR_WIEN


def _balance(
    shell: Shell,
    problem: Problem,
    edges: Float[np.ndarray, " edge"],
    answers: tuple[np.ndarray, ...],
    source: Float[np.ndarray, "species wave cell"],
    mass: Float[np.ndarray, "species cell"],
    guess: Float[np.ndarray, "species cell"],
) -> ShellSolution:
    """Temperatures in equilibrium, and the light that leaves."""
    gain, light, leave, escaped = answers
    opacity, weight = shell.opacity, problem.weight
    temperature, _, iterations = equilibrium(
        problem.frequency, weight, opacity.absorption, source, gain, light, guess
    )
    thermal = _thermal_source(temperature, source, problem.frequency)
    received = escaped + np.einsum("wi,wi->w", leave, thermal)
    each = mass.sum(axis=1, keepdims=True)
    share = np.divide(mass, each, where=each > 0, out=np.full_like(mass, np.nan))
    mean = np.sum(share * temperature, axis=1)
    return ShellSolution(
        wave=opacity.wave,
        luminosity=received * shell.outer_radius**2,
        radius=0.5 * (edges[1:] + edges[:-1]) * shell.outer_radius,
        temperature=temperature,
        cell_mass=share,
        mean_temperature=mean,
        dust_temperature=float(np.sum(mass * temperature) / mass.sum()),
        sublimated=np.zeros(len(mean)),
        remaining=np.ones(len(mean)),
        optical_depth=shell.optical_depth(0.55),
        energy_error=float(weight @ received / (weight @ problem.star) - 1),
        iterations=iterations,
    )


def _bare(shell: Shell, problem: Problem, last: ShellSolution) -> ShellSolution:
    """The star alone, when no grain survives."""
    free = _thin_temperature(shell, problem, last.radius / shell.outer_radius)
    return replace(
        last,
        luminosity=problem.star * shell.outer_radius**2,
        temperature=free,
        cell_mass=np.full_like(free, np.nan),
        mean_temperature=np.full(len(free), np.nan),
        dust_temperature=math.nan,
        sublimated=np.ones(len(free)),
        remaining=np.zeros(len(free)),
        optical_depth=0.0,
        energy_error=0.0,
    )


def _thermal_source(
    temperature: Float[np.ndarray, "species cell"],
    source: Float[np.ndarray, "species wave cell"],
    frequency: Float[np.ndarray, " wave"],
) -> Float[np.ndarray, "wave cell"]:
    """Thermal source function of the mixture [cgs]."""
    planck = planck_function(frequency[:, None, None], temperature)
    return np.einsum("swi,wsi->wi", source, planck)


def _thin_temperature(
    shell: Shell, problem: Problem, middle: Float[np.ndarray, " cell"]
) -> Float[np.ndarray, "species cell"]:
    """Temperatures in unattenuated starlight, on a coarse grid of temperatures."""
    opacity, weight = shell.opacity, problem.weight
    grid = np.geomspace(3.0, 20000.0, 200)
    unit = np.ones((1, len(weight), len(grid)))
    planck = _thermal_source(grid[None], unit, problem.frequency)
    emitted = (weight * opacity.absorption) @ planck
    absorbed = (weight * opacity.absorption) @ (problem.star / (16 * math.pi**2))
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
        return np.exp(np.log(b) + gain * np.nan_to_num(step))

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
