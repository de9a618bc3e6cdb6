"""Training on rows that are read in blocks, beside training on all rows at once."""

from dataclasses import dataclass, field, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ModelError, ParameterError
from grainlight.datasets import RowBlocks, write_shuffled
from grainlight.estimators import (
    Emulator,
    TrainingSettings,
    WholeFeed,
    fit_estimator,
    make_feed,
    train,
)

RNG = np.random.default_rng(0)
NUM, BLOCK = 1_030, 200
THETA = RNG.uniform(-1, 1, (NUM + 300, 2)).astype(np.float32)
Y = 3 + np.sin(2 * THETA[:, :1]) + THETA[:, 1:] ** 2
Y = (Y + RNG.normal(0, 0.05, Y.shape)).astype(np.float32)
EMPTY = np.zeros((NUM + 300, 0), np.float32)
TRAIN = tuple(jnp.asarray(c[:NUM]) for c in (THETA, EMPTY, Y))
HELD = tuple(jnp.asarray(c[NUM:]) for c in (THETA, EMPTY, Y))
SETTINGS = TrainingSettings(
    num_epochs=8, batch_size=40, learning_rate=1e-2, warmup_steps=5, steps_per_call=5
)
RESUMED = TrainingSettings(num_epochs=4, batch_size=20, steps_per_call=5)


@dataclass
class Counted:
    """Rows in memory that are read as if from disk, and how many were held."""

    block_size: int = BLOCK
    num_rows: int = NUM
    starts: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)

    def block(self, start):
        jax.block_until_ready(jnp.zeros(()))
        live = [a for a in jax.live_arrays() if a.shape == (self.block_size, 2)]
        self.starts.append(start)
        self.held.append(sum(len(a) for a in live))
        rows = np.arange(start, start + self.block_size) % self.num_rows
        return tuple(np.asarray(column)[rows] for column in TRAIN)


@pytest.fixture(scope="module")
def untrained():
    return Emulator.from_data(jr.key(1), *TRAIN, widths=(16, 16))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    def part(number):
        share = slice(number * NUM // 5, (number + 1) * NUM // 5)
        return tuple(np.asarray(column)[share] for column in TRAIN)

    folder = tmp_path_factory.mktemp("rows") / "rows"
    names = ("theta", "condition", "y")
    write_shuffled(folder, {}, names, part, num_parts=5, num_rows=NUM, seed=0)
    return RowBlocks.open(folder, block_size=BLOCK)


@pytest.fixture(scope="module")
def whole(untrained, rows):
    return fit_estimator(jr.key(2), untrained, rows, HELD, RESUMED)


def same(first, second):
    return eqx.tree_equal(*(eqx.filter(t, eqx.is_array) for t in (first, second)))


def seen(key, source):
    """Rows of each step of an epoch, by the value of their first column."""
    calls = make_feed(source).calls(key, SETTINGS)
    return np.stack(
        [np.asarray(c.data[0])[row, 0] for c in calls for row in np.asarray(c.indices)]
    )


def test_an_epoch_takes_no_row_twice_and_leaves_less_than_a_block():
    first, again, other = (seen(jr.key(k), Counted()) for k in (0, 0, 1))
    assert first.shape == (25, 40)  # 5 blocks of 200 rows, of 1030
    assert len(np.unique(first)) == first.size
    np.testing.assert_array_equal(first, again)
    left = [
        set(THETA[:NUM, 0].tolist()) - set(e.ravel().tolist()) for e in (first, other)
    ]
    assert [len(rows) for rows in left] == [30, 30]
    assert left[0] != left[1]


def test_every_row_is_taken_as_often_as_any_other():
    counts = np.zeros(NUM)
    place = {value: row for row, value in enumerate(THETA[:NUM, 0].tolist())}
    epochs = 60
    for epoch in range(epochs):
        for value in seen(jr.key(100 + epoch), Counted()).ravel().tolist():
            counts[place[value]] += 1
    left = epochs - counts  # 30 of 1030 rows, neighbors together
    assert left.mean() == pytest.approx(epochs * 30 / NUM)
    assert left.max() <= 12
    assert counts.min() > 0


def test_batches_mix_the_rows_of_a_block_only():
    first = seen(jr.key(0), Counted())
    place = {value: row for row, value in enumerate(THETA[:NUM, 0].tolist())}
    for batches in first.reshape(5, 200):
        rows = np.sort([place[value] for value in batches.tolist()])
        gaps = np.diff(np.append(rows, rows[0] + NUM))
        assert np.sum(gaps > 1) == 1  # one stretch, perhaps around the end
    assert not np.array_equal(np.sort(first[0]), first[0])


def test_an_array_is_fed_as_it_was_before_there_were_blocks():
    feed = WholeFeed(TRAIN)
    indices = np.concatenate([c.indices for c in feed.calls(jr.key(5), SETTINGS)])
    assert (feed.num_calls(SETTINGS), feed.num_steps(SETTINGS)) == (5, 25)
    frozen = np.asarray(jr.permutation(jr.key(5), NUM))[: indices.size]
    np.testing.assert_array_equal(indices.ravel(), frozen)
    assert feed.stated is None


def test_a_stream_holds_few_blocks_and_compiles_once(untrained):
    traced, short = [], replace(SETTINGS, num_epochs=1)

    def loss(estimator, key, progress, theta, condition, y):
        traced.append(1)
        return estimator.loss(key, progress, theta, condition, y)

    source = Counted(block_size=203)
    training = train(jr.key(2), untrained, loss, source, HELD, SETTINGS)
    assert len(source.starts) == 8 * 5
    assert training.record.num_steps == 8 * 5 * 5
    assert max(source.held) == 203  # the last block; the next is on its way
    compiled = len(traced)
    train(jr.key(2), untrained, loss, Counted(block_size=203), HELD, short)
    assert len(traced) == 2 * compiled  # not one more for eight times as many blocks


def test_an_interrupted_stream_resumes_bit_for_bit(untrained, rows, whole, tmp_path):
    def interrupt(record):
        if record.num_epochs == 2:
            raise KeyboardInterrupt

    first = fit_estimator(
        jr.key(2), untrained, rows, HELD, RESUMED, folder=tmp_path, on_epoch=interrupt
    )
    assert first.record.stopped == "interrupted"
    reopened = RowBlocks.open(rows.folder, block_size=BLOCK)
    second = fit_estimator(
        jr.key(2), untrained, reopened, HELD, RESUMED, folder=tmp_path
    )
    assert second.record.num_resumed == 1
    assert second.record.validation_loss == whole.record.validation_loss
    assert same(second.estimator, whole.estimator)
    assert not same(first.estimator, whole.estimator)


def test_a_stream_broken_off_within_an_epoch_resumes_bit_for_bit(
    untrained, rows, whole, tmp_path
):
    @dataclass
    class Failing:
        num_rows: int = NUM
        block_size: int = BLOCK
        reads: int = 0

        def block(self, start):
            self.reads += 1
            if self.reads == 8:
                raise KeyboardInterrupt
            return rows.block(start)

    first = fit_estimator(
        jr.key(2), untrained, Failing(), HELD, RESUMED, folder=tmp_path
    )
    assert (first.record.stopped, first.record.num_epochs) == ("interrupted", 1)
    second = fit_estimator(jr.key(2), untrained, rows, HELD, RESUMED, folder=tmp_path)
    assert second.record.validation_loss == whole.record.validation_loss
    assert same(second.estimator, whole.estimator)


def test_a_checkpoint_of_rows_fed_in_another_way_is_refused(untrained, rows, tmp_path):
    settings = TrainingSettings(num_epochs=1, batch_size=40)
    fit_estimator(jr.key(2), untrained, rows, HELD, settings, folder=tmp_path)
    for other in (TRAIN, RowBlocks.open(rows.folder, block_size=100)):
        with pytest.raises(ModelError, match="Expected a checkpoint with the feed"):
            fit_estimator(jr.key(2), untrained, other, HELD, settings, folder=tmp_path)


@pytest.mark.slow
def test_streaming_ends_as_well_as_training_in_memory(untrained, rows):
    """Over some keys the final losses agree; on a tenth of the rows they do not."""

    def losses(source):
        runs = [
            fit_estimator(jr.key(k), untrained, source, HELD, SETTINGS).record.best_loss
            for k in range(4)
        ]
        return np.array(runs)

    memory, stream = losses(TRAIN), losses(rows)
    spread = np.sqrt(np.var(memory, ddof=1) / 4 + np.var(stream, ddof=1) / 4)
    few = losses(tuple(column[:100] for column in TRAIN))
    assert abs(memory.mean() - stream.mean()) < 8 * spread
    assert abs(memory.mean() - few.mean()) > 8 * spread


@pytest.mark.parametrize("size", [0, NUM + 1])
def test_impossible_blocks_are_refused(untrained, size):
    with pytest.raises(ParameterError, match="Expected blocks of one row"):
        fit_estimator(jr.key(2), untrained, Counted(block_size=size), HELD, SETTINGS)
