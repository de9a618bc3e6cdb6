"""Expected coverage around random points, against posteriors with exact answers."""

import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.evaluation import measure_expected_coverage

FALSE_ALARM = 1e-6
NUM_OBJECTS, NUM_DRAWS, SCATTER = 2_000, 99, 0.5
BOUNDS = np.array([[-3.0, -3.0], [3.0, 3.0]])


@pytest.fixture(scope="module")
def objects():
    """Truths from N(0, 1), data with N(0, 0.5^2) noise, exact posteriors' draws."""
    generator = np.random.default_rng(31)
    truth = generator.normal(size=(NUM_OBJECTS, 2))
    x = truth + SCATTER * generator.normal(size=truth.shape)
    mean = x / (1 + SCATTER**2)
    noise = generator.normal(size=(NUM_OBJECTS, NUM_DRAWS, 2))
    return truth, mean, SCATTER / np.hypot(1, SCATTER) * noise


@pytest.mark.parametrize(
    ("width", "shift", "calibrated"),
    [(1.0, 0.0, True), (0.7, 0.0, False), (1.4, 0.0, False), (1.0, 0.5, False)],
)
def test_the_exact_posterior_covers_and_no_other(objects, width, shift, calibrated):
    truth, mean, noise = objects
    draws = (mean + shift)[:, None] + width * noise
    found = measure_expected_coverage(jr.key(3), draws, truth, bounds=BOUNDS)
    assert (found.pvalue > FALSE_ALARM) is calibrated
    inside = np.abs(found.coverage - found.level) < 2.5 * found.chance
    assert bool(inside.all()) is calibrated
    assert found.num_objects == NUM_OBJECTS


def test_a_correlation_is_seen_that_single_parameters_hide():
    generator = np.random.default_rng(5)
    truth = generator.normal(size=(NUM_OBJECTS, 2))
    truth[:, 1] = 0.95 * truth[:, 0] + np.sqrt(1 - 0.95**2) * truth[:, 1]
    draws = generator.normal(size=(NUM_OBJECTS, NUM_DRAWS, 2))
    corner = np.tile(BOUNDS[0], (NUM_OBJECTS, 1))
    blind = measure_expected_coverage(jr.key(0), draws, truth, bounds=BOUNDS)
    aside = measure_expected_coverage(
        jr.key(0), draws, truth, bounds=BOUNDS, reference=corner
    )
    assert blind.pvalue < 1e-4
    assert aside.pvalue < FALSE_ALARM


def test_the_prior_is_told_from_the_posterior_by_points_that_follow_the_data(objects):
    truth, mean, noise = objects
    generator = np.random.default_rng(6)
    prior = generator.normal(size=noise.shape)
    blind = measure_expected_coverage(jr.key(1), prior, truth, bounds=BOUNDS)
    assert blind.pvalue > FALSE_ALARM
    follow = mean + 0.3 * generator.normal(size=mean.shape)
    for draws, calibrated in ((prior, False), (mean[:, None] + noise, True)):
        seeing = measure_expected_coverage(
            jr.key(1), draws, truth, bounds=BOUNDS, reference=follow
        )
        assert (seeing.pvalue > FALSE_ALARM) is calibrated


def test_a_small_shift_is_seen_from_one_side(objects):
    truth, mean, noise = objects
    corner = np.tile(BOUNDS[0], (NUM_OBJECTS, 1))
    for shift, calibrated in ((0.0, True), (0.2, False)):
        draws = (mean + shift)[:, None] + noise
        found = measure_expected_coverage(
            jr.key(4), draws, truth, bounds=BOUNDS, reference=corner
        )
        assert (found.pvalue > FALSE_ALARM) is calibrated


def test_fractions_are_counts_of_closer_draws():
    draws = np.array([[[0.1], [0.2], [0.3], [0.9]]])
    truth, point = np.array([[0.5]]), np.array([[0.0]])
    bounds = np.array([[0.0], [1.0]])
    found = measure_expected_coverage(
        jr.key(0), draws, truth, bounds=bounds, reference=point
    )
    assert 3 / 5 <= found.fraction[0] < 4 / 5


def test_units_do_not_matter(objects):
    truth, mean, noise = objects
    draws = mean[:, None] + noise
    unit = np.array([1.0, 1e6])
    one = measure_expected_coverage(jr.key(2), draws, truth)
    other = measure_expected_coverage(jr.key(2), unit * draws, unit * truth)
    np.testing.assert_allclose(one.fraction, other.fraction)


@pytest.mark.parametrize("num_draws", [1, 9])
def test_few_draws_do_not_raise_false_alarms(num_draws):
    draws = np.random.default_rng(num_draws).normal(size=(50_000, num_draws + 1, 2))
    found = measure_expected_coverage(
        jr.key(0), draws[:, 1:], draws[:, 0], bounds=BOUNDS
    )
    assert found.pvalue > FALSE_ALARM


def test_shapes_and_ranges_are_checked():
    draws, truth = np.zeros((4, 9, 2)), np.zeros((4, 2))
    with pytest.raises(ParameterError, match="as many draws"):
        measure_expected_coverage(jr.key(0), draws[:0], truth[:0])
    with pytest.raises(ParameterError, match="number 0"):
        measure_expected_coverage(jr.key(0), draws, truth)
