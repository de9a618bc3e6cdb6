"""Dust on a grid: masses, clumps, and what is refused."""

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.transfer import Clumps, DensityGrid, ShellGeometry, shell_density

OUTER_CM = 1e16


def shell(seed=1, clumps=None, **options):
    generator = np.random.default_rng(seed)
    return shell_density(generator, 1e-4, OUTER_CM, clumps=clumps, **options)


def radii(grid):
    num = len(grid.density)
    axis = (np.arange(num) - num // 2) * grid.width / OUTER_CM
    return np.sqrt(sum(x**2 for x in np.meshgrid(axis, axis, axis, indexing="ij")))


@pytest.mark.parametrize("inner", [0.3, 0.8])
@pytest.mark.parametrize("power", [0.0, 2.0])
@pytest.mark.parametrize("share", [None, 0.1, 0.5])
def test_the_mass_is_what_was_asked_for(inner, power, share):
    clumps = None if share is None else Clumps(share)
    grid = shell(geometry=ShellGeometry(inner, power), clumps=clumps)
    assert grid.dust_mass == pytest.approx(1e-4)
    distance = radii(grid)
    assert not grid.density[(distance < inner - 0.05) | (distance > 1.05)].any()
    assert not grid.density[0].any()


def test_a_smooth_shell_has_the_density_of_its_law():
    grid = shell(geometry=ShellGeometry(0.4, 2.0), cell=0.04)
    distance = radii(grid)
    inside = (distance > 0.5) & (distance < 0.9)
    law = grid.density[inside] * distance[inside] ** 2
    np.testing.assert_allclose(law, np.median(law), rtol=0.01)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_clumps_fill_their_share(share):
    smooth, clumpy = shell(), shell(clumps=Clumps(share))
    filled = (clumpy.density > 0).sum() / (smooth.density > 0).sum()
    assert filled == pytest.approx(share, abs=0.005)


def test_clumps_are_cubes_of_their_size():
    grid = shell(clumps=Clumps(0.1, edge=0.15), geometry=ShellGeometry(0.3))
    distance = radii(grid)
    # within the shell, runs of dusty cells along an axis are whole clumps
    runs = []
    for row, place in zip(
        grid.density.reshape(-1, len(grid.density)),
        distance.reshape(-1, len(grid.density)),
        strict=True,
    ):
        edges = np.flatnonzero(np.diff((row > 0).astype(int)))
        inside = [(place[e] > 0.4) & (place[e] < 0.85) for e in edges]
        for k in range(len(edges) - 1):
            if row[edges[k] + 1] > 0 and inside[k] and inside[k + 1]:
                runs.append(edges[k + 1] - edges[k])
    assert len(runs) > 50
    assert all(run % 3 == 0 for run in runs)


def test_between_clumps_there_is_what_the_contrast_says():
    grid = shell(clumps=Clumps(0.2, contrast=0.1))
    levels = grid.density[(radii(grid) > 0.87) & (radii(grid) < 0.93)]
    thin, dense = np.unique(np.round(levels / levels.max(), 6))
    assert (thin, dense) == pytest.approx((0.1, 1.0))


def test_clumps_depend_on_the_random_numbers_alone():
    clumps = Clumps(0.1)
    first, same, other = shell(1, clumps), shell(1, clumps), shell(2, clumps)
    np.testing.assert_array_equal(first.density, same.density)
    assert np.any(first.density != other.density)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_or_everything_in_clumps_is_smooth(share):
    np.testing.assert_array_equal(shell(clumps=Clumps(share)).density, shell().density)


def test_refining_keeps_the_dust():
    grid = shell(clumps=Clumps(0.2))
    fine = grid.refined(3)
    assert fine.dust_mass == pytest.approx(grid.dust_mass)
    assert fine.density.shape[0] == 3 * grid.density.shape[0]
    assert fine.width == pytest.approx(grid.width / 3)


@pytest.mark.parametrize("cell", [0.05, 0.0334])
def test_mirrored_clumps_are_the_same_in_all_octants(cell):
    grid = shell(5, Clumps(0.2, mirrored=True), cell=cell)
    assert grid.mirrored
    for axis in range(3):
        np.testing.assert_array_equal(grid.density, np.flip(grid.density, axis))
    # a clump in the middle is as wide as any other
    dense = grid.density > 0.5 * grid.density.max()
    size = round(0.1 / cell)
    assert len(grid.density) % 2 == size % 2
    assert dense.sum() / (shell(cell=cell).density > 0).sum() < 0.3


def test_layers_grow_from_the_face():
    layers = shell().layered(4, 0.01).layers
    assert layers[0] == pytest.approx(0.01)
    assert sum(layers) == pytest.approx(1)
    ratio = np.diff(np.log(layers))
    np.testing.assert_allclose(ratio, ratio[0])
    assert shell().layered(4, 0.5).layers == (0.25,) * 4


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: DensityGrid(np.arange(64.0).reshape(4, 4, 4), 1.0, True), "octants"),
        (lambda: DensityGrid(np.ones((5, 5, 5)), 1.0, layers=(0.5, 0.6)), "sum to one"),
        (lambda: shell().layered(0, 0.1), "one layer or more"),
        (lambda: DensityGrid(np.ones((4, 4, 5)), 1.0), "as many cells"),
        (lambda: DensityGrid(np.zeros((5, 5, 5)), 1.0), "at least one cell"),
        (lambda: DensityGrid(-np.ones((5, 5, 5)), 1.0), "at least zero"),
        (lambda: DensityGrid(np.full((5, 5, 5), np.nan), 1.0), "finite"),
        (lambda: DensityGrid(np.ones((5, 5, 5)), 0.0), "cell width"),
        (lambda: Clumps(1.2), "filling factor"),
        (lambda: Clumps(0.1, edge=2.0), "edge between"),
        (lambda: shell(cell=0.5), "at most 0.25"),
    ],
)
def test_dust_that_cannot_be_is_refused(make, match):
    with pytest.raises(ParameterError, match=match):
        make()
