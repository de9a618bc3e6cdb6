"""Grain efficiencies: Mie theory itself, known opacities and known limits."""

from pathlib import Path

import miepython
import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.dust import SPECIES, grain_efficiencies, species

CONSTANTS = Path("/usr/share/mocassin/dustData")
FILES = {
    "carbon_be": "amC-zb1.nk",
    "carbon_acar": "amC-zb2.nk",
    "carbon_ach2": "amC-zb3.nk",
    "carbon_hanner": "amC-hann.nk",
    "silicate_dl": "sil-dlee.nk",
    "silicate_laor": "sil-dlaor.nk",
}
BIN = np.log(1000 / 0.05) / 341  # width of a bin of the table in log wavelength


def constants(name):
    """Wavelength [um], n and k of a species; skips where they are not installed."""
    path = CONSTANTS / FILES[name]
    if not path.exists():
        pytest.skip("the optical constants of mocassin-data are not installed")
    rows = []
    for line in path.read_text().splitlines()[2:]:
        words = line.split()[:3]
        if len(words) < 3 or not words[0][0].isdigit():
            break
        rows.append([float(word) for word in words])
    table = np.array(rows)
    return table[np.argsort(table[:, 0])].T


def mie(name, radius, wave):
    """Efficiencies averaged over a bin of the table, straight from Mie theory."""
    grid, n, k = constants(name)
    fine = wave * np.exp(BIN * (np.arange(25) + 0.5 - 12.5) / 25)
    at, known = 1 / fine, 1 / grid[::-1]
    index = np.interp(at, known, n[::-1]) - 1j * np.interp(at, known, k[::-1])
    size = 2 * np.pi * radius / fine
    extinct, scatter, _, cosine = miepython.efficiencies_mx(index, size)
    forward = (cosine * scatter).mean() / scatter.mean()
    return (extinct - scatter).mean(), scatter.mean(), forward


@pytest.mark.parametrize("name", list(FILES))
@pytest.mark.parametrize(
    ("radius", "wave"),
    [(0.005, 0.3), (0.1, 0.55), (0.1, 9.7), (0.37, 2.2), (1.3, 10.0), (5.0, 30.0)],
)
def test_the_table_is_mie_theory(name, radius, wave):
    expected = mie(name, radius, wave)
    found = [value[0] for value in grain_efficiencies(name, radius, np.array([wave]))]
    assert found[0] == pytest.approx(expected[0], rel=0.02)
    assert found[1] == pytest.approx(expected[1], rel=0.03)
    assert found[2] == pytest.approx(expected[2], rel=0.03, abs=3e-3)


def test_mie_theory_tells_the_species_apart():
    expected = mie("carbon_be", 0.1, 2.2)
    found = grain_efficiencies("carbon_acar", 0.1, np.array([2.2]))
    assert found.absorption[0] != pytest.approx(expected[0], rel=0.05)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("carbon_be", [8110, 2750, 1040, 445, 65]),
        ("silicate_dl", [363, 222, 2690, 979, 62.5]),
    ],
)
def test_known_absorption_opacities(name, expected):
    wave = np.array([2.2, 4.5, 9.7, 18.0, 70.0])
    absorption = grain_efficiencies(name, 0.1, wave).absorption
    kappa = 3 * absorption / (4 * 0.1e-4 * species(name).density)
    np.testing.assert_allclose(kappa, expected, rtol=0.02)


@pytest.mark.parametrize("name", list(SPECIES))
def test_small_grains_absorb_by_volume_and_hardly_scatter(name):
    wave = np.geomspace(10, 300, 12)
    small, twice = (grain_efficiencies(name, a, wave) for a in (0.01, 0.02))
    np.testing.assert_allclose(twice.absorption / small.absorption, 2, rtol=0.02)
    np.testing.assert_allclose(twice.scattering / small.scattering, 16, rtol=0.03)
    assert np.all(small.scattering < 1e-3 * small.absorption)
    assert np.all(np.abs(small.asymmetry) < 0.01)


@pytest.mark.parametrize("name", list(SPECIES))
def test_large_grains_stop_twice_their_shadow(name):
    wave = np.geomspace(0.05, 0.12, 8)
    grain = grain_efficiencies(name, 5.0, wave)
    np.testing.assert_allclose(grain.absorption + grain.scattering, 2, rtol=0.08)
    assert np.all(grain.asymmetry > 0.7)


@pytest.mark.parametrize("name", list(SPECIES))
@pytest.mark.parametrize("radius", [0.005, 0.0123, 0.4, 5.0])
def test_efficiencies_are_physical(name, radius):
    grain = grain_efficiencies(name, radius, np.geomspace(0.05, 1000, 500))
    assert np.all(grain.absorption > 0)
    assert np.all(grain.scattering > 0)
    assert np.all(np.abs(grain.asymmetry) <= 1)
    assert np.all(grain.absorption + grain.scattering < 6)


@pytest.mark.parametrize("radius", [0.0049, 5.01, np.nan])
def test_a_radius_beyond_the_table_is_refused(radius):
    with pytest.raises(ParameterError, match=r"grain radius \[um\] within 0.005 to 5"):
        grain_efficiencies("carbon_be", radius, np.array([1.0]))


@pytest.mark.parametrize("wave", [0.049, 1001.0])
def test_a_wavelength_beyond_the_table_is_refused(wave):
    with pytest.raises(ParameterError, match=r"wavelength \[um\] within 0.05 to 1000"):
        grain_efficiencies("carbon_be", 0.1, np.array([1.0, wave]))


def test_an_unknown_species_is_refused():
    with pytest.raises(ParameterError, match="silicate_dl.*got 'graphite'"):
        grain_efficiencies("graphite", 0.1, np.array([1.0]))


def test_every_species_has_its_facts():
    assert set(SPECIES) == {*FILES, "silicate_d03"}
    for name, member in SPECIES.items():
        assert member.name == name
        assert 1 < member.density < 5
        assert 1000 < member.sublimation < 3000
        years = ("1984", "1988", "1993", "1996", "2003")
        assert any(year in member.citation for year in years)


def test_the_silicate_of_2003_has_the_index_that_its_table_gives():
    """n = 1.690, k = 0.02986 at 0.5501 um (Draine 2003, ApJ 598, 1017)."""
    wave = np.exp(np.log(0.5500621) + BIN * np.linspace(-0.4, 0.4, 9))
    extinct, scatter, _, cosine = miepython.efficiencies_mx(
        np.full(9, 1.6904 - 0.02986j), 2 * np.pi * 0.1 / wave
    )
    grain = grain_efficiencies("silicate_d03", 0.1, np.array([0.5500621]))
    np.testing.assert_allclose(grain.absorption, np.mean(extinct - scatter), rtol=0.02)
    np.testing.assert_allclose(grain.scattering, np.mean(scatter), rtol=0.02)
    np.testing.assert_allclose(grain.asymmetry, np.mean(cosine), rtol=0.02)
    # from 10 um on it is nearly that of 1993
    other = grain_efficiencies("silicate_laor", 0.1, np.array([18.0, 70.0, 200.0]))
    same = grain_efficiencies("silicate_d03", 0.1, np.array([18.0, 70.0, 200.0]))
    np.testing.assert_allclose(same.absorption, other.absorption, rtol=0.03)
