"""Emission along recorded rays, and where scattered light ends: no light is lost."""

import numpy as np
import pytest

from grainlight.dust import mixture_opacity
from grainlight.transfer import Clumps, GridSettings, shell_density, wavelength_grid
from grainlight.transfer.grid_rays import Emission, GridRays
from grainlight.transfer.grid_scatter import (
    NUM_PARTS,
    GridScattering,
    Parts,
    Scattered,
    even_parts,
)
from grainlight.transfer.grid_tables import GridTables
from grainlight.transfer.layers import CellLayers
from grainlight.transfer.solution import LIGHT_SPEED_UM, frequency_weights

OPACITY = mixture_opacity(
    {"silicate_dl": 0.5, "carbon_be": 0.5}, 1.0, wavelength_grid()
)


@pytest.fixture(scope="module")
def work():
    clumps = Clumps(0.3, mirrored=True)
    grid = shell_density(np.random.default_rng(1), 1e-3, 1e16, clumps=clumps)
    layers = CellLayers(grid.layered(3, 0.1))
    weight = frequency_weights(LIGHT_SPEED_UM / OPACITY.wave)
    farthest = layers.cells.column.max() * 2 * len(grid.density)
    tables = GridTables(OPACITY, weight, farthest)
    rays = GridRays(layers, tables, 3)
    generator = np.random.default_rng(2)
    sets = [rays.record(generator) for _ in range(2)]
    shape = (2, len(layers.mass))
    power = generator.uniform(0.5, 2, shape)
    emission = Emission(power, generator.uniform(60, 140, shape))
    return layers, tables, rays, sets, emission


def test_what_is_emitted_is_absorbed_scattered_or_escapes(work):
    _, _, rays, sets, emission = work
    parts = [f(emission, sets) for f in (rays.absorbed, rays.scattered, rays.escaped)]
    total = sum(part.sum() for part in parts)
    assert total == pytest.approx(emission.power.sum(), rel=1e-9)
    assert all(part.sum() > 0.02 * total for part in parts)
    assert all(np.all(part >= 0) for part in parts)


def test_a_table_that_loses_a_thousandth_is_found_out(work, monkeypatch):
    _, tables, rays, sets, emission = work
    monkeypatch.setattr(tables, "scattered", 0.999 * tables.scattered)
    parts = [f(emission, sets) for f in (rays.absorbed, rays.scattered, rays.escaped)]
    total = sum(part.sum() for part in parts)
    assert total < (1 - 1e-5) * emission.power.sum()


def test_depths_are_those_of_rays_to_their_wall_and_outside(work):
    _, _, rays, sets, emission = work
    inside, outside = rays.depths(emission, sets)
    assert inside.shape == outside.shape == (6, emission.power.shape[1])
    assert np.all((inside > 0) & (inside <= outside * (1 + 1e-9)))
    columns = np.concatenate([one.totals.reshape(-1, 3).T for one in sets])
    np.testing.assert_allclose(outside / columns, (outside / columns)[0, 0], rtol=1e-9)
    # layers at a lit face are thin, whole cells are as deep as a cell is wide
    typical = (outside / columns)[0, 0]
    mass = work[0].mass
    deepest = typical * work[0].cells.column.max() * np.sqrt(3)
    assert np.all(inside < deepest)
    thin = mass < np.quantile(mass, 0.2)
    assert inside[:, thin].mean() < 0.5 * inside[:, ~thin].mean()


def test_parts_are_as_large_and_rise():
    values = np.random.default_rng(4).normal(size=1000)
    parts = even_parts(values)
    counts = np.bincount(parts)
    assert len(counts) == NUM_PARTS
    assert np.ptp(counts) <= 1
    highest = [values[parts == part].max() for part in range(NUM_PARTS)]
    lowest = [values[parts == part].min() for part in range(NUM_PARTS)]
    assert np.all(np.array(lowest[1:]) > np.array(highest[:-1]))


def test_shares_of_scattered_light_add_up(work):
    layers, tables, rays, sets, emission = work
    star = np.full(len(OPACITY.wave), emission.power.sum() / len(OPACITY.wave))
    scattering = GridScattering(
        np.random.default_rng(3), OPACITY, star, layers, tables, GridSettings(paths=400)
    )
    inside, outside = (depths.mean(axis=0) for depths in rays.depths(emission, sets))
    parts = Parts(even_parts(outside), even_parts(inside))
    found = scattering.emission(emission, 1.0, parts)
    assert not found.is_nothing
    parts_of_all = found.absorbed.sum() + found.escaped.sum() + found.back.sum()
    assert parts_of_all == pytest.approx(found.whole.sum(), rel=1e-9)
    shares = found.shares
    total = shares.absorbed.sum(axis=(1, 2)) + shares.escaped.sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    back = shares.back.sum(axis=1)
    assert np.all((back >= 0) & (back < 1))
    # more comes back to thicker layers
    assert back[-1] > back[0]
    # the powers are on average what rays lose by scattering
    lost = rays.scattered(emission, sets).sum()
    assert found.whole.sum() == pytest.approx(lost, rel=0.15)


def test_a_part_without_light_has_the_shares_of_all():
    absorbed, escaped = np.zeros((2, 1, 3)), np.zeros((2, 2))
    absorbed[0, 0], escaped[0] = (1, 2, 3), 1
    back, whole = np.array([[2.0], [0.0]]), np.array([10.0, 0.0])
    some = Scattered(absorbed, escaped, back, whole)
    shares = some.shares
    np.testing.assert_allclose(shares.absorbed[:, 0], [[1 / 8, 2 / 8, 3 / 8]] * 2)
    np.testing.assert_allclose(shares.escaped, 1 / 8)
    np.testing.assert_allclose(shares.back, 0.2)
    np.testing.assert_allclose(some.with_faded(some).absorbed, 1.5 * absorbed)
    nothing = Scattered(*(0 * part for part in some))
    assert nothing.is_nothing
    assert not nothing.shares.absorbed.any()
