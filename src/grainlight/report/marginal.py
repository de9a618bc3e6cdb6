"""Figures of marginal posteriors, of joint ones, of surveys and of tensions."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Key
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grainlight.marginal import Chains, Marginal, SurveyPower
from grainlight.tension import Tension

_INCHES = 2.1
_BINS = 40
_MOST_POINTS = 2_000
_LEVELS = (0.95, 0.68)
_REACH = (0.0005, 0.9995)


def plot_marginal(
    key: Key[Array, ""], marginal: Marginal, *, num_draws: int = 20_000
) -> Figure:
    """Draw a learned density over the chains that it was learned from.

    Lines and contours (68 and 95 %) are the density's own draws, bars and points the
    chains.
    """
    draws = Chains.from_draws(
        np.asarray(marginal.density.sample(key, num_draws), float),
        marginal.density.support,
        names=marginal.chains.names,
    )
    return plot_chains({"chains": marginal.chains, "density": draws})


def plot_chains(chains: Mapping[str, Chains]) -> Figure:
    """Draw weighted draws of the same parameters, one upon the other.

    The first is drawn as bars and points, the others as lines and contours.
    """
    names = next(iter(chains.values())).names
    num = len(names)
    size = max(_INCHES * num, 3.2)
    figure, panels = plt.subplots(
        num, num, figsize=(size, size), squeeze=False, layout="constrained"
    )
    ranges = _ranges(list(chains.values()))
    for row, col in np.ndindex(num, num):
        ax: Any = panels[row, col]
        if col > row:
            ax.set_axis_off()
            continue
        for number, (label, one) in enumerate(chains.items()):
            if row == col:
                _draw_histogram(ax, one, col, ranges[col], number, label)
            else:
                _draw_pair(ax, one, (col, row), (ranges[col], ranges[row]), number)
        _finish(ax, (row, col), names, ranges)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    place: Any = "upper right" if num > 1 else "outside upper center"
    figure.legend(handles, labels, frameon=False, fontsize="small", loc=place)
    return figure


def _finish(
    ax: Axes, place: tuple[int, int], names: Sequence[str], ranges: list
) -> None:
    row, col = place
    ax.set_xlim(ranges[col])
    ax.tick_params(labelsize=7)
    ax.locator_params(nbins=4)
    if row == len(names) - 1:
        ax.set_xlabel(names[col])
    else:
        ax.set_xticklabels([])
    if row == col:
        ax.set_yticks([])
        return
    ax.set_ylim(ranges[row])
    if col == 0:
        ax.set_ylabel(names[row])
    else:
        ax.set_yticklabels([])


def _ranges(chains: Sequence[Chains]) -> list[tuple[float, float]]:
    ends = []
    for column in range(len(chains[0].names)):
        reach = [_quantiles(one, column, _REACH) for one in chains]
        low, high = min(r[0] for r in reach), max(r[1] for r in reach)
        pad = 0.05 * (high - low) or 0.5
        ends.append((low - pad, high + pad))
    return ends


def _quantiles(one: Chains, column: int, levels: Sequence[float]) -> np.ndarray:
    order = np.argsort(one.theta[:, column])
    cumulative = np.cumsum(one.weight[order])
    return np.interp(levels, cumulative, one.theta[order, column])


def _draw_histogram(
    ax: Axes,
    one: Chains,
    column: int,
    reach: tuple[float, float],
    number: int,
    label: str,
) -> None:
    count, edges = np.histogram(
        one.theta[:, column], _BINS, reach, density=True, weights=one.weight
    )
    first = number == 0
    color = "0.75" if first else f"C{number - 1}"
    ax.stairs(count, edges, fill=first, color=color, lw=1.3, label=label)


def _draw_pair(
    ax: Axes,
    one: Chains,
    columns: tuple[int, int],
    reach: tuple[tuple[float, float], tuple[float, float]],
    number: int,
) -> None:
    x, y = (one.theta[:, column] for column in columns)
    if number == 0:
        cumulative = np.cumsum(one.weight)
        even = (np.arange(_MOST_POINTS) + 0.5) / _MOST_POINTS
        rows = np.minimum(np.searchsorted(cumulative, even), len(x) - 1)
        ax.plot(x[rows], y[rows], ls="none", marker=".", ms=1.5, color="0.65")
        return
    count, *edges = np.histogram2d(x, y, 25, reach, weights=one.weight)
    centers = [0.5 * (edge[1:] + edge[:-1]) for edge in edges]
    heights = np.sort(count.ravel())[::-1]
    inside = np.cumsum(heights) / max(np.sum(heights), 1e-300)
    levels = [
        heights[min(np.searchsorted(inside, p), heights.size - 1)] for p in _LEVELS
    ]
    levels = sorted({level for level in levels if level > 0})
    if levels:
        ax.contour(*centers, count.T, levels, colors=f"C{number - 1}", linewidths=1.1)


def plot_survey_power(
    power: SurveyPower, *, ax: Axes | None = None, **bar_kwargs
) -> Axes:
    """Draw what every data set has told, in nats, with 1-sigma errors."""
    num = len(power.surveys)
    if ax is None:
        size = (5.2, 0.45 * num + 1.3)
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    place = np.arange(num)[::-1]
    value = [found.divergence.value for found in power.statistics]
    error = [found.divergence.error for found in power.statistics]
    style = {"color": "C0", "height": 0.6, **bar_kwargs}
    ax.barh(place, value, xerr=error, error_kw={"lw": 1.2}, **style)
    for at, found in zip(place, power.statistics, strict=True):
        words = f" d = {found.dimensionality.value:.2g}"
        ax.text(found.divergence.value + found.divergence.error, at, words, va="center")
    ax.set_yticks(place, power.surveys)
    ax.set(
        xlabel="information about the shared parameters [nat]",
        xlim=(0, 1.25 * max(v + e for v, e in zip(value, error, strict=True))),
    )
    return ax


def plot_tension(tension: Tension, *, ax: Axes | None = None, **line_kwargs) -> Axes:
    """Draw the log-ratios of data sets that agree, and the observed one."""
    if ax is None:
        ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")[1]
    values, observed = tension.concordance, tension.log_ratio
    low, high = np.quantile(values, [0.002, 1.0])
    low, high = min(low, observed), max(high, observed)
    pad = 0.05 * (high - low)
    edges = np.linspace(low - pad, high + pad, 61)
    count = np.histogram(values, edges, density=True)[0]
    ax.stairs(count, edges, fill=True, color="0.8", label="in concordance")
    style = {"color": "C3", "lw": 1.5, "label": "observed", **line_kwargs}
    ax.axvline(observed, **style)
    ax.axvline(0.0, color="0.4", lw=0.8, ls=":")
    ax.set(
        xlabel=r"$\ln R$",
        ylabel="density",
        xlim=(edges[0], edges[-1]),
        title=f"T = {tension.tension},  C = {tension.agreement}",
    )
    ax.title.set_fontsize("small")
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_sigmas(tensions: Mapping[str, Tension], *, ax: Axes | None = None) -> Axes:
    """Draw T and C of one pair or more, with 68 % bars; limits are arrows."""
    if ax is None:
        size = (5.2, 0.6 * len(tensions) + 1.4)
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    place = np.arange(len(tensions))[::-1]
    for shift, color, label in ((0.12, "C3", "T (tension)"), (-0.12, "C0", "C")):
        for at, tension in zip(place, tensions.values(), strict=True):
            found = tension.tension if color == "C3" else tension.agreement
            sides = [[found.value - found.low], [found.high - found.value]]
            ax.errorbar(
                [found.value],
                [at + shift],
                xerr=[[0.0], [0.3]] if found.is_limit else sides,
                xlolims=found.is_limit,
                fmt="o",
                ms=4,
                color=color,
                label=label if at == place[0] else None,
            )
    ax.set_yticks(place, list(tensions))
    ax.set(xlabel="standard deviations", ylim=(-0.6, len(tensions) - 0.4))
    ax.legend(frameon=False, fontsize="small", ncols=2)
    return ax
