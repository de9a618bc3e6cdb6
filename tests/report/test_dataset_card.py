"""Figures of a data set card."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from grainlight.datasets import describe_dataset
from grainlight.photometry import jwst_filters
from grainlight.report import (
    CARD_FILES,
    plot_evenness,
    plot_magnitudes,
    plot_parameters,
    plot_undetected,
    plot_variants,
    write_card,
)


@pytest.fixture(scope="module")
def card(invented):
    return describe_dataset(invented, jwst_filters(), variants=2)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_boxes_are_quartiles_of_every_filter(card):
    ax = plot_magnitudes(card, observed=False)
    assert len(ax.patches) == 38
    quartiles = card.at_10_mpc.quantiles([0.25, 0.75])
    box = ax.patches[7].get_path().vertices[:, 1]
    np.testing.assert_allclose([box.min(), box.max()], quartiles[7], atol=1e-9)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # bright above
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names[0] == "F070W"
    assert names[-1] == "F2550W"


def test_limits_are_drawn_over_observed_magnitudes_only(card):
    labels = [t.get_text() for t in plot_magnitudes(card).get_legend().get_texts()]
    assert labels == ["wide", "medium", "narrow", r"10 $\sigma$ in 10 ks", "42.5 mag"]
    plain = plot_magnitudes(card, observed=False).get_legend().get_texts()
    assert len(plain) == 3


def test_names_of_filters_do_not_overlap(card):
    ax = plot_undetected(card)
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    for left, right in zip(boxes[:-1], boxes[1:], strict=True):
        assert left.x1 <= right.x0


def test_shares_are_drawn_as_they_were_counted(card):
    ax = plot_undetected(card)
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(3, 38)
    np.testing.assert_allclose(heights[0], 100 * card.share(card.beyond_thesis))
    np.testing.assert_allclose(heights[1], 100 * card.share_below_limit())


def test_every_parameter_has_a_panel(card):
    figure = plot_parameters(card)
    assert len(figure.axes) == len(card.parameters) == 8
    top = figure.axes[0].patches[-1].get_data()
    np.testing.assert_array_equal(top.values, card.histograms[0].count.sum(axis=0))


def test_counts_of_variants_and_their_evenness_are_drawn(card):
    assert [bar.get_height() for bar in plot_variants(card).patches] == [330]
    ax = plot_evenness(card.luminosity)
    np.testing.assert_array_equal(
        ax.patches[-1].get_data().values, card.luminosity.count[0]
    )
    assert "even with p" in ax.get_title()


def test_a_folder_holds_numbers_and_figures(card, tmp_path):
    write_card(card, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(CARD_FILES)
    assert plt.get_fignums() == []
    assert all((tmp_path / name).stat().st_size > 5_000 for name in CARD_FILES)
