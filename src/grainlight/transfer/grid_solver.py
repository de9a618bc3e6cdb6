r"""Light of a central blackbody through dust on a Cartesian grid.

Direct starlight and the emission of the grains are followed by rays that carry the
whole spectrum, scattered light by random paths (see `transport`). Layers of cells emit
what they absorb (see `grid_balance`). The ways of scattered light are followed anew
until little changes, those of earlier rounds being faded. Dust that is thick to its own
light, and emits many times what the star does, has more rays and paths.

Noise in the absorbed powers makes temperatures low and the light of the hottest cells
strong, because both are curved functions of power. The paths are made in two halves,
A and B: what is curved is reported as $2 f(A + B) - [f(A) + f(B)] / 2$, which has no
bias of first order in the number of paths.

References:
    Lucy (1999), A&A 344, 282 (absorption along paths).
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError
from grainlight.dust import SPECIES, Opacity
from grainlight.transfer import transport
from grainlight.transfer.density import DensityGrid
from grainlight.transfer.grid_balance import Balance, GridBalance, Ways
from grainlight.transfer.grid_rays import Emission, GridRays, Rays
from grainlight.transfer.grid_scatter import (
    NUM_PARTS,
    Escape,
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
#: Where the hottest grains shine [um].
HOT_WAVE = 2.0
#: Power of all layers over that of the star above which dust is thick to its own light.
#: It then has more of the least rays (see `GridSettings.more`), half as many times more
#: paths from layers, and twice as many from outside.
TRAPPED, LAYER_PATHS, OUTSIDE_PATHS = 2.0, 0.5, 2.0


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
        hot = float(np.interp(HOT_WAVE, opacity.wave, opacity.extinction))
        self.rays = GridRays(self.layers, self.tables, hot)
        self.balance = GridBalance(
            float(self.star.sum()),
            self.layers,
            self.mass,
            self.rays,
            self.tables,
            self.settings,
        )
        self.scattering = GridScattering(
            self.generator, opacity, self.star, self.layers, self.tables, self.settings
        )

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
        fixed = [direct + one.absorbed[0] for one in star]
        both, sets, ways = self._follow_all(np.mean(fixed, axis=0))
        halves = [
            self.balance.solve(fixed[k], [sets[k]], ways[k], both.emission.power)
            for k in range(HALVES)
        ]
        direct_light = self.star * tables.mean_escape(depths)
        dust = [
            self.balance.escape(half.emission, [sets[k]], ways[k])
            for k, half in enumerate(halves)
        ]
        apart = [direct_light + star[k].escaped[0] + dust[k] for k in range(HALVES)]
        whole = self.balance.escape(both.emission, sets, ways[HALVES])
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

    def _follow_all(
        self, fixed: Float[np.ndarray, "species layer"]
    ) -> tuple[Balance, list[Rays], list[Ways]]:
        """The balance with all rays; these, and ways of scattered light, of the halves.

        The last ways are those of both halves.
        """
        nowhere = np.zeros(len(self.layers.mass), int)
        followed = [self.scattering.nothing(NUM_PARTS)] * HALVES
        escape = [self.scattering.no_escape()] * HALVES
        ways = _ways(Parts(nowhere, nowhere), followed, escape)
        state, sets = self._without_scattering(fixed, ways[HALVES])
        parts = self._parts(state.emission, sets)
        deep = float(np.quantile(np.concatenate([one.totals for one in sets]), 0.9))
        iterations, light, is_steady, is_settled = state.iterations, 0.0, False, False
        for _ in range(MOST_ROUNDS):
            emitted = self.tables.emission(*state.emission)
            new = [self.scattering.emission(emitted, deep, parts) for _ in sets]
            is_settled = all(one.is_nothing for one in new)
            if is_settled:
                break
            escape = [self.scattering.escape(emitted, deep, one) for one in escape]
            if is_steady:
                pairs = zip(new, followed, strict=True)
                new = [one.with_faded(old) for one, old in pairs]
            followed, ways = new, _ways(parts, new, escape)
            after = self.balance.solve(fixed, sets, ways[HALVES], state.emission.power)
            iterations += after.iterations
            before = light
            light = self.balance.escape(after.emission, sets, ways[HALVES]).sum()
            grown, warmer = self._change(state.emission, after.emission)
            change = abs(light - before) / self.star.sum()
            state, is_steady = after, grown < STEADY
            is_settled = grown < GROWN and warmer < WARMER and change < SETTLED
            if is_settled:
                break
        is_settled = is_settled and state.is_settled
        return Balance(state.emission, iterations, is_settled), sets, ways

    def _without_scattering(
        self, fixed: Float[np.ndarray, "species layer"], nowhere: Ways
    ) -> tuple[Balance, list[Rays]]:
        """The balance without scattered emission, and the rays of the halves."""

        def balance(least, start):
            each = math.ceil(least / (HALVES * len(self.layers.mass)))
            per_layer = max(self.settings.cell_rays // HALVES, each)
            sets = [self.rays.record(self.generator, per_layer) for _ in range(HALVES)]
            return self.balance.solve(fixed, sets, nowhere, start), sets

        state, sets = balance(self.settings.least_rays, None)
        power = state.emission.power
        if power.sum() > TRAPPED * self.star.sum():
            more = self.settings.more
            self.scattering.follow_more(
                max(LAYER_PATHS * more, 1.0), OUTSIDE_PATHS * more
            )
            first = state.iterations
            state, sets = balance(more * self.settings.least_rays, power)
            state = state._replace(iterations=first + state.iterations)
        return state, sets

    def _change(self, before: Emission, after: Emission) -> tuple[float, float]:
        """Relative changes of the power of all layers, and of their temperature."""
        warm = [
            np.average(self.tables.temperature(one.warmth), weights=self.mass)
            for one in (before, after)
        ]
        grown = after.power.sum() / before.power.sum()
        return abs(grown - 1), abs(warm[1] / warm[0] - 1)

    def _parts(self, emission: Emission, sets: list[Rays]) -> Parts:
        """Zones and classes of layers."""
        inside, outside, weights = self.rays.depths(emission, sets)
        nearest = outside.min(axis=0)
        left = np.average(np.exp(nearest - outside), axis=0, weights=weights)
        escaping = np.log(left) - nearest
        stopped = np.average(-np.expm1(-inside), axis=0, weights=weights)
        return Parts(even_parts(-escaping), even_parts(stopped))


def _ways(
    parts: Parts, followed: Sequence[Scattered], escape: Sequence[Escape]
) -> list[Ways]:
    """Ways of scattered light: those of each half, and of all."""
    each = [
        Ways.of(parts, [one], [way]) for one, way in zip(followed, escape, strict=True)
    ]
    return [*each, Ways.of(parts, followed, escape)]
