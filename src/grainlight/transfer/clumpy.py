"""Shells with clumps, at the limit of fine cells."""

from dataclasses import replace

import numpy as np

from grainlight.core import ParameterError
from grainlight.transfer.density import Clumps, shell_density
from grainlight.transfer.grid_solution import GridSettings, GridSolution
from grainlight.transfer.grid_solver import solve_grid
from grainlight.transfer.shell import Shell

FARTHEST_STEP = 0.5  # in the logarithm


def solve_clumpy(
    shell: Shell,
    clumps: Clumps,
    seed: int = 0,
    *,
    cell: float = 0.05,
    splits: tuple[int, int] = (2, 3),
    settings: GridSettings | None = None,
) -> GridSolution:
    """Solve a shell with clumps at random places, extrapolated to fine cells.

    A lit surface of a thick clump is thinner than its cells. The error falls about in
    proportion to their width, so that the answers with two widths give that with none:
    nearly so where a cell is not thick to starlight. What extrapolation has changed
    (`resolution`) tells how far the answer is to be trusted.

    Args:
        shell: The shell; its mass is shared by clumps and what is between them.
        clumps: The clumps.
        seed: Seed of their places and of the paths of light.
        cell: Width of a cell [outer radii].
        splits: In how many parts cells are split, coarse and fine.
        settings: How finely the light is followed on the coarse cells; the rays grow
            with the number of cell faces.

    Returns:
        The solution; the temperatures of cells are those of the fine ones.

    Raises:
        ParameterError: The splits are not two rising numbers.
    """
    coarse, fine = splits
    if not 1 <= coarse < fine:
        raise ParameterError(
            f"Expected two rising splits of the cells, such as (2, 3); got {splits}."
        )
    places, paths = np.random.SeedSequence(seed).spawn(2)
    grid = shell_density(
        np.random.default_rng(places),
        shell.dust_mass,
        shell.outer_radius,
        shell.geometry,
        clumps,
        cell,
    )
    settings = settings or GridSettings()
    low, high = (
        solve_grid(
            shell.luminosity,
            shell.source_temperature,
            shell.opacity,
            grid.refined(split),
            int(each.generate_state(1)[0]),
            replace(settings, star_rays=settings.star_rays * split**2),
        )
        for split, each in zip(splits, paths.spawn(2), strict=True)
    )
    return _extrapolate(low, high, fine / coarse)


def _extrapolate(low: GridSolution, high: GridSolution, ratio: float) -> GridSolution:
    """The limit of errors that are proportional to the width of cells."""
    gain = 1 / (ratio - 1)

    def limit(a, b):
        step = np.clip(np.log(b) - np.log(a), -FARTHEST_STEP, FARTHEST_STEP)
        return np.exp(np.log(b) + gain * step)

    tiny = 1e-300
    dust_temperature = float(limit(low.dust_temperature, high.dust_temperature))
    noise = np.hypot((1 + gain) * high.noise, gain * low.noise)
    return replace(
        high,
        luminosity=limit(
            np.maximum(low.luminosity, tiny), np.maximum(high.luminosity, tiny)
        ),
        mean_temperature=limit(low.mean_temperature, high.mean_temperature),
        dust_temperature=dust_temperature,
        noise=noise,
        resolution=dust_temperature / high.dust_temperature - 1,
        energy_error=high.energy_error + gain * (high.energy_error - low.energy_error),
    )
