"""The classifier test against samples whose best accuracy is known."""

import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from grainlight.core import ParameterError
from grainlight.evaluation import classify_samples

FALSE_ALARM = 1e-6
NUM_ROWS = 3_000


@pytest.fixture(scope="module")
def normal():
    return np.random.default_rng(40).normal(size=(2, NUM_ROWS, 3))


def test_equal_samples_cannot_be_told_apart(normal):
    found = classify_samples(jr.key(0), *normal)
    assert found.accuracy == pytest.approx(0.5, abs=0.02)
    assert found.pvalue > FALSE_ALARM
    assert found.num_rows == 2 * 2_700
    assert found.error == pytest.approx(0.75 / np.sqrt(found.num_rows), rel=1e-2)
    assert found.fold_accuracy.mean() == pytest.approx(found.accuracy)


@pytest.mark.parametrize(
    "change",
    [
        "shift",
        pytest.param("width", marks=pytest.mark.slow),
        pytest.param("correlation", marks=pytest.mark.slow),
    ],
)
def test_what_differs_is_told_apart_as_well_as_can_be(normal, change):
    first, other = normal[0], normal[1].copy()
    if change == "shift":
        other[:, 0] += 1.0
        best = stats.norm.cdf(0.5)
    elif change == "width":
        other[:, 0] *= 0.4
        best = _best_of_widths(0.4)
    else:
        other[:, 1] = 0.9 * other[:, 0] + np.sqrt(1 - 0.9**2) * other[:, 1]
        best = _best_of_correlation(0.9)
    found = classify_samples(jr.key(1), first, other)
    assert found.pvalue < FALSE_ALARM
    assert best - 0.025 < found.accuracy < best + 4 * found.error


def _best_of_widths(width):
    """Accuracy where the sign of the log of the ratio of two Gaussians decides."""
    edge = np.sqrt(-2 * np.log(width) / (1 / width**2 - 1))
    inside = 2 * stats.norm.cdf(edge / width) - 1
    return 0.5 * (inside + 2 * stats.norm.sf(edge))


def _best_of_correlation(rho):
    """The same by an independent sample of a million."""
    generator = np.random.default_rng(7)
    plain = generator.normal(size=(1_000_000, 2))
    bent = np.stack(
        [plain[:, 0], rho * plain[:, 0] + np.sqrt(1 - rho**2) * plain[:, 1]], axis=1
    )
    exact = stats.multivariate_normal(np.zeros(2), [[1, rho], [rho, 1]])
    blank = stats.multivariate_normal(np.zeros(2), np.eye(2))
    right = np.mean(exact.logpdf(bent) > blank.logpdf(bent))
    wrong = np.mean(exact.logpdf(plain) > blank.logpdf(plain))
    return 0.5 * (right + 1 - wrong)


@pytest.mark.slow
def test_a_constant_column_and_a_longer_sample_do_no_harm(normal):
    constant = [part * [1, 1, 0] for part in normal]
    longer = np.concatenate([constant[1], constant[1][:500]])
    found = classify_samples(jr.key(2), constant[0], longer)
    assert found.num_rows == 2 * 2_700
    assert found.accuracy == pytest.approx(0.5, abs=0.03)


def test_bad_samples_are_refused(normal):
    first, second = normal[:, :200]
    with pytest.raises(ParameterError, match="Draw more"):
        classify_samples(jr.key(0), first[:50], second)
    with pytest.raises(ParameterError, match="not"):
        classify_samples(jr.key(0), first * np.nan, second)
    with pytest.raises(ParameterError, match="folds"):
        classify_samples(jr.key(0), first, second, num_folds=1)
