"""Figures of a data set card: filters, parameters, what is undetected, variants."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from grainlight.core import Parameter
from grainlight.datasets import THESIS_LIMIT, DatasetCard, Histogram
from grainlight.photometry import band_limits, jwst_filters
from grainlight.photometry.units import AB_ZERO_POINT_NJY

_COLORS = {"wide": "C0", "medium": "C1", "narrow": "C2"}
_NAMES = {"broad": "wide"}  # MIRI's word for it
_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95)
_GAP = 0.8  # between instruments, in filters


def plot_magnitudes(
    card: DatasetCard, *, observed: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw magnitudes as a box a filter: quartiles, and whiskers at 5 and 95 %.

    Dots are the brightest rows; the axis ends below the whiskers, since what is dark
    there goes on to 90 mag. Colors tell how wide a filter is.

    Args:
        card: What to draw.
        observed: At the distances of the redshifts, with the limits; else at 10 Mpc.
        ax: Where to draw.
    """
    ax = _wide_axes() if ax is None else ax
    rows = (card.observed if observed else card.at_10_mpc).quantiles(_LEVELS)
    place = _places(card.bands)
    kinds = _kinds(card.bands)
    _draw_boxes(ax, rows, place, [_COLORS[kind] for kind in kinds])
    handles: list[Artist] = [
        Patch(facecolor=_COLORS[kind], label=kind) for kind in dict.fromkeys(kinds)
    ]
    if observed:
        handles += _draw_limits(ax, card.bands, place)
    _name_bands(ax, card.bands, place)
    where = "at their distance" if observed else "at 10 Mpc"
    faintest = max(THESIS_LIMIT if observed else 0.0, np.nanmax(rows[:, 5]))
    ax.set(
        ylabel=f"AB magnitude {where}", ylim=(faintest + 3, np.nanmin(rows[:, 0]) - 2)
    )
    ax.legend(handles=handles, **_ABOVE, ncols=len(handles))
    return ax


def plot_undetected(card: DatasetCard, *, ax: Axes | None = None) -> Axes:
    """Draw the share of rows that each filter does not see, by two limits."""
    ax = _wide_axes() if ax is None else ax
    place = _places(card.bands)
    shares = {
        f"{THESIS_LIMIT:g} mag and fainter": card.share(card.beyond_thesis),
        r"below 10 $\sigma$ in 10 ks": card.share_below_limit(),
        "saturated": card.share_saturated(),
    }
    for number, (label, share) in enumerate(shares.items()):
        shifted = place + 0.28 * (number - 1)
        ax.bar(shifted, 100 * share, 0.28, label=label, color=f"C{number}")
    _name_bands(ax, card.bands, place)
    ax.set(ylabel="share of rows [%]")
    ax.grid(axis="y", color="0.9", lw=0.6)
    ax.set_axisbelow(True)
    ax.legend(**_ABOVE, ncols=3)
    return ax


def plot_parameters(card: DatasetCard, *, figure: Figure | None = None) -> Figure:
    """Draw the parents' parameters and outcomes, the priors on top of one another."""
    num = len(card.parameters)
    columns = 4 if num > 6 else 3
    rows = -(-num // columns)
    if figure is None:
        figure = plt.figure(figsize=(3.0 * columns, 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, member, histogram in zip(
        panels, card.parameters.members, card.histograms, strict=False
    ):
        _draw_histogram(panel, member, histogram)
    for panel in panels[num:]:
        panel.remove()
    for panel in panels[::columns]:
        panel.set_ylabel("parents")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False
    )
    return figure


def plot_variants(card: DatasetCard, *, ax: Axes | None = None) -> Axes:
    """Draw how many parents have how many redshift variants."""
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    names = [str(each) for each in sorted(card.variants)]
    counts = [card.variants[each] for each in sorted(card.variants)]
    bars = ax.bar(names, counts, 0.5, color="C0")
    ax.bar_label(bars, [f"{k:,} ({k / card.num_parents:.0%})" for k in counts])
    ax.set(xlabel="redshift variants of a parent", ylabel="parents")
    ax.margins(x=0.6 / len(names), y=0.12)
    return ax


def plot_evenness(
    histogram: Histogram, *, ax: Axes | None = None, xlabel: str = "", ylabel: str = ""
) -> Axes:
    """Draw counts that should be even, over the 2-sigma band of chance."""
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    count, edges, even = histogram.count[0], histogram.edges, histogram.evenness()
    mean = count.mean()
    ax.axhspan(mean - 2 * mean**0.5, mean + 2 * mean**0.5, color="0.85", lw=0)
    ax.stairs(count, edges, baseline=None, color="C0", lw=1.5)
    ax.set(
        xlabel=xlabel,
        ylabel=ylabel,
        xlim=(edges[0], edges[-1]),
        ylim=(0, 1.15 * max(1, count.max())),
        title=f"even with p = {even.pvalue:.2g}",
    )
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    return ax


_ABOVE = {
    "loc": "lower left",
    "bbox_to_anchor": (0.0, 1.0),
    "frameon": False,
    "fontsize": "small",
}


def _wide_axes() -> Axes:
    return plt.subplots(figsize=(11, 4.2), layout="constrained")[1]


def _kinds(bands: tuple[str, ...]) -> list[str]:
    known = {member.name: member.kind for member in jwst_filters()}
    kinds = [known.get(band, "wide") for band in bands]
    return [_NAMES.get(kind, kind) for kind in kinds]


def _places(bands: tuple[str, ...]) -> np.ndarray:
    """Where the filters stand on the axis, with a gap between instruments."""
    homes = [band.rpartition(".")[0] for band in bands]
    changed = [a != b for a, b in zip(homes, homes[:1] + homes[:-1], strict=True)]
    return np.arange(len(bands)) + _GAP * np.cumsum(changed)


def _name_bands(ax: Axes, bands: tuple[str, ...], place: np.ndarray) -> None:
    names = [band.rpartition(".")[2] for band in bands]
    ax.set_xticks(place, names, rotation=90, fontsize="small")
    ax.tick_params(axis="x", length=2)
    ax.set_xlim(place[0] - 0.8, place[-1] + 0.8)


def _draw_boxes(
    ax: Axes, rows: np.ndarray, place: np.ndarray, colors: list[str]
) -> None:
    boxes = [
        {"whislo": r[1], "q1": r[2], "med": r[3], "q3": r[4], "whishi": r[5]}
        | {"fliers": r[:1]}
        for r in rows
    ]
    thin = {"color": "0.4", "lw": 0.8}
    drawn = ax.bxp(
        boxes,
        positions=place,
        widths=0.62,
        patch_artist=True,
        medianprops={"color": "black", "lw": 1.2},
        whiskerprops=thin,
        capprops=thin,
        boxprops={"lw": 0.6, "edgecolor": "0.3"},
        flierprops={"marker": ".", "ms": 3, "mfc": "0.5", "mec": "none"},
    )
    for box, color in zip(drawn["boxes"], colors, strict=True):
        box.set_facecolor(color)


def _draw_limits(ax: Axes, bands: tuple[str, ...], place: np.ndarray) -> list[Artist]:
    faintest = AB_ZERO_POINT_NJY - 2.5 * np.log10(band_limits(bands).detection)
    style = {"color": "C3", "lw": 1.6}
    label = r"10 $\sigma$ in 10 ks"
    lines = ax.hlines(faintest, place - 0.42, place + 0.42, label=label, **style)
    label = f"{THESIS_LIMIT:g} mag"
    line = ax.axhline(THESIS_LIMIT, color="0.3", lw=0.9, ls="--", label=label)
    return [lines, line]


def _draw_histogram(ax: Axes, member: Parameter, histogram: Histogram) -> None:
    edges, base = histogram.edges, np.zeros(histogram.count.shape[1])
    for number, (name, count) in enumerate(
        zip(histogram.names, histogram.count, strict=True)
    ):
        ax.stairs(
            base + count,
            edges,
            baseline=base,
            fill=True,
            color=f"C{number}",
            alpha=0.75,
            label=name,
        )
        base = base + count
    ax.set(xlabel=member.title, xlim=(edges[0], edges[-1]), ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
