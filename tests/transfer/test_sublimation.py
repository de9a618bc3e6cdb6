"""Shells whose hot grains are removed, against what must come out."""

import dataclasses
import math

import numpy as np
import pytest

from grainlight.dust import mixture_opacity
from grainlight.transfer import Shell, ShellGeometry, solve_shell, wavelength_grid

SILICATE_LIMIT = 1400.0  # K
OUTER_CM = 1e16


def hot_shell(silicate, depth, luminosity, radius=0.1):
    shares = {"silicate_dl": silicate, "carbon_be": 1 - silicate}
    opacity = mixture_opacity(shares, radius, wavelength_grid())
    shell = Shell(luminosity, 8000.0, 1.0, OUTER_CM, opacity)
    mass = depth / shell.optical_depth(0.55)
    return dataclasses.replace(shell, dust_mass=mass)


def removed(shell, num_cells=None):
    return solve_shell(shell, num_cells, remove_sublimated=True)


def inner_radius(gone):
    """Inner radius of a uniform shell that has lost a share of its mass."""
    return np.cbrt(0.8**3 + (1 - 0.8**3) * gone)


def at_radius(answer, radius):
    place = np.log(answer.radius / OUTER_CM)
    return np.exp(np.interp(np.log(radius), place, np.log(answer.temperature[0])))


def test_where_all_grains_survive_nothing_changes():
    shell = hot_shell(0.5, 1.0, 1e6)
    kept, cleared = solve_shell(shell), removed(shell)
    assert np.all(kept.sublimated == 0)
    np.testing.assert_array_equal(cleared.luminosity, kept.luminosity)


@pytest.mark.parametrize(
    ("depth", "luminosity"), [(1e-3, 2.7e7), (0.3, 2.2e7), (2.0, 1.8e7)]
)
def test_a_pure_shell_becomes_one_that_begins_farther_out(depth, luminosity):
    shell = hot_shell(1.0, depth, luminosity)
    answer = removed(shell, 20)
    gone = answer.sublimated[0]
    assert 0.05 < gone < 0.95
    smaller = dataclasses.replace(
        shell,
        dust_mass=shell.dust_mass * (1 - gone),
        geometry=ShellGeometry(float(inner_radius(gone))),
    )
    expected = solve_shell(smaller, 20)
    assert answer.optical_depth == pytest.approx(expected.optical_depth, rel=1e-6)
    np.testing.assert_allclose(
        answer.mean_temperature, expected.mean_temperature, rtol=1e-3
    )
    seen = (answer.wave > 0.3) & (answer.wave < 100)
    np.testing.assert_allclose(
        answer.luminosity[seen], expected.luminosity[seen], rtol=5e-3
    )


@pytest.mark.parametrize(
    ("silicate", "depth", "luminosity"),
    [
        (1.0, 1e-3, 2.7e7),
        (1.0, 0.3, 2.2e7),
        (1.0, 2.0, 1.8e7),
        (0.3, 1e-3, 2.7e7),
        (0.3, 2.0, 3.6e7),
        (0.3, 30.0, 5e7),
    ],
)
def test_the_innermost_grains_are_as_hot_as_they_survive(silicate, depth, luminosity):
    answer = removed(hot_shell(silicate, depth, luminosity), 20)
    gone = answer.sublimated[0]
    assert 0.05 < gone < 0.95
    edge = at_radius(answer, inner_radius(gone))
    assert edge == pytest.approx(SILICATE_LIMIT, rel=3e-3)


@pytest.mark.parametrize(
    ("depth", "luminosity"), [(0.3, 2.5e7), (2.0, 3.6e7), (30.0, 5e7)]
)
def test_energy_is_conserved_and_light_is_let_out(depth, luminosity):
    shell = hot_shell(0.5, depth, luminosity)
    kept, cleared = solve_shell(shell), removed(shell)
    assert 0 < cleared.sublimated[0] < 1
    assert cleared.sublimated[1] == 0  # carbon stands 2200 K
    assert abs(cleared.energy_error) < 5e-3
    blue = cleared.wave < 0.6
    assert np.all(cleared.luminosity[blue] > kept.luminosity[blue])
    # what is left is more of the cooler grains
    assert cleared.mean_temperature[0] < kept.mean_temperature[0]


def test_a_trace_that_is_gone_leaves_the_others_alone():
    """All grains but a trace of silicate survive: the same as if it were not there."""
    pure, traced = hot_shell(0.0, 2.0, 1e8, 0.1), hot_shell(1e-7, 2.0, 1e8, 0.1)
    expected, answer = solve_shell(pure, 24), removed(traced, 24)
    assert answer.sublimated.tolist() == [1.0, 0.0]
    assert math.isnan(answer.mean_temperature[0])
    assert answer.dust_temperature == pytest.approx(expected.dust_temperature, rel=1e-4)
    seen = (answer.wave > 0.3) & (answer.wave < 100)
    np.testing.assert_allclose(
        answer.luminosity[seen], expected.luminosity[seen], rtol=3e-3
    )


def test_where_nothing_survives_the_star_is_left():
    shell = hot_shell(1.0, 1.0, 1e9)
    answer = removed(shell)
    bare = solve_shell(dataclasses.replace(shell, dust_mass=1e-30))
    np.testing.assert_allclose(answer.luminosity, bare.luminosity, rtol=1e-9)
    assert answer.sublimated[0] == 1
    assert answer.optical_depth == 0
    assert math.isnan(answer.dust_temperature)
    # the temperatures are those that grains would have
    assert np.all(answer.temperature > SILICATE_LIMIT)


def test_more_light_removes_more():
    gone = [removed(hot_shell(1.0, 0.3, 2e7 * x)).sublimated[0] for x in (0.8, 1, 1.2)]
    assert gone[0] < gone[1] < gone[2]


def test_cells_of_both_grids_agree_on_what_is_gone():
    shell = hot_shell(0.4, 3.0, 3.6e7)
    few, many = removed(shell, 20), removed(shell, 40)
    assert few.sublimated[0] == pytest.approx(many.sublimated[0], abs=0.01)
    assert few.dust_temperature == pytest.approx(many.dust_temperature, rel=3e-3)
