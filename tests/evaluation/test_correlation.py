"""Predicted correlations against those of the residuals."""

import numpy as np
import pytest

from grainlight.core import BandMismatchError
from grainlight.evaluation import GaussianPrediction, measure_correlation

NUM_OBJECTS, BANDS = 6_000, ("a", "b", "c")  # more than one chunk


@pytest.fixture(scope="module")
def objects():
    """Objects with a covariance of their own, of which some bands are observed."""
    generator = np.random.default_rng(3)
    factor = np.tril(generator.normal(1.0, 0.5, size=(NUM_OBJECTS, 3, 3)))
    mean = generator.normal(20, 1, (NUM_OBJECTS, 3))
    noise = generator.normal(size=mean.shape)
    x = mean + np.einsum("oij,oj->oi", factor, noise)
    return mean, factor, x, generator.random(x.shape) < 0.8


def test_averages_are_those_of_the_covariances(objects):
    mean, factor, x, mask = (part[:50] for part in objects)
    covariance = factor @ factor.swapaxes(1, 2)
    found = measure_correlation(GaussianPrediction(mean, factor), x, BANDS, mask)
    np.testing.assert_allclose(found.covariance, covariance.mean(axis=0))
    single = np.mean(
        [c / np.sqrt(np.outer(*[c.diagonal()] * 2)) for c in covariance], 0
    )
    np.testing.assert_allclose(found.predicted, single)
    assert found.count[0, 1] == np.sum(mask[:, 0] & mask[:, 1])


def test_residuals_have_the_correlations_of_the_right_prediction_only(objects):
    mean, factor, x, mask = objects
    spread = np.linalg.norm(factor, axis=2)
    alone = spread[:, :, None] * np.eye(3)
    for some, right in ((factor, True), (alone, False), (1.3 * factor, False)):
        found = measure_correlation(GaussianPrediction(mean, some), x, BANDS, mask)
        sigmas = (found.found - found.predicted) / found.chance
        assert bool(np.all(np.abs(sigmas) < 5)) is right


def test_bands_never_seen_together_have_no_correlation(objects):
    mean, factor, x, _ = (part[:50] for part in objects)
    x = x.copy()
    x[::2, 0] = x[1::2, 1] = np.nan
    found = measure_correlation(GaussianPrediction(mean, factor), x, BANDS)
    assert np.isnan(found.found[0, 1])
    assert np.isfinite(found.found[0, 2])
    with pytest.raises(BandMismatchError, match="2 bands"):
        measure_correlation(GaussianPrediction(mean, factor), x, BANDS[:2])
