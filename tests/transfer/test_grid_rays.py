"""Emission along recorded rays, and where scattered light ends: no light is lost."""

import numpy as np
import pytest

from grainlight.dust import mixture_opacity
from grainlight.transfer import (
    Clumps,
    GridSettings,
    recording,
    shell_density,
    wavelength_grid,
)
from grainlight.transfer.grid_balance import GridBalance, Ways
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
    rays = GridRays(layers, tables, 1e4)
    generator = np.random.default_rng(2)
    sets = [rays.record(generator, 3) for _ in range(2)]
    shape = (2, len(layers.mass))
    power = generator.uniform(0.5, 2, shape)
    emission = Emission(power, generator.uniform(60, 140, shape))
    return layers, tables, rays, sets, emission


def test_rays_of_a_layer_stand_for_all_of_its_light(work):
    layers, _, _, sets, _ = work
    for one in sets:
        weights = one.weights.reshape(len(layers.mass), 3)
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
        # those of a thin layer are alike, those of a thick one begin near its wall
        thin = np.argsort(layers.chord)[:20]
        np.testing.assert_allclose(weights[thin], 1 / 3, rtol=0.4)
        thick = weights[np.argmax(layers.chord)]
        assert thick.max() > 5 * thick.min()


def test_weighed_rays_tell_what_leaves_thick_layers(work):
    """As many rays from anywhere do; control: without weights."""
    layers, tables, _, _, emission = work
    generator = np.random.default_rng(8)
    anywhere = GridRays(layers, tables, 1e-9)
    near_walls = GridRays(layers, tables, 1e6)
    many = [anywhere.record(generator, 60)]
    few = [near_walls.record(generator, 60)]
    expected = anywhere.passed(emission, many).sum()
    assert near_walls.passed(emission, few).sum() == pytest.approx(expected, rel=0.01)
    alike = [few[0]._replace(weights=np.full_like(few[0].weights, 1 / 60))]
    assert near_walls.passed(emission, alike).sum() > 1.03 * expected


def test_what_is_given_is_gotten(work):
    _, _, rays, sets, emission = work
    gotten, given = rays.exchanged(emission, sets)
    assert gotten.sum() == pytest.approx(given.sum(), rel=1e-12)
    assert np.all((gotten >= 0) & (given >= 0))
    passed = rays.passed(emission, sets)
    assert passed.sum() == pytest.approx(rays.escaped(emission, sets).sum(), rel=1e-9)


def test_layers_as_warm_as_each_other_give_as_much_as_they_get(work):
    """Whatever the rays: a closed box of one temperature stays so."""
    layers, tables, rays, sets, emission = work
    warmth = np.full_like(emission.warmth, 100.0)
    power = np.exp(tables.log_emitted[:, 100])[:, None] * layers.mass
    share = np.array([0.5, 0.5])[:, None]
    even = Emission(share * power, warmth)
    gotten, given = rays.exchanged(even, sets)
    np.testing.assert_allclose(gotten, given, rtol=1e-9)
    # one that is warmer gives more
    some = even.power.copy()
    some[:, :10] *= 2
    gotten, given = rays.exchanged(Emission(some, warmth), sets)
    assert given[:, :10].sum() > 1.2 * gotten[:, :10].sum()


def test_rays_give_layers_what_is_neither_kept_nor_scattered_nor_escapes(work):
    """Exchange by rays that are taken both ways is that by rays of the emitters."""
    layers, tables, rays, _, emission = work
    generator = np.random.default_rng(9)
    many = [rays.record(generator, 40)]
    gotten, given = rays.exchanged(emission, many)
    one, mass = many[0], layers.mass
    kept = np.zeros_like(emission.power)
    direct = np.zeros_like(emission.power)
    low = emission.warmth.astype(int)
    mix = emission.warmth - low
    owner = np.repeat(np.arange(len(mass)), np.diff(one.first[:: one.per_layer]))
    ray = np.repeat(np.arange(len(one.totals)), np.diff(one.first))
    near = np.minimum(one.places.astype(int), tables.exchange.shape[2] - 2)
    part = (one.places - near)[:, None]
    is_first = np.isin(np.arange(len(ray)), one.first[:-1])
    for s in range(2):
        share = 0.0
        for warm, much in ((low[s], 1 - mix[s]), (low[s] + 1, mix[s])):
            at = tables.exchange[s, warm[owner], near]
            after = tables.exchange[s, warm[owner], near + 1]
            share = share + much[owner][:, None] * ((1 - part) * at + part * after)
        step = np.diff(share, axis=0, prepend=0.0)
        step[is_first] = share[is_first]
        sent = step * (emission.power[s, owner] * one.weights[ray])[:, None]
        for t in range(2):
            direct[t] += np.bincount(one.cells, sent[:, t], len(mass))
        own = owner == one.cells
        kept[s] += np.bincount(owner[own], sent[own, s], len(mass))
    np.testing.assert_allclose(gotten.sum(), direct.sum() - kept.sum(), rtol=0.02)
    for warm in np.array_split(np.argsort(emission.power[0]), 4):
        expected = (direct - kept)[:, warm].sum(axis=1)
        np.testing.assert_allclose(gotten[:, warm].sum(axis=1), expected, rtol=0.06)
    assert direct.sum() > 1.1 * gotten.sum()  # with what layers keep


def test_depths_are_those_of_rays_to_their_wall_and_outside(work):
    _, _, rays, sets, emission = work
    inside, outside, weights = rays.depths(emission, sets)
    np.testing.assert_allclose(weights.sum(axis=0), 2)
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
    inside, outside, _ = (depths.mean(axis=0) for depths in rays.depths(emission, sets))
    parts = Parts(even_parts(outside), even_parts(inside))
    found = scattering.emission(tables.emission(*emission), 1.0, parts)
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


def scattered_out(work, seed, wrong=1.0):
    """Scattered light of layers that escapes: followed from them, and from outside."""
    layers, tables, _, _, emission = work
    star = np.full(len(OPACITY.wave), emission.power.sum() / len(OPACITY.wave))
    scattering = GridScattering(
        np.random.default_rng(seed),
        OPACITY,
        star,
        layers,
        tables,
        GridSettings(paths=8_000),
    )
    nowhere = np.zeros(len(layers.mass), int)
    emitted = tables.emission(*emission)
    from_layers = scattering.emission(emitted, 1.0, Parts(nowhere, nowhere))
    layers.volume, kept = wrong * layers.volume, layers.volume
    back = scattering.escape(emitted, 1.0, scattering.no_escape())
    layers.volume = kept
    known = back.is_known
    return (
        from_layers.escaped.sum(axis=0)[known],
        (emitted * back.shares.T).sum(axis=1)[known],
        emitted.sum(axis=1)[known],
    )


def test_light_takes_the_same_way_back(work):
    forth, back, emitted = scattered_out(work, 6)
    assert len(forth) > 20
    assert np.all(back <= emitted)
    assert back.sum() == pytest.approx(forth.sum(), rel=0.03)
    bright = forth > 0.02 * forth.max()
    np.testing.assert_allclose(back[bright], forth[bright], rtol=0.15)


def test_a_wrong_measure_of_the_way_back_is_found_out(work):
    forth, back, _ = scattered_out(work, 6, wrong=1.1)
    assert back.sum() < 0.95 * forth.sum()


def balance_of(work, ways):
    """What layers get and give, and what escapes, for some ways of scattered light."""
    layers, tables, rays, sets, emission = work
    mass = OPACITY.mass_fraction[:, None] * layers.mass
    balance = GridBalance(1.0, layers, mass, rays, tables, GridSettings())
    gotten, given = balance._exchanged(emission, sets, ways)
    return gotten, given, balance.escape(emission, sets, ways)


def ways_of(work):
    layers, tables, _, _, emission = work
    star = np.full(len(OPACITY.wave), emission.power.sum() / len(OPACITY.wave))
    scattering = GridScattering(
        np.random.default_rng(3), OPACITY, star, layers, tables, GridSettings(paths=400)
    )
    numbers = np.arange(len(layers.mass)) % NUM_PARTS
    parts, emitted = Parts(numbers, numbers[::-1].copy()), tables.emission(*emission)
    followed = scattering.emission(emitted, 1.0, parts)
    escape = scattering.escape(emitted, 1.0, scattering.no_escape())
    return Ways.of(parts, [followed], [escape])


def test_what_is_given_and_not_gotten_escapes(work):
    """Scattered or not, by either species."""
    ways = ways_of(work)
    assert len(ways.waves) > 20
    assert np.all(ways.back.sum(axis=1) > 0)
    gotten, given, escaped = balance_of(work, ways)
    lost = given.sum() - gotten.sum()
    assert lost == pytest.approx(escaped.sum(), rel=1e-9)
    # all of the ways carry light
    for name in ("absorbed", "back", "escape"):
        without = ways._replace(**{name: 0 * getattr(ways, name)})
        less = balance_of(work, without)
        assert abs(less[1].sum() / given.sum() - 1) > 1e-4


def test_what_layers_scatter_is_gotten_or_escapes(work):
    """Followed apart, from layers and from outside, the ways hold all together."""
    _, _, rays, sets, emission = work
    ways = ways_of(work)
    scattered = rays.scattered(emission, sets).sum(axis=0)
    back = ways.back[ways.parts.classes].sum(axis=1)
    elsewhere = ways.absorbed.sum(axis=(1, 2))[ways.parts.zones]
    expected = (scattered * (1 - back) * (1 - elsewhere)).sum()
    away = balance_of(work, ways)[2].sum() - rays.escaped(emission, sets).sum()
    assert away == pytest.approx(expected, rel=0.06)
    # wrong by a tenth it is found out
    wrong = ways._replace(escape=1.1 * ways.escape)
    away = balance_of(work, wrong)[2].sum() - rays.escaped(emission, sets).sum()
    assert away != pytest.approx(expected, rel=0.06)


def test_points_of_thick_layers_are_moved_towards_both_walls(work):
    """Where light can leave; weights make up for it."""
    layers = work[0]
    generator = np.random.default_rng(7)
    deep = int(np.argmax(layers.chord))
    num = 4_000
    draws = generator.random((num, 3))
    points = layers.points(generator, np.full(num, deep), draws)
    directions = np.tile([1.0, 0.0, 0.0], (num, 1))
    moved = points.copy()
    opacity = 30 / layers.chord[deep]
    weights = recording.toward_walls(
        generator.random(num), moved, directions, opacity, layers.cells
    )
    assert weights.mean() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(moved[:, 1:], points[:, 1:])
    low, high = points[:, 0].min(), points[:, 0].max()
    edge = 0.05 * (high - low)
    near = (moved[:, 0] < low + edge) | (moved[:, 0] > high - edge)
    assert near.mean() > 0.25
    assert np.average(near, weights=weights) == pytest.approx(0.1, abs=0.02)
    mean = np.average(moved[:, 0], weights=weights)
    assert mean == pytest.approx(points[:, 0].mean(), abs=0.03 * (high - low))


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
