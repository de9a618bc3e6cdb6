"""Counts in bins beside the values themselves."""

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.datasets import Histogram

LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
RNG = np.random.default_rng(4)
VALUES = np.stack([RNG.normal(20, 3, 5_001), RNG.gamma(3, 4, 5_001)], axis=1)
BLANK = Histogram.blank(("a", "b"), 0.0, 60.0, 12_000)


def counted(values):
    row = np.tile([0, 1], len(values))
    return BLANK.counted(values.ravel(), row)


def test_quantiles_are_those_of_the_values_to_a_bin():
    found = counted(VALUES).quantiles(LEVELS)
    expected = np.quantile(VALUES, LEVELS, axis=0, method="inverted_cdf").T
    np.testing.assert_allclose(found, expected, atol=0.005)


def test_a_known_quantile_is_exact():
    even = Histogram.blank(("x",), 0.0, 4.0, 4).counted(np.array([0.5, 1.5, 2.5, 3.5]))
    np.testing.assert_allclose(even.quantiles([0.25, 0.5, 1.0]), [[1.0, 2.0, 4.0]])
    gap = Histogram.blank(("x",), 0.0, 4.0, 4).counted(np.array([0.5, 3.5]))
    np.testing.assert_allclose(gap.quantiles([0.0, 0.5, 0.75]), [[0.0, 1.0, 3.5]])


def test_parts_add_up_to_the_whole_in_any_order():
    parts = [counted(part) for part in np.array_split(VALUES, 7)]
    for order in (parts, parts[::-1]):
        total = BLANK
        for part in order:
            total = total + part
        np.testing.assert_array_equal(total.count, counted(VALUES).count)
    np.testing.assert_array_equal(BLANK.count, 0)  # a histogram is never changed


def test_values_beyond_the_bins_and_missing_ones_are_kept_apart():
    values = np.array([-5.0, 0.0, 59.999, 60.0, 1e9, np.nan, np.inf, -np.inf])
    found = BLANK.counted(values, np.ones(8, dtype=int))
    assert found.count[1, 0] == 2
    assert found.count[1, -1] == 3
    np.testing.assert_array_equal(found.missing, [0, 3])
    np.testing.assert_array_equal(found.total, [0, 5])
    assert np.isnan(found.quantiles([0.5])[0, 0])


def test_evenness_accepts_even_counts_and_no_others():
    even = RNG.uniform(0, 1, 20_000)
    blank = Histogram.blank(("x",), 0.0, 1.0, 12)
    assert blank.counted(even).evenness().pvalue > 1e-6
    assert blank.counted(even**1.1).evenness().pvalue < 1e-6
    assert np.isnan(blank.evenness().pvalue)
    exact = Histogram.blank(("x",), 0.0, 2.0, 2).counted(np.array([0.5] * 3 + [1.5]))
    found = exact.evenness()
    assert (found.chi_squared, found.degrees) == (1.0, 1)
    assert found.pvalue == pytest.approx(0.3173105, rel=1e-6)


def test_histograms_of_other_bins_are_not_added():
    with pytest.raises(ParameterError, match="same bins"):
        BLANK + Histogram.blank(("a", "b"), 0.0, 61.0, 12_000)
    with pytest.raises(ParameterError, match="one bin or more"):
        Histogram.blank(("a",), 1.0, 1.0, 5)
