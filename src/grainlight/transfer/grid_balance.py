r"""Powers of all layers at which they emit what they absorb.

Layers give each other light along recorded rays, which it takes both ways: what one
gives to another and what it gets from there are told by the same rays, so that layers
as warm as each other exchange as much. Layers are in balance if starlight and what they
get of others is what they give to others and to the outside; their own light that they
absorb does not count, however thick they are. No light is lost: what is given is gotten
or escapes.

Of the light of a layer that its rays lose by scattering, random paths tell which share
comes back to it, for classes of layers, which shares others absorb, for zones of
layers, and which escapes, for each layer and wavelength (`GridScattering.escape`).

The balance is found by Anderson acceleration. The rays stay the same meanwhile, so that
the answer is the fixed point to any tolerance.

References:
    Walker & Ni (2011), SIAM J. Numer. Anal. 49, 1715 (Anderson acceleration);
    Cherkaoui et al. (1996), J. Heat Transfer 118, 401 (exchange along paths that are
    taken both ways).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from grainlight.transfer import exchange
from grainlight.transfer.anderson import STEPS_KNOWN, accelerate
from grainlight.transfer.grid_rays import Emission, Exchange, GridRays, Rays
from grainlight.transfer.grid_scatter import NUM_PARTS, Escape, Parts, Scattered
from grainlight.transfer.grid_solution import GridSettings
from grainlight.transfer.grid_tables import GridTables
from grainlight.transfer.layers import CellLayers

#: Largest change of the scale of all powers in an iteration; a jump to so many times
#: the power of a plain step is not taken.
FARTHEST_SCALE = 3.0
#: An iteration that is so much farther off than before starts anew from a plain step.
ASTRAY = 10.0


class Ways(NamedTuple):
    """Where the scattered emission of layers ends, as shares of it."""

    parts: Parts
    absorbed: Float[np.ndarray, "zone species layer"]
    back: Float[np.ndarray, "class species"]
    waves: Int[np.ndarray, " known"]
    escape: Float[np.ndarray, "layer known"]

    @classmethod
    def of(
        cls, parts: Parts, scattered: Sequence[Scattered], escape: Sequence[Escape]
    ) -> "Ways":
        """The means of several times that it was followed, at the same wavelengths."""
        shares = Scattered.mean([one.shares for one in scattered])
        waves = np.flatnonzero(escape[0].is_known)
        away = np.mean([one.shares[:, waves] for one in escape], axis=0)
        return cls(parts, shares.absorbed, shares.back, waves, away)


class Balance(NamedTuple):
    """Emission in balance with what is absorbed, and how it came to that."""

    emission: Emission
    iterations: int
    is_settled: bool


class GridBalance:
    """Finds the balance of all layers."""

    def __init__(
        self,
        star_power: float,
        layers: CellLayers,
        mass: Float[np.ndarray, "species layer"],
        rays: GridRays,
        tables: GridTables,
        settings: GridSettings,
    ) -> None:
        self._star_power, self._layers, self._mass = star_power, layers, mass
        self._rays, self._tables, self._settings = rays, tables, settings

    def solve(
        self,
        fixed: Float[np.ndarray, "species layer"],
        sets: Sequence[Rays],
        ways: Ways,
        start: Float[np.ndarray, "species layer"] | None = None,
    ) -> Balance:
        """Powers at which layers emit what they absorb.

        Args:
            fixed: Starlight that they absorb.
            sets: Recorded rays.
            ways: Ways of scattered light.
            start: Powers from which to start, if not from `fixed`.
        """
        least = 1e-12 * self._star_power / fixed.size
        log_power = np.log(np.maximum(fixed, least) if start is None else start)
        known: list[tuple[np.ndarray, np.ndarray]] = []
        iterations, nearest, is_settled = 0, math.inf, False
        while iterations < self._settings.max_iterations and not is_settled:
            iterations += 1
            answer, given = self._answered(np.exp(log_power), fixed, sets, ways)
            new = np.log(np.maximum(answer, least))
            change = new - log_power
            # what is exchanged by thick dust is many times the starlight
            trapped = max(given.sum() / self._star_power, 1.0)
            size = math.sqrt(np.average(change**2, weights=given))
            is_settled = size * trapped < self._settings.tolerance
            if is_settled or size > ASTRAY * nearest:
                # faint layers that run away are called back by a plain step
                known, log_power, nearest = [], new, size
                continue
            nearest = min(nearest, size)
            known = [*known[1 - STEPS_KNOWN :], (log_power, change)]
            log_power = accelerate(known, np.sqrt(given))
            if np.exp(log_power).sum() > FARTHEST_SCALE * answer.sum():
                known, log_power, nearest = [], new, size  # it would run away
        power = np.exp(log_power)
        emission = Emission(power, self._warmth(power))
        return Balance(emission, iterations, bool(is_settled))

    def escape(
        self, emission: Emission, sets: Sequence[Rays], ways: Ways
    ) -> Float[np.ndarray, " wave"]:
        """Emission of the layers that escapes, scattered or not."""
        scattered = self._leaving(emission, ways)[1]
        return self._rays.escaped(emission, sets) + scattered

    def _leaving(
        self, emission: Emission, ways: Ways
    ) -> tuple[Float[np.ndarray, "species layer"], Float[np.ndarray, " wave"]]:
        """Emission that is scattered and escapes, by layer and by wavelength."""
        spectrum = self._tables.spectrum
        return exchange.leave(*emission, spectrum, ways.waves, ways.escape)

    def _answered(
        self,
        power: Float[np.ndarray, "species layer"],
        fixed: Float[np.ndarray, "species layer"],
        sets: Sequence[Rays],
        ways: Ways,
    ) -> tuple[Float[np.ndarray, "species layer"], Float[np.ndarray, "species layer"]]:
        """Powers that are nearer to balance, and what layers give away before.

        A layer that gets twice what it gives becomes twice as bright. What is not
        absorbed again must be the starlight that was: emission of the right shape, and
        off by a factor of three at most, is mended in one step.
        """
        emission = Emission(power, self._warmth(power))
        gotten, given = self._exchanged(emission, sets, ways)
        lost = max(given.sum() - gotten.sum(), fixed.sum() / FARTHEST_SCALE)
        scale = 1.0  # no starlight, no dust that shines
        if lost > 0:
            scale = max(fixed.sum() / lost, 1 / FARTHEST_SCALE)
        return power * (fixed + scale * gotten) / np.maximum(given, 1e-300), given

    def _exchanged(
        self, emission: Emission, sets: Sequence[Rays], ways: Ways
    ) -> Exchange:
        """What layers get of others, and what they give to others and the outside."""
        gotten, given = self._rays.exchanged(emission, sets)
        scattered = self._rays.scattered(emission, sets)
        total, back = scattered.sum(axis=0), ways.back[ways.parts.classes].T
        gone = total * (1 - back.sum(axis=0))
        elsewhere = ways.absorbed.sum(axis=(1, 2))[ways.parts.zones]
        given = given + self._rays.passed(emission, sets)
        given += self._leaving(emission, ways)[0]
        given += scattered * (1 - back.sum(axis=0)) * elsewhere
        # what one species in a layer scatters and another absorbs
        given += scattered * (back.sum(axis=0) - back)
        gotten = gotten + (total - scattered) * back
        in_zones = np.bincount(ways.parts.zones, gone, NUM_PARTS)
        gotten += np.tensordot(in_zones, ways.absorbed, 1)
        return Exchange(gotten, given)

    def _warmth(
        self, power: Float[np.ndarray, "species layer"]
    ) -> Float[np.ndarray, "species layer"]:
        """Places in the tables of the temperatures of these powers."""
        if not self._settings.cell_temperatures:
            return self._tables.warmth(power / self._mass)
        return self._tables.warmth(self._layers.over_cells(power, self._mass))
