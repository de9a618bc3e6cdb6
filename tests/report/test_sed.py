"""The spectral energy distribution and the filter curves."""

from dataclasses import replace

import numpy as np
import pytest

from grainlight.core import ObservationError
from grainlight.evaluation import measure_residuals
from grainlight.photometry import FilterSet, jwst_filters
from grainlight.report import plot_filters, plot_sed


def draw(observation, prediction, floor_mag=0.05):
    residuals = measure_residuals(observation, prediction, floor_mag)
    return plot_sed(observation, prediction, residuals, jwst_filters())


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_sed_shows_data_limits_prediction_and_residuals(observation, prediction):
    figure = draw(observation, prediction)
    top, bottom = figure.axes
    assert set(labels(top)) == {
        "95 % predictive",
        "68 % predictive",
        "median",
        "observed",
        "upper limit",
    }
    assert top.get_ylabel() == r"$f_\nu$ [$\mu$Jy]"
    assert top.get_xscale() == top.get_yscale() == "log"
    median = next(line for line in top.lines if line.get_label() == "median")
    # the extra-wide bands overlap many others and are no points of the curve
    point = [not band.endswith("W2") for band in prediction.bands]
    np.testing.assert_allclose(median.get_ydata(), prediction.median[point] / 1e3)
    detected, limits = top.containers
    assert detected.has_xerr
    assert detected.has_yerr
    assert len(detected.lines[0].get_xdata()) == 6
    assert len(limits.lines[0].get_xdata()) == 2
    shown = [len(line.get_xdata()) for line in bottom.lines]
    assert shown == [2, 6, 2]  # the zero line, detections, limits
    assert "sigma" in bottom.get_ylabel()


def test_all_data_stand_inside_the_frame(observation, prediction):
    figure = draw(observation, prediction)
    figure.canvas.draw()
    top, bottom = figure.axes
    low, high = np.array(top.get_ylim()) * 1e3
    used = observation.usable
    assert np.all((observation.flux[used] > low) & (observation.flux[used] < high))
    left, right = bottom.get_xlim()
    assert left < jwst_filters()["F200W"].lower
    assert right > jwst_filters()["F2100W"].upper
    texts = [t.get_window_extent() for t in bottom.get_xticklabels() if t.get_text()]
    assert not any(a.overlaps(b) for a, b in zip(texts, texts[1:], strict=False))


@pytest.mark.parametrize(
    ("factor", "unit"), [(1e-3, "nJy"), (1.0, r"$\mu$Jy"), (1e3, "mJy"), (1e6, "Jy")]
)
def test_the_unit_follows_the_fluxes(observation, prediction, factor, unit):
    scaled = replace(
        observation, flux=factor * observation.flux, error=factor * observation.error
    )
    assert f"[{unit}]" in draw(scaled, prediction).axes[0].get_ylabel()


def test_negative_fluxes_are_marked_and_missing_limits_are_not(observation, prediction):
    flux = np.array(observation.flux[:6])
    flux[0] = -200.0
    seen = replace(observation.subset(observation.bands[:6]), flux=flux)
    seen = replace(seen, error=np.full(6, 500.0))
    top = draw(seen, prediction).axes[0]
    assert any("not positive" in label for label in labels(top))
    assert "upper limit" not in labels(top)
    marked = next(line for line in top.lines if "not positive" in line.get_label())
    assert marked.get_ydata().tolist() == [1.0]  # 2 sigma in uJy


def test_one_limit_alone_can_be_drawn(observation, prediction):
    alone = observation.subset(["JWST/NIRCam.F444W"])
    top = draw(alone, prediction).axes[0]
    assert "observed" not in labels(top)
    assert len(top.containers) == 1


def test_filters_stand_in_a_panel_an_instrument():
    figure = plot_filters(jwst_filters())
    figure.canvas.draw()
    nircam, miri = figure.axes
    assert nircam.get_title(loc="left") == "JWST NIRCam"
    assert len(nircam.lines) == 29
    assert len(miri.lines) == 9
    kinds = [text.get_text() for text in nircam.get_yticklabels()]
    assert kinds == ["narrow", "medium", "broad", "wide"]
    for panel in figure.axes:
        boxes = [text.get_window_extent() for text in panel.texts]
        overlaps = [a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :]]
        assert not any(overlaps)


def test_no_filters_are_refused():
    with pytest.raises(ObservationError, match="none"):
        plot_filters(FilterSet(()))
