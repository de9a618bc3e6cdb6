"""Band fluxes: the mean of a spectrum through a filter, as a photon counter sees it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import numba
import numpy as np
from jaxtyping import Array, Float

from grainlight.core import ObservationError, RangeError
from grainlight.photometry.filters import FilterSet

_FLOOR = 1e-300  # stands for zero, so that its logarithm exists
_LN_FLOOR = np.log(_FLOOR)


def band_flux(
    wave: Float[Array, " wave"],
    flux: Float[Array, " wave"],
    transmission: Float[Array, " wave"],
) -> Float[Array, ""]:
    r"""Mean flux of a spectrum through a filter, as a photon counter sees it.

    $$ \bar f = \int f_\nu T \, d\ln\lambda \Big/ \int T \, d\ln\lambda $$

    The spectrum and the curve must be finely sampled on one grid; `band_fluxes` takes
    any grid.

    Args:
        wave: Observed wavelength, increasing [um].
        flux: Spectral flux density $f_\nu$ [nJy].
        transmission: Photons counted per photon received.

    Returns:
        The band flux [nJy].

    References:
        Bessell & Murphy (2012), PASP 124, 140.
    """
    ln_wave = jnp.log(wave)
    counted = jnp.trapezoid(flux * transmission, ln_wave)
    return counted / jnp.trapezoid(transmission, ln_wave)


def band_fluxes(
    filters: FilterSet,
    wave: Float[np.ndarray, " wave"],
    flux: Float[np.ndarray, "object wave"],
    redshift: float | Float[np.ndarray, " object"] = 0.0,
    *,
    num_threads: int = 1,
) -> Float[np.ndarray, "object band"]:
    r"""Photon-counting means of many spectra through many filters.

    The spectrum of rest wavelength $\lambda/(1+z)$ is seen at $\lambda$:

    $$ \bar f = \int f_\nu\big(\lambda/(1+z)\big)\,T(\lambda)\,d\ln\lambda
       \Big/ \int T \, d\ln\lambda $$

    The result is of the same kind and unit as the spectra, a luminosity or a flux
    density; neither the distance nor the factor $1+z$ of a flux density enters
    (`flux_density_from_luminosity` applies both). Between grid points the logarithm of
    a spectrum is a monotone cubic of the logarithm of wavelength, which follows Wien
    tails that a straight line misses; zero, or less, counts as 1e-300.

    Args:
        filters: The filters, in the order of the band axis.
        wave: Rest wavelength of the spectra, increasing [um].
        flux: $f_\nu$ or $L_\nu$, one row an object.
        redshift: One for all, or one an object.
        num_threads: Threads that share the objects.
    """
    wave, flux, redshift = _checked_spectra(filters, wave, flux, redshift)
    nodes, weights, starts = _flat_quadrature(filters)
    out = np.empty((flux.shape[0], len(filters)))
    ln_wave, ln_shift = np.log(wave), np.log1p(redshift)

    def fill(rows: slice) -> None:
        _integrate(
            ln_wave, flux[rows], ln_shift[rows], nodes, weights, starts, out[rows]
        )

    edges = np.linspace(0, flux.shape[0], max(1, num_threads) + 1).astype(int)
    shares = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a]
    if len(shares) < 2:
        fill(slice(None))
    else:
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(fill, shares))
    return out


def model_fluxes(
    filters: FilterSet,
    spectrum: Callable[[Float[Array, " wave"]], Float[Array, " wave"]],
) -> Float[Array, " band"]:
    """Photon-counting means of a spectrum that is a function of wavelength.

    JAX can trace and differentiate it, which it cannot `band_fluxes`. The function is
    called once, at some twenty wavelengths a filter.

    Args:
        filters: The filters, in the order of the band axis.
        spectrum: Flux or luminosity density per frequency at observed wavelengths [um];
            the result is in its unit.
    """
    nodes, weights, starts = _flat_quadrature(filters)
    mean = np.zeros((len(filters), nodes.size))
    for band in range(len(filters)):
        inside = slice(starts[band], starts[band + 1])
        mean[band, inside] = weights[inside]
    values = spectrum(jnp.asarray(np.exp(nodes), float))
    return jnp.matmul(jnp.asarray(mean, values.dtype), values, precision="highest")


def _checked_spectra(filters, wave, flux, redshift) -> tuple:
    wave = np.asarray(wave, dtype=float)
    flux = np.asarray(flux)
    if flux.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        flux = flux.astype(float)
    flux = np.ascontiguousarray(flux)
    if flux.ndim != 2 or flux.shape[1:] != wave.shape or wave.size < 2:
        raise ObservationError(
            f"Expected spectra (object, wave) on the {wave.size} wavelengths; got "
            f"shape {flux.shape}. Give one row an object."
        )
    if wave[0] <= 0 or (np.diff(wave) <= 0).any():
        raise ObservationError(
            "Expected positive, increasing wavelengths [um]; got some out of order. "
            "Sort the grid and the spectra."
        )
    shift = np.ascontiguousarray(
        np.broadcast_to(np.asarray(redshift, dtype=float), flux.shape[:1])
    )
    if not (shift > -1).all():
        raise RangeError(
            "Expected redshifts above -1; got "
            f"{shift[~(shift > -1)][0]:g}. Check the redshift column."
        )
    if shift.size:
        _check_coverage(filters, wave, shift)
    return wave, flux, shift


def _check_coverage(filters, wave, redshift) -> None:
    for member in filters:
        ends = np.exp(member.quadrature.ln_wave[[0, -1]])
        needed = ends[0] / (1 + redshift.max()), ends[1] / (1 + redshift.min())
        if needed[0] < wave[0] or needed[1] > wave[-1]:
            raise RangeError(
                f"Expected spectra over {needed[0]:.4g} to {needed[1]:.4g} um for "
                f"{member.name}; got {wave[0]:.4g} to {wave[-1]:.4g} um. Extend the "
                "spectra, or leave this filter out."
            )


def _flat_quadrature(filters: FilterSet) -> tuple:
    """Nodes and weights of all filters end to end, and where each begins."""
    parts = [member.quadrature for member in filters]
    starts = np.cumsum([0, *(part.weight.size for part in parts)])
    if not parts:
        return np.empty(0), np.empty(0), starts
    nodes = np.concatenate([part.ln_wave for part in parts])
    return nodes, np.concatenate([part.weight for part in parts]), starts


@numba.njit(cache=True, nogil=True)
def _integrate(ln_wave, flux, ln_shift, nodes, weights, starts, out):
    num_waves = ln_wave.size
    y, slope = np.empty(num_waves), np.empty(num_waves)
    for row in range(flux.shape[0]):
        for i in range(num_waves):
            value = np.float64(flux[row, i])
            y[i] = _LN_FLOOR if value <= _FLOOR else np.log(value)
        _monotone_slopes(ln_wave, y, slope)
        for band in range(starts.size - 1):
            first = nodes[starts[band]] - ln_shift[row]
            left = np.searchsorted(ln_wave, first) - 1
            left = min(max(left, 0), num_waves - 2)
            total = 0.0
            for node in range(starts[band], starts[band + 1]):
                x = nodes[node] - ln_shift[row]
                while left < num_waves - 2 and ln_wave[left + 1] < x:
                    left += 1
                total += weights[node] * np.exp(_cubic(x, left, ln_wave, y, slope))
            out[row, band] = total


@numba.njit(cache=True, nogil=True)
def _monotone_slopes(x, y, slope):
    """Slopes that keep a cubic monotone: Fritsch & Butland (1984), SIAM JSSC 5, 300."""
    last = x.size - 1
    slope[0] = (y[1] - y[0]) / (x[1] - x[0])
    slope[last] = (y[last] - y[last - 1]) / (x[last] - x[last - 1])
    for i in range(1, last):
        before, after = x[i] - x[i - 1], x[i + 1] - x[i]
        rise, next_rise = (y[i] - y[i - 1]) / before, (y[i + 1] - y[i]) / after
        if rise * next_rise <= 0:
            slope[i] = 0.0
        else:
            a, b = 2 * after + before, after + 2 * before
            slope[i] = (a + b) / (a / rise + b / next_rise)


@numba.njit(cache=True, nogil=True)
def _cubic(at, left, x, y, slope):
    """Cubic Hermite value at a point of the interval that begins at `left`."""
    width = x[left + 1] - x[left]
    t = (at - x[left]) / width
    u = 1 - t
    ends = u * u * (1 + 2 * t) * y[left] + t * t * (1 + 2 * u) * y[left + 1]
    return ends + width * t * u * (u * slope[left] - t * slope[left + 1])
