"""Emission along recorded rays, and where scattered light ends: no light is lost."""

import numpy as np
import pytest

from grainlight.dust import mixture_opacity
from grainlight.transfer import Clumps, GridSettings, shell_density, wavelength_grid
from grainlight.transfer.grid_rays import Emission, GridRays
from grainlight.transfer.grid_scatter import (
    NUM_ZONES,
    GridScattering,
    Scattered,
    escape_zones,
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
    assert total == pytest.approx(emission.power.sum(), rel=1e-4)
    assert all(part.sum() > 0.02 * total for part in parts)
    assert all(np.all(part >= 0) for part in parts)


def test_what_layers_emit_adds_up(work):
    """Each zone alone; together they are all."""
    _, _, rays, sets, emission = work
    zones = escape_zones(rays.depths(emission, sets))
    parts = [
        rays.absorbed(emission._replace(power=emission.power * (zones == zone)), sets)
        for zone in range(NUM_ZONES)
    ]
    np.testing.assert_allclose(sum(parts), rays.absorbed(emission, sets), rtol=1e-9)


def test_zones_are_as_large_and_darker_one_by_one(work):
    _, _, rays, sets, emission = work
    depths = rays.depths(emission, sets)
    zones = escape_zones(depths)
    counts = np.bincount(zones)
    assert len(counts) == NUM_ZONES
    assert np.ptp(counts) <= 1
    seen = np.exp(-depths).mean(axis=0)
    means = [seen[zones == zone].mean() for zone in range(NUM_ZONES)]
    assert np.all(np.diff(means) <= 0)


def test_shares_of_scattered_light_add_up(work):
    layers, tables, rays, sets, emission = work
    star = np.full(len(OPACITY.wave), emission.power.sum() / len(OPACITY.wave))
    scattering = GridScattering(
        np.random.default_rng(3), OPACITY, star, layers, tables, GridSettings(paths=400)
    )
    zones = escape_zones(rays.depths(emission, sets))
    found = scattering.emission(emission, 1.0, zones)
    assert not found.is_nothing
    shares = found.shares
    total = shares.absorbed.sum(axis=(1, 2)) + shares.escaped.sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    # the powers themselves only do on average: about what rays lose by scattering
    whole = found.absorbed.sum() + found.escaped.sum()
    lost = rays.scattered(emission, sets).sum()
    assert whole == pytest.approx(lost, rel=0.15)
    assert abs(whole / lost - 1) > 1e-6


def test_a_zone_without_light_has_the_shares_of_all():
    absorbed, escaped = np.zeros((2, 1, 3)), np.zeros((2, 2))
    absorbed[0, 0] = 1, 2, 3
    escaped[0] = 1, 1
    shares = Scattered(absorbed, escaped).shares
    np.testing.assert_allclose(shares.absorbed[1], shares.absorbed[0])
    np.testing.assert_allclose(shares.absorbed[0, 0], [1 / 8, 2 / 8, 3 / 8])
    nothing = Scattered(np.zeros((2, 1, 3)), np.zeros((2, 2)))
    assert nothing.is_nothing
    assert not nothing.shares.absorbed.any()
    faded = Scattered(absorbed, escaped).with_faded(Scattered(absorbed, escaped))
    np.testing.assert_allclose(faded.absorbed, 1.5 * absorbed)
