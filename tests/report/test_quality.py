"""Figures of a judgement."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from grainlight.estimators import TrainingRecord
from grainlight.evaluation import (
    GaussianPrediction,
    compare_errors,
    describe_losses,
    measure_correlation,
    measure_density_ranks,
)
from grainlight.evaluation.tarp import ExpectedCoverage
from grainlight.report import (
    plot_correlation,
    plot_density_ranks,
    plot_difference,
    plot_expected_coverage,
    plot_losses,
    plot_regions,
    plot_training,
)

GENERATOR = np.random.default_rng(19)
BANDS = ("JWST/NIRCam.F444W", "JWST/MIRI.F560W", "JWST/MIRI.F770W")


@pytest.fixture(scope="module")
def correlation():
    factor = np.tile(np.linalg.cholesky(0.6 + 0.4 * np.eye(3)), (500, 1, 1))
    x = np.einsum("oij,oj->oi", factor, GENERATOR.normal(size=(500, 3)))
    return measure_correlation(GaussianPrediction(np.zeros((500, 3)), factor), x, BANDS)


def test_expected_coverage_is_drawn_as_it_was_measured():
    level = np.linspace(0.1, 0.9, 9)
    found = ExpectedCoverage(level, level**1.1, 0.05 * level, np.zeros(80), 0.25)
    ax = plot_expected_coverage(found, color="C3")
    np.testing.assert_array_equal(ax.lines[-1].get_ydata(), found.coverage)
    assert len(ax.collections) == 1  # the band of chance
    assert ax.get_title() == "80 objects, p = 0.25"


def test_density_ranks_have_ten_bins_and_their_regions_a_curve():
    ranks = measure_density_ranks(GENERATOR.random(400))
    ax = plot_density_ranks(ranks)
    counts = ax.patches[-1].get_data().values
    np.testing.assert_array_equal(counts, ranks.histogram().count)
    assert counts.size == 10
    assert "lower density" in ax.get_xlabel()
    ax = plot_regions(ranks)
    assert ax.get_legend() is None
    level, fraction = ax.lines[-1].get_data()
    np.testing.assert_allclose(
        fraction, [np.mean(1 - ranks.fraction <= one) for one in level]
    )


def test_evident_differences_stand_out():
    truth = np.zeros((300, 3))
    first, second = GENERATOR.normal(size=(2, 300, 3)) * [[[1]], [[1]]]
    first[:, 1] *= 3
    paired = compare_errors(first, second, truth, BANDS)
    ax = plot_difference(paired)
    bars = [each for each in ax.containers if isinstance(each, ErrorbarContainer)]
    assert [list(each.lines[0].get_xdata()) for each in bars] == [[1], [0, 2]]
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["F444W", "F560W", "F770W"]


def test_losses_are_drawn_up_to_the_outer_fence():
    loss = GENERATOR.normal(size=1_000)
    loss[:30] = 1e4
    losses = describe_losses(loss)
    ax = plot_losses(losses)
    assert ax.patches[0].get_data().values.sum() == 970
    assert "3.00% not shown" in ax.get_title()
    assert ax.get_xlim()[1] == pytest.approx(losses.fence[1])


def test_equal_losses_can_be_drawn():
    assert plot_losses(describe_losses(np.ones(5))).patches


def test_a_map_holds_what_was_predicted_and_found(correlation):
    ax = plot_correlation(correlation)
    shown = ax.collections[0].get_array().reshape(3, 3)
    assert shown[0, 2] == pytest.approx(correlation.predicted[0, 2])
    assert shown[2, 0] == pytest.approx(correlation.found[2, 0])


def test_a_training_is_drawn_with_its_errors():
    record = TrainingRecord(
        [3.0, 2.0, 1.0], [3.2, 1.9, 2.1], best_epoch=1, num_annealing=1
    )
    ax = plot_training(record, errors={"MAE": [0.3, 0.2, 0.1]})
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["training", "validation", "MAE"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), record.validation_loss)
    assert ax.lines[2].get_xdata()[0] == 2  # the epoch that was kept


def test_figures_draw_on_the_axes_that_are_given(correlation):
    _, given = plt.subplots()
    assert plot_correlation(correlation, ax=given) is given
    assert plot_losses(describe_losses(np.arange(9.0)), ax=given) is given
    assert len(plt.get_fignums()) == 1
