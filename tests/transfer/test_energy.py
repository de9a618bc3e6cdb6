"""Every erg of the star leaves the shell."""

import dataclasses

import numpy as np
import pytest

from grainlight.simulators import PRIORS, ShellSimulator
from grainlight.transfer import ShellGeometry, solution, solve_shell

SUN_LUMINOSITY = 3.828e33
PROMISED, AIMED = 5e-3, 1e-3

# silicate fraction, grain radius, optical depth at 0.55 um, source temperature
SHELLS = [
    (0.0, 0.005, 1e-3, 4000.0),
    (1.0, 0.005, 0.3, 14000.0),
    (0.5, 0.05, 1.0, 6000.0),
    (0.0, 0.1, 5.0, 10000.0),
    (1.0, 0.1, 20.0, 8000.0),
    (0.66, 0.3, 40.0, 5000.0),
    (0.5, 1.0, 10.0, 14000.0),
    (0.0, 0.1, 100.0, 8000.0),
    (0.2, 1.0, 100.0, 8000.0),
    (1.0, 5.0, 0.1, 12000.0),
    (0.0, 5.0, 60.0, 4000.0),
]


@pytest.mark.parametrize(("silicate", "radius", "depth", "temperature"), SHELLS)
def test_the_light_that_leaves_is_that_of_the_star(
    grains, integral, silicate, radius, depth, temperature
):
    answer = solve_shell(grains(silicate, radius, depth, temperature=temperature))
    total = integral(answer.wave, answer.luminosity) / (1e5 * SUN_LUMINOSITY)
    bound = AIMED if depth <= 40 else PROMISED
    assert abs(total - 1) < bound
    assert abs(answer.energy_error) < bound


@pytest.mark.parametrize(("inner", "power"), [(0.25, 0.0), (0.25, 2.0), (0.05, 1.0)])
def test_energy_is_kept_in_other_geometries(grains, integral, inner, power):
    given = grains(0.5, 0.1, 10.0, geometry=ShellGeometry(inner, power))
    answer = solve_shell(given)
    total = integral(answer.wave, answer.luminosity) / (1e5 * SUN_LUMINOSITY)
    assert abs(total - 1) < PROMISED


@pytest.mark.parametrize("name", list(PRIORS))
def test_shells_of_the_prior_keep_energy(name, integral):
    theta = PRIORS[name].sample(np.random.default_rng(0), 100)
    spectra = ShellSimulator().simulate(theta)
    assert np.max(np.abs(spectra.energy_error)) < PROMISED
    assert np.median(np.abs(spectra.energy_error)) < AIMED
    light = 10.0 ** spectra.log_luminosity.astype(float)
    total = np.array([integral(spectra.wave, row) for row in light])
    # the answer extrapolates wavelength by wavelength: the spectrum itself must hold
    np.testing.assert_allclose(total / (theta[:, 3] * SUN_LUMINOSITY), 1, atol=1e-2)


def test_a_leaking_kernel_is_found_out(grains, monkeypatch):
    tabulate = solution._table

    def leaky(*arguments):
        table = tabulate(*arguments)
        matrix = 0.97 * np.asarray(table.matrix)
        return table._replace(matrix=matrix)

    monkeypatch.setattr(solution, "_table", leaky)
    answer = solve_shell(grains(0.5, 0.1, 10.0))
    assert abs(answer.energy_error) > PROMISED


def test_most_of_a_thick_shell_shines_in_the_infrared(grains, integral):
    thick = solve_shell(grains(0.0, 0.1, 30.0))
    infrared = thick.wave > 2
    share = integral(thick.wave[infrared], thick.luminosity[infrared])
    assert share / (1e5 * SUN_LUMINOSITY) > 0.95


@pytest.mark.parametrize(
    "name", ["luminosity", "source_temperature", "dust_mass", "outer_radius"]
)
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_an_impossible_shell_is_refused(grains, name, value):
    with pytest.raises(ValueError, match=f"positive, finite {name}"):
        dataclasses.replace(grains(0.5, 0.1, 1.0), **{name: value})
