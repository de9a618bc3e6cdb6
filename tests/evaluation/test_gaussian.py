"""Distances, reliability and accuracy of Gaussian predictions."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from grainlight.core import BandMismatchError, ObservationError
from grainlight.evaluation import (
    GaussianPrediction,
    measure_accuracy,
    measure_errors,
    measure_reliability,
)

FALSE_ALARM = 1e-6
NUM_OBJECTS, NUM_BANDS = 5_000, 6  # more than one chunk
BANDS = tuple(f"band {i}" for i in range(NUM_BANDS))


@pytest.fixture(scope="module")
def truth():
    """Gaussian objects, each with a covariance of its own and some bands."""
    generator = np.random.default_rng(11)
    shape = (NUM_OBJECTS, NUM_BANDS)
    factor = np.tril(generator.normal(size=(*shape, NUM_BANDS)))
    factor += 0.5 * np.eye(NUM_BANDS)
    mean = generator.normal(20, 3, shape)
    x = mean + np.einsum("oij,oj->oi", factor, generator.normal(size=shape))
    mask = generator.random(shape) < 0.7
    return mean, factor, x, mask


def test_distances_are_those_of_the_exact_marginal(truth):
    mean, factor, x, mask = (part[:20] for part in truth)
    distances = GaussianPrediction(mean, factor).distances(x, mask)
    covariance = factor @ factor.swapaxes(1, 2)
    for i, seen in enumerate(mask):
        assert distances.num_bands[i] == seen.sum()
        if not seen.any():
            assert distances.negative_log_prob[i] == 0
            continue
        exact = stats.multivariate_normal(
            mean[i, seen], covariance[i][np.ix_(seen, seen)]
        )
        assert distances.negative_log_prob[i] == pytest.approx(
            -exact.logpdf(x[i, seen]), rel=1e-9
        )


def test_a_covariance_and_its_factor_say_the_same(truth):
    mean, factor, x, mask = (part[:50] for part in truth)
    covariance = factor @ factor.swapaxes(1, 2)
    one = GaussianPrediction(mean, factor).distances(x, mask)
    other = GaussianPrediction.from_covariance(mean, covariance).distances(x, mask)
    np.testing.assert_allclose(one.chi_squared, other.chi_squared, rtol=1e-8)


def test_arrays_of_jax_serve_and_nan_is_missing(truth):
    mean, factor, x, mask = (part[:50] for part in truth)
    holes = np.where(mask, x, np.nan)
    exact = GaussianPrediction(mean, factor).distances(x, mask)
    single = GaussianPrediction(jnp.asarray(mean), jnp.asarray(factor))
    found = single.distances(jnp.asarray(holes))
    np.testing.assert_array_equal(found.num_bands, exact.num_bands)
    np.testing.assert_allclose(found.log_det, exact.log_det, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("width", "reliable"), [(1.0, True), (0.8, False), (1.25, False)]
)
def test_reliability_accepts_the_exact_covariance_and_no_other(truth, width, reliable):
    mean, factor, x, mask = truth
    prediction = GaussianPrediction(mean, np.sqrt(width) * factor)
    found = measure_reliability(prediction, x, mask)
    assert (found.pvalue > FALSE_ALARM) is reliable
    inside = np.abs(found.fraction - found.level) < 2.5 * found.chance
    assert inside.all() is np.bool_(reliable)
    if not reliable:
        assert (found.largest_gap > 0) == (width > 1)


def test_degrees_of_freedom_are_the_observed_bands(truth):
    mean, factor, x, mask = truth
    prediction = GaussianPrediction(mean, factor)
    distances = prediction.distances(x, mask)
    wrong = stats.chi2.cdf(distances.chi_squared, NUM_BANDS)
    assert stats.kstest(wrong, "uniform").pvalue < FALSE_ALARM
    right = measure_reliability(prediction, x, mask)
    assert right.pvalue > FALSE_ALARM
    assert right.num_objects == np.any(mask, axis=1).sum() < NUM_OBJECTS


def test_nothing_observed_is_refused(truth):
    mean, factor, x, mask = truth
    prediction = GaussianPrediction(mean, factor)
    with pytest.raises(ObservationError, match="none. Check the mask"):
        measure_reliability(prediction, x, np.zeros_like(mask))
    with pytest.raises(BandMismatchError, match="got"):
        prediction.distances(x[:, 1:])


def test_errors_of_known_residuals():
    predicted = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [-6.0, 5.0]])
    truth = np.array([[0.0, np.nan], [0.0, np.nan], [0.0, np.nan], [0.0, np.nan]])
    errors = measure_errors(predicted, truth, ("a", "b"))
    assert errors.rmse[0] == pytest.approx(np.sqrt(50 / 4))
    assert errors.mae[0] == pytest.approx(3.0)
    assert errors.bias[0] == pytest.approx(1.5)
    assert errors.scatter[0] == pytest.approx(1.4826 * 1.0, rel=1e-4)
    assert errors.count.tolist() == [4, 0]
    assert np.isnan(errors.rmse[1])
    with pytest.raises(BandMismatchError, match="2 columns"):
        measure_errors(predicted[:, :1], truth[:, :1], ("a", "b"))


def test_scatter_is_sigma_for_a_gaussian_with_outliers():
    error = np.random.default_rng(2).normal(0, 0.3, (4_000, 1))
    error[:40] = 100.0
    found = measure_errors(error, np.zeros_like(error), ("a",))
    assert found.scatter[0] == pytest.approx(0.3, rel=0.08)
    assert found.rmse[0] > 5


def test_the_true_covariance_has_the_least_nll(truth):
    mean, factor, x, mask = truth
    found = {
        width: measure_accuracy(
            GaussianPrediction(mean, width * factor), x, BANDS, mask
        )
        for width in (0.8, 1.0, 1.25)
    }
    margin = 3 * found[1.0].nll_error
    assert found[1.0].nll < min(found[0.8].nll, found[1.25].nll) - margin
    assert found[1.0].nll == pytest.approx(
        found[1.0].nll_per_band * mask.sum() / NUM_OBJECTS
    )
