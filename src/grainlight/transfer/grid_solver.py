r"""Light of a central blackbody through dust on a Cartesian grid.

Direct starlight and the emission of the grains are followed by rays that carry the
whole spectrum, scattered light by random paths (see `transport`). Each cell and species
emits what it absorbs,

$$ P = P_\star + P_{\rm scattered} + \Lambda P , $$

which is solved for all powers at once by Anderson acceleration. The rays stay the same
meanwhile, so that the answer is the fixed point to any tolerance.

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

FAINT = 1e-6  # share of the light; less is not scattered
FAINT_DUST = 3e-4
LOWEST_WEIGHT = 0.05
SETTLED = 3e-3  # change of the light that escapes after scattering, over the star's
GROWN = 1e-2  # change of the power of all cells
#: An iteration that is so much farther off than before starts anew from a plain step.
ASTRAY = 10.0
MOST_ROUNDS = 10


class _Rays(NamedTuple):
    """Recorded rays of the emission of cells."""

    first: np.ndarray
    cells: np.ndarray
    places: np.ndarray
    totals: np.ndarray


class _Scattered(NamedTuple):
    """What becomes of scattered light: power absorbed by cells, and escaping."""

    absorbed: Float[np.ndarray, "species cell"]
    escaped: Float[np.ndarray, " wave"]


class _State(NamedTuple):
    """Powers in balance, and places of their temperatures in the table."""

    power: Float[np.ndarray, "species cell"]
    warmth: Float[np.ndarray, "species cell"]
    iterations: int


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
        scattered = [self._scatter_starlight(depths.max()) for _ in range(HALVES)]
        rays = [self._record() for _ in range(HALVES)]
        fixed = [direct + absorbed for absorbed, _ in scattered]
        both, thermal, iterations = self._balance_all(fixed, rays)
        halves = [
            self._balance(
                [fixed[k]], [rays[k]], [thermal[k].absorbed], both.power.sum(), both
            )
            for k in range(HALVES)
        ]
        direct_light = self.star * tables.mean_escape(depths)
        dust = [self._escape(state, [rays[k]]) for k, state in enumerate(halves)]
        beside = [scattered[k].escaped + thermal[k].escaped for k in range(HALVES)]
        apart = [direct_light + beside[k] + dust[k] for k in range(HALVES)]
        whole = self._escape(both, rays)
        mean = direct_light + sum(beside) / HALVES
        unbiased = np.maximum(2 * whole - sum(dust) / HALVES, 0.25 * whole)
        energy = (mean + whole).sum() / self.star.sum() - 1
        return self._report(
            (mean + unbiased) / self.weight,
            0.5 * np.abs(apart[1] - apart[0]) / (mean + unbiased),
            both,
            halves,
            depths,
            float(energy),
            iterations + sum(state.iterations for state in halves),
        )

    def _report(
        self, light, noise, both, halves, depths, energy, iterations
    ) -> GridSolution:
        warm = self.tables.temperature(both.warmth)
        warm = warm**2 / np.sqrt(
            np.prod([self.tables.temperature(h.warmth) for h in halves], axis=0)
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
            iterations=iterations,
        )

    def _warmth(self, power: np.ndarray) -> np.ndarray:
        """Places in the table of the temperatures of these powers."""
        if not self.settings.cell_temperatures:
            return self.tables.warmth(power / self.mass)
        return self.tables.warmth(self.layers.over_cells(power, self.mass))

    def _groups(self) -> list[np.ndarray]:
        every = np.arange(len(self.star))
        return np.split(
            every, range(self.settings.group, len(every), self.settings.group)
        )

    def _scatter(self, group, points, directions, power) -> _Scattered:
        absorbed, escaped = transport.scatter(
            self.generator,
            points,
            directions,
            np.ascontiguousarray(power),
            self.tables.extinction[group],
            self.opacity.albedo[group],
            self._cosine(group),
            np.ascontiguousarray(self.tables.share[:, group]),
            self.layers.cells,
            LOWEST_WEIGHT,
        )
        return _Scattered(absorbed, escaped)

    def _cosine(self, group) -> np.ndarray:
        return np.clip(self.opacity.mean_asymmetry[group], -0.999, 0.999)

    def _scatter_starlight(self, deepest: float) -> _Scattered:
        """Scattered starlight that is absorbed, and that escapes, by half the paths."""
        paths = max(self.settings.paths // HALVES, 1)
        absorbed, escaped = np.zeros_like(self.mass), np.zeros_like(self.star)
        center = np.zeros((paths, 3))
        for group in self._groups():
            reached = -np.expm1(-self.tables.extinction[group] * deepest)
            most = np.max(self.opacity.albedo[group] * reached)
            if self.star[group].sum() * most < FAINT * self.star.sum():
                continue
            power = np.repeat(self.star[group, None] / paths, paths, axis=1)
            directions = even_directions(paths, self.generator)
            taken, left = self._scatter(group, center, directions, power)
            absorbed += taken
            escaped[group] += left
        return _Scattered(absorbed, escaped)

    def _scatter_emission(self, state: _State, deep: float) -> _Scattered:
        """The same for the light of the grains."""
        paths = max(self.settings.paths // HALVES, 1)
        absorbed, escaped = np.zeros_like(self.mass), np.zeros_like(self.star)
        for group in self._groups():
            light = self.tables.emission(state.power, state.warmth, group)
            total = light.sum()
            reached = -np.expm1(-self.tables.extinction[group] * deep)
            most = np.max(self.opacity.albedo[group] * reached)
            if total * most < FAINT_DUST * self.star.sum():
                continue
            chance = light.sum(axis=0) / total
            ticks = (np.arange(paths) + self.generator.random(paths)) / paths
            picked = np.searchsorted(np.cumsum(chance), ticks)
            picked = np.minimum(picked, len(chance) - 1)
            points = self.layers.points(self.generator, picked)
            directions = self.generator.normal(size=(paths, 3))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            power = light[:, picked] / (chance[picked] * paths)
            taken, left = self._scatter(group, points, directions, power)
            absorbed += taken
            escaped[group] += left
        return _Scattered(absorbed, escaped)

    def _record(self) -> _Rays:
        """Half of the rays of the emission of cells."""
        per_cell = self.settings.cell_rays // HALVES
        num_layers = self.mass.shape[1]
        num_rays, size = num_layers * per_cell, len(self.layers.cells.number)
        points = self.layers.points(
            self.generator, np.repeat(np.arange(num_layers), per_cell)
        )
        room = (num_rays + 8) * size // 2
        first, totals = np.empty(num_rays + 1, np.int64), np.empty(num_rays)
        while True:
            cells, places = np.empty(room, np.int32), np.empty(room)
            found = transport.record_rays(
                self.generator,
                points,
                per_cell,
                self.layers.cells,
                self.tables.unit,
                self.tables.step,
                cells,
                places,
                first,
                totals,
            )
            if found >= 0:
                return _Rays(first, cells[:found], places[:found], totals)
            room *= 2

    def _balance_all(
        self, fixed: list[np.ndarray], rays: list[_Rays]
    ) -> tuple[_State, list[_Scattered], int]:
        """The balance with all rays, the scattered emission included.

        Its paths are drawn from the same random numbers in every round, so that the
        rounds have a fixed point.
        """
        nothing = _Scattered(np.zeros_like(self.mass), np.zeros_like(self.star))
        state = self._balance(fixed, rays, [nothing.absorbed] * HALVES, 1.0, None)
        iterations, thermal = state.iterations, [nothing] * HALVES
        deep = float(np.quantile(np.concatenate([r.totals for r in rays]), 0.9))
        seeds = [int(self.generator.integers(2**63)) for _ in range(HALVES)]
        known: list[tuple[np.ndarray, np.ndarray]] = []
        for _ in range(MOST_ROUNDS):
            found = []
            for seed in seeds:
                self.generator = np.random.default_rng(seed)
                found.append(self._scatter_emission(state, deep))
            more = sum(
                (f.escaped - t.escaped).sum()
                for f, t in zip(found, thermal, strict=True)
            )
            thermal = found
            if sum(a.sum() + e.sum() for a, e in found) == 0:
                break
            taken = [absorbed for absorbed, _ in found]
            after = self._balance(fixed, rays, taken, state.power.sum(), state)
            iterations += after.iterations
            before = np.log(state.power)
            change = np.log(after.power) - before
            grown = after.power.sum() / state.power.sum() - 1
            state = after
            if abs(grown) < GROWN and abs(more) / HALVES < SETTLED * self.star.sum():
                break
            known = [*known[1 - STEPS_KNOWN :], (before, change)]
            power = np.exp(accelerate(known, np.sqrt(after.power)))
            state = _State(power, self._warmth(power), 0)
        return state, thermal, iterations

    def _balance(
        self,
        fixed: list[np.ndarray],
        rays: list[_Rays],
        thermal: list[np.ndarray],
        emitted: float,
        start: _State | None,
    ) -> _State:
        """Powers at which cells emit what they absorb.

        The scattered emission is taken to keep its pattern and to grow with the
        emission, which was `emitted` when it was followed.
        """
        given, sent = np.mean(fixed, axis=0), np.mean(thermal, axis=0)
        least = 1e-12 * self.star.sum() / given.size
        first = np.maximum(given, least) if start is None else start.power
        log_power = np.log(first)
        known: list[tuple[np.ndarray, np.ndarray]] = []
        iterations, nearest = 0, math.inf
        for _ in range(self.settings.max_iterations):
            iterations += 1
            power = np.exp(log_power)
            warmth = self._warmth(power)
            absorbed = self._exchange(power, warmth, rays) + given
            absorbed = absorbed + sent * (power.sum() / emitted)
            new = np.log(np.maximum(absorbed, least))
            change = new - log_power
            size = math.sqrt(np.average(change**2, weights=power))
            if size < self.settings.tolerance:
                log_power = new
                break
            if size > ASTRAY * nearest:  # faint cells run away: plain steps call back
                known, log_power, nearest = [], new, size
                continue
            nearest = min(nearest, size)
            known = [*known[1 - STEPS_KNOWN :], (log_power, change)]
            log_power = accelerate(known, np.sqrt(power))
        power = np.exp(log_power)
        return _State(power, self._warmth(power), iterations)

    def _escape(self, state: _State, rays: list[_Rays]) -> np.ndarray:
        """Emission of the grains that escapes without being scattered."""
        per_cell = self.settings.cell_rays // HALVES
        found = [
            self.tables.escape(state.power, state.warmth, one.totals, per_cell)
            for one in rays
        ]
        return np.mean(found, axis=0)

    def _exchange(
        self, power: np.ndarray, warmth: np.ndarray, rays: list[_Rays]
    ) -> np.ndarray:
        """What cells absorb of the emission of all."""
        found = [
            transport.exchange(
                power,
                warmth,
                self.settings.cell_rays // HALVES,
                one.first,
                one.cells,
                one.places,
                self.tables.exchange,
            )
            for one in rays
        ]
        return np.mean(found, axis=0)
