"""Rays of the emission of grains on a grid: absorbed, scattered, or escaping.

They are recorded once, so that what becomes of the light of all layers is a smooth
function of their powers. On the way of a ray every part of its light has one fate: the
three add up to what was emitted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from grainlight.transfer import transport
from grainlight.transfer.grid_tables import GridTables
from grainlight.transfer.layers import CellLayers


class Emission(NamedTuple):
    """What layers emit: powers, and places of their temperatures in the tables."""

    power: Float[np.ndarray, "species layer"]
    warmth: Float[np.ndarray, "species layer"]


class Rays(NamedTuple):
    """Recorded rays, those of a layer in turn: where each begins, what it passes.

    Columns are given by their places in the tables, but for the whole ones, which are
    there as both.
    """

    first: Int[np.ndarray, " ray_and_one"]
    cells: Int[np.ndarray, " passed"]
    places: Float[np.ndarray, " passed"]
    totals: Float[np.ndarray, " ray"]
    ends: Float[np.ndarray, " ray"]


class Depths(NamedTuple):
    """Optical depths of rays to the wall of their layer, and to the outside."""

    inside: Float[np.ndarray, "ray layer"]
    outside: Float[np.ndarray, "ray layer"]


class GridRays:
    """Makes rays, and follows light along them.

    Attributes:
        layers: Where the dust is.
        tables: Tables of the whole spectrum.
        per_layer: Rays of a layer in one set.
    """

    def __init__(self, layers: CellLayers, tables: GridTables, per_layer: int) -> None:
        self.layers, self.tables, self.per_layer = layers, tables, per_layer

    def record(self, generator: np.random.Generator) -> Rays:
        """A set of rays from random points in all layers."""
        num_layers, size = len(self.layers.mass), len(self.layers.cells.number)
        num_rays = num_layers * self.per_layer
        points = self.layers.points(
            generator, np.repeat(np.arange(num_layers), self.per_layer)
        )
        room = (num_rays + 8) * size // 2
        first, totals = np.empty(num_rays + 1, np.int64), np.empty(num_rays)
        while True:
            cells, places = np.empty(room, np.int32), np.empty(room)
            found = transport.record_rays(
                generator,
                points,
                self.per_layer,
                self.layers.cells,
                self.tables.unit,
                self.tables.step,
                cells,
                places,
                first,
                totals,
            )
            if found >= 0:
                ends = self.tables.places(totals)
                return Rays(first, cells[:found], places[:found], totals, ends)
            room *= 2

    def absorbed(
        self, emission: Emission, sets: Sequence[Rays]
    ) -> Float[np.ndarray, "species layer"]:
        """What layers absorb of the emission of all, before it is scattered."""
        found = [
            transport.exchange(
                *emission,
                self.per_layer,
                one.first,
                one.cells,
                one.places,
                self.tables.exchange,
            )
            for one in sets
        ]
        return np.mean(found, axis=0)

    def scattered(
        self, emission: Emission, sets: Sequence[Rays]
    ) -> Float[np.ndarray, " layer"]:
        """Emission of layers that is scattered before it is absorbed or escapes."""
        found = [
            transport.first_scattered(
                *emission, self.per_layer, one.ends, self.tables.scattered
            )
            for one in sets
        ]
        return np.mean(found, axis=0)

    def escaped(
        self, emission: Emission, sets: Sequence[Rays]
    ) -> Float[np.ndarray, " wave"]:
        """Emission that escapes without being scattered."""
        found = [
            self.tables.escape(*emission, one.totals, self.per_layer) for one in sets
        ]
        return np.mean(found, axis=0)

    def depths(self, emission: Emission, sets: Sequence[Rays]) -> Depths:
        """Optical depths of all rays, at a wavelength that is typical of the light."""
        every = np.arange(len(self.tables.extinction))
        light = self.tables.emission(*emission, every).sum(axis=1)
        typical = light @ self.tables.extinction / light.sum()
        walls = [self.tables.columns(one.places[one.first[:-1]]) for one in sets]
        return Depths(
            typical * self._by_layer(walls),
            typical * self._by_layer([one.totals for one in sets]),
        )

    def _by_layer(
        self, columns: Sequence[Float[np.ndarray, " every"]]
    ) -> Float[np.ndarray, "ray layer"]:
        each = [column.reshape(-1, self.per_layer).T for column in columns]
        return np.concatenate(each)
