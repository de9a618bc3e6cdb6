"""Layers behind lit faces: the same dust, told apart by depth."""

import numpy as np
import pytest
from scipy.stats import qmc

from grainlight.transfer import Clumps, DensityGrid, shell_density, tracing
from grainlight.transfer.layers import CellLayers, even_points

KINDS = [False, True]


def make(mirrored):
    clumps = Clumps(0.3, mirrored=mirrored)
    return shell_density(np.random.default_rng(1), 1e-4, 1e16, clumps=clumps)


def follow(layers, point, direction):
    room = 2_000
    cells, columns = np.empty(room, np.int64), np.empty(room)
    count, total, _ = tracing.trace(
        point, direction, layers.cells, cells, columns, -1.0
    )
    return cells[:count], columns[:count], total


def directions(generator, num):
    found = generator.normal(size=(num, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("mirrored", KINDS)
def test_layers_hold_the_mass_of_their_cells(mirrored):
    plain, layered = (
        CellLayers(g) for g in (make(mirrored), make(mirrored).layered(4, 0.02))
    )
    assert len(layered.mass) > 1.5 * len(plain.mass)
    assert layered.mass.sum() == pytest.approx(plain.mass.sum(), rel=1e-12)
    first = layered.cells.first
    np.testing.assert_allclose(
        np.add.reduceat(layered.mass, first[:-1]), plain.mass, rtol=1e-12
    )


def test_power_over_mass_of_cells_is_that_of_their_layers_together():
    layers = CellLayers(make(False).layered(3, 0.1))
    generator, first = np.random.default_rng(3), layers.cells.first
    power, mass = generator.uniform(1, 2, (2, 2, len(layers.mass)))
    whole = [np.add.reduceat(part, first[:-1], axis=1) for part in (power, mass)]
    expected = np.repeat(whole[0] / whole[1], np.diff(first), axis=1)
    np.testing.assert_allclose(layers.over_cells(power, mass), expected, rtol=1e-12)


@pytest.mark.parametrize("mirrored", KINDS)
def test_rays_pass_the_same_columns(mirrored):
    plain, layered = (
        CellLayers(g) for g in (make(mirrored), make(mirrored).layered(4, 0.02))
    )
    generator = np.random.default_rng(2)
    owner = np.repeat(np.arange(len(plain.mass)), np.diff(layered.cells.first))
    for direction in directions(generator, 50):
        point = generator.uniform(-15, 15, 3)
        cells, columns, total = follow(plain, point, direction)
        layers, parts, whole = follow(layered, point, direction)
        assert whole == pytest.approx(total, rel=1e-12)
        by_cell = np.bincount(owner[layers], parts, len(plain.mass))
        again = np.bincount(cells, columns, len(plain.mass))
        np.testing.assert_allclose(by_cell, again, rtol=1e-9, atol=1e-12 * total)


@pytest.mark.parametrize("mirrored", KINDS)
def test_points_are_drawn_in_their_layers(mirrored):
    layers = CellLayers(make(mirrored).layered(4, 0.02))
    generator = np.random.default_rng(3)
    wanted = generator.integers(0, len(layers.mass), 500)
    points = layers.points(generator, wanted, generator.random((500, 3)))
    for layer, point, direction in zip(
        wanted, points, directions(generator, 500), strict=True
    ):
        cells, _, _ = follow(layers, point, direction)
        assert cells[0] == layer


def test_points_fill_a_layer_evenly():
    """Of a cell with one lit face, all depths of a layer are as likely."""
    density = np.zeros((5, 5, 5))
    density[4, 2, 2] = 1.0
    layers = CellLayers(DensityGrid(density, 1.0).layered(2, 0.25))
    np.testing.assert_allclose(layers.mass, [0.25, 0.75])
    generator = np.random.default_rng(4)
    draws = generator.random((4_000, 3))
    points = layers.points(generator, np.ones(4_000, int), draws)
    depth = points[:, 0] - 1.5
    assert np.all((depth > 0.25) & (depth < 1))
    assert abs(depth.mean() - 0.625) < 5 * 0.75 / np.sqrt(12 * 4_000)


def test_only_faces_towards_the_light_have_layers():
    density = np.zeros((7, 7, 7))
    density[1, 3, 3], density[0, 3, 3] = 1.0, 0.9
    layers = CellLayers(DensityGrid(density, 1.0))
    lit = {
        tuple(cell): row.tolist()
        for cell, row in zip(np.argwhere(density > 0), layers.cells.lit, strict=True)
    }
    assert lit == {(1, 3, 3): [True, False, False], (0, 3, 3): [False] * 3}


def test_a_chord_is_four_times_the_volume_over_the_surface():
    """Of a whole cell and of its layers behind one lit face (Cauchy)."""
    density = np.zeros((5, 5, 5))
    density[4, 2, 2] = 2.0
    whole = CellLayers(DensityGrid(density, 1.0))
    np.testing.assert_allclose(whole.chord, 2.0 * 4 / 6)
    layers = CellLayers(DensityGrid(density, 1.0).layered(2, 0.25))
    thick = np.array([0.25, 0.75])
    np.testing.assert_allclose(layers.chord, 2.0 * 4 * thick / (2 + 4 * thick))


@pytest.mark.parametrize("every", [1, 2, 3, 6, 8])
def test_every_few_points_fill_the_cube_evenly(every):
    """Rays of a cell are told apart by their number: none may have a place of its own.

    Sobol's points do not: every second one has the same half of each edge.
    """
    points = even_points(4_000 * every, 6, np.random.default_rng(5))[::every]
    halves = (points > 0.5).mean(axis=0)
    np.testing.assert_allclose(halves, 0.5, atol=0.02)
    both = ((points > 0.5).T @ (points > 0.5).astype(float)) / len(points)
    off = both[~np.eye(6, dtype=bool)]
    np.testing.assert_allclose(off, 0.25, atol=0.03)


def test_sobol_points_would_not_do():
    sobol = qmc.Sobol(6, rng=np.random.default_rng(5)).random_base2(13)[::2]
    assert np.any(np.abs((sobol > 0.5).mean(axis=0) - 0.5) > 0.4)
