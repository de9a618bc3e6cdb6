r"""Measured fluxes against Gaussian magnitudes: a tangent at the most probable ones.

A band with the model magnitude $m \sim N(\bar m, M)$ has the flux $F(m) = 10^{0.4 (31.4
- m)}$ nJy, and was measured as $F_{\rm obs} \sim N(F(m), \sigma^2)$, which may be
negative. The flux is replaced by its tangent at the most probable magnitudes $m_\star$,

$$ F(m) \approx F_\star \, [1 - (m - m_\star) / a] , \qquad a = 2.5 / \ln 10 , $$

so that with $J = F_\star / a \sigma$

$$ r = (F_\star - F_{\rm obs}) / \sigma - J (\bar m - m_\star)
   \sim N(0,\, J M J + I) . $$

It is the approximation of Laplace, with the curvature of Gauss and Newton. Without
scatter it is exact, $F_\star$ being the model flux, and without noise as well, where
$m_\star$ is the measured magnitude; between, log-probabilities of the same observation
at different parameters are right within some hundredths.

The most probable magnitudes are found as if no scatter were correlated but that of the
distance: $m_\star = \bar m + \delta_\star + e_\star$. The way there begins with asinh
magnitudes of softening $b = 3 \sigma$,

$$ x = 31.4 - a \, [ \mathrm{asinh}(F / 2 b) + \ln b ], \qquad
   \frac{dx}{dm} = \frac{F}{\sqrt{F^2 + 4 b^2}} , $$

which are finite for every flux and nearly straight: the weighted mean of differences
of magnitudes, where a flux is positive, is the offset $\delta$ of what is bright,
however far the model is off; steps of Gauss and Newton take it from there, the last
ones in fluxes, together with the deviations $e$ of the bands; there limits pull at the
offset as well (`flux_limits`).

References:
    Lupton, Gunn & Szalay (1999), AJ 118, 1406 (asinh magnitudes).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.estimators.flux_limits import Limits, limits_pull
from grainlight.estimators.observed import Kind
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.photometry import AB_ZERO_POINT_NJY, luptitude, luptitude_slope

#: Softening of asinh magnitudes, in standard errors of the flux.
SOFTENING = 3.0
#: Steps in asinh magnitudes, those in fluxes, and the longest of either [mag].
NUM_OFFSETS, NUM_POLISH, LONGEST_STEP = 2, 4, 3.0
#: Logarithms of the least and largest flux that a tangent is laid at, in errors.
_LEAST, _MOST = -40.0, 20.0
_POGSON = 2.5 / float(np.log(10))


class AsinhMagnitude(eqx.Module):
    """Asinh magnitudes of model fluxes, and their slope against magnitudes."""

    value: Float[Array, " band"]
    slope: Float[Array, " band"]


class FluxResidual(eqx.Module):
    """Expected minus observed fluxes, as magnitudes are, in errors of the fluxes.

    It is zero, and without slope, where nothing is detected.

    Attributes:
        residual: The difference, expected for the mean magnitudes by the tangent.
        slope: Of the expected value, against its magnitude [1/mag].
    """

    residual: Float[Array, " band"]
    slope: Float[Array, " band"]


class Deviations(eqx.Module):
    """Most probable deviations of magnitudes from their means [mag].

    Attributes:
        own: Of every band on its own.
        offset: Of all, the error of the distance.
    """

    own: Float[Array, " band"]
    offset: Float[Array, ""]


def model_asinh(
    magnitude: Float[Array, " band"], softening: Float[Array, " band"]
) -> AsinhMagnitude:
    r"""Asinh magnitude of an AB magnitude, without passing through the flux.

    With $t = \ln(F / 2 b)$, asinh is $t + \ln(1 + \sqrt{1 + e^{-2t}})$ where $t > 0$;
    neither branch overflows, for any magnitude.
    """
    t = (AB_ZERO_POINT_NJY - magnitude) / _POGSON - jnp.log(2 * softening)
    bright, faint = jnp.maximum(t, 0.0), jnp.minimum(t, 0.0)
    high = bright + jnp.log1p(jnp.sqrt(1 + jnp.exp(-2 * bright)))
    shrunk = jnp.where(t > 0, high, jnp.arcsinh(jnp.exp(faint)))
    value = AB_ZERO_POINT_NJY - _POGSON * (shrunk + jnp.log(softening))
    return AsinhMagnitude(value, jnp.exp(0.5 * jax.nn.log_sigmoid(2 * t)))


def flux_residual(
    data: PhotometricData,
    mean: Float[Array, " band"],
    variance: Float[Array, " band"],
) -> FluxResidual:
    """Residuals of the tangent at the most probable magnitudes.

    Args:
        data: The observation.
        mean: Expected magnitudes.
        variance: Their variance, floor included, without that of the distance.
    """
    found = _start(data, mean, variance)
    limits = Limits.of(data, mean, variance, jnp.zeros_like(mean))
    for _ in range(NUM_POLISH):
        found = _polish(data, mean, variance, limits, found)
    return _tangent(data, mean, mean + found.offset + found.own)


def log_unit(data: PhotometricData) -> Float[Array, ""]:
    """Log of the errors of all detections in asinh magnitudes.

    Densities per error of the flux are densities per asinh magnitude less this.
    """
    noise = data.error * luptitude_slope(data.flux, SOFTENING * data.error)
    return jnp.sum(jnp.where(data.kind == Kind.detected, jnp.log(jnp.abs(noise)), 0.0))


def _tangent(
    data: PhotometricData,
    mean: Float[Array, " band"],
    nearest: Float[Array, " band"],
) -> FluxResidual:
    """Residuals by the tangent at any magnitudes."""
    detected = data.kind == Kind.detected
    log_flux = (AB_ZERO_POINT_NJY - nearest) / _POGSON - jnp.log(data.error)
    flux = jnp.exp(jnp.clip(log_flux, _LEAST, _MOST))
    slope = flux / _POGSON
    residual = flux - data.flux / data.error - slope * (mean - nearest)
    return FluxResidual(
        jnp.where(detected, residual, 0.0), jnp.where(detected, slope, 0.0)
    )


def _polish(
    data: PhotometricData,
    mean: Float[Array, " band"],
    variance: Float[Array, " band"],
    limits: Limits,
    before: Deviations,
) -> Deviations:
    """A step in fluxes: of every band, then of the distance."""
    center = mean + before.offset
    seen = _tangent(data, center, center + before.own)
    best = variance * seen.slope * seen.residual / (seen.slope**2 * variance + 1)
    own = _nearer(best, before.own)
    seen = _tangent(data, mean, center + own)
    total = seen.slope**2 * variance + 1
    pull, bend = jnp.zeros(()), jnp.zeros(())
    if data.has_limits:
        pull, bend = limits_pull(limits, before.offset)
        pull = pull + bend * before.offset
    best = _best_offset(data, seen, total, pull, bend)
    return Deviations(own, _nearer(best, before.offset))


def _best_offset(
    data: PhotometricData,
    seen: FluxResidual,
    total: Float[Array, " band"],
    pull: Float[Array, ""] | float = 0.0,
    bend: Float[Array, ""] | float = 0.0,
) -> Float[Array, ""]:
    """Most probable error of the distance by residuals of a given variance [mag].

    Args:
        data: The observation.
        seen: Residuals, as if the offset were zero.
        total: Their variance.
        pull: Slope of another log-probability at zero.
        bend: Minus its second derivative.
    """
    shared = data.distance_modulus_error**2
    pull = pull + jnp.sum(seen.slope * seen.residual / total)
    bend = bend + jnp.sum(seen.slope**2 / total)
    return shared * pull / (1 + shared * bend)


def _nearer(
    best: Float[Array, "*band"], before: Float[Array, "*band"]
) -> Float[Array, "*band"]:
    return before + jnp.clip(best - before, -LONGEST_STEP, LONGEST_STEP)


def _start(
    data: PhotometricData,
    mean: Float[Array, " band"],
    variance: Float[Array, " band"],
) -> Deviations:
    """The most probable deviations in asinh magnitudes."""
    softening = SOFTENING * data.error
    observed = luptitude(data.flux, softening)
    noise = data.error * luptitude_slope(data.flux, softening)
    detected = data.kind == Kind.detected

    def at(offset: Float[Array, ""]) -> FluxResidual:
        model = model_asinh(mean + offset, softening)
        residual = observed - model.value + model.slope * offset
        return FluxResidual(
            jnp.where(detected, residual, 0.0), jnp.where(detected, model.slope, 0.0)
        )

    offset = _first_offset(data, mean, variance)
    for _ in range(NUM_OFFSETS):
        seen = at(offset)
        total = jnp.where(detected, seen.slope**2 * variance + noise**2, 1.0)
        offset = _nearer(_best_offset(data, seen, total), offset)
    seen = at(offset)
    total = jnp.where(detected, seen.slope**2 * variance + noise**2, 1.0)
    left = seen.residual - seen.slope * offset
    return Deviations(variance * seen.slope * left / total, offset)


def _first_offset(
    data: PhotometricData,
    mean: Float[Array, " band"],
    variance: Float[Array, " band"],
) -> Float[Array, ""]:
    """Most probable error of the distance, by the magnitudes of positive fluxes [mag].

    A model far below the noise has no slope in asinh magnitudes; it has one in these.
    """
    usable = (data.kind == Kind.detected) & (data.flux > 0)
    flux = jnp.where(usable, data.flux, 1.0)
    residual = AB_ZERO_POINT_NJY - _POGSON * jnp.log(flux) - mean
    noise = _POGSON * data.error / flux
    seen = FluxResidual(jnp.where(usable, residual, 0.0), jnp.where(usable, 1.0, 0.0))
    return _best_offset(data, seen, variance + noise**2)
