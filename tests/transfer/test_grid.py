"""Shell geometry and the cells of the grid."""

import math

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.transfer import ShellGeometry
from grainlight.transfer.grid import cell_edges

GEOMETRIES = [(0.8, 0.0), (0.25, 0.0), (0.2, 1.0), (0.25, 2.0), (0.5, 3.0), (1e-3, 2.0)]


def power_integral(inner, power):
    """Integral of r to a power, from the inner radius to one."""
    if power == -1:
        return -math.log(inner)
    return (1 - inner ** (power + 1)) / (power + 1)


@pytest.mark.parametrize(("inner", "power"), GEOMETRIES)
def test_mass_over_column_is_that_of_the_power_law(inner, power):
    geometry = ShellGeometry(inner, power)
    mass = 4 * math.pi * power_integral(inner, 2 - power)
    expected = mass / power_integral(inner, -power)
    assert geometry.mass_per_column == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("inner", "power"), GEOMETRIES)
def test_column_grows_from_nothing_to_all_as_density_says(inner, power):
    geometry = ShellGeometry(inner, power)
    radius = np.linspace(inner, 1, 20_001)
    column = geometry.column(radius)
    assert column[0] == pytest.approx(0, abs=1e-12)
    assert column[-1] == pytest.approx(1, rel=1e-12)
    slope = np.diff(column) / np.diff(radius)
    middle = 0.5 * (radius[1:] + radius[:-1])
    np.testing.assert_allclose(
        (slope * middle**power)[100:], (slope * middle**power)[-1], rtol=2e-2
    )


@pytest.mark.parametrize(("inner", "power"), GEOMETRIES)
@pytest.mark.parametrize("depth", [0.25, 8.0, 512.0])
@pytest.mark.parametrize("num_cells", [1, 12, 60])
def test_cells_fill_the_shell_in_order(inner, power, depth, num_cells):
    edges = cell_edges(ShellGeometry(inner, power), depth, num_cells)
    assert len(edges) == num_cells + 1
    assert (edges[0], edges[-1]) == (inner, 1.0)
    assert np.all(np.diff(edges) > 0)


def test_thick_shells_have_finer_cells_at_the_inner_edge():
    thin, thick = (cell_edges(ShellGeometry(), depth, 20) for depth in (0.25, 256.0))
    assert thick[1] - thick[0] < 0.5 * (thin[1] - thin[0])


@pytest.mark.parametrize("inner", [0.0, 1.0, -0.2, 1.5, math.nan])
def test_an_impossible_inner_radius_is_refused(inner):
    with pytest.raises(ParameterError, match="between 0 and 1"):
        ShellGeometry(inner)
