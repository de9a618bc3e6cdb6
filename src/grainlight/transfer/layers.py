r"""Cells of a grid, those that starlight reaches divided in layers.

Dust behind the face of a thick clump is hot for about one optical depth of starlight
and cold farther in. Cells with such a face are divided in layers behind it; these are
nested boxes where two or three faces are lit. Starlight comes straight from the middle,
so that thin layers behind these faces do what thin cells would, for a share of their
number.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import brentq

from grainlight.transfer.density import DensityGrid
from grainlight.transfer.tracing import Cells

#: A face is lit if the cell in front of it is thinner than this, over its own density.
CLEAR = 0.5
BLOCK = 256  # points that are moved together


class CellLayers:
    """The layers of all cells with dust, numbered cell by cell from the face inwards.

    Attributes:
        cells: What rays have to know.
        index: Cell of each layer, (layer, 3); of a mirrored grid, one octant's.
        mass: Mass of each layer [g], with that of its images.
        volume: Mass column of one width times volume in cubes of it [g cm^-2].
        radius: Radius of a sphere that holds all dust [cell widths].
        chord: Mass column of the mean stretch of a line in each layer [g cm^-2], that
            of one lit face.
    """

    def __init__(self, grid: DensityGrid) -> None:
        density, places = grid.density, np.arange(len(grid.density))
        if grid.mirrored:
            places = np.minimum(places, places[::-1])
        inside = places == np.arange(len(places))
        own = (density > 0) & inside[:, None, None] & inside[:, None] & inside
        cells = np.argwhere(own)
        number = np.full(density.shape, -1, np.int32)
        number[own] = np.arange(len(cells))
        number = np.ascontiguousarray(number[np.ix_(places, places, places)])
        lit = _lit_faces(density, cells)
        depth = np.cumsum(grid.layers)[:-1]
        counts = np.where(lit.any(axis=1), len(grid.layers), 1)
        first = np.concatenate([[0], np.cumsum(counts)])
        column = density[own].astype(float) * grid.width
        self.cells = Cells(number, column, first, lit, depth)
        self._owner = np.repeat(np.arange(len(cells)), counts)
        self.index = cells[self._owner]
        layer = np.arange(first[-1]) - first[self._owner]
        edges = np.concatenate([[0.0], depth, [1.0]])
        self._faces = np.count_nonzero(lit, axis=1)[self._owner]
        whole = self._faces == 0
        # share of a cell that is deeper than the two sides of a layer
        self._outer = np.where(whole, 1, (1 - edges[layer]) ** self._faces)
        self._inner = np.where(whole, 0, (1 - edges[layer + 1]) ** self._faces)
        copies = np.bincount(number[number >= 0])
        whole_mass = column * grid.width**2 * copies
        self.mass = (self._outer - self._inner) * whole_mass[self._owner]
        self.volume = self.mass / grid.width**2
        far = np.abs(cells - 0.5 * (len(places) - 1)) + 0.5
        self.radius = float(np.sqrt(np.max(np.sum(far**2, axis=1))))
        thick = edges[layer + 1] - edges[layer]
        thick = np.where(whole, 1.0, thick)
        self.chord = column[self._owner] / (0.5 / thick + 1)
        self._middle = 0.5 * len(places)

    def over_cells(
        self,
        power: Float[np.ndarray, "species layer"],
        mass: Float[np.ndarray, "species layer"],
    ) -> Float[np.ndarray, "species layer"]:
        """Power over mass of the cells that layers belong to, for each layer."""
        sums = [
            np.stack([np.bincount(self._owner, row) for row in part])
            for part in (power, mass)
        ]
        return (sums[0] / sums[1])[:, self._owner]

    def points(
        self,
        generator: np.random.Generator,
        layers: Int[np.ndarray, " point"],
        draws: Float[np.ndarray, "point 3"],
    ) -> Float[np.ndarray, "point 3"]:
        """Draw a point evenly in each of some layers, from the center [cell widths].

        Args:
            generator: For the places in cells that are divided.
            layers: The layers.
            draws: Numbers from 0 to 1, the places in cells that are not.
        """
        within = draws.copy()
        faces = self._faces[layers]
        divided = np.flatnonzero(faces > 0)
        if len(self.cells.depth) and len(divided):
            within[divided] = self._deep(generator, layers[divided], within[divided])
        corner = self.index[layers] - self._middle
        # depths count from the face towards the middle of the grid
        return np.where(corner >= 0, corner + within, corner + 1 - within)

    def _deep(
        self, generator: np.random.Generator, layers: np.ndarray, within: np.ndarray
    ) -> np.ndarray:
        """Depths behind the faces of the cells of layers."""
        outer, inner = self._outer[layers], self._inner[layers]
        faces, lit = self._faces[layers], self.cells.lit[self._owner[layers]]
        share = inner + (outer - inner) * generator.random(len(layers))
        depth = 1 - share ** (1 / faces)
        # one lit face is the nearest, the others are farther away
        order = np.argsort(np.where(lit, generator.random(lit.shape), 2.0), axis=1)
        nearest = order[:, 0]
        deep = np.where(lit, depth[:, None] + (1 - depth[:, None]) * within, within)
        deep[np.arange(len(layers)), nearest] = depth
        return deep


def _lit_faces(
    density: Float[np.ndarray, "x y z"], cells: Int[np.ndarray, "cell 3"]
) -> Bool[np.ndarray, "cell 3"]:
    """Whether starlight reaches the inner face of each cell along each axis."""
    middle = 0.5 * (len(density) - 1)
    lit = np.zeros(cells.shape, bool)
    own = density[tuple(cells.T)]
    for axis in range(3):
        place = cells[:, axis] - middle
        before = cells.copy()
        before[:, axis] -= np.sign(place).astype(int)
        clear = density[tuple(before.T)] < CLEAR * own
        lit[:, axis] = clear & (np.abs(place) >= 1)
    return lit


def even_directions(
    count: int, generator: np.random.Generator
) -> Float[np.ndarray, "direction 3"]:
    """Directions of equal solid angles, turned at random (Fibonacci's spiral)."""
    number = np.arange(count)
    height = 1 - (2 * number + 1) / count
    azimuth = math.pi * (1 + math.sqrt(5)) * number
    across = np.sqrt(1 - height**2)
    points = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), height], 1)
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    return np.ascontiguousarray(points @ turn)


def even_points(
    count: int, dimension: int, generator: np.random.Generator
) -> Float[np.ndarray, "point dimension"]:
    """Points of which some hundreds after each other fill a unit cube evenly.

    Each step is an irrational part of the edges, so that every second, third, ... point
    also does (Kronecker's sequence; Roberts 2018, "The unreasonable effectiveness of
    quasirandom sequences", for the steps). Each block is moved at random.
    """
    root = brentq(lambda x: x ** (dimension + 1) - x - 1, 1.0, 2.0)
    steps = root ** -np.arange(1.0, dimension + 1)
    shifts = generator.random((math.ceil(count / BLOCK), dimension))
    points = np.outer(np.arange(count), steps) + np.repeat(shifts, BLOCK, 0)[:count]
    return points % 1
