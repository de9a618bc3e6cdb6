"""What a shell model is trained on, in memory and streamed."""

import jax.random as jr
import numpy as np
import pytest

from grainlight.core import OutputExistsError
from grainlight.datasets import RowBlocks
from grainlight.estimators import TrainingSettings
from grainlight.estimators.shell_rows import (
    ShellRows,
    count_rows,
    likelihood_data,
    outcome_data,
    sample_rows,
)
from grainlight.estimators.shell_training import Sizes, train_shell_model
from grainlight.photometry import jwst_filters

FILTERS = jwst_filters().subset(["F200W", "F444W", "F1000W"])


def read(dataset, most):
    return ShellRows.read([dataset], FILTERS, variants=[4], most=most)


def sorted_rows(columns):
    rows = np.concatenate([np.asarray(column) for column in columns], axis=1)
    return rows[np.argsort(rows[:, 6])]


def test_few_rows_stay_in_memory(invented, tmp_path):
    rows = read(invented, 4 * 330)
    source = rows.likelihood(tmp_path / "rows", block_size=100)
    assert isinstance(source, tuple)
    assert sample_rows(source) is source
    assert not (tmp_path / "rows").exists()
    pairs = invented.pairs(FILTERS, split="train", variants=4, seed=0)
    for found, expected in zip(source, likelihood_data(pairs), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_many_rows_are_the_same_ones_on_disk(invented, tmp_path):
    memory, streamed = read(invented, 4 * 330), read(invented, 4 * 330 - 1)
    source = streamed.likelihood(tmp_path / "rows", block_size=100)
    assert isinstance(source, RowBlocks)
    assert source.block_size == 100
    whole = memory.likelihood(tmp_path / "none", block_size=100)
    assert count_rows(source) == count_rows(whole)
    everything = RowBlocks.open(tmp_path / "rows").block(0)
    np.testing.assert_array_equal(sorted_rows(everything), sorted_rows(whole))
    # what does not depend on the redshift is the same from one row a parent
    assert len(streamed.train[0]) == len(memory.train[0]) // 4
    for found, expected in zip(
        outcome_data(streamed.train[0]), outcome_data(memory.train[0]), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(streamed.held[0].x, memory.held[0].x)


def test_a_block_stands_for_all_rows_when_they_are_standardized(invented, tmp_path):
    source = read(invented, 1).likelihood(tmp_path / "rows", block_size=300)
    sample = sample_rows(source)[2]
    whole = RowBlocks.open(tmp_path / "rows").block(0)[2]
    spread = whole.std(axis=0)
    assert np.all(np.abs(sample.mean(axis=0) - whole.mean(axis=0)) < 0.35 * spread)
    assert np.all(np.abs(sample.std(axis=0) / spread - 1) < 0.3)


def test_a_cache_of_other_rows_is_refused(invented, tmp_path):
    read(invented, 1).likelihood(tmp_path / "rows", block_size=300)
    other = ShellRows.read([invented], FILTERS, variants=[3], most=1)
    with pytest.raises(OutputExistsError, match="Name another folder"):
        other.likelihood(tmp_path / "rows", block_size=300)


@pytest.mark.slow
def test_a_model_is_trained_on_a_stream(invented, tmp_path):
    sizes = Sizes((8,), (8,), variants=(3,), most_in_memory=1, block_size=256)
    settings = TrainingSettings(num_epochs=2, batch_size=64, anneal_fraction=0.5)
    model = train_shell_model(
        jr.key(0), invented, tmp_path / "out", settings, sizes=sizes
    )
    rows = RowBlocks.open(tmp_path / "out" / "checkpoints" / "rows")
    assert model.meta["num_train"] == rows.num_rows == 3 * 294
    cache = tmp_path / "cache"
    again = train_shell_model(
        jr.key(0), invented, tmp_path / "two", settings, sizes=sizes, cache=cache
    )
    first, second = (np.load(tmp_path / n / "weights.npz") for n in ("out", "two"))
    for name in first.files:
        np.testing.assert_array_equal(second[name], first[name])
    assert again.meta == model.meta
    assert (cache / "rows.npy").exists()
    assert not (tmp_path / "two" / "checkpoints" / "rows").exists()
