"""The spectral energy distribution: what was observed over what the fit expects."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from grainlight.evaluation import Residuals, SedPrediction
from grainlight.photometry import Filter, FilterSet, Observation

_UNITS = ((1e9, "Jy"), (1e6, "mJy"), (1e3, r"$\mu$Jy"), (1.0, "nJy"))
_TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1000)
_ARROW = 2.2  # length of the arrow of a limit, a factor in flux
_WIDE = 0.35  # effective width over wavelength of a band that is no point of a curve
_ROOM = (8.0, 2.5)  # shown below the faintest and above the brightest, factors


def plot_sed(
    observation: Observation,
    prediction: SedPrediction,
    residuals: Residuals,
    filters: FilterSet,
    *,
    figure: Figure | None = None,
) -> Figure:
    """Draw fluxes and limits over the posterior predictive, residuals below.

    Args:
        observation: The object, corrected for Galactic extinction.
        prediction: What the posterior expects of it.
        residuals: The comparison of the two.
        filters: Where the widths of the observed bands are found.
        figure: An empty figure to draw on.
    """
    if figure is None:
        figure = plt.figure(figsize=(6.4, 5.2), layout="constrained")
    top, bottom = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)}
    )
    limits = _flux_limits(observation, prediction)
    divisor, unit = _flux_unit(observation)
    _draw_prediction(top, prediction, divisor, filters)
    _draw_observation(top, observation, filters, divisor)
    top.set(
        xscale="log",
        yscale="log",
        ylim=(limits[0] / divisor, limits[1] / divisor),
        ylabel=rf"$f_\nu$ [{unit}]",
        title=observation.name.replace("$", r"\$"),
    )
    top.legend(frameon=False, fontsize="small")
    _draw_residuals(bottom, residuals)
    shown = prediction.wave_um[prediction.quantiles[-1] > limits[0]]
    _set_wavelengths(bottom, observation, shown, filters)
    return figure


def _used(observation: Observation) -> np.ndarray:
    return np.flatnonzero(observation.usable)


def _flux_unit(observation: Observation) -> tuple[float, str]:
    """The largest unit in which the median flux is one or more."""
    flux = np.abs(observation.flux[_used(observation)])
    typical = float(np.median(flux))
    for divisor, unit in _UNITS:
        if typical >= divisor:
            return divisor, unit
    return _UNITS[-1]


def _flux_limits(
    observation: Observation, prediction: SedPrediction
) -> tuple[float, float]:
    used = _used(observation)
    flux = observation.flux[used]
    shown = np.concatenate([flux, flux + 2 * observation.error[used]])
    at_bands = [
        prediction.median[prediction.bands.index(observation.bands[i])]
        for i in used
        if observation.bands[i] in prediction.bands
    ]
    values = np.concatenate([shown[shown > 0], np.array(at_bands, dtype=float)])
    return float(values.min() / _ROOM[0]), float(values.max() * _ROOM[1])


def _draw_prediction(
    ax: Axes, prediction: SedPrediction, divisor: float, filters: FilterSet
) -> None:
    """Draw a curve through the bands, leaving out those that overlap many others."""
    narrow = [
        band not in filters.names or _relative_width(filters[band]) < _WIDE
        for band in prediction.bands
    ]
    wave = prediction.wave_um[narrow]
    low95, low68, median, high68, high95 = prediction.quantiles[:, narrow] / divisor
    look: dict[str, Any] = {"color": "C0", "lw": 0}
    ax.fill_between(wave, low95, high95, alpha=0.2, label="95 % predictive", **look)
    ax.fill_between(wave, low68, high68, alpha=0.35, label="68 % predictive", **look)
    ax.plot(wave, median, color="C0", lw=1.2, label="median")


def _relative_width(member: Filter) -> float:
    return float(member.effective_width / member.pivot)


def _half_widths(member: Filter) -> tuple[float, float]:
    """How far the box of the filter's effective width reaches from its pivot."""
    half = member.effective_width / 2
    center = member.mean_wavelength
    low, high = member.pivot - (center - half), center + half - member.pivot
    return max(low, 0.0), max(high, 0.0)


def _draw_observation(
    ax: Axes, observation: Observation, filters: FilterSet, divisor: float
) -> None:
    look: dict[str, Any] = {"color": "black", "ls": "none", "lw": 1.0, "zorder": 3}
    for is_limit in (False, True):
        rows = np.flatnonzero(observation.usable & (observation.is_limit == is_limit))
        if rows.size == 0:
            continue
        members = [filters[observation.bands[i]] for i in rows]
        wave = np.array([member.pivot for member in members])
        width = np.array([_half_widths(member) for member in members]).T
        flux = observation.flux[rows] / divisor
        if is_limit:
            low = flux * (1 - 1 / _ARROW)
            ax.errorbar(wave, flux, low, width, uplims=True, capsize=0, **look)
            ax.plot([], [], "v", color="black", ms=4, label="upper limit")
        else:
            error = observation.error[rows] / divisor
            shown = np.where(flux > 0, flux, np.nan)
            ax.errorbar(
                wave, shown, error, width, marker="o", ms=4, label="observed", **look
            )
            _draw_negative(ax, wave, flux, error)


def _draw_negative(
    ax: Axes, wave: np.ndarray, flux: np.ndarray, error: np.ndarray
) -> None:
    """Mark 2 sigma above zero for measured fluxes that a log axis cannot hold."""
    rows = flux <= 0
    if rows.any():
        look: dict[str, Any] = {"color": "black", "mfc": "white", "ms": 6, "zorder": 3}
        label = r"not positive: 2 $\sigma$"
        ax.plot(wave[rows], 2 * error[rows], "v", label=label, **look)


def _draw_residuals(ax: Axes, residuals: Residuals) -> None:
    ax.axhspan(-2, 2, color="0.92", lw=0)
    ax.axhspan(-1, 1, color="0.84", lw=0)
    ax.axhline(0, color="C0", lw=1.2)
    seen = ~residuals.is_limit
    wave, sigma = residuals.wave_um, residuals.sigma
    ax.plot(wave[seen], sigma[seen], "o", color="black", ms=4)
    ax.plot(wave[~seen], sigma[~seen], "v", color="black", mfc="white", ms=5)
    reach = 1.15 * max(3.0, float(np.max(np.abs(sigma), initial=0.0)) + 1)
    ax.set(ylabel=r"residual [$\sigma$]", ylim=(-reach, reach))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True, symmetric=True))


def _set_wavelengths(
    ax: Axes, observation: Observation, shown: np.ndarray, filters: FilterSet
) -> None:
    members = [filters[observation.bands[i]] for i in _used(observation)]
    low = min([*shown, *(member.lower for member in members)]) / 1.08
    high = max([*shown, *(member.upper for member in members)]) * 1.08
    ax.set(xlim=(low, high), xlabel=r"observed wavelength [$\mu$m]")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    ax.set_xticks(ticks)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
