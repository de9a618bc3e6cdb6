"""Splits by parent, redshift variants and magnitudes."""

import numpy as np
import pytest

from grainlight.datasets import Dataset, Recipe, magnitudes, split_of
from grainlight.datasets.generate import make_shard
from grainlight.photometry import jwst_filters
from grainlight.transfer import wavelength_grid

BANDS = ("F150W", "F277W", "F444W", "F1000W", "F2100W")
TEN_PARSEC_MEGA = 3.0856775814913673e25
FROZEN = [2, 4, 7, 10, 18, 22]  # first parents that are not for training
SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    folder.mkdir()
    recipe = Recipe(60, seed=5, shard_size=30)
    recipe.save(folder)
    for shard in range(recipe.num_shards):
        make_shard(folder, recipe, shard)
    return Dataset.open(folder)


@pytest.fixture(scope="module")
def filters():
    return jwst_filters().subset(BANDS)


def test_splits_have_their_shares_and_never_change():
    parent = np.arange(200_000)
    split = split_of(parent)
    for name, share in SHARES.items():
        spread = np.sqrt(share * (1 - share) / len(parent))
        assert abs(np.mean(split == name) - share) < 5.5 * spread
    np.testing.assert_array_equal(split_of(parent[5000:6000]), split[5000:6000])
    frozen = [int(p) for p in parent[:400] if split[p] != "train"][:6]
    assert frozen == FROZEN


def test_splits_are_disjoint_and_hold_every_parent(data, filters):
    parents = [
        set(data.pairs(filters, split=name, variants=2, seed=1).parent.tolist())
        for name in SHARES
    ]
    assert sum(map(len, parents)) == 60
    assert set().union(*parents) == set(range(60))


def test_all_variants_of_a_parent_are_together(data, filters):
    pairs = data.pairs(filters, split="train", variants=3, seed=1)
    _, counts = np.unique(pairs.parent, return_counts=True)
    assert np.all(counts == 3)
    assert np.all(split_of(pairs.parent) == "train")
    for parent in np.unique(pairs.parent)[:5]:
        rows = pairs.parent == parent
        assert np.ptp(pairs.theta[rows], axis=0).max() == 0
        assert len(np.unique(pairs.condition[rows])) == 3


def test_redshifts_are_uniform_in_the_trained_range(data, filters):
    pairs = data.pairs(filters, split="train", variants=20, seed=1)
    redshift = pairs.condition[:, 0]
    assert redshift.min() >= 1e-4
    assert redshift.max() <= 0.015
    assert abs(redshift.mean() - 0.00755) < 5.5 * 0.0149 / np.sqrt(12 * len(redshift))


def test_a_seed_gives_the_same_variants_and_another_others(data, filters):
    one, same, other = (
        data.pairs(filters, split="train", variants=1, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.x, same.x)
    assert not np.any(one.condition == other.condition)


def test_theta_is_scaled_and_outcomes_belong_to_the_rows(data, filters):
    pairs = data.pairs(filters, split="train", variants=1, seed=1)
    lower = np.asarray(pairs.parameters.lower) - 1e-5
    upper = np.asarray(pairs.parameters.upper) + 1e-5
    assert np.all((pairs.theta >= lower) & (pairs.theta <= upper))
    logs = [member.scale == "log10" for member in pairs.parameters.members]
    theta = np.where(logs, 10 ** np.where(logs, pairs.theta[:1], 0), pairs.theta[:1])
    spectra = data.recipe.simulator.simulate(theta)
    assert pairs.outcomes["dust_temperature"][0] == pytest.approx(
        spectra.dust_temperature[0], rel=1e-6
    )


@pytest.mark.parametrize("redshift", [0.0, 0.01])
def test_magnitudes_are_those_of_direct_integration(filters, redshift):
    """A power law, and a blackbody, through the tabulated curves by brute force."""
    wave = wavelength_grid()
    frequency = 2.99792458e14 / wave
    warm = frequency**3 / np.expm1(4.799243e-11 * frequency / 600.0)
    warm = 1e28 * warm / warm.max()
    power = 1e27 * (wave / 5) ** 1.5
    spectra = np.log10(np.stack([warm + 1e20, power]))
    found = magnitudes(filters, spectra, np.full(2, redshift))
    for column, member in enumerate(filters):
        fine = np.geomspace(member.wave[0], member.wave[-1], 40_001)
        curve = np.interp(fine, member.wave, member.transmission)
        rest = fine / (1 + redshift)
        for row, spectrum in enumerate(spectra):
            light = 10 ** np.interp(np.log(rest), np.log(wave), spectrum)
            mean = np.trapezoid(light * curve, np.log(fine))
            mean /= np.trapezoid(curve, np.log(fine))
            flux = (1 + redshift) * mean / (4 * np.pi * TEN_PARSEC_MEGA**2)
            expected = -2.5 * np.log10(flux) - 48.6
            assert found[row, column] == pytest.approx(expected, abs=5e-3)


def test_a_dark_band_has_a_finite_magnitude(filters):
    dark = np.full((1, len(wavelength_grid())), -60.0)
    found = magnitudes(filters, dark, np.array([0.001]))
    np.testing.assert_array_equal(found, 90.0)
