"""Figures of how well an estimator does: reliability, ranks, coverage, errors."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from grainlight.evaluation import Coverage, Errors, RankHistogram, Reliability

_CHANCE = "0.85"


def _axes(ax: Axes | None, width: float = 4.4, height: float = 4.2) -> Axes:
    if ax is not None:
        return ax
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def plot_reliability(
    reliability: Reliability, *, ax: Axes | None = None, **line_kwargs
) -> Axes:
    """Draw the reliability curve over the 2-sigma band of chance.

    Above the diagonal the predicted errors are too large, below it too small.
    """
    ax = _axes(ax)
    level, chance = reliability.level, reliability.chance
    ax.fill_between(level, level - chance, level + chance, color=_CHANCE, lw=0)
    ax.plot([0, 1], [0, 1], color="0.5", lw=0.8, ls="--")
    ax.plot(level, reliability.fraction, **line_kwargs)
    ax.set(
        xlabel=r"probability $P$ of the $\chi^2$ distribution",
        ylabel=r"fraction of objects below its quantile",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        title=f"{reliability.num_objects} objects, p = {reliability.pvalue:.2g}",
    )
    return ax


def plot_ranks(
    histogram: RankHistogram, *, ax: Axes | None = None, **line_kwargs
) -> Axes:
    """Draw the ranks of the truth over the 2-sigma band of chance.

    A hump tells of a posterior that is too wide, a bowl of one too narrow, a slope of
    one that is shifted.
    """
    ax = _axes(ax, 4.4, 3.2)
    edges, expected = histogram.edges, histogram.expected
    low, high = expected - histogram.chance, expected + histogram.chance
    ax.stairs(high, edges, baseline=np.maximum(low, 0), fill=True, color=_CHANCE, lw=0)
    ax.stairs(expected, edges, baseline=None, color="0.5", lw=0.8, ls="--")
    ax.stairs(histogram.count, edges, **{"color": "C0", "lw": 1.5, **line_kwargs})
    ax.set(
        xlabel="fraction of draws below the truth",
        ylabel="objects",
        xlim=(0, 1),
        ylim=(0, 1.1 * max(high.max(), histogram.count.max())),
        title=f"{histogram.name.replace('_', ' ')}, p = {histogram.pvalue:.2g}",
    )
    return ax


def plot_coverage(coverage: Coverage, *, ax: Axes | None = None, **line_kwargs) -> Axes:
    """Draw the coverage of central intervals over the 2-sigma band of chance."""
    ax = _axes(ax)
    level, chance = coverage.level, coverage.chance
    order = np.argsort(level)
    level, chance = level[order], chance[order]
    ax.fill_between(level, level - chance, level + chance, color=_CHANCE, lw=0)
    ax.plot([0, 1], [0, 1], color="0.5", lw=0.8, ls="--")
    style: dict[str, Any] = {"marker": "o", "ms": 3, "lw": 1.0, **line_kwargs}
    for name, fraction in zip(coverage.names, coverage.fraction.T, strict=True):
        ax.plot(level, fraction[order], label=name.replace("_", " "), **style)
    ax.set(
        xlabel="nominal coverage",
        ylabel="fraction of truths inside",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        title=f"{coverage.num_objects} objects",
    )
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_errors(
    errors: Errors, *, unit: str = "mag", ax: Axes | None = None, **bar_kwargs
) -> Axes:
    """Draw the RMSE of every band as bars, its mean absolute error as marks.

    Args:
        errors: Errors over many objects.
        unit: Their unit.
        ax: Where to draw.
        bar_kwargs: Looks of the bars.
    """
    ax = _axes(ax, max(4.0, 0.27 * len(errors.names) + 1.2), 3.2)
    place = np.arange(len(errors.names))
    handles = [
        ax.bar(place, errors.rmse, **{"color": "C0", "label": "RMSE", **bar_kwargs}),
        *ax.plot(place, errors.mae, "_", color="black", ms=7, mew=1.5, label="MAE"),
        *ax.plot(place, errors.scatter, ".", color="C1", ms=6, label="robust scatter"),
    ]
    short = [name.rpartition(".")[2].replace("_", " ") for name in errors.names]
    ax.set_xticks(place, short, rotation=90, fontsize="small")
    ax.set(ylabel=f"error [{unit}]", xlim=(-0.7, len(place) - 0.3))
    ax.legend(
        handles=handles,
        frameon=False,
        fontsize="small",
        ncols=3,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )
    return ax
