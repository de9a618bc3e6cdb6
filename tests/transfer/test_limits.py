"""Cases with a known answer: no dust, thin dust, no absorption, grey dust, scaling."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from grainlight.transfer import Shell, ShellGeometry, solve_shell

SUN_LUMINOSITY, SUN_MASS = 3.828e33, 1.989e33
PLANCK, LIGHT, BOLTZMANN = 6.62607015e-27, 2.99792458e10, 1.380649e-16
STEFAN = 5.670374419e-5
RADIUS = 1e16


def planck(wave, temperature):
    """Planck function of frequency [erg/s/cm2/Hz/sr] at a wavelength in um."""
    frequency = LIGHT / (wave * 1e-4)
    x = np.minimum(PLANCK * frequency / (BOLTZMANN * temperature), 600)
    return 2 * PLANCK * frequency**3 / LIGHT**2 / np.expm1(x)


def starlight(shell):
    """Luminosity density of the source [erg/s/Hz]."""
    total = STEFAN * shell.source_temperature**4 / math.pi
    shape = planck(shell.opacity.wave, shell.source_temperature) / total
    return shell.luminosity * SUN_LUMINOSITY * shape


def share_below(wave, temperature):
    """Share of the light of a blackbody below a wavelength [um]."""
    grid = np.geomspace(0.01, wave, 2001)
    light = planck(grid, temperature) * LIGHT / (grid * 1e-4)
    total = STEFAN * temperature**4 / math.pi
    return np.trapezoid(light, np.log(grid)) / total


@pytest.mark.parametrize("depth", [1e-14, 1e-8])
@pytest.mark.parametrize("temperature", [4000.0, 8000.0, 14000.0])
def test_without_dust_the_star_is_seen(grains, depth, temperature):
    shell = grains(0.5, 0.1, depth, temperature=temperature)
    answer = solve_shell(shell)
    seen = answer.wave < 20
    # light below the grid (8e-3 of a star of 14000 K) is given to the rest
    missing = share_below(answer.wave[0], temperature)
    expected = starlight(shell)[seen] / (1 - missing)
    np.testing.assert_allclose(answer.luminosity[seen], expected, rtol=1e-3)


def test_a_little_dust_is_seen(grains):
    shell = grains(0.5, 0.1, 1e-2)
    ratio = solve_shell(shell).luminosity / starlight(shell)
    assert np.max(np.abs(ratio - 1)) > 3e-3


@pytest.mark.parametrize("silicate", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("radius", [0.01, 0.3, 3.0])
def test_thin_dust_has_the_temperature_of_free_starlight(
    grains, integral, silicate, radius
):
    shell = grains(silicate, radius, 1e-5)
    answer = solve_shell(shell, 12)
    wave = shell.opacity.wave
    for row, absorption in zip(
        answer.temperature, shell.opacity.absorption, strict=True
    ):
        for cell in (0, 6, 11):
            field = starlight(shell) / (4 * math.pi * answer.radius[cell]) ** 2
            heating = integral(wave, absorption * field)

            def excess(temperature, absorption=absorption, heating=heating):
                return integral(wave, absorption * planck(wave, temperature)) - heating

            expected = brentq(excess, 3, 5000)
            # a cell sees the mean of 1 / r^2 over its mass, not that of its middle
            assert row[cell] == pytest.approx(expected, rel=5e-4)


@pytest.mark.parametrize(("silicate", "luminosity"), [(1.0, 3e7), (0.4, 3e7)])
def test_the_sublimated_mass_is_that_of_free_starlight(
    grains, integral, silicate, luminosity
):
    shell = grains(silicate, 0.1, 1e-5, luminosity=luminosity)
    wave = shell.opacity.wave
    answer = solve_shell(shell)
    for name, share, absorption in zip(
        shell.opacity.names, answer.sublimated, shell.opacity.absorption, strict=True
    ):
        limit = 1400.0 if "silicate" in name else 2200.0
        heating = integral(wave, absorption * starlight(shell)) / (4 * math.pi) ** 2
        radius = math.sqrt(heating / integral(wave, absorption * planck(wave, limit)))
        edge = np.clip(radius / RADIUS, 0.8, 1.0)
        assert share == pytest.approx((edge**3 - 0.8**3) / (1 - 0.8**3), abs=0.01)
    assert answer.sublimated[0] > 0.1


def test_cool_and_unknown_grains_survive(grains, flat_opacity):
    assert np.all(solve_shell(grains(0.5, 0.1, 1.0)).sublimated == 0)
    hot = Shell(1e9, 6000.0, 1e-6, 1e15, flat_opacity(100.0, 0.0))
    answer = solve_shell(hot)
    assert answer.dust_temperature > 3000
    assert np.all(answer.sublimated == 0)


@pytest.mark.parametrize("silicate", [0.0, 0.4, 1.0])
def test_thin_dust_shines_with_its_whole_mass(grains, silicate):
    shell = grains(silicate, 0.1, 1e-4)
    answer = solve_shell(shell, 20)
    opacity = shell.opacity
    expected = np.zeros_like(opacity.wave)
    for share, absorption, row in zip(
        opacity.mass_fraction, opacity.absorption, answer.temperature, strict=True
    ):
        mean = planck(opacity.wave[:, None], row) @ answer.cell_mass[0]
        mass = share * shell.dust_mass * SUN_MASS
        expected += 4 * math.pi * mass * absorption * mean
    bare = solve_shell(dataclasses.replace(shell, dust_mass=1e-30)).luminosity
    star = bare * np.exp(-shell.column * opacity.total_absorption)
    infrared = (opacity.wave > 8) & (opacity.wave < 200)
    dust = (answer.luminosity - star)[infrared]
    np.testing.assert_allclose(dust, expected[infrared], rtol=3e-3)


@pytest.mark.parametrize("depth", [0.1, 3.0, 50.0])
@pytest.mark.parametrize("asymmetry", [-0.3, 0.0, 0.8])
def test_grains_that_only_scatter_take_nothing(flat_opacity, depth, asymmetry):
    opacity = flat_opacity(1e-9, 1.0, asymmetry)
    shell = Shell(1e5, 6000.0, 1.0, RADIUS, opacity)
    mass = depth / shell.optical_depth(0.55)
    answer = solve_shell(dataclasses.replace(shell, dust_mass=mass), 20)
    visible = (answer.wave > 0.1) & (answer.wave < 5)
    np.testing.assert_allclose(
        answer.luminosity[visible], starlight(shell)[visible], rtol=3e-4
    )


def test_grains_that_absorb_a_little_take_some(flat_opacity):
    opacity = flat_opacity(1e-2, 1.0, 0.0)
    shell = Shell(1e5, 6000.0, 1.0, RADIUS, opacity)
    mass = 3.0 / shell.optical_depth(0.55)
    answer = solve_shell(dataclasses.replace(shell, dust_mass=mass), 20)
    visible = answer.wave < 1
    assert np.all(answer.luminosity[visible] < 0.98 * starlight(shell)[visible])


@pytest.mark.parametrize("depth", [0.3, 5.0, 40.0])
def test_grey_dust_cannot_tell_emission_from_isotropic_scattering(flat_opacity, depth):
    """The bolometric field in grey dust is that of a conservative scatterer."""
    share = 1e-7
    absorbing, scattering = flat_opacity(1.0, 0.0), flat_opacity(share, 1 - share)
    column = Shell(1e5, 6000.0, 1.0, RADIUS, absorbing).optical_depth(0.55)
    warm, mirror = (
        solve_shell(Shell(1e5, 6000.0, depth / column, RADIUS, opacity), 24)
        for opacity in (absorbing, scattering)
    )
    np.testing.assert_allclose(warm.temperature, mirror.temperature, rtol=2e-3)
    # and the field is far from that of free starlight
    free = (1e5 * SUN_LUMINOSITY / (16 * math.pi * STEFAN * warm.radius**2)) ** 0.25
    assert abs(warm.temperature[0, 0] / free[0] - 1) > 0.02


@pytest.mark.parametrize("depth", [1e-3, 3.0, 60.0])
@pytest.mark.parametrize("factor", [0.01, 30.0])
def test_light_and_size_scale_together(grains, depth, factor):
    """L and M as R^2: the same temperatures, the spectrum times L."""
    shell = grains(0.5, 0.3, depth)
    other = dataclasses.replace(
        shell,
        luminosity=shell.luminosity * factor,
        dust_mass=shell.dust_mass * factor,
        outer_radius=shell.outer_radius * factor**0.5,
    )
    small, large = solve_shell(shell), solve_shell(other)
    np.testing.assert_allclose(large.temperature, small.temperature, rtol=1e-6)
    np.testing.assert_allclose(large.luminosity, factor * small.luminosity, rtol=1e-6)


def test_a_brighter_star_warms_the_grains(grains):
    shell = grains(0.5, 0.3, 3.0)
    brighter = dataclasses.replace(shell, luminosity=2 * shell.luminosity)
    warm, hot = solve_shell(shell), solve_shell(brighter)
    assert np.all(hot.temperature > 1.05 * warm.temperature)


def test_a_mixture_of_one_kind_with_itself_changes_nothing(grains):
    opacity = grains(1.0, 0.1, 3.0).opacity
    twice = opacity._replace(
        names=("silicate_dl", "silicate_dl"),
        mass_fraction=np.array([0.3, 0.7]),
        absorption=np.repeat(opacity.absorption, 2, axis=0),
        scattering=np.repeat(opacity.scattering, 2, axis=0),
        asymmetry=np.repeat(opacity.asymmetry, 2, axis=0),
    )
    shell = grains(1.0, 0.1, 3.0, geometry=ShellGeometry(0.5))
    one, two = (
        solve_shell(dataclasses.replace(shell, opacity=kind), 12)
        for kind in (opacity, twice)
    )
    np.testing.assert_allclose(two.luminosity, one.luminosity, rtol=1e-6)
    np.testing.assert_allclose(two.temperature[1], one.temperature[0], rtol=1e-6)
