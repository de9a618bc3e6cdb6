"""Power laws of grain radii."""

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.dust import GrainSizes, grain_efficiencies, mixture_opacity

WAVE = np.geomspace(0.1, 500, 60)
SHARES = {"carbon_be": 0.3, "silicate_dl": 0.7}


@pytest.mark.parametrize("power", [2.5, 3.5, 4.0])
def test_opacities_are_those_of_an_integral_over_radii(power):
    radius = np.geomspace(0.005, 0.5, 2001)
    mass = radius ** (4 - power)  # per unit of log radius
    grains = [grain_efficiencies("silicate_dl", a, WAVE) for a in radius]
    per_gram = 3 / (4 * radius * 1e-4 * 3.6)
    expected = [
        np.trapezoid(
            mass[:, None] * per_gram[:, None] * np.array(values), np.log(radius), axis=0
        )
        / np.trapezoid(mass, np.log(radius))
        for values in (
            [grain.absorption for grain in grains],
            [grain.scattering for grain in grains],
            [grain.scattering * grain.asymmetry for grain in grains],
        )
    ]
    opacity = mixture_opacity({"silicate_dl": 1.0}, 0.5, WAVE, GrainSizes(power=power))
    np.testing.assert_allclose(opacity.total_absorption, expected[0], rtol=1e-2)
    np.testing.assert_allclose(opacity.total_scattering, expected[1], rtol=1e-2)
    forward = opacity.total_scattering * opacity.mean_asymmetry
    np.testing.assert_allclose(forward, expected[2], rtol=1e-2, atol=1e-6)


def test_every_bin_of_every_species_is_a_member():
    opacity = mixture_opacity(SHARES, 0.3, WAVE, GrainSizes(num_bins=5))
    assert opacity.names == ("carbon_be",) * 5 + ("silicate_dl",) * 5
    assert opacity.mass_fraction.sum() == pytest.approx(1)
    assert opacity.mass_fraction[:5].sum() == pytest.approx(0.3)
    # most of the mass of an MRN law is in its large grains
    assert np.all(np.diff(opacity.mass_fraction[:5]) > 0)


def test_a_law_as_narrow_as_one_radius_is_one_radius():
    single = mixture_opacity(SHARES, 0.3, WAVE)
    narrow = mixture_opacity(SHARES, 0.3, WAVE, GrainSizes(smallest=0.3))
    nearly = mixture_opacity(SHARES, 0.3, WAVE, GrainSizes(smallest=0.295, num_bins=1))
    np.testing.assert_allclose(narrow.extinction, single.extinction)
    np.testing.assert_allclose(nearly.extinction, single.extinction, rtol=0.05)


def test_sizes_that_are_none_are_refused():
    with pytest.raises(ParameterError, match="largest radius"):
        mixture_opacity(SHARES, 0.1, WAVE, GrainSizes(smallest=0.2))
    with pytest.raises(ParameterError, match="at least one bin"):
        GrainSizes(num_bins=0)
