from functools import partial
from itertools import count
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ModelError
from grainlight.estimators import (
    Emulator,
    TrainingRecord,
    TrainingSettings,
    fit_estimator,
    train,
)

RNG = np.random.default_rng(0)
THETA = jnp.asarray(RNG.uniform(-1, 1, (1_100, 2)), jnp.float32)
EMPTY = jnp.zeros((1_100, 0))
Y = 3 + jnp.sin(2 * THETA[:, :1]) + THETA[:, 1:] ** 2
TRAIN = (THETA[:1_000], EMPTY[:1_000], Y[:1_000])
HELD = (THETA[1_000:], EMPTY[1_000:], Y[1_000:])
SETTINGS = TrainingSettings(
    num_epochs=6, batch_size=50, learning_rate=1e-2, warmup_steps=5, steps_per_call=10
)


@pytest.fixture(scope="module")
def untrained():
    return Emulator.from_data(jr.key(1), THETA, EMPTY, Y, widths=(16, 16))


@pytest.fixture(scope="module")
def whole(untrained):
    return fit_estimator(jr.key(2), untrained, TRAIN, HELD, SETTINGS, error=error)


def error(estimator, theta, condition, y):
    return jnp.mean(jnp.abs(estimator(theta, condition) - y))


def same(first, second):
    return eqx.tree_equal(*(eqx.filter(t, eqx.is_array) for t in (first, second)))


def test_training_learns_and_leaves_constants_alone(untrained, whole):
    record = whole.record
    assert record.stopped == "epochs"
    assert record.num_steps == 6 * 20
    assert record.best_loss < 0.1 * record.train_loss[0]
    assert same(whole.estimator.inputs, untrained.inputs)
    predicted = jax.vmap(whole.estimator)(*HELD[:2])
    assert float(jnp.sqrt(jnp.mean((predicted - HELD[2]) ** 2))) < 0.15
    assert TrainingRecord.from_json(record.to_json()) == record
    assert len(record.validation_error) == len(record.train_error) == 6
    best = float(jnp.mean(jnp.abs(predicted - HELD[2])))
    assert record.validation_error[record.best_epoch] == pytest.approx(best, rel=1e-4)
    assert record.train_error[-1] < 0.5 * record.train_error[0]


def test_an_interrupted_run_keeps_the_best_and_resumes_bit_for_bit(
    untrained, whole, tmp_path
):
    def interrupt(record):
        if record.num_epochs == 3:
            raise KeyboardInterrupt

    first = fit_estimator(
        jr.key(2), untrained, TRAIN, HELD, SETTINGS, folder=tmp_path, on_epoch=interrupt
    )
    assert first.record.stopped == "interrupted"
    assert first.record.num_epochs == 3
    assert not same(first.estimator, untrained)
    second = fit_estimator(jr.key(2), untrained, TRAIN, HELD, SETTINGS, folder=tmp_path)
    assert second.record.num_resumed == 1
    assert second.record.validation_loss == whole.record.validation_loss
    assert same(second.estimator, whole.estimator)
    assert not same(first.estimator, whole.estimator)


def test_a_checkpoint_of_another_run_is_refused(untrained, tmp_path):
    settings = TrainingSettings(num_epochs=1, batch_size=50)
    fit_estimator(jr.key(2), untrained, TRAIN, HELD, settings, folder=tmp_path)
    with pytest.raises(ModelError, match="Expected a checkpoint with the key"):
        fit_estimator(jr.key(3), untrained, TRAIN, HELD, settings, folder=tmp_path)
    checkpoint = tmp_path / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:2_000])
    with pytest.raises(ModelError, match="does not read"):
        fit_estimator(jr.key(2), untrained, TRAIN, HELD, settings, folder=tmp_path)


def test_steps_that_are_not_finite_are_skipped_and_counted(untrained):
    def loss(estimator, key, progress, theta, condition, y):
        value = estimator.loss(key, progress, theta, condition, y)
        return jnp.where(theta[0] > 0.99, jnp.nan, value)

    clean = tuple(column[HELD[0][:, 0] < 0.98] for column in HELD)
    training = train(jr.key(2), untrained, loss, TRAIN, clean, SETTINGS)
    assert 0 < training.record.num_skipped < training.record.num_steps
    assert np.all(np.isfinite(training.record.validation_loss))
    assert training.record.best_loss < 0.1


def test_patience_ends_training_and_keeps_the_best_weights(untrained):
    settings = TrainingSettings(
        num_epochs=40,
        batch_size=50,
        learning_rate=1e-2,
        patience=3,
        anneal_fraction=0.0,
    )
    noise = tuple(jnp.asarray(RNG.normal(size=(60, n)), jnp.float32) for n in (2, 0, 1))
    training = fit_estimator(jr.key(2), untrained, noise, HELD, settings)
    record = training.record
    assert record.stopped == "patience"
    assert record.num_epochs == record.best_epoch + 4
    assert record.best_loss == min(record.validation_loss)


def test_patience_follows_a_schedule_by_time(untrained, monkeypatch):
    # a clock of its own: whatever else the machine does
    clock = SimpleNamespace(monotonic=partial(next, count(0.0, 0.01)))
    monkeypatch.setattr("grainlight.estimators.training.time", clock)
    settings = TrainingSettings(
        num_epochs=1_000_000,
        batch_size=50,
        learning_rate=1e-2,
        patience=3,
        anneal_fraction=0.5,
        time_limit_s=8.0,
    )
    noise = tuple(jnp.asarray(RNG.normal(size=(60, n)), jnp.float32) for n in (2, 0, 1))
    record = fit_estimator(jr.key(2), untrained, noise, HELD, settings).record
    # Patience begins where annealing ends, which the time decides here.
    assert record.stopped == "patience"
    assert 4.0 < record.seconds < 8.0
    assert record.num_annealing < record.num_epochs < 1_000_000


def test_time_ends_training(untrained):
    settings = TrainingSettings(num_epochs=10_000, batch_size=50, time_limit_s=1.0)
    record = fit_estimator(jr.key(2), untrained, TRAIN, HELD, settings).record
    assert record.stopped == "time"
    assert record.seconds < 60
    assert record.to_json()["settings"]["time_limit_s"] == 1.0


def test_noise_is_drawn_anew_in_every_step(untrained):
    seen = []

    def augment(key, theta, condition, y):
        noise = jr.normal(key, y.shape)
        jax.debug.callback(lambda value: seen.append(float(value)), noise[0, 0])
        return theta, condition, y + noise

    settings = TrainingSettings(num_epochs=2, batch_size=500)
    fit_estimator(jr.key(2), untrained, TRAIN, HELD, settings, augment=augment)
    jax.effects_barrier()
    assert len(seen) == len(set(seen)) == 1 + 2 * 2


def test_progress_goes_to_the_terminal(untrained, capsys):
    settings = TrainingSettings(num_epochs=1, batch_size=50)
    fit_estimator(jr.key(2), untrained, TRAIN, HELD, settings, progress=True)
    assert "training" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [{"num_epochs": 0}, {"learning_rate": -1.0}, {"time_limit_s": 0.0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected"):
        TrainingSettings(**wrong)


def test_ragged_data_are_refused(untrained):
    with pytest.raises(ValueError, match="same number of rows"):
        fit_estimator(jr.key(2), untrained, (THETA, EMPTY[:5], Y), HELD, SETTINGS)
