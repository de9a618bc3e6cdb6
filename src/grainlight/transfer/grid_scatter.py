"""Scattered light on a grid: random paths that tell where it ends."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from grainlight.dust import Opacity
from grainlight.transfer import recording, transport
from grainlight.transfer.grid_solution import HALVES, GridSettings
from grainlight.transfer.grid_tables import GridTables
from grainlight.transfer.layers import CellLayers, even_directions

#: Share of the starlight; less of it, or of the emission of grains, is not followed.
FAINT, FAINT_DUST = 1e-6, 3e-4
LOWEST_WEIGHT = 0.05
#: Share of starlight scattered above which so many times more paths of it are followed.
CLOUDED, MANY = 0.2, 4
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


class Escape(NamedTuple):
    """Shares of the light of layers that escape after they were scattered.

    Those of single layers are noisy, and may be larger than what scatters. Wavelengths
    that are not known were too faint to be followed: their shares are zero, and what
    layers scatter there stays with them.
    """

    shares: Float[np.ndarray, "layer wave"]
    is_known: Bool[np.ndarray, " wave"]


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
        self._outside = self._paths
        every = np.arange(len(star))
        starts = range(settings.group, len(every), settings.group)
        self._groups = np.split(every, starts)

    def follow_more(self, times: float, outside: float) -> None:
        """From now on follow more paths from layers, and from outside, by factors."""
        self._outside = max(round(outside * self._paths), 1)
        self._paths = max(round(times * self._paths), 1)

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
        for group in self._groups:
            most = self._most_scattered(group, deepest)
            if self._star[group].sum() * most < FAINT * self._star.sum():
                continue
            paths = self._paths * (MANY if most > CLOUDED else 1)
            center, zero = np.zeros((paths, 3)), np.zeros(paths, int)
            power = np.repeat(self._star[group, None] / paths, paths, axis=1)
            directions = even_directions(paths, self._generator)
            self._follow(
                found, group, center, directions, power, Parts(zero, zero), zero - 1
            )
        return found

    def emission(
        self, emitted: Float[np.ndarray, "wave layer"], deep: float, parts: Parts
    ) -> Scattered:
        """Scattered light of the grains.

        Args:
            emitted: Power that layers emit at each wavelength.
            deep: A large column of their rays.
            parts: Zone and class of each layer.
        """
        found, paths = self.nothing(NUM_PARTS), self._paths
        for group in self._bright(emitted, deep):
            light = emitted[group]
            chance = light.sum(axis=0) / light.sum()
            ticks = (np.arange(paths) + self._generator.random(paths)) / paths
            picked = np.searchsorted(np.cumsum(chance), ticks)
            picked = np.minimum(picked, len(chance) - 1)
            points = self._layers.points(
                self._generator, picked, self._generator.random((paths, 3))
            )
            directions = self._generator.normal(size=(paths, 3))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            weights = recording.toward_walls(
                self._generator.permutation(ticks),
                points,
                directions,
                float(self._tables.extinction[group].mean()),
                self._layers.cells,
            )
            power = light[:, picked] * (weights / (chance[picked] * paths))
            some = Parts(parts.zones[picked], parts.classes[picked])
            self._follow(found, group, points, directions, power, some, picked)
        return found

    def no_escape(self) -> Escape:
        """Nothing that escapes, at no wavelength known."""
        size = len(self._star)
        return Escape(np.zeros((len(self._layers.mass), size)), np.zeros(size, bool))

    def escape(
        self, emitted: Float[np.ndarray, "wave layer"], deep: float, known: Escape
    ) -> Escape:
        """Which share of the light of layers escapes after it was scattered.

        Light takes the same way back: of isotropic light from outside, as much of a
        wavelength reaches the dust of a layer on paths that are scattered as its own
        light leaves on them. All paths from outside begin where light can leave.

        Args:
            emitted: Power that layers emit: wavelengths that are bright are followed.
            deep: A large column of their rays.
            known: What was followed before, and is not followed again.
        """
        paths, shares, is_known = self._outside, known.shares, known.is_known
        shares, is_known = shares.copy(), is_known.copy()
        zero = np.zeros(paths, int)
        for group in self._bright(emitted, deep):
            if is_known[group].all():
                continue
            points, directions, power = self._from_outside(paths)
            reached, _, _, _ = self._scatter(
                group,
                points,
                directions,
                np.tile(power, (len(group), 1)),
                np.eye(len(group)),
                zero,
                zero - 1,
            )
            opacity = 4 * math.pi * self._tables.extinction[group]
            shares[:, group] = reached[0].T / np.outer(self._layers.volume, opacity)
            is_known[group] = True
        return Escape(shares, is_known)

    def _from_outside(self, paths: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Paths of isotropic light that enters a sphere around all dust.

        Returns:
            Where they enter, or the cube of all cells if that is farther in; their
            directions; and the power of each for an intensity of one, none if it
            misses the cube.
        """
        generator, radius = self._generator, self._layers.radius
        directions = even_directions(paths, generator)
        across = np.cross(directions, np.roll(directions, 1, axis=1))
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        ticks = (generator.permutation(paths) + generator.random(paths)) / paths
        turn = 2 * math.pi * generator.random((paths, 1))
        aside = np.cos(turn) * across + np.sin(turn) * np.cross(directions, across)
        points = radius * np.sqrt(ticks)[:, None] * aside
        points -= radius * np.sqrt(1 - ticks)[:, None] * directions
        half = 0.5 * len(self._layers.cells.number)
        walls = (-half * np.sign(directions) - points) / directions
        points += np.maximum(walls.max(axis=1, keepdims=True), 0) * directions
        is_inside = np.all(np.abs(points) <= half * (1 + 1e-9), axis=1)
        return points, directions, is_inside * (4 * (math.pi * radius) ** 2 / paths)

    def _bright(
        self, emitted: Float[np.ndarray, "wave layer"], deep: float
    ) -> list[np.ndarray]:
        """Groups of wavelengths of which enough may be scattered."""
        light = emitted.sum(axis=1)
        least = FAINT_DUST * self._star.sum()
        return [
            group
            for group in self._groups
            if light[group].sum() * self._most_scattered(group, deep) >= least
        ]

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
        share = np.ascontiguousarray(self._tables.share[:, group])
        absorbed, escaped, back, whole = self._scatter(
            group, points, directions, power, share, parts.zones, origins
        )
        found.absorbed[: len(absorbed)] += absorbed
        found.escaped[: len(escaped), group] += escaped
        np.add.at(found.back, parts.classes, back)
        np.add.at(found.whole, parts.classes, whole)

    def _scatter(
        self,
        group: Int[np.ndarray, " some"],
        points: Float[np.ndarray, "path 3"],
        directions: Float[np.ndarray, "path 3"],
        power: Float[np.ndarray, "some path"],
        share: Float[np.ndarray, "species some"],
        zones: Int[np.ndarray, " path"],
        origins: Int[np.ndarray, " path"],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Follow the light of some wavelengths, see `transport.scatter`."""
        return transport.scatter(
            self._generator,
            points,
            directions,
            np.ascontiguousarray(power),
            self._tables.extinction[group],
            self._opacity.albedo[group],
            np.clip(self._opacity.mean_asymmetry[group], -0.999, 0.999),
            share,
            zones,
            origins,
            self._layers.cells,
            LOWEST_WEIGHT,
        )
