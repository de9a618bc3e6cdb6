"""Opacities of mixtures."""

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.dust import grain_efficiencies, mixture_opacity

WAVE = np.geomspace(0.1, 500, 60)
PURE = [("carbon_be", 1.85), ("silicate_dl", 3.6)]


@pytest.mark.parametrize(("name", "density"), PURE)
@pytest.mark.parametrize("radius", [0.005, 0.3])
def test_opacity_is_cross_section_over_mass(name, density, radius):
    grain = grain_efficiencies(name, radius, WAVE)
    opacity = mixture_opacity({name: 1.0}, radius, WAVE)
    centimeters = radius * 1e-4
    area = np.pi * centimeters**2
    mass = 4 / 3 * np.pi * centimeters**3 * density
    np.testing.assert_allclose(opacity.absorption[0], grain.absorption * area / mass)
    np.testing.assert_allclose(opacity.scattering[0], grain.scattering * area / mass)
    np.testing.assert_allclose(opacity.asymmetry[0], grain.asymmetry)


def test_a_mixture_is_the_mean_by_mass():
    pure = {name: mixture_opacity({name: 1.0}, 0.3, WAVE) for name, _ in PURE}
    mixed = mixture_opacity({"carbon_be": 0.3, "silicate_dl": 0.7}, 0.3, WAVE)
    carbon, silicate = pure["carbon_be"], pure["silicate_dl"]
    for kind in ("total_absorption", "total_scattering", "extinction"):
        expected = 0.3 * getattr(carbon, kind) + 0.7 * getattr(silicate, kind)
        np.testing.assert_allclose(getattr(mixed, kind), expected)
    forward = 0.3 * carbon.scattering[0] * carbon.asymmetry[0]
    forward += 0.7 * silicate.scattering[0] * silicate.asymmetry[0]
    np.testing.assert_allclose(mixed.mean_asymmetry, forward / mixed.total_scattering)
    assert np.all((mixed.albedo > 0) & (mixed.albedo < 1))


def test_opacities_are_kept_for_each_species():
    mixed = mixture_opacity({"carbon_be": 0.3, "silicate_dl": 0.7}, 0.3, WAVE)
    pure = mixture_opacity({"silicate_dl": 1.0}, 0.3, WAVE)
    assert mixed.names == ("carbon_be", "silicate_dl")
    for kind in ("absorption", "scattering", "asymmetry"):
        np.testing.assert_allclose(getattr(mixed, kind)[1], getattr(pure, kind)[0])


def test_a_species_without_mass_is_left_out():
    opacity = mixture_opacity({"carbon_be": 0.0, "silicate_dl": 1.0}, 0.1, WAVE)
    assert opacity.names == ("silicate_dl",)


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {"carbon_be": 0.9},
        {"carbon_be": 1.2, "silicate_dl": -0.2},
        {"carbon_be": 0.0},
    ],
)
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ParameterError, match="sum to one"):
        mixture_opacity(shares, 0.1, WAVE)


def test_a_share_that_is_not_a_number_is_refused():
    with pytest.raises(ParameterError, match="sum to one"):
        mixture_opacity({"carbon_be": np.nan, "silicate_dl": 1.0}, 0.1, WAVE)


def test_an_unknown_species_is_refused():
    with pytest.raises(ParameterError, match="got 'ice'"):
        mixture_opacity({"ice": 1.0}, 0.1, WAVE)
