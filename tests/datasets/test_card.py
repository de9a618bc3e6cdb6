"""The card of a data set beside its rows, all at once."""

import json

import numpy as np
import pyarrow as pa
import pytest
from astropy.cosmology import Planck18

from grainlight.core import ParameterError
from grainlight.datasets import Dataset, describe_dataset, magnitudes
from grainlight.datasets.card import LEVELS, describe_shard, relative_modulus
from grainlight.datasets.dataset import spectra_of
from grainlight.photometry import band_limits, jwst_filters

SPLITS = ("train", "validation", "test")
FILTERS = jwst_filters().subset(["F070W", "F200W", "F444W", "F1000W", "F2550W"])
BIN = 0.005


@pytest.fixture(scope="module")
def card(invented):
    return describe_dataset(invented, FILTERS, variants=3)


@pytest.fixture(scope="module")
def rows(invented):
    """Redshifts of training, and magnitudes that are neither softened nor binned."""
    table = pa.concat_tables(invented.shards())
    spectra = spectra_of(table)
    redshift, x = [], []
    for seed, split in enumerate(SPLITS):
        pairs = invented.pairs(FILTERS, split=split, variants=3, seed=seed)
        redshift.append(pairs.condition[:, 0])
        x.append(magnitudes(FILTERS, spectra[pairs.parent], redshift[-1]))
    return np.concatenate(redshift), np.concatenate(x)


def modulus(redshift):
    return Planck18.distmod(redshift).value - 30


def test_a_card_counts_every_parent_and_row(card, invented):
    assert card.num_parents == invented.recipe.num_parents == 330
    assert card.num_rows == 990
    assert card.variants == {3: 330}
    assert sum(card.priors.values()) == 330
    assert set(card.splits) == set(SPLITS)
    np.testing.assert_array_equal(card.at_10_mpc.total, 990)


def test_quantiles_are_those_of_all_rows(card, rows):
    redshift, x = rows
    for found, values in (
        (card.at_10_mpc, x),
        (card.observed, x + modulus(redshift)[:, None]),
    ):
        expected = np.quantile(values, LEVELS, axis=0, method="inverted_cdf").T
        np.testing.assert_allclose(found.quantiles(LEVELS), expected, atol=1.1 * BIN)


def test_rows_that_are_not_seen_are_counted_at_their_distance(card, rows):
    redshift, x = rows
    seen = x + modulus(redshift)[:, None]
    limits = band_limits(FILTERS.names)
    flux = 10 ** (-0.4 * (seen - 31.4))
    np.testing.assert_array_equal(card.beyond_thesis, (seen >= 42.5).sum(axis=0))
    np.testing.assert_array_equal(
        card.below_limit, (flux < limits.detection).sum(axis=0)
    )
    np.testing.assert_array_equal(
        card.saturated, (flux > limits.saturation).sum(axis=0)
    )
    assert card.below_limit.max() > 0
    assert not np.array_equal(card.beyond_thesis, (x >= 42.5).sum(axis=0))


def test_the_redshifts_are_those_of_training(card, rows):
    expected = np.histogram(rows[0], bins=card.redshift.edges)[0]
    np.testing.assert_array_equal(card.redshift.count[0], expected)


def test_histograms_hold_every_parent_by_prior(card, invented):
    table = pa.concat_tables(invented.shards())
    prior = np.array(table["prior"].to_pylist())
    members = card.parameters.members
    for member, histogram in zip(members, card.histograms, strict=True):
        values = table[member.name].to_numpy()
        values = np.log10(values) if member.scale == "log10" else values
        for row, name in enumerate(histogram.names):
            chosen = values[prior == name]
            assert histogram.missing[row] == np.isnan(chosen).sum()
            assert histogram.total[row] == np.isfinite(chosen).sum()
            expected = np.median(chosen[np.isfinite(chosen)])
            width = np.diff(histogram.edges)[0]
            found = histogram.quantiles([0.5])[row, 0]
            assert abs(found - expected) < 2 * width
    names = [member.name for member in members]
    assert names[6:] == ["dust_temperature", "optical_depth"]
    assert card.histograms[6].missing.sum() > 0


def test_luminosities_are_even_under_the_prior_of_the_thesis(card):
    assert card.luminosity.count.shape == (1, 12)
    assert card.luminosity.total[0] == card.priors["thesis2023"]
    assert card.luminosity.evenness().pvalue > 1e-6


def test_clumps_are_shown_where_there_are_any(invented_clumps):
    card = describe_dataset(invented_clumps, FILTERS, variants=1)
    assert card.parameters.names[-1] == "clump_filling_factor"
    counts = card.histograms[-1].count.sum(axis=0)
    assert counts[:30].sum() == 40  # half of the range of filling factors
    assert counts[30:].sum() == 0


def test_the_cards_of_shards_add_up(card, invented, invented_clumps):
    parts = [describe_shard(t, invented, FILTERS, 3) for t in invented.shards()]
    total = parts[-1]
    for part in parts[-2::-1]:
        total = part + total
    assert total.to_json() == card.to_json()
    with pytest.raises(ParameterError, match="one data set"):
        card + describe_dataset(invented_clumps, FILTERS, variants=1)


def test_shards_are_read_one_after_the_other(invented, monkeypatch):
    events = []

    def shards(self):
        for number in range(self.recipe.num_shards):
            events.append(("read", number))
            yield read[number]

    read = list(invented.shards())
    monkeypatch.setattr(Dataset, "shards", shards)
    describe_dataset(
        invented,
        FILTERS,
        variants=1,
        progress=lambda done, total: events.append(("told", done, total)),
    )
    kinds = [event[0] for event in events]
    assert kinds == ["read", "told"] * 7
    assert events[-1] == ("told", 330, 330)


def test_the_file_holds_plain_numbers(card, tmp_path):
    card.save(tmp_path / "card.json")

    def refuse(word):
        raise AssertionError(word)

    saved = json.loads((tmp_path / "card.json").read_text(), parse_constant=refuse)
    assert saved["num_rows"] == 990
    assert saved["priors"]["thesis2023"]["share"] == pytest.approx(0.75, abs=0.15)
    band = saved["filters"]["JWST/NIRCam.F444W"]
    assert list(band["magnitude_10_mpc"]) == ["5%", "25%", "50%", "75%", "95%"]
    assert 0 <= band["undetected_10_sigma"] <= 1
    assert saved["luminosity_balance"]["degrees"] == 11
    assert saved["variants_per_parent"] == {"3": 330}


def test_distances_are_interpolated_closely_enough():
    redshift = np.random.default_rng(0).uniform(1e-4, 0.015, 200)
    np.testing.assert_allclose(relative_modulus(redshift), modulus(redshift), atol=1e-4)


def test_no_redshift_at_all_is_refused(invented):
    with pytest.raises(ParameterError, match="one redshift a parent"):
        describe_dataset(invented, FILTERS, variants=0)
