"""Collision probabilities: conservation, reciprocity and an exact luminosity."""

import math

import numpy as np
import pytest

from grainlight.transfer import ShellGeometry
from grainlight.transfer.grid import cell_edges
from grainlight.transfer.kernels import kernel_table, tangent_rays

SHELLS = [(0.8, 0.0, 12), (0.25, 0.0, 20), (0.25, 2.0, 9), (0.01, 0.0, 16)]


def table_of(inner, power, num_cells):
    geometry = ShellGeometry(inner, power)
    edges = cell_edges(geometry, 8.0, num_cells)
    middle = 0.5 * (edges[1:] + edges[:-1])
    density = middle**-power
    return kernel_table(edges, density / (density @ np.diff(edges)))


@pytest.fixture(scope="module", params=SHELLS, ids=lambda shell: str(shell))
def table(request):
    return table_of(*request.param)


def optical_volume(table):
    """4 pi times the optical depth per length, times volume: (depth, cell)."""
    depth = np.exp(table.log_depth)[:, None]
    return 4 * math.pi * depth * table.density * table.volume


def test_what_a_cell_emits_is_absorbed_or_escapes(table):
    emitted = optical_volume(table)
    matrix = table.matrix[:, 0, 0]
    absorbed = np.einsum("dj,dji->di", emitted, matrix)
    # the logarithm of escape has a floor far below rounding
    total = absorbed + np.exp(table.escape)
    np.testing.assert_allclose(total, emitted, rtol=1e-9)


def test_a_kernel_that_loses_a_thousandth_is_found_out(table):
    emitted = optical_volume(table)
    absorbed = np.einsum("dj,dji->di", emitted, 0.999 * table.matrix[:, 0, 0])
    total = absorbed + np.exp(table.escape)
    assert np.max(np.abs(total / emitted - 1)) > 5e-4


def test_a_source_along_the_radius_emits_nothing_in_total(table):
    emitted = optical_volume(table)
    absorbed = np.einsum("dj,dji->di", emitted, table.matrix[:, 0, 1])
    escaped = np.exp(table.escape) * table.escape_ratio
    np.testing.assert_allclose((absorbed + escaped) / emitted, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("received", "emitted", "sign"), [(0, 0, 1), (1, 1, 1), (0, 1, -1), (1, 0, -1)]
)
def test_light_goes_back_the_way_it_came(table, received, emitted, sign):
    weight = optical_volume(table)
    there = weight[:, :, None] * table.matrix[:, received, emitted]
    back = weight[:, :, None] * table.matrix[:, emitted, received]
    scale = np.abs(there).max(axis=(1, 2), keepdims=True)
    error = there - sign * np.swapaxes(back, 1, 2)
    assert np.max(np.abs(error) / scale) < 1e-11


def test_probabilities_are_positive_and_below_one(table):
    emitted = optical_volume(table)
    probability = emitted[:, :, None] * table.matrix[:, 0, 0] / emitted[:, None]
    assert probability.min() >= 0
    assert probability.max() < 1


def test_rays_measure_volume_and_isotropy(table):
    rays = tangent_rays(table.edges)
    along = rays.weight @ rays.length / (2 * math.pi)
    np.testing.assert_allclose(along, table.volume, rtol=1e-12)
    second = rays.weight @ (rays.length * rays.cosine**2) / (2 * math.pi)
    np.testing.assert_allclose(second, table.volume / 3, rtol=1e-12)


@pytest.mark.parametrize("depth", [0.01, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("inner", [0.8, 0.25])
def test_an_isothermal_shell_shines_as_its_chords_say(inner, depth):
    """Luminosity of a uniform source: 8 pi^2 times the integral of (1 - e^-tau) p."""
    table = table_of(inner, 0.0, 40)
    log_depth = table.log_depth
    row = np.argmin(np.abs(log_depth - math.log(depth)))
    alpha = math.exp(log_depth[row]) / (1 - inner)
    total = np.exp(table.escape[row]).sum()
    square = np.concatenate(
        [np.linspace(0, inner**2, 20_001), np.linspace(inner**2, 1, 20_001)]
    )
    chord = np.sqrt(1 - square) - np.sqrt(np.maximum(inner**2 - square, 0))
    expected = 4 * math.pi**2 * np.trapezoid(-np.expm1(-2 * alpha * chord), square)
    assert total == pytest.approx(expected, rel=2e-3)
