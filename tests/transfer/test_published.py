"""166 published supernova shells of MOCASSIN in octant mode (Ansari et al. 2022).

Their grids are coarse (the shell is three cells deep) and biased where grains scatter.
Grains hotter than they survive are removed; where silicate is alone, MOCASSIN then has
no steady state but two that alternate (`benchmarks/transfer_sublimation.py`). So thin,
cool shells are held to more.
"""

import numpy as np
import pytest

from grainlight.dust import SPECIES, mixture_opacity
from grainlight.photometry import band_fluxes, band_limits, jwst_filters
from grainlight.transfer import Shell, solve_shell, wavelength_grid

pytestmark = pytest.mark.slow

SUN_LUMINOSITY, PARSEC, NJY = 3.828e33, 3.0857e18, 1e9 / 1e14
# these fall between the wavelength points of MOCASSIN
WITHOUT_SIGNAL = ("F164N", "F323N", "F405N", "F466N")


def answer_of(row):
    star, light, mass, outer, number, radius = (float(value) for value in row)
    silicate = number * SPECIES["silicate_dl"].density
    silicate /= silicate + (1 - number) * SPECIES["carbon_be"].density
    shares = {"silicate_dl": silicate, "carbon_be": 1 - silicate}
    opacity = mixture_opacity(shares, radius, wavelength_grid())
    shell = Shell(light / SUN_LUMINOSITY, star, mass, outer, opacity)
    answer = solve_shell(shell, remove_sublimated=True)
    warm = dict(zip(opacity.names, whole_means(answer, outer), strict=True))
    mean = number * warm.get("silicate_dl", 0) + (1 - number) * warm.get("carbon_be", 0)
    hot = np.any(answer.sublimated > 0)
    return answer.luminosity, mean, hot, shell.optical_depth(0.55)


def whole_means(answer, outer):
    """Mean temperatures that count emptied cells, as the published ones do."""
    if not np.any(answer.sublimated > 0):
        return answer.mean_temperature
    radius = np.linspace(0.8, 1, 401)
    place = np.log(answer.radius / outer)
    warm = [np.interp(np.log(radius), place, row) for row in answer.temperature]
    return np.array([np.average(row, weights=radius**2) for row in warm])


@pytest.fixture(scope="module")
def published(reference_data):
    with np.load(reference_data("mocassin_sn_shells_166.npz")) as stored:
        order = np.argsort(stored["wavelength_um"])
        wave, flux = stored["wavelength_um"][order], stored["flux_jy_pc2"][:, order]
        inputs, known = stored["inputs"], stored["dust_temperature_K"]
    spectrum, mean, hot, depth = zip(*(answer_of(row) for row in inputs), strict=True)
    filters = jwst_filters()
    names = [n for n in filters.names if n.split(".")[-1] not in WITHOUT_SIGNAL]
    filters, kept = filters.subset(names), (wave > 0.1) & (wave < 400)
    light = np.array(spectrum) / (4 * np.pi) * 1e23 / PARSEC**2
    ours = band_fluxes(filters, wavelength_grid(), light) * NJY
    theirs = band_fluxes(filters, wave[kept], np.maximum(flux[:, kept], 1e-30)) * NJY
    limit = band_limits(names).detection
    off = -2.5 * np.log10(ours / theirs)
    off[(ours < limit) | (theirs < limit)] = np.nan
    hot = np.array(hot)
    return {
        "off": off,
        "mean": np.array(mean),
        "warm": np.array(mean) / known - 1,
        "plain": ~hot & (np.array(depth) < 10),
        "steady": ~hot | (inputs[:, 4] % 1 > 0),
    }


def test_thirty_four_bands_carry_signal(published):
    assert published["off"].shape == (166, 34)
    assert np.isfinite(published["off"]).mean() > 0.95


def test_magnitudes_of_all_shells(published):
    off = published["off"][np.isfinite(published["off"])]
    assert abs(np.median(off)) < 0.03
    assert np.quantile(np.abs(off), 0.9) < 0.17


def test_magnitudes_of_shells_with_a_steady_state(published):
    off = published["off"][published["steady"]]
    off = off[np.isfinite(off)]
    assert published["steady"].sum() == 160
    assert abs(np.median(off)) < 0.03
    assert np.quantile(np.abs(off), 0.9) < 0.125


def test_magnitudes_of_thin_and_cool_shells(published):
    off = published["off"][published["plain"]]
    off = off[np.isfinite(off)]
    assert abs(np.median(off)) < 0.03
    assert np.quantile(np.abs(off), 0.9) < 0.1


def test_mean_temperatures(published):
    warm, plain = published["warm"], published["plain"]
    assert np.mean(np.abs(warm) < 0.03) > 0.95
    assert np.mean(np.abs(warm[plain]) < 0.03) > 0.98
    assert abs(np.median(warm)) < 0.01


def test_temperatures_of_other_shells_would_be_found_out(published):
    known = published["mean"] / (1 + published["warm"])
    wrong = np.roll(published["mean"], 1) / known - 1
    assert np.mean(np.abs(wrong) < 0.03) < 0.2
