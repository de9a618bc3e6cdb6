"""Figures of how well an estimator does."""

import matplotlib.pyplot as plt
import numpy as np

from grainlight.evaluation import (
    GaussianPrediction,
    Ranks,
    measure_accuracy,
    measure_coverage,
    measure_reliability,
)
from grainlight.report import (
    plot_coverage,
    plot_errors,
    plot_ranks,
    plot_reliability,
)

GENERATOR = np.random.default_rng(9)
NOISE = GENERATOR.normal(size=(300, 3))
BANDS = ("JWST/NIRCam.F444W", "JWST/MIRI.F560W", "JWST/MIRI.F770W")
PREDICTION = GaussianPrediction(np.zeros((300, 3)), np.tile(np.eye(3), (300, 1, 1)))


def test_reliability_is_drawn_as_it_was_measured():
    reliability = measure_reliability(PREDICTION, NOISE)
    ax = plot_reliability(reliability, color="C3")
    curve = ax.lines[-1]
    np.testing.assert_array_equal(curve.get_ydata(), reliability.fraction)
    assert curve.get_color() == "C3"
    assert len(ax.collections) == 1  # the band of chance
    assert "300 objects" in ax.get_title()


def test_ranks_are_drawn_over_the_band_of_chance():
    rank = GENERATOR.integers(0, 100, (200, 1))
    histogram = Ranks(("dust_mass",), rank, 99).histogram("dust_mass")
    ax = plot_ranks(histogram)
    band, _, counts = ax.patches
    np.testing.assert_array_equal(counts.get_data().values, histogram.count)
    np.testing.assert_allclose(
        band.get_data().values, histogram.expected + histogram.chance
    )
    assert ax.get_ylim()[1] > histogram.count.max()
    assert ax.get_title().startswith("dust mass")


def test_coverage_has_a_line_a_parameter():
    coverage = measure_coverage(GENERATOR.random((200, 2)), ("a", "b"))
    ax = plot_coverage(coverage)
    assert [line.get_label() for line in ax.lines[1:]] == ["a", "b"]


def test_errors_have_a_bar_a_band():
    errors = measure_accuracy(PREDICTION, NOISE, BANDS).errors
    ax = plot_errors(errors)
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], errors.rmse)
    ticks = [text.get_text() for text in ax.get_xticklabels()]
    assert ticks == ["F444W", "F560W", "F770W"]
    assert ax.get_ylabel() == "error [mag]"


def test_figures_draw_on_the_axes_that_are_given():
    _, given = plt.subplots()
    assert plot_coverage(measure_coverage(NOISE * 0 + 0.5, BANDS), ax=given) is given
    assert len(plt.get_fignums()) == 1
