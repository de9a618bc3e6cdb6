"""Figures of a judgement: densities, random points, losses, correlations, training."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from grainlight.estimators import TrainingRecord
from grainlight.evaluation import (
    DensityRanks,
    ExpectedCoverage,
    LossDistribution,
    MeanCorrelation,
    PairedDifference,
)
from grainlight.report.card import plot_coverage, plot_ranks

_CHANCE = "0.85"
_REGIONS = tuple(np.linspace(0.05, 0.95, 19).tolist())


def plot_expected_coverage(
    expected: ExpectedCoverage, *, ax: Axes | None = None, **line_kwargs
) -> Axes:
    """Draw the coverage around random points over the 2-sigma band of chance.

    An S about the diagonal tells of posteriors of the wrong width, a curve on one side
    of it of shifted ones.
    """
    ax = _axes(ax, 4.4, 4.2)
    level, chance = expected.level, expected.chance
    ax.fill_between(level, level - chance, level + chance, color=_CHANCE, lw=0)
    ax.plot([0, 1], [0, 1], color="0.5", lw=0.8, ls="--")
    ax.plot(level, expected.coverage, **line_kwargs)
    ax.set(
        xlabel="fraction of draws closer to a random point",
        ylabel="fraction of objects below",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        title=f"{expected.num_objects} objects, p = {expected.pvalue:.2g}",
    )
    return ax


def plot_density_ranks(
    ranks: DensityRanks, *, num_bins: int = 10, ax: Axes | None = None, **line_kwargs
) -> Axes:
    """Draw density ranks in bins over the 2-sigma band of chance.

    Full bins on the left tell of posteriors that are too narrow, or elsewhere; on the
    right of such that are too wide.
    """
    ax = plot_ranks(ranks.histogram(num_bins), ax=ax, **line_kwargs)
    ax.set_xlabel("fraction of draws of lower density than the truth")
    return ax


def plot_regions(ranks: DensityRanks, *, ax: Axes | None = None, **line_kwargs) -> Axes:
    """Draw the coverage of highest-density regions over the 2-sigma band of chance."""
    ax = plot_coverage(ranks.coverage(_REGIONS), ax=ax, **line_kwargs)
    ax.set_xlabel("level of the highest-density region")
    if (legend := ax.get_legend()) is not None:
        legend.remove()
    return ax


def plot_difference(
    paired: PairedDifference,
    *,
    label: str = "difference [mag]",
    ax: Axes | None = None,
    **bar_kwargs,
) -> Axes:
    """Draw paired differences with 2-sigma bars; what is evidence stands out.

    Evidence is a p-value below 5 % that allows for the number of tests.

    Args:
        paired: Differences on the same objects.
        label: What differs, with unit.
        ax: Where to draw.
        bar_kwargs: Looks of the error bars.
    """
    ax = _axes(ax, max(4.0, 0.27 * len(paired.names) + 1.4), 3.2)
    place = np.arange(len(paired.names))
    evident = paired.adjusted_pvalue < 0.05
    for some, color, name in (
        (evident, "C3", "evident (5 %, of all)"),
        (~evident, "0.45", "within chance"),
    ):
        style = {"fmt": "o", "ms": 3.5, "lw": 1.2, "color": color, **bar_kwargs}
        if some.any():
            ax.errorbar(
                place[some],
                paired.difference[some],
                2 * paired.error[some],
                label=name,
                **style,
            )
    ax.axhline(0, color="0.5", lw=0.8, ls="--")
    _name(ax, "x", place, paired.names)
    ax.set(ylabel=label, xlim=(-0.7, len(place) - 0.3))
    ax.legend(
        frameon=False,
        fontsize="small",
        ncols=2,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )
    return ax


def plot_losses(
    losses: LossDistribution,
    *,
    label: str = "loss [nats]",
    ax: Axes | None = None,
    **line_kwargs,
) -> Axes:
    """Draw a histogram of losses on a logarithmic axis, outliers and fences marked.

    The axis ends at the extreme fence; what lies beyond is counted, not drawn.

    Args:
        losses: Losses of many objects.
        label: What the loss is, with unit.
        ax: Where to draw.
        line_kwargs: Looks of the histogram.
    """
    ax = _axes(ax, 4.8, 3.2)
    low, end = losses.loss.min(), losses.fence[-1]
    edges = np.linspace(low, end if end > low else low + 1, 61)
    count = np.histogram(losses.loss, edges)[0]
    ax.stairs(
        count, edges, **{"color": "C0", "fill": True, "alpha": 0.7, **line_kwargs}
    )
    ax.axvline(losses.quantile[len(losses.quantile) // 2], color="black", lw=1.2)
    ax.axvline(losses.mean, color="black", lw=1.2, ls=":")
    ax.axvline(losses.fence[0], color="C3", lw=1.0, ls="--")
    ax.set(
        xlabel=label,
        ylabel="objects",
        yscale="log",
        ylim=(0.7, 1.5 * max(count.max(), 1)),
        xlim=(edges[0], edges[-1]),
        title=(
            f"mean {losses.mean:.3g} (dotted), {losses.beyond[0]:.2%} above the fence, "
            f"{losses.beyond[1]:.2%} not shown"
        ),
    )
    ax.title.set_fontsize("small")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    return ax


def plot_correlation(
    correlation: MeanCorrelation, *, ax: Axes | None = None, **mesh_kwargs
) -> Axes:
    """Draw a map of correlations: predicted above the diagonal, found below it."""
    num = len(correlation.names)
    size = max(4.4, 0.17 * num + 1.6)
    ax = _axes(ax, size + 0.6, size)
    shown = np.triu(correlation.predicted) + np.tril(correlation.found, -1)
    style = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, **mesh_kwargs}
    mesh = ax.pcolormesh(shown, **style)
    ax.plot([0, num], [0, num], color="black", lw=0.8)
    place = np.arange(num) + 0.5
    _name(ax, "x", place, correlation.names)
    _name(ax, "y", place, correlation.names)
    ax.set(aspect="equal", xlim=(0, num), ylim=(num, 0))
    ax.set_title(
        "upper right: mean prediction; lower left: standardized residuals",
        fontsize="small",
    )
    ax.figure.colorbar(mesh, ax=ax, label="correlation", shrink=0.8)
    return ax


def plot_training(
    record: TrainingRecord,
    *,
    errors: Mapping[str, Sequence[float]] | None = None,
    ax: Axes | None = None,
    **line_kwargs,
) -> Axes:
    """Draw the loss of a training by epoch, and errors if they were kept.

    The dotted line is the epoch whose weights were kept; in the shaded ones the loss
    was still annealed.

    Args:
        record: What happened, epoch by epoch.
        errors: Mean absolute errors of every epoch, by name [mag].
        ax: Where to draw.
        line_kwargs: Looks of the curves of the loss.
    """
    ax = _axes(ax, 5.2, 3.4)
    epoch = np.arange(1, record.num_epochs + 1)
    for name, values in (
        ("training", record.train_loss),
        ("validation", record.validation_loss),
    ):
        ax.plot(
            epoch, values[: epoch.size], **{"label": name, "lw": 1.3, **line_kwargs}
        )
    if record.num_annealing:
        ax.axvspan(0.5, record.num_annealing + 0.5, color="0.92", lw=0)
    if record.best_epoch >= 0:
        ax.axvline(record.best_epoch + 1, color="black", lw=1.0, ls=":")
    ax.set(xlabel="epoch", ylabel="loss [nats]", xlim=(0.5, max(epoch.size, 1) + 0.5))
    handles, labels = ax.get_legend_handles_labels()
    if errors:
        right = ax.twinx()
        for number, (name, values) in enumerate(errors.items()):
            right.plot(epoch, values, color=f"C{2 + number}", lw=1.0, label=name)
        right.set_ylabel("mean absolute error [mag]")
        more = right.get_legend_handles_labels()
        handles, labels = handles + more[0], labels + more[1]
    ax.legend(handles, labels, frameon=False, fontsize="small")
    return ax


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    if ax is not None:
        return ax
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _name(ax: Axes, axis: str, place: np.ndarray, names: Sequence[str]) -> None:
    """Put short names at the ticks: those of filters without their instrument."""
    short = [name.rpartition(".")[2].replace("_", " ") for name in names]
    size = "small" if len(short) < 25 else "x-small"
    if axis == "x":
        ax.set_xticks(place, short, rotation=90, fontsize=size)
    else:
        ax.set_yticks(place, short, fontsize=size)
