r"""Light of a central blackbody through dust on a Cartesian grid.

Direct starlight and the emission of the grains are followed by rays that carry the
whole spectrum, scattered light by random paths (see `transport`). Each layer and
species emits what it absorbs,

$$ P = P_\star + P_{\rm scattered} + \Lambda P + B S + \sum_g A_g \sum_{i \in g}
   (1 - b_i) S_i , $$

which is solved for all powers at once by Anderson acceleration, $\Lambda P$ and what
follows being scaled so that as much escapes as the star gave. The rays stay the same
meanwhile, so that the answer is the fixed point to any tolerance. $S$ is what the rays
of a layer lose by scattering. Random paths tell which share $B$ comes back to the layer
and is absorbed there by each species, $b$ by all, for classes of layers; and where the
rest goes, for zones of layers: shares $A_g$ that with what escapes add up to one. No
light of the grains is lost, once any of it is followed. That matters where dust is
thick to its own light: it absorbs and emits a hundred times what the star does, and a
leak of one percent would be all of the starlight. Shares are followed anew until little
changes, those of earlier rounds being faded.

Noise in the absorbed powers makes temperatures low and the light of the hottest cells
strong, because both are curved functions of power. The paths are made in two halves,
A and B: what is curved is reported as $2 f(A + B) - [f(A) + f(B)] / 2$, which has no
bias of first order in the number of paths.

References:
    Walker & Ni (2011), SIAM J. Numer. Anal. 49, 1715 (Anderson acceleration);
    Lucy (1999), A&A 344, 282 (absorption along paths).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError
from grainlight.dust import SPECIES, Opacity
from grainlight.transfer import transport
from grainlight.transfer.anderson import STEPS_KNOWN, accelerate
from grainlight.transfer.density import DensityGrid
from grainlight.transfer.grid_rays import Emission, GridRays, Rays
from grainlight.transfer.grid_scatter import (
    NUM_PARTS,
    GridScattering,
    Parts,
    Scattered,
    even_parts,
)
from grainlight.transfer.grid_solution import HALVES, GridSettings, GridSolution
from grainlight.transfer.grid_tables import GridTables
from grainlight.transfer.layers import CellLayers, even_directions
from grainlight.transfer.shell import SUN_LUMINOSITY
from grainlight.transfer.solution import (
    LIGHT_SPEED_UM,
    NEVER,
    frequency_weights,
    planck_shape,
)

#: Changes in a round after which scattered emission is not followed again: of the power
#: of all layers, of their mean temperature, and of what escapes over the star's.
GROWN, WARMER, SETTLED = 1e-2, 3e-3, 3e-3
#: Change of the power of all layers below which earlier rounds count, faded.
STEADY = 0.1
MOST_ROUNDS = 15
#: Largest change of the scale of all powers in an iteration; a jump to so many times
#: the power of a plain step is not taken.
FARTHEST_SCALE = 3.0
#: An iteration that is so much farther off than before starts anew from a plain step.
ASTRAY = 10.0


class _State(NamedTuple):
    """Emission in balance with what is absorbed, and how it came to that."""

    emission: Emission
    iterations: int
    is_settled: bool = True


def solve_grid(
    luminosity: float,
    source_temperature: float,
    opacity: Opacity,
    grid: DensityGrid,
    seed: int = 0,
    settings: GridSettings | None = None,
) -> GridSolution:
    """Solve the transfer and radiative equilibrium of dust on a grid.

    Args:
        luminosity: Luminosity of the central source [Lsun].
        source_temperature: Its temperature [K].
        opacity: Opacities of the dust, the same everywhere.
        grid: Where the dust is.
        seed: Seed of the paths.
        settings: How finely the light is followed.
    """
    for name, value in (
        ("luminosity", luminosity),
        ("temperature", source_temperature),
    ):
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(f"Expected a positive, finite {name}; got {value}.")
    work = _Work(luminosity, source_temperature, opacity, grid, settings, seed)
    return work.solve()


class _Work:
    """Tables and tallies of one grid."""

    def __init__(
        self,
        luminosity: float,
        source_temperature: float,
        opacity: Opacity,
        grid: DensityGrid,
        settings: GridSettings | None,
        seed: int,
    ) -> None:
        self.settings, self.opacity = settings or GridSettings(), opacity
        self.generator = np.random.default_rng(seed)
        self.weight = frequency_weights(LIGHT_SPEED_UM / opacity.wave)
        star = planck_shape(opacity.wave, source_temperature)
        star = star * (luminosity * SUN_LUMINOSITY / (self.weight @ star))
        self.star = star * self.weight  # power of each wavelength
        self.layers = CellLayers(grid)
        self.mass = opacity.mass_fraction[:, None] * self.layers.mass
        farthest = self.layers.cells.column.max() * 2 * len(grid.density)
        self.tables = GridTables(opacity, self.weight, farthest)
        per_layer = self.settings.cell_rays // HALVES
        self.rays = GridRays(self.layers, self.tables, per_layer)
        self.scattering = GridScattering(
            self.generator, opacity, self.star, self.layers, self.tables, self.settings
        )
        nowhere = np.zeros(len(self.layers.mass), int)
        self.parts = Parts(nowhere, nowhere)

    def solve(self) -> GridSolution:
        """Follow the light, balance the powers, add up what escapes."""
        tables = self.tables
        directions = even_directions(self.settings.star_rays, self.generator)
        direct, depths = transport.absorb_starlight(
            directions,
            self.layers.cells,
            tables.unit,
            tables.step,
            tables.share * self.star @ tables.stopped.T,
        )
        star = [self.scattering.starlight(depths.max()) for _ in range(HALVES)]
        rays = [self.rays.record(self.generator) for _ in range(HALVES)]
        fixed = [direct + one.absorbed[0] for one in star]
        both, thermal = self._balance_all(fixed, rays)
        halves = [
            self._balance([fixed[k]], [rays[k]], [thermal[k]], both)
            for k in range(HALVES)
        ]
        direct_light = self.star * tables.mean_escape(depths)
        dust = [
            self._escape(state.emission, [rays[k]], [thermal[k]])
            for k, state in enumerate(halves)
        ]
        apart = [direct_light + star[k].escaped[0] + dust[k] for k in range(HALVES)]
        whole = self._escape(both.emission, rays, thermal)
        mean = direct_light + np.mean([one.escaped[0] for one in star], axis=0)
        unbiased = np.maximum(2 * whole - sum(dust) / HALVES, 0.25 * whole)
        energy = (mean + whole).sum() / self.star.sum() - 1
        return self._report(
            (mean + unbiased) / self.weight,
            0.5 * np.abs(apart[1] - apart[0]) / (mean + unbiased),
            both,
            halves,
            depths,
            float(energy),
        )

    def _report(self, light, noise, both, halves, depths, energy) -> GridSolution:
        warm = self.tables.temperature(both.emission.warmth)
        warm = warm**2 / np.sqrt(
            np.prod(
                [self.tables.temperature(h.emission.warmth) for h in halves], axis=0
            )
        )
        mean = np.sum(self.mass * warm, axis=1) / self.mass.sum(axis=1)
        names = self.opacity.names
        limit = [SPECIES[n].sublimation if n in SPECIES else NEVER for n in names]
        hot = warm > np.array(limit)[:, None]
        green = float(np.interp(0.55, self.opacity.wave, self.tables.extinction))
        return GridSolution(
            wave=self.opacity.wave,
            luminosity=light,
            index=self.layers.index,
            temperature=warm,
            mean_temperature=mean,
            dust_temperature=float(self.opacity.mass_fraction @ mean),
            sublimated=np.sum(self.mass * hot, axis=1) / self.mass.sum(axis=1),
            optical_depth=green * float(depths.mean()),
            effective_depth=-math.log(max(np.exp(-green * depths).mean(), 1e-300)),
            noise=noise,
            energy_error=energy,
            iterations=both.iterations + sum(half.iterations for half in halves),
            is_settled=all(one.is_settled for one in (both, *halves)),
        )

    def _balance_all(
        self, fixed: list[np.ndarray], rays: list[Rays]
    ) -> tuple[_State, list[Scattered]]:
        """The balance with all rays, and where the scattered emission ends."""
        followed = [self.scattering.nothing(NUM_PARTS)] * HALVES
        thermal, light, is_steady, is_settled = followed, 0.0, False, False
        state = self._balance(fixed, rays, thermal, None)
        iterations = state.iterations
        self.parts = self._parts(state.emission, rays)
        deep = float(np.quantile(np.concatenate([one.totals for one in rays]), 0.9))
        for _ in range(MOST_ROUNDS):
            new = [
                self.scattering.emission(state.emission, deep, self.parts) for _ in rays
            ]
            is_settled = all(one.is_nothing for one in new)
            if is_settled:
                break
            if is_steady:
                pairs = zip(new, followed, strict=True)
                new = [one.with_faded(old) for one, old in pairs]
            followed, thermal = new, [one.shares for one in new]
            after = self._balance(fixed, rays, thermal, state)
            iterations += after.iterations
            grown = abs(after.emission.power.sum() / state.emission.power.sum() - 1)
            warmer = abs(
                self._mean_temperature(after) / self._mean_temperature(state) - 1
            )
            before, light = light, self._escape(after.emission, rays, thermal).sum()
            change = abs(light - before) / self.star.sum()
            state, is_steady = after, grown < STEADY
            is_settled = grown < GROWN and warmer < WARMER and change < SETTLED
            if is_settled:
                break
        is_settled = is_settled and state.is_settled
        return _State(state.emission, iterations, is_settled), thermal

    def _mean_temperature(self, state: _State) -> float:
        """Mean temperature of all dust [K]."""
        warm = self.tables.temperature(state.emission.warmth)
        return float(np.average(warm, weights=self.mass))

    def _balance(
        self,
        fixed: list[np.ndarray],
        rays: list[Rays],
        thermal: list[Scattered],
        start: _State | None,
    ) -> _State:
        """Powers at which layers emit what they absorb."""
        given, shares = np.mean(fixed, axis=0), Scattered.mean(thermal)
        least = 1e-12 * self.star.sum() / given.size
        first = np.maximum(given, least) if start is None else start.emission.power
        log_power = np.log(first)
        known: list[tuple[np.ndarray, np.ndarray]] = []
        iterations, nearest, is_settled = 0, math.inf, False
        for _ in range(self.settings.max_iterations):
            iterations += 1
            power = np.exp(log_power)
            answer = self._answered(power, given, rays, shares)
            new = np.log(np.maximum(answer, least))
            change = new - log_power
            # what is trapped in thick dust is many times the starlight
            trapped = max(power.sum() / self.star.sum(), 1.0)
            size = math.sqrt(np.average(change**2, weights=power))
            is_settled = size * trapped < self.settings.tolerance
            if is_settled:
                log_power = new
                break
            if size > ASTRAY * nearest:  # faint layers run away: plain steps call back
                known, log_power, nearest = [], new, size
                continue
            nearest = min(nearest, size)
            known = [*known[1 - STEPS_KNOWN :], (log_power, change)]
            log_power = accelerate(known, np.sqrt(power))
            if np.exp(log_power).sum() > FARTHEST_SCALE * answer.sum():
                known, log_power, nearest = [], new, size  # it would run away
        power = np.exp(log_power)
        emission = Emission(power, self._warmth(power))
        return _State(emission, iterations, bool(is_settled))

    def _answered(
        self,
        power: Float[np.ndarray, "species layer"],
        given: Float[np.ndarray, "species layer"],
        rays: list[Rays],
        shares: Scattered,
    ) -> Float[np.ndarray, "species layer"]:
        """What is absorbed where some powers are emitted, brought nearer to balance.

        What is not absorbed again must be the starlight that was: emission of the right
        shape, and off by a factor of three at most, is mended in one step.
        """
        own = self._absorbed(Emission(power, self._warmth(power)), rays, shares)
        lost = max(power.sum() - own.sum(), given.sum() / FARTHEST_SCALE)
        if lost == 0:  # no starlight, no dust that shines
            return given + own
        return given + own * max(given.sum() / lost, 1 / FARTHEST_SCALE)

    def _absorbed(
        self, emission: Emission, rays: list[Rays], shares: Scattered
    ) -> Float[np.ndarray, "species layer"]:
        """Emission of the grains that is absorbed, scattered or not."""
        back = shares.back[self.parts.classes].T
        scattered = self.rays.scattered(emission, rays)
        gone = self._in_zones(scattered * (1 - back.sum(axis=0)))
        found = self.rays.absorbed(emission, rays) + scattered * back
        return found + np.tensordot(gone, shares.absorbed, 1)

    def _escape(
        self, emission: Emission, rays: list[Rays], thermal: list[Scattered]
    ) -> Float[np.ndarray, " wave"]:
        """Emission of the grains that escapes, scattered or not."""
        shares = Scattered.mean(thermal)
        back = shares.back[self.parts.classes].sum(axis=1)
        gone = self._in_zones(self.rays.scattered(emission, rays) * (1 - back))
        return self.rays.escaped(emission, rays) + gone @ shares.escaped

    def _in_zones(
        self, power: Float[np.ndarray, " layer"]
    ) -> Float[np.ndarray, " zone"]:
        return np.bincount(self.parts.zones, power, NUM_PARTS)

    def _parts(self, emission: Emission, rays: list[Rays]) -> Parts:
        """Zones and classes of layers."""
        inside, outside = self.rays.depths(emission, rays)
        nearest = outside.min(axis=0)
        escaping = np.log(np.exp(nearest - outside).mean(axis=0)) - nearest
        stopped = -np.expm1(-inside).mean(axis=0)
        return Parts(even_parts(-escaping), even_parts(stopped))

    def _warmth(
        self, power: Float[np.ndarray, "species layer"]
    ) -> Float[np.ndarray, "species layer"]:
        """Places in the tables of the temperatures of these powers."""
        if not self.settings.cell_temperatures:
            return self.tables.warmth(power / self.mass)
        return self.tables.warmth(self.layers.over_cells(power, self.mass))
