"""Shells with clumps, at the limit of fine cells."""

from dataclasses import replace

import numpy as np

from grainlight.core import ParameterError
from grainlight.transfer.density import Clumps, DensityGrid, shell_density
from grainlight.transfer.grid_solution import GridSettings, GridSolution
from grainlight.transfer.grid_solver import solve_grid
from grainlight.transfer.shell import Shell
from grainlight.transfer.solution import (
    LIGHT_SPEED_UM,
    frequency_weights,
    planck_shape,
)

FARTHEST_STEP = 0.5  # in the logarithm
#: Optical depths of a cell to starlight: below the first, cells are fine enough as they
#: are; the second is that of the layer at a lit face.
THIN, SKIN = 0.1, 0.3
#: An octant has an eighth of the cells, and needs fewer rays for the same noise.
MIRRORED = GridSettings(
    star_rays=15_000, cell_rays=4, least_rays=7_500, paths=1_000, more=8
)


def solve_clumpy(
    shell: Shell,
    clumps: Clumps,
    seed: int = 0,
    *,
    cell: float = 0.05,
    splits: tuple[int, int] = (1, 2),
    layers: int = 4,
    settings: GridSettings | None = None,
) -> GridSolution:
    """Solve a shell with clumps at random places, extrapolated to fine cells.

    A lit face of a thick clump is thinner than its cells, so that these are divided in
    layers behind it (see `layers`). What remains falls about in proportion to the width
    of cells: the answers with two widths give that with none. What extrapolation has
    changed (`resolution`) tells how far the answer is to be trusted. Where cells are
    thin, one width is enough.

    Args:
        shell: The shell; its mass is shared by clumps and what is between them.
        clumps: The clumps.
        seed: Seed of their places and of the paths of light.
        cell: Width of a cell [outer radii].
        splits: In how many parts cells are split, coarse and fine.
        layers: Layers of a cell behind its lit faces.
        settings: How finely the light is followed on the coarse cells, less so for
            mirrored clumps if not given; rays grow with the number of cell faces.

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
    settings = settings or (MIRRORED if clumps.mirrored else GridSettings())
    depth = _cell_depth(shell, grid)
    wanted = splits if depth > THIN else splits[:1]
    found = [
        solve_grid(
            shell.luminosity,
            shell.source_temperature,
            shell.opacity,
            divided(grid, split, layers, depth),
            int(each.generate_state(1)[0]),
            replace(settings, star_rays=settings.star_rays * split**2),
        )
        for split, each in zip(wanted, paths.spawn(len(wanted)), strict=True)
    ]
    return found[0] if len(found) == 1 else _extrapolate(*found, fine / coarse)


def _cell_depth(shell: Shell, grid: DensityGrid) -> float:
    """Optical depth to starlight of the densest cell."""
    opacity = shell.opacity
    weight = frequency_weights(LIGHT_SPEED_UM / opacity.wave)
    star = weight * planck_shape(opacity.wave, shell.source_temperature)
    column = float(grid.density.max()) * grid.width
    return float(np.average(opacity.extinction, weights=star)) * column


def divided(grid: DensityGrid, split: int, layers: int, depth: float) -> DensityGrid:
    """A grid of finer cells, with layers if the undivided ones of a depth are thick.

    All widths have layers or none has: only then do errors fall in proportion.

    Args:
        grid: The undivided cells.
        split: In how many parts an edge of theirs is split.
        layers: Layers of a cell behind its lit faces.
        depth: Optical depth of the densest undivided cell to starlight.
    """
    fine = grid.refined(split)
    return fine if depth <= SKIN else fine.layered(layers, SKIN * split / depth)


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
        is_settled=low.is_settled and high.is_settled,
        energy_error=high.energy_error + gain * (high.energy_error - low.energy_error),
    )
