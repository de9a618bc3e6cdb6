"""The corner plot: labels, ranges, marks."""

import equinox as eqx
import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from grainlight.core import GrainlightError, ParameterError, Status
from grainlight.report import describe_columns, plot_corner
from grainlight.report.corner import interval_text


def test_every_column_has_its_label_on_its_own_scale(samples):
    columns = describe_columns(samples)
    assert list(columns) == [*samples.parameters.names, "dust_temperature"]
    assert columns["dust_mass"].label == r"$\log_{10}$ $M_\mathrm{d}$ [$M_\odot$]"
    assert columns["silicate_fraction"].label == r"$f_\mathrm{sil}$"
    assert columns["dust_temperature"].label == r"$T_\mathrm{d}$ [K]"
    assert not columns["dust_temperature"].is_log


def test_an_outcome_of_many_decades_is_drawn_in_dex(samples):
    wide = jnp.exp(jnp.linspace(0, 10, samples.num_draws))
    signed = jnp.linspace(-1, 1, samples.num_draws)
    more = eqx.tree_at(
        lambda s: s.derived,
        samples,
        {"optical_depth": wide, "cold_mass": wide, "excess": signed},
    )
    columns = describe_columns(more)
    assert columns["optical_depth"].label == r"$\log_{10}$ $\tau_V$"
    assert columns["cold_mass"].label == r"$\log_{10}$ cold mass"
    assert not columns["excess"].is_log


def test_the_corner_holds_all_pairs_and_changes_nothing_else(samples):
    before = dict(mpl.rcParams)
    figure = plot_corner(
        samples,
        truth={"dust_mass": 4e-4, "dust_temperature": 165.0},
        markers={"published": {"dust_mass": 6.3e-4, "silicate_fraction": 1.0}},
    )
    assert dict(mpl.rcParams) == before
    panels = np.array(figure.axes).reshape(7, 7)
    labels = [panel.get_xlabel() for panel in panels[-1]]
    assert labels == [c.label for c in describe_columns(samples).values()]
    assert all(panels[i, i].get_title() for i in range(7))
    median = np.log10(samples.quantile((0.5,))["dust_mass"][0])
    assert panels[0, 0].get_title().startswith(f"${median:.2f}")
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["truth", "published"]
    bounds = [p.scaled_bounds for p in samples.parameters.members]
    for panel, (low, high) in zip(panels[-1], bounds, strict=False):
        left, right = panel.get_xlim()
        assert low - 1e-6 <= left < right <= high + 1e-6
    # both marks stand where mass and silicate fraction are crossed: only one has both
    crossed = [line.get_marker() for line in panels[2, 0].lines]
    assert crossed.count("o") == 1
    assert crossed.count("s") == 0


def test_labels_do_not_overlap(samples):
    figure = plot_corner(samples)
    figure.canvas.draw()
    panels = np.array(figure.axes).reshape(7, 7)
    box = figure.bbox
    for panel in panels[-1]:
        label = panel.xaxis.label.get_window_extent()
        assert label.y0 > box.y0
        for tick in panel.get_xticklabels():
            assert not tick.get_window_extent().overlaps(label)
    for panel in panels[1:, 0]:
        label = panel.yaxis.label.get_window_extent()
        assert label.x0 > box.x0
        for tick in panel.get_yticklabels():
            assert not tick.get_window_extent().overlaps(label)
    # slanted labels do not touch if they stand apart by their height over cos 45 deg
    least = np.sqrt(2) * 7 / 72 * figure.dpi
    left = [
        p.transData.transform([(0, y) for y in p.get_yticks()]) for p in panels[1:, 0]
    ]
    below = [
        p.transData.transform([(x, 0) for x in p.get_xticks()]) for p in panels[-1]
    ]
    assert np.diff(np.sort(np.concatenate(left)[:, 1])).min() > least
    assert np.diff(np.sort(np.concatenate(below)[:, 0])).min() > least


def test_unknown_marks_and_failed_runs_are_refused(samples):
    with pytest.raises(ParameterError, match="dust_mas"):
        plot_corner(samples, truth={"dust_mas": 1.0})
    failed = eqx.tree_at(
        lambda s: (s.theta, s.status),
        samples,
        (samples.theta * jnp.nan, Status.nonfinite),
    )
    with pytest.raises(GrainlightError, match="not finite at the start"):
        plot_corner(failed)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((-3.9, -3.5, -3.12), r"$-3.50^{+0.38}_{-0.40}$"),
        ((5600.0, 8950.0, 12375.0), r"$8950^{+3425}_{-3350}$"),
        ((1.0, 1.0, 1.0), r"$1^{+0}_{-0}$"),
        ((0.9211, 0.9221, 0.9222), r"$0.92210^{+0.00010}_{-0.00100}$"),
    ],
)
def test_intervals_have_two_digits(interval, text):
    assert interval_text(*interval) == text
