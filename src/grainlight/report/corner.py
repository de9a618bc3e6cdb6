"""The corner plot: every pair of parameters of one posterior."""

from collections.abc import Iterable, Mapping
from typing import Any

import corner
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from grainlight.core import Parameter, ParameterError, Samples
from grainlight.report.columns import (
    OUTCOMES,
    Column,
    check_finite,
    describe_columns,
)

_INCHES = 1.45  # of one panel
_QUANTILES = (0.16, 0.5, 0.84)
_REACH = (0.001, 0.999)  # quantiles that a panel holds
_PADDING = 0.08  # of the width between them
_MOST_ROOM = 1.0  # widths by which a panel may grow to hold marked values
_ROUNDING = 0.0022  # of a logarithm: 0.995 and more is written as 1.0
_TICK_MARGIN = 0.1  # part of a panel, at each end, that bears no tick
_COLORS = ("C3", "C1", "C2", "C4", "C5", "C8")

Markers = Mapping[str, Mapping[str, float]]


def plot_corner(
    samples: Samples,
    *,
    truth: Mapping[str, float] | None = None,
    markers: Markers | None = None,
    outcomes: Iterable[Parameter] = OUTCOMES,
    color: str = "C0",
) -> Figure:
    """Draw the joint posterior of every pair of columns, 68 and 95 % of its mass.

    Titles give the median and the 68 % interval on the axis of the panel. Panels are
    trimmed to the posterior, or hold marked values too if these are not far away, but
    never show more than the range of the prior.

    Args:
        samples: The posterior.
        truth: True values where known, in physical units.
        markers: Values to compare with, such as published ones, in physical units:
            label in the legend, then value by column.
        outcomes: Unit and label of derived outcomes.
        color: Color of the posterior.
    """
    check_finite(samples)
    columns = describe_columns(samples, outcomes)
    marks = {**({"truth": truth} if truth else {}), **(markers or {})}
    _check_names(marks, columns)
    figure = _draw_pairs(samples, columns, marks, color)
    panels = np.array(figure.axes).reshape(len(columns), len(columns))
    _set_axes(panels, list(columns.values()))
    _set_titles(panels, samples, columns)
    _mark(figure, panels, columns, marks)
    return figure


def _draw_pairs(
    samples: Samples, columns: Mapping[str, Column], marks: Markers, color: str
) -> Figure:
    size = _INCHES * len(columns) + 1.0
    figure = plt.figure(figsize=(size, size))
    draws = samples.columns()
    corner.corner(
        np.stack([column.to_axis(draws[name]) for name, column in columns.items()], 1),
        weights=np.asarray(samples.weight, dtype=float),
        range=_ranges(samples, columns, marks),
        fig=figure,
        bins=30,
        smooth=1.0,
        levels=(0.68, 0.95),
        plot_datapoints=False,
        plot_density=False,
        fill_contours=True,
        color=color,
        hist_kwargs={"lw": 1.2},
    )
    figure.subplots_adjust(
        left=0.9 / size,
        bottom=0.9 / size,
        right=1 - 0.15 / size,
        top=1 - 0.45 / size,
        wspace=0.06,
        hspace=0.06,
    )
    return figure


def _check_names(marks: Markers, columns: Mapping[str, Column]) -> None:
    for label, values in marks.items():
        unknown = [name for name in values if name not in columns]
        if unknown:
            raise ParameterError(
                f"Expected values of {', '.join(columns)} in {label!r}; got "
                f"{', '.join(unknown)}. Leave these out."
            )


def _ranges(
    samples: Samples, columns: Mapping[str, Column], marks: Markers
) -> list[tuple[float, float]]:
    reach = samples.quantile(_REACH)
    ranges = []
    for name, column in columns.items():
        low, high = column.to_axis(reach[name])
        if not high > low:  # a column of one value
            low, high = low - 0.5, high + 0.5
        pad, room = _PADDING * (high - low), _MOST_ROOM * (high - low)
        for values in marks.values():
            mark = float(column.to_axis(values.get(name, np.nan)))
            if low - room < mark < high + room:
                low, high = min(low, mark), max(high, mark)
        lower, upper = column.bounds
        ranges.append((max(low - pad, lower), min(high + pad, upper)))
    return ranges


def _set_axes(panels: np.ndarray, columns: list[Column]) -> None:
    last = len(columns) - 1
    for (row, col), panel in np.ndenumerate(panels):
        if col > row:
            continue
        panel.tick_params(labelsize=7, direction="in", length=3)
        panel.set_xticks(_ticks(*panel.get_xlim()))
        if row == last:
            panel.set_xlabel(columns[col].label, fontsize=9)
            panel.tick_params(axis="x", labelrotation=45)
            panel.xaxis.set_label_coords(0.5, -0.4)
        if col == row:
            panel.set_yticks([])
            continue
        panel.set_yticks(_ticks(*panel.get_ylim()))
        if col == 0:
            panel.set_ylabel(columns[row].label, fontsize=9)
            panel.tick_params(axis="y", labelrotation=45)
            panel.yaxis.set_label_coords(-0.4, 0.5)


def _ticks(low: float, high: float) -> np.ndarray:
    """Round numbers away from the ends, so that neighbors do not collide."""
    ticks = np.asarray(MaxNLocator(5).tick_values(low, high))
    margin = _TICK_MARGIN * (high - low)
    return ticks[(ticks > low + margin) & (ticks < high - margin)]


def _set_titles(
    panels: np.ndarray, samples: Samples, columns: Mapping[str, Column]
) -> None:
    table = samples.quantile(_QUANTILES)
    for i, (name, column) in enumerate(columns.items()):
        low, median, high = column.to_axis(table[name])
        panel = panels[i, i]
        panel.set_title(interval_text(low, median, high), fontsize=9, pad=4)
        for value, style in ((low, ":"), (median, "-"), (high, ":")):
            panel.axvline(value, color="0.35", lw=0.8, ls=style)


def interval_text(low: float, median: float, high: float) -> str:
    """A median with its distances to the ends of an interval, in TeX."""
    width = min(width for width in (high - median, median - low, np.inf) if width > 0)
    size = np.floor(np.log10(width) + _ROUNDING)
    digits = 0 if np.isinf(width) else max(0, 1 - int(size))
    up, down = (f"{end:.{digits}f}" for end in (high - median, median - low))
    return rf"${median:.{digits}f}^{{+{up}}}_{{-{down}}}$"


def _mark(
    figure: Figure, panels: np.ndarray, columns: Mapping[str, Column], marks: Markers
) -> None:
    handles = []
    for number, (label, values) in enumerate(marks.items()):
        look: dict[str, Any] = {
            "color": "black" if label == "truth" else _COLORS[number % len(_COLORS)],
            "marker": "s" if label == "truth" else "o",
        }
        places = {
            i: float(columns[name].to_axis(values[name]))
            for i, name in enumerate(columns)
            if name in values
        }
        for row, col in np.ndindex(panels.shape):
            if col <= row and col in places:
                _mark_panel(panels[row, col], places[col], places.get(row), look)
        handles.append(Line2D([], [], label=label, lw=1.0, ms=4, **look))
    if handles:
        box = (0.98, 0.98)
        figure.legend(
            handles=handles, loc="upper right", bbox_to_anchor=box, fontsize=10
        )


def _mark_panel(panel: Any, x: float, y: float | None, look: dict[str, Any]) -> None:
    (left, right), (low, high) = limits = panel.get_xlim(), panel.get_ylim()
    if panel.get_title():  # on the diagonal
        panel.axvline(x, color=look["color"], lw=1.0, ls="--")
    elif y is not None and left <= x <= right and low <= y <= high:
        style: dict[str, Any] = {
            "ls": "none",
            "ms": 4.5,
            "mec": "white",
            "mew": 0.5,
            **look,
        }
        panel.plot([x], [y], clip_on=False, zorder=5, **style)
    panel.set(xlim=limits[0], ylim=limits[1])
