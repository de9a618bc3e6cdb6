r"""The likelihood of an observation under a learned Gaussian of magnitudes.

The model gives AB magnitudes at 10 Mpc, Gaussian with mean $m$ and covariance $\Sigma$.
At a distance modulus $\mu \pm \sigma_\mu$ (relative to 10 Mpc) with a floor $f$ for
what the model family leaves out, the apparent magnitudes have mean $m + \mu$ and
covariance

$$ M = \Sigma + f^2 I + \sigma_\mu^2 \, 1 1^T . $$

*Detections*, negative fluxes among them, are compared in asinh magnitudes of softening
$b = 3 \sigma$, which are finite for every flux ($a = 2.5 / \ln 10$, fluxes in nJy):

$$ x = 31.4 - a \, [ \mathrm{asinh}(F / 2 b) + \ln b ], \qquad
   D = \frac{dx}{dm} = \frac{F}{\sqrt{F^2 + 4 b^2}}, \qquad
   s = \frac{a \sigma}{\sqrt{F_{\rm obs}^2 + 4 b^2}} , $$

$x_{\rm obs} \sim N(x(m + \mu),\, D M D + \mathrm{diag}(s^2))$ with $D$ at the model
flux. A distance may be wrong by more than the bend of $x(m)$ allows: model fluxes are
those at the most probable offset $\delta_\star$ of all magnitudes, and the expectation
is that of the tangent there, $x(m + \mu + \delta_\star) - D\, \delta_\star$. The offset
is found without correlations of the model scatter: the weighted mean of differences of
magnitudes, where a flux is positive, is right for what is bright however far the model
is off; a few steps of Gauss and Newton in asinh magnitudes take it from there.

*Limits* contribute the probability that fluxes below them are measured, given the
detections (`flux_limits`). These leave the magnitudes Gaussian; what bands without a
detection still share is taken to be the error of the distance alone, of variance $q$
given the detections: band $b$ has the loading $l_b = \mathrm{cov}(m_b, \mu) / \sqrt q$
and the variance $v_b - l_b^2$ of its own.

References:
    Lupton, Gunn & Szalay (1999), AJ 118, 1406 (asinh magnitudes).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import BandMismatchError
from grainlight.estimators.clumpy import ClumpyLikelihood
from grainlight.estimators.flow_likelihood import FlowLikelihood
from grainlight.estimators.flux_limits import Limits, draft_limits, limits_log_prob
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.moments import LOG_TWO_PI, Moments
from grainlight.estimators.observed import Conditional, Kind, condition_on_detected
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.estimators.variational import VariationalLikelihood
from grainlight.photometry import AB_ZERO_POINT_NJY, luptitude, luptitude_slope

Magnitudes = GaussianLikelihood | ClumpyLikelihood | VariationalLikelihood
#: Softening of asinh magnitudes, in standard errors of the flux.
SOFTENING = 3.0
#: Steps on the way to the most probable error of the distance, and the longest [mag].
NUM_OFFSETS, LONGEST_OFFSET = 4, 1.0
#: Five per cent of flux [mag].
FIVE_PER_CENT = 2.5 / float(np.log(10)) * 0.05
_POGSON = 2.5 / float(np.log(10))


class AsinhMagnitude(eqx.Module):
    """Asinh magnitudes of model fluxes, and their slope against magnitudes."""

    value: Float[Array, " band"]
    slope: Float[Array, " band"]


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


class AsinhResidual(eqx.Module):
    """Observed minus expected asinh magnitudes.

    Attributes:
        residual: The difference [mag].
        noise: Standard error of the observed value [mag].
        slope: Of the expected value, against its magnitude.
    """

    residual: Float[Array, " band"]
    noise: Float[Array, " band"]
    slope: Float[Array, " band"]


def _asinh_residual(
    data: PhotometricData,
    mean: Float[Array, " band"],
    variance: Float[Array, " band"],
) -> AsinhResidual:
    """Residuals of the tangent at the most probable error of the distance.

    Args:
        data: The observation.
        mean: Expected magnitudes.
        variance: Their variance, floor included, without that of the distance.
    """
    softening = SOFTENING * data.error
    observed = luptitude(data.flux, softening)
    noise = data.error * luptitude_slope(data.flux, softening)
    detected = data.kind == Kind.detected

    def tangent(offset: Float[Array, ""]) -> AsinhResidual:
        model = model_asinh(mean + offset, softening)
        residual = observed - model.value + model.slope * offset
        return AsinhResidual(residual, noise, model.slope)

    shared = data.distance_modulus_error**2
    offset = _first_offset(data, mean, variance)
    for _ in range(NUM_OFFSETS):
        seen = tangent(offset)
        total = jnp.where(detected, seen.slope**2 * variance + noise**2, 1.0)
        weight = jnp.where(detected, seen.slope / total, 0.0)
        pull = shared * jnp.sum(weight * jnp.where(detected, seen.residual, 0.0))
        best = pull / (1 + shared * jnp.sum(weight * seen.slope))
        step = jnp.clip(best - offset, -LONGEST_OFFSET, LONGEST_OFFSET)
        offset = offset + step
    return tangent(offset)


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
    weight = jnp.where(usable, 1 / (variance + noise**2), 0.0)
    shared = data.distance_modulus_error**2
    pull = shared * jnp.sum(weight * jnp.where(usable, residual, 0.0))
    return pull / (1 + shared * jnp.sum(weight))


def _limits(
    data: PhotometricData,
    mean: Float[Array, " band"],
    variance: Float[Array, " band"],
    loading: Float[Array, " band"],
) -> Limits:
    """All limits, for Gaussian magnitudes.

    Args:
        data: The observation.
        mean: Expected magnitudes.
        variance: Their variance.
        loading: What a variable of unit variance that they share adds to them.
    """
    limited = data.kind == Kind.limit
    flux = jnp.where(limited, data.flux, 1.0)
    distance = mean - AB_ZERO_POINT_NJY + _POGSON * jnp.log(flux)
    own = jnp.maximum(variance - loading**2, 1e-6 * variance)
    return Limits.where(limited, distance, own, loading, data.error / flux)


class PhotometricLikelihood(eqx.Module):
    """How probable an observation is, for scaled parameters.

    Attributes:
        model: Likelihood of AB magnitudes at 10 Mpc, by its moments: exact for a
            Gaussian one, and the Gaussian of the same moments for one with latent
            variables. Its conditions are the redshift, or nothing.
        bands: Names of its bands.
        floor_mag: Model error that is left in every band on its own [mag].
    """

    model: Magnitudes
    bands: tuple[str, ...] = eqx.field(static=True)
    floor_mag: Float[Array, ""]

    def __init__(
        self,
        model: Magnitudes | FlowLikelihood,
        bands: tuple[str, ...],
        floor_mag: float = FIVE_PER_CENT,
    ) -> None:
        if isinstance(model, FlowLikelihood):
            raise BandMismatchError(
                "Expected a likelihood with the moments of some bands; got a "
                "FlowLikelihood, which has none in closed form. Use a Gaussian or "
                "variational one, or `ChosenBands` of all bands."
            )
        if len(bands) != model.dim:
            raise BandMismatchError(
                f"Expected the {model.dim} bands of the model; got {len(bands)}. Name "
                "each of its outputs."
            )
        self.model, self.bands = model, tuple(bands)
        self.floor_mag = jnp.asarray(floor_mag, float)

    def _moments(
        self, data: PhotometricData, scaled: Float[Array, " param"]
    ) -> Moments:
        condition = data.redshift[None][: self.model.num_cond]
        moments = self.model.moments(scaled, condition)
        return Moments(moments.mean + data.distance_modulus, moments.factor)

    def _compare(
        self, data: PhotometricData, scaled: Float[Array, " param"]
    ) -> tuple[Float[Array, " band"], Conditional]:
        """Expected magnitudes, and what the detections say of them and the distance."""
        condition = data.redshift[None][: self.model.num_cond]
        mean, covariance = self.model.moments_at(scaled, condition, data.index)
        mean = mean + data.distance_modulus
        own = covariance + self.floor_mag**2 * jnp.eye(mean.size)
        seen = _asinh_residual(data, mean, jnp.diagonal(own))
        shared = data.distance_modulus_error**2
        # the error of the distance is the last of the latent values
        latent = jnp.pad(own, (0, 1)) + shared
        slope = jnp.append(seen.slope, 0.0)
        cross = slope[:, None] * latent
        known = condition_on_detected(
            jnp.append(seen.residual, 0.0),
            cross * slope + jnp.diag(jnp.append(seen.noise, 0.0) ** 2),
            cross,
            jnp.diagonal(latent),
            jnp.append(data.kind == Kind.detected, False),
        )
        return mean, known

    def log_prob(
        self, data: PhotometricData, scaled: Float[Array, " param"]
    ) -> Float[Array, ""]:
        """Log-probability of the observation, per asinh magnitude of its detections."""
        mean, known = self._compare(data, scaled)
        if not data.has_limits:
            return known.log_prob
        left = known.variance[-1]
        covariance = data.distance_modulus_error**2 - known.rows[:-1] @ known.rows[-1]
        loading = covariance / jnp.sqrt(jnp.maximum(left, 1e-12))
        shift, variance = known.shift[:-1], known.variance[:-1]
        limits = _limits(data, mean + shift, variance, loading)
        return known.log_prob + limits_log_prob(limits)

    def log_draft(
        self, data: PhotometricData, scaled: Float[Array, " param"]
    ) -> Float[Array, ""]:
        """The same, but as if nothing but the distance were shared by bands.

        It costs a fraction and comes close, because the correlated scatter is less
        than floor and errors.
        """
        condition = data.redshift[None][: self.model.num_cond]
        mean, variance = self.model.scatter_at(scaled, condition, data.index)
        mean = mean + data.distance_modulus
        latent = variance + self.floor_mag**2
        seen = _asinh_residual(data, mean, latent)
        detected = data.kind == Kind.detected
        residual = jnp.where(detected, seen.residual, 0.0)
        shared = jnp.where(detected, seen.slope * data.distance_modulus_error, 0.0)
        total = jnp.where(detected, seen.slope**2 * latent + seen.noise**2, 1.0)
        # one direction is shared: its inverse and determinant are written out
        excess = 1 + jnp.sum(shared**2 / total)
        pull = jnp.sum(shared * residual / total)
        chi_squared = jnp.sum(residual**2 / total) - pull**2 / excess
        log_det = jnp.sum(jnp.log(total)) + jnp.log(excess)
        known = -0.5 * (chi_squared + log_det + jnp.sum(detected) * LOG_TWO_PI)
        if not data.has_limits:
            return known
        # what the detections leave of the error of the distance
        error = data.distance_modulus_error
        mean, left = mean + error * pull / excess, error**2 / excess
        loading = jnp.full_like(mean, jnp.sqrt(left))
        return known + draft_limits(_limits(data, mean, latent + left, loading))

    def chi_squared(
        self, data: PhotometricData, scaled: Float[Array, " param"]
    ) -> Float[Array, ""]:
        """Chi-squared of the detected bands, under errors, model scatter and floor.

        It has as many degrees of freedom as there are detected bands.
        """
        return self._compare(data, scaled)[1].chi_squared

    def magnitudes(
        self, data: PhotometricData, scaled: Float[Array, " param"]
    ) -> Float[Array, " band"]:
        """Expected apparent AB magnitudes in all bands of the model."""
        return self._moments(data, scaled).mean

    def sample_magnitudes(
        self, key: Key[Array, ""], data: PhotometricData, scaled: Float[Array, " param"]
    ) -> Float[Array, " band"]:
        """Draw apparent AB magnitudes in all bands of the model.

        With the scatter that the model learned; floor and errors are not added.
        """
        moments = self._moments(data, scaled)
        noise = jr.normal(key, moments.factor.shape[1:])
        return moments.mean + moments.factor @ noise
