"""Paired comparison of estimators, and the distribution of their losses."""

import numpy as np
import pytest
from scipy import stats

from grainlight.core import BandMismatchError, ParameterError
from grainlight.evaluation import compare_errors, compare_losses, describe_losses

FALSE_ALARM = 1e-6
GENERATOR = np.random.default_rng(12)
BANDS = ("a", "b")


def test_a_paired_difference_is_students():
    loss = {name: GENERATOR.normal(size=40) for name in ("new", "old")}
    found = compare_losses(loss, against="old")
    exact = stats.ttest_rel(loss["new"], loss["old"])
    assert found.names == ("new",)
    assert found.difference[0] == pytest.approx(np.mean(loss["new"] - loss["old"]))
    assert found.pvalue[0] == pytest.approx(exact.pvalue)
    assert found.difference[0] / found.error[0] == pytest.approx(exact.statistic)


def test_pairs_see_what_the_scatter_of_objects_hides():
    hard = 30 * GENERATOR.normal(size=2_000)
    noise = GENERATOR.normal(size=(3, 2_000))
    losses = {
        "base": hard + noise[0],
        "same": hard + noise[1],
        "worse": hard + noise[2] + 0.3,
    }
    found = compare_losses(losses, against="base")
    assert found.names == ("same", "worse")
    assert found.adjusted_pvalue[0] > FALSE_ALARM
    assert found.adjusted_pvalue[1] < FALSE_ALARM
    assert found.difference[1] == pytest.approx(0.3, abs=4 * found.error[1])
    apart = stats.ttest_ind(losses["worse"], losses["base"])
    assert apart.pvalue > FALSE_ALARM


@pytest.mark.parametrize("statistic", ["mae", "rmse"])
def test_errors_differ_where_they_do_and_nowhere_else(statistic):
    truth = GENERATOR.normal(size=(4_000, 2))
    shared = GENERATOR.normal(size=truth.shape)
    own = GENERATOR.normal(size=(2, *truth.shape))
    first = truth + shared + 0.3 * own[0] * [1, 2]
    second = truth + shared + 0.3 * own[1]
    found = compare_errors(first, second, truth, BANDS, statistic=statistic)
    assert found.pvalue[0] > FALSE_ALARM
    assert found.pvalue[1] < FALSE_ALARM
    factor = np.sqrt(2 / np.pi) if statistic == "mae" else 1.0
    exact = factor * (np.hypot(1, 0.6) - np.hypot(1, 0.3))
    assert found.difference[1] == pytest.approx(exact, abs=4 * found.error[1])


@pytest.mark.parametrize("statistic", ["mae", "rmse"])
def test_standard_errors_are_the_scatter_of_repeats(statistic):
    shape = (300, 200, 1)
    shared = GENERATOR.normal(size=shape)
    error = [shared + 0.5 * GENERATOR.normal(size=shape) for _ in range(2)]
    found = [
        compare_errors(a, b, np.zeros((200, 1)), ("a",), statistic=statistic)
        for a, b in zip(*error, strict=True)
    ]
    scatter = np.std([one.difference[0] for one in found])
    stated = np.mean([one.error[0] for one in found])
    assert stated == pytest.approx(scatter, rel=0.15)


def test_masked_values_do_not_count():
    truth = GENERATOR.normal(size=(50, 2))
    truth[:10, 0] = np.nan
    first, second = GENERATOR.normal(size=(2, 50, 2))
    found = compare_errors(first, second, truth, BANDS)
    part = compare_errors(first[10:], second[10:], truth[10:], BANDS)
    assert found.count.tolist() == [40, 50]
    assert found.difference[0] == part.difference[0]
    assert found.error[0] == pytest.approx(part.error[0])


def test_equal_estimators_do_not_differ_and_a_sure_difference_is_sure():
    error = np.ones((30, 2))
    found = compare_errors(error, error * [1, 2], 0 * error, BANDS)
    np.testing.assert_array_equal(found.difference, [0, -1])
    assert found.pvalue[0] == 1
    assert found.pvalue[1] < FALSE_ALARM


def test_what_cannot_be_compared_is_refused():
    loss = np.zeros(5)
    for losses in ({"old": loss}, {"new": loss}):
        with pytest.raises(ParameterError, match="'old' and of others"):
            compare_losses(losses, against="old")
    with pytest.raises(ParameterError, match="finite loss"):
        compare_losses({"old": loss, "new": loss + np.nan}, against="old")
    with pytest.raises(BandMismatchError, match="2 columns"):
        compare_errors(np.zeros((3, 1)), np.zeros((3, 1)), np.zeros((3, 1)), BANDS)
    with pytest.raises(ParameterError, match="two objects"):
        compare_errors(*np.zeros((3, 1, 2)), BANDS)


def test_outliers_are_told_from_the_bulk():
    found = describe_losses(GENERATOR.normal(size=200_000))
    exact = stats.norm.ppf(0.75) * np.array([1, 1])
    exact = exact + 2 * exact * [1.5, 3.0]
    np.testing.assert_allclose(found.fence, exact, rtol=0.02)
    np.testing.assert_allclose(found.beyond[0], stats.norm.sf(exact[0]), rtol=0.15)
    np.testing.assert_allclose(found.quantile, stats.norm.ppf(found.level), atol=0.03)
    loss = GENERATOR.normal(size=1_000)
    loss[:20] = 500.0
    heavy = describe_losses(loss)
    assert heavy.beyond[1] == pytest.approx(0.02)
    assert heavy.mean == pytest.approx(10, abs=0.2)
    assert heavy.mean_within[1] == pytest.approx(0, abs=0.2)
    assert heavy.quantile[4] == pytest.approx(0, abs=0.2)
    with pytest.raises(ParameterError, match="finite losses"):
        describe_losses(np.array([1.0, np.inf]))
