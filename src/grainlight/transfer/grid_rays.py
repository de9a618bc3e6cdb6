"""Rays of the emission of grains on a grid: to other layers, scattered, or escaping.

They are recorded once, so that what becomes of the light of all layers is a smooth
function of their powers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from grainlight.transfer import exchange, recording
from grainlight.transfer.grid_tables import GridTables
from grainlight.transfer.layers import CellLayers, even_points

NUM_DRAWS = 6  # random numbers of a ray: its direction, and where it begins


class Emission(NamedTuple):
    """What layers emit: powers, and places of their temperatures in the tables."""

    power: Float[np.ndarray, "species layer"]
    warmth: Float[np.ndarray, "species layer"]


class Rays(NamedTuple):
    """Recorded rays, those of a layer in turn: where each begins, what it passes.

    Columns are given by their places in the tables, but for the whole ones, which are
    there as both. A ray stands for a share of the light of its layer, its weight.
    """

    per_layer: int
    first: Int[np.ndarray, " ray_and_one"]
    cells: Int[np.ndarray, " passed"]
    places: Float[np.ndarray, " passed"]
    totals: Float[np.ndarray, " ray"]
    ends: Float[np.ndarray, " ray"]
    weights: Float[np.ndarray, " ray"]


class Exchange(NamedTuple):
    """Powers that species in layers get of others by light, and give to them."""

    gotten: Float[np.ndarray, "species layer"]
    given: Float[np.ndarray, "species layer"]


class Depths(NamedTuple):
    """Optical depths of rays to the wall of their layer and to the outside; weights."""

    inside: Float[np.ndarray, "ray layer"]
    outside: Float[np.ndarray, "ray layer"]
    weights: Float[np.ndarray, "ray layer"]


class GridRays:
    """Makes rays, and follows light along them.

    Attributes:
        layers: Where the dust is.
        tables: Tables of the whole spectrum.
        opacity: Extinction that tells which layers are thick [cm^2 g^-1].
    """

    def __init__(self, layers: CellLayers, tables: GridTables, opacity: float) -> None:
        self.layers, self.tables, self.opacity = layers, tables, opacity

    def record(self, generator: np.random.Generator, per_layer: int) -> Rays:
        """A set of rays of all layers, so many of each.

        Where they begin and go is spread evenly for those of neighbouring layers
        together, too.
        """
        num_layers, size = len(self.layers.mass), len(self.layers.cells.number)
        num_rays = num_layers * per_layer
        draws = even_points(num_rays, NUM_DRAWS, generator)
        owners = np.repeat(np.arange(num_layers), per_layer)
        points = self.layers.points(generator, owners, draws[:, 3:])
        room = (num_rays + 8) * size // 2
        first, totals = np.empty(num_rays + 1, np.int64), np.empty(num_rays)
        weights = np.empty(num_rays)
        while True:
            cells, places = np.empty(room, np.int32), np.empty(room)
            found = recording.record_rays(
                generator,
                points,
                draws,
                per_layer,
                self.layers.chord * self.opacity,
                self.layers.cells,
                self.tables.unit,
                self.tables.step,
                cells,
                places,
                first,
                totals,
                weights,
            )
            if found >= 0:
                ends = self.tables.places(totals)
                return Rays(
                    per_layer,
                    first,
                    cells[:found],
                    places[:found],
                    totals,
                    ends,
                    weights,
                )
            room *= 2

    def exchanged(self, emission: Emission, sets: Sequence[Rays]) -> Exchange:
        """What layers give each other of their emission, before it is scattered."""
        found = [
            exchange.exchange(
                *emission,
                self.layers.mass,
                one.per_layer,
                one.weights,
                one.first,
                one.cells,
                one.places,
                self.tables.exchange,
            )
            for one in sets
        ]
        return Exchange(*np.mean(found, axis=0))

    def scattered(
        self, emission: Emission, sets: Sequence[Rays]
    ) -> Float[np.ndarray, "species layer"]:
        """Emission of layers that is scattered before it is absorbed or escapes."""
        return self._ended(emission, sets, self.tables.scattered)

    def passed(
        self, emission: Emission, sets: Sequence[Rays]
    ) -> Float[np.ndarray, "species layer"]:
        """Emission of layers that escapes without being scattered."""
        return self._ended(emission, sets, self.tables.passed)

    def _ended(
        self,
        emission: Emission,
        sets: Sequence[Rays],
        table: Float[np.ndarray, "species temperature column 1"],
    ) -> Float[np.ndarray, "species layer"]:
        found = [
            exchange.ended(*emission, one.per_layer, one.weights, one.ends, table)
            for one in sets
        ]
        return np.mean(found, axis=0)

    def escaped(
        self, emission: Emission, sets: Sequence[Rays]
    ) -> Float[np.ndarray, " wave"]:
        """Spectrum of what escapes without being scattered."""
        found = [self.tables.escape(*emission, one.totals, one.weights) for one in sets]
        return np.mean(found, axis=0)

    def depths(self, emission: Emission, sets: Sequence[Rays]) -> Depths:
        """Optical depths of all rays, at a wavelength that is typical of the light."""
        light = self.tables.emission(*emission).sum(axis=1)
        typical = light @ self.tables.extinction / light.sum()
        walls = [self.tables.columns(one.places[one.first[:-1]]) for one in sets]
        return Depths(
            typical * self._by_layer(sets, walls),
            typical * self._by_layer(sets, [one.totals for one in sets]),
            self._by_layer(sets, [one.weights for one in sets]),
        )

    @staticmethod
    def _by_layer(
        sets: Sequence[Rays], values: Sequence[Float[np.ndarray, " every"]]
    ) -> Float[np.ndarray, "ray layer"]:
        each = [
            value.reshape(-1, one.per_layer).T
            for one, value in zip(sets, values, strict=True)
        ]
        return np.concatenate(each)
