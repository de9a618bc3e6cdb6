"""How light is followed through dust on a grid, and what is known when it is."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from grainlight.core import ParameterError

#: Parts of the paths that are told apart, to take out the bias of noise.
HALVES = 2


@dataclass(frozen=True)
class GridSettings:
    """How finely the light is followed.

    Attributes:
        star_rays: Rays of direct starlight.
        cell_rays: Rays of the emission of every layer at least, an even number.
        least_rays: Rays of the emission of all layers at least: few layers have more.
        paths: Paths of scattered light for each group of wavelengths.
        more: How many times more of the least rays there are where dust is thick to
            its own light, its layers emitting more than twice what the star does; half
            as many times more paths, and twice as many of those that tell what escapes.
        group: Neighbouring wavelengths that share their paths.
        tolerance: Root mean square change of the powers at which iteration ends; times
            what layers give each other over what the star emits, if that is more.
        max_iterations: Most iterations of one balance; most take tens.
        cell_temperatures: Whether all layers of a cell have one temperature, that of
            what the cell absorbs; each sends out what it absorbs all the same. The
            light then comes from where it was absorbed, as in MOCASSIN.
    """

    star_rays: int = 60_000
    cell_rays: int = 12
    least_rays: int = 60_000
    paths: int = 4_000
    more: int = 24
    group: int = 6
    tolerance: float = 2e-4
    max_iterations: int = 400
    cell_temperatures: bool = False

    def __post_init__(self) -> None:
        counts = (self.star_rays, self.cell_rays, self.least_rays)
        counts += (self.paths, self.more, self.group, self.max_iterations)
        if min(counts) < 1 or self.cell_rays % HALVES or not self.tolerance > 0:
            raise ParameterError(
                "Expected at least one ray, path, wavelength and iteration, a positive "
                f"tolerance and an even number of cell_rays; got {self}."
            )


@dataclass(frozen=True)
class GridSolution:
    """What dust on a grid sends out, and how warm its grains are.

    Attributes:
        wave: Wavelength [um].
        luminosity: Luminosity density [erg s^-1 Hz^-1], averaged over directions.
        index: Cells with dust, (cell, 3); of a mirrored grid, those of one octant. A
            cell that is divided in layers is there for each.
        temperature: Grain temperatures [K], (species, cell).
        mean_temperature: Mass-weighted mean temperature of each species [K].
        dust_temperature: Mass-weighted mean over all dust [K].
        sublimated: Share of the mass of each species that is hotter than its grains
            survive; it is kept.
        optical_depth: Extinction optical depth at 0.55 um, averaged over directions.
        effective_depth: Minus the logarithm of the share of direct light at 0.55 um.
        noise: Standard error of the luminosity density over itself, from two halves.
        energy_error: Escaping over emitted luminosity, minus one: what the balance and
            scattered starlight leave open. Light of the grains that takes wrong ways is
            not lost, and does not show.
        iterations: Steps of the balance, over all rounds.
        resolution: Relative change of the dust temperature by extrapolation to fine
            cells; zero for the solution of one grid.
        is_settled: Whether powers were balanced to the tolerance, and the scattered
            emission followed until it hardly changed; energy may be conserved before.
    """

    wave: Float[np.ndarray, " wave"]
    luminosity: Float[np.ndarray, " wave"]
    index: Int[np.ndarray, "cell 3"]
    temperature: Float[np.ndarray, "species cell"]
    mean_temperature: Float[np.ndarray, " species"]
    dust_temperature: float
    sublimated: Float[np.ndarray, " species"]
    optical_depth: float
    effective_depth: float
    noise: Float[np.ndarray, " wave"]
    energy_error: float
    iterations: int
    resolution: float = 0.0
    is_settled: bool = True
