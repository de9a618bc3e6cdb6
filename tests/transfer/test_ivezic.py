"""The spherical benchmark of Ivezic et al. (1997, MNRAS 291, 121), solved by DUSTY."""

import json

import numpy as np
import pytest

from grainlight.dust import Opacity
from grainlight.transfer import Shell, ShellGeometry, solve_shell

SUN_LUMINOSITY, SUN_MASS = 3.828e33, 1.989e33
LIGHT_SPEED_UM = 2.99792458e14
INNER, OUTER_CM = 1e-3, 1e18
# density power, optical depth at 1 um, cells, stated accuracy of DUSTY [%]
CASES = [
    pytest.param(0, 1, 40, 1, "run here", id="flat-1"),
    pytest.param(0, 10, 60, 1, "run here", id="flat-10"),
    pytest.param(2, 1, 40, 1, "run here", id="wind-1"),
    pytest.param(2, 10, 80, 1, "shipped", id="wind-10", marks=pytest.mark.slow),
    pytest.param(0, 100, 80, 5, "shipped", id="flat-100", marks=pytest.mark.slow),
    pytest.param(2, 100, 80, 4, "shipped", id="wind-100", marks=pytest.mark.slow),
]


def solve(power, depth, cells, *, scattering=1.0):
    """The shell whose inner edge has 800 K, and its answer."""
    wave = np.geomspace(0.2, 2000, 220)
    absorb = np.where(wave < 1, 1, 1 / wave)
    scatter = scattering * np.where(wave < 1, 1, wave**-4.0)
    flat = np.zeros_like(wave)
    opacity = Opacity(
        wave, ("grey",), np.array([1.0]), absorb[None], scatter[None], flat[None]
    )
    geometry, light = ShellGeometry(INNER, float(power)), 1e4
    mass = depth / 2 * geometry.mass_per_column * OUTER_CM**2 / SUN_MASS
    for _ in range(8):
        shell = Shell(light, 2500.0, mass, OUTER_CM, opacity, geometry)
        answer = solve_shell(shell, cells)
        position = np.log(answer.radius[:3] / (INNER * OUTER_CM))
        warm = np.log(answer.temperature[0, :3])
        edge = np.exp(np.polyfit(position, warm, 2)[-1])
        light *= (800 / edge) ** 4.6
        if abs(edge / 800 - 1) < 1e-4:
            break
    return shell, answer


def flux_errors(shell, answer, case):
    """Relative differences where more than 1 % of the peak comes out."""
    wave, theirs = np.array(case["lam_um"]), np.array(case["lamFlam_over_Fbol"])
    density = np.log(np.maximum(answer.luminosity, 1e-300))
    ours = np.exp(np.interp(np.log(wave), np.log(answer.wave), density))
    ours *= LIGHT_SPEED_UM / wave / (shell.luminosity * SUN_LUMINOSITY)
    kept = (wave > 0.25) & (wave < 1500) & (theirs > 0.01 * theirs.max())
    return np.abs(ours[kept] / theirs[kept] - 1)


@pytest.fixture(scope="module")
def dusty(reference_data):
    cases = json.loads(reference_data("ivezic97_dusty.json").read_text())

    def find(power, depth, source):
        for case in cases:
            problem = case["problem"]
            given = problem["density_power_p"], problem["tau_1um"]
            if given == (power, depth) and case["source"].startswith(source):
                return case
        raise LookupError(f"no case of p = {power}, tau = {depth}")

    return find


@pytest.mark.parametrize(("power", "depth", "cells", "stated", "source"), CASES)
def test_flux_agrees_within_the_accuracy_of_the_solution(
    dusty, power, depth, cells, stated, source
):
    case = dusty(power, depth, source)
    shell, answer = solve(power, depth, cells)
    error = flux_errors(shell, answer, case)
    assert np.median(error) < stated / 100
    assert np.quantile(error, 0.9) < 2 * stated / 100
    radius, warm = np.array(case["r_over_r1"]), np.array(case["Tdust_K"])
    at = answer.radius / (INNER * OUTER_CM)
    seen = (radius > at[0]) & (radius < at[-1])
    found = np.interp(np.log(radius[seen]), np.log(at), answer.temperature[0])
    np.testing.assert_allclose(found, warm[seen], rtol=0.02)
    assert abs(answer.energy_error) < 5e-3


def test_dust_that_does_not_scatter_would_be_found_out(dusty):
    shell, answer = solve(0, 10, 40, scattering=0.0)
    error = flux_errors(shell, answer, dusty(0, 10, "run here"))
    assert np.median(error) > 0.02
