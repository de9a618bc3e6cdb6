"""Dust on a Cartesian grid: uniform shells, clumps, anyone's densities."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from grainlight.core import ParameterError
from grainlight.transfer.grid import ShellGeometry
from grainlight.transfer.shell import SUN_MASS

SUBCELLS = 6  # an axis, over which the density of a cell at a surface is averaged
SMALLEST_GRID = 4


@dataclass(frozen=True)
class DensityGrid:
    """Mass densities in cubic cells around a star in the center of the grid.

    Attributes:
        density: Mass density of the dust [g cm^-3], (n, n, n).
        width: Width of a cell [cm].
        mirrored: Whether all octants hold the same dust, mirrored in the planes
            between them; light is then followed from the cells of one.
        layers: Thickness, over the width of a cell, of the layers into which a cell is
            divided behind the faces that starlight reaches, from the face inwards.
    """

    density: Float[np.ndarray, "x y z"]
    width: float
    mirrored: bool = False
    layers: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        shape = self.density.shape
        if len(set(shape)) != 1 or shape[0] < SMALLEST_GRID:
            raise ParameterError(
                f"Expected as many cells along each axis, {SMALLEST_GRID} or more; got "
                f"the shape {shape}."
            )
        if not np.all(np.isfinite(self.density) & (self.density >= 0)):
            raise ParameterError("Expected finite densities of at least zero.")
        if not self.density.any():
            raise ParameterError("Expected dust in at least one cell; got none.")
        if not (math.isfinite(self.width) and self.width > 0):
            raise ParameterError(f"Expected a positive cell width; got {self.width}.")
        if min(self.layers) <= 0 or not math.isclose(sum(self.layers), 1):
            raise ParameterError(
                "Expected layers of a positive thickness that sum to one; got "
                f"{self.layers}."
            )
        if self.mirrored and not all(
            np.array_equal(self.density, np.flip(self.density, axis))
            for axis in range(3)
        ):
            raise ParameterError(
                "Expected the same densities in all octants of a mirrored grid; got "
                "others. Leave `mirrored` out."
            )

    @property
    def dust_mass(self) -> float:
        """Mass of the dust [Msun]."""
        return float(self.density.sum()) * self.width**3 / SUN_MASS

    def refined(self, factor: int) -> "DensityGrid":
        """The same dust on cells of a fraction of the width."""
        fine = self.density
        for axis in range(3):
            fine = np.repeat(fine, factor, axis=axis)
        return replace(self, density=fine, width=self.width / factor)

    def layered(self, num: int, thinnest: float) -> "DensityGrid":
        """The same dust, with layers behind the lit faces that thicken geometrically.

        Args:
            num: Layers of a cell.
            thinnest: Thickness of the one at the face, in widths of a cell. If all
                would be thinner than it, they are of one thickness.
        """
        if num < 1 or not thinnest > 0:
            raise ParameterError(
                "Expected one layer or more, of a positive thickness; got "
                f"{num}, {thinnest}."
            )
        layers = np.full(num, 1 / num)
        if num > 1 and thinnest * num < 1:
            ratio = brentq(
                lambda ratio: thinnest * np.sum(ratio ** np.arange(num)) - 1,
                1.0,
                1 / thinnest,
            )
            layers = thinnest * ratio ** np.arange(num)
        return replace(self, layers=tuple((layers / layers.sum()).tolist()))


@dataclass(frozen=True)
class Clumps:
    """Cubic clumps in a shell.

    Attributes:
        filling_factor: Share of the volume of the shell that clumps fill, 0 to 1;
            at 0 and 1 the shell is smooth.
        edge: Edge of a clump [outer radii].
        contrast: Density between the clumps over that in them, 0 to 1.
        mirrored: Whether the eight octants hold the same clumps, mirrored. The light
            costs an eighth then, and depends more on their places: about as much as
            that of an eighth of the shell.
    """

    filling_factor: float
    edge: float = 0.1
    contrast: float = 0.0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.filling_factor <= 1:
            raise ParameterError(
                "Expected a clump filling factor from 0 to 1; got "
                f"{self.filling_factor:g}."
            )
        if not (0 < self.edge < 1 and 0 <= self.contrast <= 1):
            raise ParameterError(
                "Expected an edge between 0 and 1 outer radii and a contrast from 0 to "
                f"1; got {self.edge:g} and {self.contrast:g}."
            )

    def size(self, cell: float) -> int:
        """Edge of a clump in cells of a width [outer radii]."""
        return max(round(self.edge / cell), 1)


def shell_density(
    generator: np.random.Generator,
    dust_mass: float,
    outer_radius: float,
    geometry: ShellGeometry | None = None,
    clumps: Clumps | None = None,
    cell: float = 0.05,
) -> DensityGrid:
    """A shell on a grid, with clumps at random places.

    Clumps lie on a lattice of their own size, moved at random by whole cells (of
    mirrored ones, a cube lies in the middle). The lattice cubes are filled in random
    order, one at least, until the share is reached.

    Args:
        generator: Random numbers; the clumps depend on it.
        dust_mass: Mass of the dust [Msun].
        outer_radius: Outer radius [cm].
        geometry: Shape of the shell.
        clumps: Clumps; none for a smooth shell.
        cell: Width of a cell [outer radii]; a clump is a whole number of cells wide.

    Returns:
        A grid whose outermost cells are empty.
    """
    geometry = geometry or ShellGeometry()
    if not (dust_mass > 0 and outer_radius > 0 and 0 < cell <= 0.25):
        raise ParameterError(
            "Expected a positive mass and radius, and cells of at most 0.25 outer "
            f"radii; got {dust_mass:g}, {outer_radius:g} and {cell:g}."
        )
    num = 2 * (math.ceil(1 / cell) + 1) + 1
    mirrored = clumps is not None and clumps.mirrored
    if clumps is not None and mirrored and clumps.size(cell) % 2 == 0:
        num += 1  # the planes then cut through the middle of clumps
    density = smooth_density(geometry, cell, num, SUBCELLS)
    smooth = clumps is None or clumps.filling_factor in (0.0, 1.0)
    if clumps is not None and not smooth:
        inside = _draw_clumps(generator, density, clumps, cell)
        density = density * np.where(inside, 1.0, clumps.contrast)
    width = cell * outer_radius
    density *= dust_mass * SUN_MASS / (density.sum() * width**3)
    if mirrored:  # rounding apart, it is so
        folded = np.minimum(np.arange(num), num - 1 - np.arange(num))
        density = density[np.ix_(folded, folded, folded)]
    return DensityGrid(density, width, mirrored)


def smooth_density(
    geometry: ShellGeometry, cell: float, num: int, subcells: int
) -> Float[np.ndarray, "n n n"]:
    """Relative densities of a smooth shell, averaged over each cell of a grid.

    Args:
        geometry: Shape of the shell.
        cell: Width of a cell [outer radii].
        num: Cells an axis.
        subcells: Points an axis in each cell.
    """
    axis = (np.arange(num) - 0.5 * (num - 1)) * cell
    shift = ((np.arange(subcells) + 0.5) / subcells - 0.5) * cell
    fine = (axis[:, None] + shift).ravel() ** 2
    total = np.zeros((num, num, num))
    for plane in range(num):
        x = fine[plane * subcells : (plane + 1) * subcells]
        squared = x[:, None, None] + fine[None, :, None] + fine[None, None, :]
        inside = (squared >= geometry.inner**2) & (squared <= 1)
        power = np.zeros_like(squared)
        power[inside] = squared[inside] ** (-geometry.density_power / 2)
        split = power.reshape(subcells, num, subcells, num, subcells)
        total[plane] = split.mean(axis=(0, 2, 4))
    return total


def _draw_clumps(
    generator: np.random.Generator,
    density: Float[np.ndarray, "n n n"],
    clumps: Clumps,
    cell: float,
) -> np.ndarray:
    """Cells that are in a clump."""
    size, num = clumps.size(cell), density.shape[0]
    if clumps.mirrored:
        from_middle = np.abs(np.arange(num) - 0.5 * (num - 1))
        cube = [np.floor(from_middle / size + 0.5).astype(int)] * 3
    else:
        offset = generator.integers(0, size, 3)
        cube = [(np.arange(num) + offset[axis]) // size for axis in range(3)]
    sides = [int(labels.max()) + 1 for labels in cube]
    label = np.ravel_multi_index(np.ix_(*cube), sides)
    volume = np.bincount(label.ravel(), (density > 0).ravel(), math.prod(sides))
    order = generator.permutation(np.flatnonzero(volume))
    reached = np.cumsum(volume[order]) / volume.sum()
    before = np.concatenate([[0.0], reached])
    count = max(int(np.argmin(np.abs(before - clumps.filling_factor))), 1)
    filled = np.zeros(math.prod(sides), bool)
    filled[order[:count]] = True
    return filled[label]
