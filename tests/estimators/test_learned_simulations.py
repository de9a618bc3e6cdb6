"""Simulations of a learned likelihood, where the true one is known exactly."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from grainlight.core import ParameterError
from grainlight.estimators import TrainingSettings, learn_simulations

LOWER, UPPER = np.array([-1.0, 0.0]), np.array([1.0, 2.0])
FALSE_ALARM = 1e-6
WIDTH = 0.3


def simulated(num, seed):
    """Two outcomes whose scatter is known."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(LOWER, UPPER, (num, 2))
    x = theta @ np.array([[1.0, 0.0], [1.0, 2.0]]) + WIDTH * rng.normal(size=(num, 2))
    return tuple(jnp.asarray(c, jnp.float32) for c in (theta, np.zeros((num, 0)), x))


TRAIN, HELD = simulated(3_000, 1), simulated(500, 2)
SETTINGS = TrainingSettings(num_epochs=25, batch_size=128, learning_rate=4e-3)


def learned(num_sims, settings=SETTINGS, **words):
    return learn_simulations(
        jr.key(3), TRAIN, HELD, num_sims, widths=(16,), settings=settings, **words
    )


@pytest.fixture(scope="module")
def made():
    return learned(4_000, lower=LOWER, upper=UPPER)


@pytest.mark.slow
def test_they_are_even_between_the_bounds_and_scatter_as_the_simulator_does(made):
    assert len(made) == 4_000
    theta = np.asarray(made.theta, float)
    for column in range(2):
        uniform = stats.uniform(LOWER[column], (UPPER - LOWER)[column])
        assert stats.kstest(theta[:, column], uniform.cdf).pvalue > FALSE_ALARM
        assert stats.kstest(theta[:, column] * 0.9, uniform.cdf).pvalue < FALSE_ALARM
    true = theta @ np.array([[1.0, 0.0], [1.0, 2.0]])
    residual = np.asarray(made.x, float) - true
    assert np.abs(residual.mean(axis=0)).max() < 0.1 * WIDTH
    np.testing.assert_allclose(residual.std(axis=0), WIDTH, rtol=0.1)
    assert residual.std() < 0.5 * (np.asarray(made.x)[::-1] - true).std()


@pytest.mark.slow
def test_without_bounds_parameters_are_those_of_the_data():
    few = learned(300, TrainingSettings(num_epochs=1))
    rows = {tuple(row) for row in np.asarray(TRAIN[0]).tolist()}
    assert all(tuple(row) in rows for row in np.asarray(few.theta).tolist())


@pytest.mark.slow
def test_real_rows_come_first(made):
    both = made.joined(TRAIN)
    assert [len(column) for column in both] == [7_000] * 3
    np.testing.assert_array_equal(both[0][:3_000], TRAIN[0])
    np.testing.assert_array_equal(both[2][3_000:], made.x)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"num_sims": 0}, "one learned simulation or more"),
        ({"lower": LOWER}, "a finite lower and upper bound"),
        ({"lower": LOWER, "upper": UPPER + np.inf}, "a finite lower and upper bound"),
        ({"train": (*TRAIN[:2], TRAIN[2].at[0, 0].set(jnp.nan))}, "finite outcomes"),
    ],
)
def test_what_cannot_work_is_refused(change, match):
    words = {"train": TRAIN, "held": HELD, "num_sims": 10} | change
    with pytest.raises(ParameterError, match=match):
        learn_simulations(jr.key(0), **words)
