"""Absorption and scattering efficiencies of single spheres, from a shipped table.

The table holds Mie theory for seven materials; `scripts/make_efficiencies.py` makes it.
"""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError
from grainlight.dust.species import species

LOG_STEP = 2.5e-4
COSINE_STEP = 1 / 32000


class _Table(NamedTuple):
    log_radius: np.ndarray
    log_wave: np.ndarray
    values: np.ndarray  # (kind, radius, wave): log10 Qabs, log10 Qsca, cosine


class Efficiencies(NamedTuple):
    """Efficiencies of one grain: cross-section over geometric cross-section.

    Attributes:
        absorption: Absorption efficiency.
        scattering: Scattering efficiency.
        asymmetry: Mean cosine of the scattering angle.
    """

    absorption: Float[np.ndarray, " wave"]
    scattering: Float[np.ndarray, " wave"]
    asymmetry: Float[np.ndarray, " wave"]


@cache
def _table(name: str) -> _Table:
    source = files("grainlight.dust") / "data" / "efficiencies.npz"
    with source.open("rb") as stream, np.load(stream) as stored:
        wave, radius = stored["wave_um"], stored["radius_um"]
        logs = [stored[f"{name}_{kind}"] * LOG_STEP - 7 for kind in ("abs", "sca")]
        cosine = stored[f"{name}_cos"] * COSINE_STEP
    return _Table(np.log(radius), np.log(wave), np.stack([*logs, cosine]))


def grain_efficiencies(
    name: str, grain_radius: float, wave: Float[np.ndarray, " wave"]
) -> Efficiencies:
    """Mie efficiencies of a sphere, interpolated in log radius and log wavelength.

    Args:
        name: Species, one of `SPECIES`.
        grain_radius: Grain radius, 0.005 to 5 [um].
        wave: Wavelength, 0.05 to 1000 [um].

    Raises:
        ParameterError: The species, the radius or a wavelength is not in the table.

    References:
        Bohren & Huffman (1983), chapter 4; optical constants as cited by `Species`.
    """
    species(name)
    table = _table(name)
    log_radius = _inside(np.log(grain_radius), table.log_radius, "grain radius [um]")
    log_wave = _inside(np.log(wave), table.log_wave, "wavelength [um]")
    position = np.interp(log_radius, table.log_radius, np.arange(len(table.log_radius)))
    low = min(int(position), len(table.log_radius) - 2)
    share = position - low
    rows = (1 - share) * table.values[:, low] + share * table.values[:, low + 1]
    absorb, scatter, cosine = (np.interp(log_wave, table.log_wave, row) for row in rows)
    return Efficiencies(10**absorb, 10**scatter, cosine)


def _inside(
    value: np.ndarray | float, grid: np.ndarray, what: str
) -> np.ndarray | float:
    slack = 1e-9
    if not np.all((value >= grid[0] - slack) & (value <= grid[-1] + slack)):
        raise ParameterError(
            f"Expected {what} within {np.exp(grid[0]):.4g} to {np.exp(grid[-1]):.4g}; "
            f"got {np.exp(np.min(value)):.4g} to {np.exp(np.max(value)):.4g}."
        )
    return value
