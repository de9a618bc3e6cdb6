"""Scattered light on a grid: random paths that tell where it ends."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from grainlight.dust import Opacity
from grainlight.transfer import transport
from grainlight.transfer.grid_rays import Emission
from grainlight.transfer.grid_solution import HALVES, GridSettings
from grainlight.transfer.grid_tables import GridTables
from grainlight.transfer.layers import CellLayers, even_directions

#: Share of the starlight; less of it, or of the emission of grains, is not followed.
FAINT, FAINT_DUST = 1e-6, 3e-4
LOWEST_WEIGHT = 0.05
NUM_PARTS = 12  # zones of layers, and classes
FADED = 0.5  # weight of what was followed one round before


class Scattered(NamedTuple):
    """What becomes of scattered light, as powers or as shares.

    Absorbed by other layers or escaping, by the zone that it comes from; coming back to
    the layer that it comes from, and all of it, by the class of the layer.
    """

    absorbed: Float[np.ndarray, "zone species layer"]
    escaped: Float[np.ndarray, "zone wave"]
    back: Float[np.ndarray, "class species"]
    whole: Float[np.ndarray, " class"]

    @property
    def is_nothing(self) -> bool:
        """Whether no light was followed."""
        return not self.whole.any()

    @property
    def shares(self) -> "Scattered":
        """Shares, which add up to one.

        `back` is a share of all scattered light of a class, `absorbed` and `escaped` of
        what does not come back; a zone or class without light has the shares of all.
        """
        if self.is_nothing:
            return self
        gone = self.absorbed.sum(axis=(1, 2)) + self.escaped.sum(axis=1)
        lit = gone > 0
        part = 1 / np.where(lit, gone, gone.sum())
        absorbed = np.where(
            lit[:, None, None], self.absorbed, self.absorbed.sum(axis=0)
        )
        escaped = np.where(lit[:, None], self.escaped, self.escaped.sum(axis=0))
        known = self.whole > 0
        back = np.where(known[:, None], self.back, self.back.sum(axis=0))
        whole = np.where(known, self.whole, self.whole.sum())
        return Scattered(
            part[:, None, None] * absorbed,
            part[:, None] * escaped,
            back / whole[:, None],
            np.ones_like(whole),
        )

    @classmethod
    def mean(cls, some: Sequence["Scattered"]) -> "Scattered":
        """The mean of some of them."""
        return cls(*(np.mean(part, axis=0) for part in zip(*some, strict=True)))

    def with_faded(self, before: "Scattered") -> "Scattered":
        """These powers and, faded, those of earlier rounds."""
        pairs = zip(self, before, strict=True)
        return Scattered(*(new + FADED * old for new, old in pairs))


class Parts(NamedTuple):
    """Parts of the layers whose light is told apart, as many of each kind.

    Zones by how much of their light escapes; classes by how much of it stops in them.
    """

    zones: Int[np.ndarray, " layer"]
    classes: Int[np.ndarray, " layer"]


def even_parts(values: Float[np.ndarray, " layer"]) -> Int[np.ndarray, " layer"]:
    """Parts of as many layers each, in rising order of a value."""
    order = np.argsort(values, kind="stable")
    parts = np.empty(len(order), int)
    parts[order] = np.arange(len(order)) * NUM_PARTS // len(order)
    return parts


class GridScattering:
    """Follows the scattered light of star and grains by random paths, in halves."""

    def __init__(
        self,
        generator: np.random.Generator,
        opacity: Opacity,
        star: Float[np.ndarray, " wave"],
        layers: CellLayers,
        tables: GridTables,
        settings: GridSettings,
    ) -> None:
        self._generator, self._opacity, self._star = generator, opacity, star
        self._layers, self._tables, self._settings = layers, tables, settings
        self._paths = max(settings.paths // HALVES, 1)
        every = np.arange(len(star))
        starts = range(settings.group, len(every), settings.group)
        self._groups = np.split(every, starts)

    def nothing(self, num_zones: int) -> Scattered:
        """No light from so many zones and classes."""
        shape = (self._tables.share.shape[0], len(self._layers.mass))
        return Scattered(
            np.zeros((num_zones, *shape)),
            np.zeros((num_zones, len(self._star))),
            np.zeros((num_zones, shape[0])),
            np.zeros(num_zones),
        )

    def starlight(self, deepest: float) -> Scattered:
        """Scattered starlight, as of one zone.

        Args:
            deepest: Largest column that it may pass.
        """
        found = self.nothing(1)
        center, zero = np.zeros((self._paths, 3)), np.zeros(self._paths, int)
        nowhere = np.full(self._paths, -1)
        for group in self._groups:
            most = self._most_scattered(group, deepest)
            if self._star[group].sum() * most < FAINT * self._star.sum():
                continue
            each = self._star[group, None] / self._paths
            power = np.repeat(each, self._paths, axis=1)
            directions = even_directions(self._paths, self._generator)
            self._follow(
                found, group, center, directions, power, Parts(zero, zero), nowhere
            )
        return found

    def emission(self, emission: Emission, deep: float, parts: Parts) -> Scattered:
        """Scattered light of the grains.

        Args:
            emission: What layers emit.
            deep: A large column of their rays.
            parts: Zone and class of each layer.
        """
        found, paths = self.nothing(NUM_PARTS), self._paths
        for group in self._groups:
            light = self._tables.emission(*emission, group)
            total = light.sum()
            most = self._most_scattered(group, deep)
            if total * most < FAINT_DUST * self._star.sum():
                continue
            chance = light.sum(axis=0) / total
            ticks = (np.arange(paths) + self._generator.random(paths)) / paths
            picked = np.searchsorted(np.cumsum(chance), ticks)
            picked = np.minimum(picked, len(chance) - 1)
            points = self._layers.points(self._generator, picked)
            directions = self._generator.normal(size=(paths, 3))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            power = light[:, picked] / (chance[picked] * paths)
            some = Parts(parts.zones[picked], parts.classes[picked])
            self._follow(found, group, points, directions, power, some, picked)
        return found

    def _most_scattered(self, group: np.ndarray, column: float) -> float:
        """Largest share of the light of some wavelengths that may be scattered."""
        reached = -np.expm1(-self._tables.extinction[group] * column)
        return float(np.max(self._opacity.albedo[group] * reached))

    def _follow(
        self,
        found: Scattered,
        group: Int[np.ndarray, " some"],
        points: Float[np.ndarray, "path 3"],
        directions: Float[np.ndarray, "path 3"],
        power: Float[np.ndarray, "some path"],
        parts: Parts,
        origins: Int[np.ndarray, " path"],
    ) -> None:
        """Add what becomes of the light of some wavelengths to what was found."""
        cosine = np.clip(self._opacity.mean_asymmetry[group], -0.999, 0.999)
        absorbed, escaped, back, whole = transport.scatter(
            self._generator,
            points,
            directions,
            np.ascontiguousarray(power),
            self._tables.extinction[group],
            self._opacity.albedo[group],
            cosine,
            np.ascontiguousarray(self._tables.share[:, group]),
            parts.zones,
            origins,
            self._layers.cells,
            LOWEST_WEIGHT,
        )
        found.absorbed[: len(absorbed)] += absorbed
        found.escaped[: len(escaped), group] += escaped
        np.add.at(found.back, parts.classes, back)
        np.add.at(found.whole, parts.classes, whole)
