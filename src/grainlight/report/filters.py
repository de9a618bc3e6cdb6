"""Transmission curves of filters, one panel an instrument."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, FuncFormatter, NullLocator

from grainlight.core import ObservationError
from grainlight.photometry import Filter, FilterSet

_STEP = 1.7  # between the kinds of an instrument, in peaks
_LABEL = 0.055  # width of a name, of that of the panel
_KINDS = ("wide", "broad", "medium", "narrow", "other")


def plot_filters(filters: FilterSet, *, figure: Figure | None = None) -> Figure:
    """Draw the transmission curves, each over the peak of its instrument.

    Wide, broad, medium and narrow filters of an instrument stand above one another,
    so that every curve can be told from its neighbors.

    Args:
        filters: What to draw.
        figure: An empty figure to draw on.
    """
    if len(filters) == 0:
        raise ObservationError("Expected filters to draw; got none. Name some.")
    instruments: dict[str, list[Filter]] = {}
    for member in sorted(filters, key=lambda member: member.pivot):
        instruments.setdefault(member.name.rpartition(".")[0], []).append(member)
    rows = [len(_kinds(members)) for members in instruments.values()]
    if figure is None:
        height = 1.0 * sum(rows) + 0.9 * len(rows)
        figure = plt.figure(figsize=(9.0, height), layout="constrained")
    panels = figure.subplots(
        len(rows), 1, squeeze=False, gridspec_kw={"height_ratios": rows}
    )
    for panel, (instrument, members) in zip(
        panels[:, 0], instruments.items(), strict=True
    ):
        _draw_instrument(panel, instrument, members)
    panels[-1, 0].set_xlabel(r"wavelength [$\mu$m]")
    return figure


def _kinds(members: list[Filter]) -> list[str]:
    present = {member.kind for member in members}
    return [kind for kind in _KINDS if kind in present]


def _draw_instrument(ax: Axes, instrument: str, members: list[Filter]) -> None:
    peak = max(member.transmission.max() for member in members)
    kinds = _kinds(members)[::-1]
    waves = np.array([member.pivot for member in members])
    colors = plt.get_cmap("turbo")(0.06 + 0.88 * _stretch(waves))
    low = min(member.lower for member in members)
    high = max(member.upper for member in members)
    ax.set(xscale="log", xlim=(low / 1.04, high * 1.04), ylim=(0, _STEP * len(kinds)))
    heights = _label_heights(members, np.log(high / low))
    for member, color, height in zip(members, colors, heights, strict=True):
        base = _STEP * kinds.index(member.kind)
        curve = base + member.transmission / peak
        ax.fill_between(member.wave, base, curve, color=color, alpha=0.3, lw=0)
        ax.plot(member.wave, curve, color=color, lw=0.9)
        top = base + member.transmission.max() / peak
        name = member.name.rpartition(".")[2]
        ax.text(
            member.pivot, top + height, name, ha="center", fontsize=6.5, color="0.2"
        )
    ax.set_yticks([_STEP * i + 0.5 for i in range(len(kinds))], kinds)
    ax.tick_params(axis="y", length=0)
    ax.set_title(instrument.replace("/", " "), loc="left", fontsize=10)
    ax.xaxis.set_major_locator(AutoLocator())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _label_heights(members: list[Filter], log_width: float) -> list[float]:
    """How far above its curve each name stands; close neighbors take turns."""
    heights = []
    last: dict[str, tuple[float, bool]] = {}
    for member in members:
        before, was_high = last.get(member.kind, (0.0, False))
        close = np.log(member.pivot / before) < _LABEL * log_width if before else False
        is_high = bool(close and not was_high)
        last[member.kind] = (member.pivot, is_high)
        heights.append(0.32 if is_high else 0.08)
    return heights


def _stretch(waves: np.ndarray) -> np.ndarray:
    order = np.argsort(np.argsort(waves))
    return order / max(1, order.size - 1)
