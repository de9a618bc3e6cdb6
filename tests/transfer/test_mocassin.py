"""The engine against full three-dimensional Monte Carlo runs of MOCASSIN.

References:
    Ercolano, Barlow & Storey (2005), MNRAS 362, 1038.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from grainlight.dust import mixture_opacity
from grainlight.transfer import Shell, ShellGeometry, solve_shell, wavelength_grid

EDGES = (0.6, 1, 2, 4, 8, 13, 20, 30)
LIGHT_SPEED_UM = 2.99792458e14
TEMPERATURE, FLUX = 0.01, 0.03
NOISE_SIGMAS = 2
LARGEST_NOISE = 0.05
# The r^-2 shell is thick in its innermost cells (3.6 at 0.55 um each), and partly
# filled cells reach inside its edge. On finer grids MOCASSIN comes to our answer: it
# is fainter by 6.1 % on 33 points an axis (the reference), 3.5 % on 65, 1.4 % on 97.
COARSE_GRID = {("P01", 2): 0.075}
REFERENCE = Path(__file__).parents[1] / "reference" / "mocassin_smooth.json"
NAMES = [shell["name"] for shell in json.loads(REFERENCE.read_text())["shells"]]


def solve(given, **changes):
    opacity = mixture_opacity(
        given["mass_fraction"], given["grain_radius_um"], wavelength_grid()
    )
    return solve_shell(
        Shell(
            given["luminosity_lsun"],
            given["source_temperature_k"],
            given["dust_mass_msun"],
            given["outer_radius_cm"],
            opacity._replace(**changes),
            ShellGeometry(given["inner"], given["density_power"]),
        )
    )


def bin_means(answer, wave):
    """Means over the bins of the reference, which meet half-way in frequency."""
    frequency = LIGHT_SPEED_UM / wave
    middle = 0.5 * (frequency[1:] + frequency[:-1])
    ends = (
        1.5 * frequency[0] - 0.5 * frequency[1],
        1.5 * frequency[-1] - 0.5 * frequency[-2],
    )
    edges = np.concatenate([[ends[0]], middle, [ends[1]]])
    share = (np.arange(16) + 0.5) / 16
    fine = edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * share
    light = np.log(np.maximum(answer.luminosity, 1e-300))
    at = np.interp(np.log(LIGHT_SPEED_UM / fine), np.log(answer.wave), light)
    return np.exp(at).mean(axis=1), np.abs(np.diff(edges))


def differences(given, wave, answer):
    """Relative difference of each broad band, and the noise of the reference in it."""
    ours, width = bin_means(answer, wave)
    theirs = np.array(given["luminosity_erg_s_hz"])
    noise = np.array([np.nan if s is None else s for s in given["relative_noise"]])
    rows = []
    for low, high in zip(EDGES[:-1], EDGES[1:], strict=True):
        kept = (wave >= low) & (wave < high)
        light = width[kept] @ theirs[kept]
        spread = np.sqrt(np.nansum((width * theirs * noise)[kept] ** 2))
        total = width[kept] @ ours[kept]
        known = light > 0 and spread / light < LARGEST_NOISE
        rows.append((total / light - 1, spread / light) if known else (np.nan, np.nan))
    return np.array(rows)


@pytest.mark.parametrize("name", NAMES)
def test_grain_temperatures_agree_within_one_percent(mocassin, name):
    given = mocassin["shells"][name]
    answer = solve(given)
    assert len(given["dust_temperature_k"]) == len(answer.mean_temperature)
    by_name = dict(zip(given["mass_fraction"], answer.mean_temperature, strict=True))
    for species, expected in given["dust_temperature_k"].items():
        assert by_name[species] == pytest.approx(expected, rel=TEMPERATURE)


@pytest.mark.parametrize("name", NAMES)
def test_fluxes_agree_within_three_percent_beyond_noise(mocassin, name):
    given = mocassin["shells"][name]
    error, noise = differences(given, mocassin["wave"], solve(given)).T
    allowed = np.array([COARSE_GRID.get((name, k), FLUX) for k in range(len(error))])
    known = np.isfinite(error)
    assert known.sum() >= 4
    excess = np.abs(error) - allowed - NOISE_SIGMAS * noise
    assert np.all(excess[known] < 0), np.round(100 * error, 1)


def test_the_median_band_agrees_within_half_a_percent(mocassin):
    rows = [
        differences(given, mocassin["wave"], solve(given))
        for given in mocassin["shells"].values()
    ]
    error = np.concatenate(rows)[:, 0]
    error = error[np.isfinite(error)]
    assert len(error) > 120
    assert np.median(np.abs(error)) < 0.006
    assert abs(np.median(error)) < 0.003


@pytest.mark.parametrize("name", ["S07", "P03", "C11"])
def test_isotropic_scattering_of_large_grains_would_be_found_out(mocassin, name):
    given = mocassin["shells"][name]
    wrong = solve(given, asymmetry=np.zeros((1, len(wavelength_grid()))))
    error, noise = differences(given, mocassin["wave"], wrong).T
    assert np.nanmax(np.abs(error) - FLUX - NOISE_SIGMAS * noise) > 0.02


def test_another_density_of_silicate_would_be_found_out(mocassin):
    given = mocassin["shells"]["S04"]
    lighter = given | {"dust_mass_msun": given["dust_mass_msun"] * 3.6 / 3.3}
    error, noise = differences(given, mocassin["wave"], solve(lighter)).T
    assert np.nanmax(np.abs(error) - FLUX - NOISE_SIGMAS * noise) > 0.02
