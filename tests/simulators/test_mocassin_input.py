"""What is written for MOCASSIN: grids, numbers of grains, refusals."""

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.dust import SPECIES
from grainlight.simulators import (
    MocassinGrid,
    MocassinSettings,
    MocassinShell,
    ShellSimulator,
    number_fraction,
    uniform_grid,
)
from grainlight.simulators.mocassin_input import (
    constants_file,
    read_density,
    write_input,
)
from grainlight.transfer import DensityGrid, ShellGeometry

THETA = np.array([1e-3, 0.1, 0.5, 1e5, 6000.0, 1e17])
COARSE = MocassinSettings(points=13)


def clumps(num=9, extent=1e17):
    density = np.zeros((num,) * 3)
    density[2, 3, 4], density[6, 5, 1] = 1.0, 0.25
    return MocassinGrid(np.linspace(-extent, extent, num), density)


def test_half_of_the_grains_are_two_thirds_of_the_mass():
    shares = number_fraction({"silicate_dl": 0.6606, "carbon_be": 0.3394})
    assert shares["silicate_dl"] == pytest.approx(0.5, abs=1e-4)
    assert number_fraction({"carbon_be": 0.0, "silicate_dl": 1.0}) == {
        "silicate_dl": 1.0
    }


@pytest.mark.parametrize("power", [0.0, 2.0])
@pytest.mark.parametrize("points", [13, 33])
def test_the_mean_radius_of_a_shell_is_that_of_its_density(power, points):
    grid = uniform_grid(
        ShellGeometry(0.6, power), 2e16, MocassinSettings(points=points)
    )
    mass = grid.density * grid.volume
    radius = 0.6 + 0.4 * (np.arange(4000) + 0.5) / 4000
    weight = radius ** (2 - power)
    expected = np.sum(weight * radius**2) / np.sum(weight)
    found = np.sum(mass * grid.radius**2) / np.sum(mass) / 4e32
    # a cell's width adds a quarter of its square to that of the center
    assert found == pytest.approx(expected, rel=0.02 if points == 13 else 0.003)


def test_cells_of_an_uneven_axis_fill_the_cube():
    axis = np.array([-4.0, -2.5, -1.0, 0.0, 0.5, 2.0, 4.0, 5.0])
    density = np.zeros((8,) * 3)
    density[3, 3, 3] = 1
    grid = MocassinGrid(axis, density)
    inner = grid.volume[1:-1, 1:-1, 1:-1].sum()
    assert inner == pytest.approx((4.5 - -3.25) ** 3)


@pytest.mark.parametrize("grid", [None, clumps()])
def test_densities_are_read_as_they_were_written(tmp_path, grid):
    shell = MocassinShell.from_theta(THETA, ShellSimulator(), grid=grid)
    written = write_input(tmp_path, shell, COARSE)
    found = read_density(tmp_path / "input/ndust.dat")
    np.testing.assert_allclose(found.axis, written.axis, rtol=1e-6)
    np.testing.assert_allclose(found.density, written.density, rtol=1e-6)
    # x is slowest
    if grid is not None:
        assert found.density[6, 5, 1] == 0.25


def test_the_input_states_the_shell(tmp_path):
    write_input(tmp_path, MocassinShell.from_theta(THETA, ShellSimulator()), COARSE)
    words = (tmp_path / "input/input.in").read_text()
    for line in ("TStellar 6000.0", "LStar 382.8", "dustMass 0.001", "nPhotons 150000"):
        assert line in words.splitlines()
    # octants are wrong with anisotropic scattering
    assert "symmetric" not in words
    species = (tmp_path / "input/species.dat").read_text().split()
    assert species[:2] == ["2", "'dustData/sil-dlee.nk'"]
    assert float(species[2]) + float(species[4]) == pytest.approx(1)
    assert (tmp_path / "input/sizes.dat").read_text() == "1\n1 0.1 1.0\n"


def test_every_species_has_its_file():
    there = [name for name in SPECIES if name != "silicate_d03"]
    assert {name: constants_file(name) for name in there} == {
        "carbon_be": "amC-zb1.nk",
        "carbon_acar": "amC-zb2.nk",
        "carbon_ach2": "amC-zb3.nk",
        "carbon_hanner": "amC-hann.nk",
        "silicate_dl": "sil-dlee.nk",
        "silicate_laor": "sil-dlaor.nk",
    }
    for missing in ("iron", "silicate_d03"):
        with pytest.raises(ParameterError, match=f"MOCASSIN has, .*got '{missing}'"):
            MocassinShell(1e5, 6e3, 1e-3, 1e17, 0.1, {missing: 1.0})


@pytest.mark.parametrize(
    "change",
    [{"points": 12}, {"points": 7}, {"subcells": 0}, {"last_packets": 0}],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(ParameterError):
        MocassinSettings(**change)


@pytest.mark.parametrize(
    ("axis", "change", "match"),
    [
        (np.linspace(-1, 1, 9)[::-1], None, "increasing"),
        (np.linspace(1, 2, 9), None, "at zero"),
        (np.linspace(-1, 1, 11), None, "11 x 11 x 11"),
        (None, ((2, 3, 4), -1.0), "zero or more"),
        (None, ((2, 3, 4), np.nan), "finite"),
        (None, ((0, 3, 4), 1.0), "outermost"),
        (None, (slice(None), 0.0), "outermost"),
    ],
)
def test_impossible_grids_are_refused(axis, change, match):
    good = clumps()
    density = good.density.copy()
    if change is not None:
        density[change[0]] = change[1]
    with pytest.raises(ParameterError, match=match):
        MocassinGrid(good.axis if axis is None else axis, density)


def test_impossible_shells_are_refused():
    with pytest.raises(ParameterError, match="sum to one"):
        MocassinShell(1e5, 6e3, 1e-3, 1e17, 0.1, {"carbon_be": 0.5})
    with pytest.raises(ParameterError, match="positive, finite dust_mass"):
        MocassinShell(1e5, 6e3, 0.0, 1e17, 0.1, {"carbon_be": 1.0})
    with pytest.raises(ParameterError, match="6 parameters"):
        MocassinShell.from_theta(THETA[:5], ShellSimulator())


def test_another_grid_is_stated_as_another():
    same, other = clumps(), clumps(extent=2e17)
    shells = [
        MocassinShell.from_theta(THETA, ShellSimulator(), grid=grid)
        for grid in (clumps(), same, other)
    ]
    assert shells[0].stated == shells[1].stated != shells[2].stated


def test_a_grid_of_the_package_keeps_its_place():
    density = np.zeros((5, 5, 5))
    density[1, 2, 3] = 2e-20
    grid = MocassinGrid.from_density(DensityGrid(density, 1e15))
    np.testing.assert_allclose(grid.axis, [-2e15, -1e15, 0, 1e15, 2e15])
    assert grid.radius[1, 2, 3] == pytest.approx(np.sqrt(2) * 1e15)
    np.testing.assert_array_equal(grid.density, density)
