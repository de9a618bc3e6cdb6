r"""The likelihood of an observation under a learned Gaussian of magnitudes.

The model gives AB magnitudes at 10 Mpc, Gaussian with mean $m$ and covariance $\Sigma$.
At a distance modulus $\mu \pm \sigma_\mu$ (relative to 10 Mpc) with a floor $f$ for
what the model family leaves out, the apparent magnitudes have mean $m + \mu$ and
covariance

$$ M = \Sigma + f^2 I + \sigma_\mu^2 \, 1 1^T . $$

*Detections*, negative fluxes among them, are compared as fluxes, whose tangent at the
most probable magnitudes makes them Gaussian (`flux_detections`).

*Limits* contribute the probability that fluxes below them are measured, given the
detections (`flux_limits`). These leave the magnitudes Gaussian; what bands without a
detection still share is taken to be the error of the distance alone, of variance $q$
given the detections: band $b$ has the loading $l_b = \mathrm{cov}(m_b, \mu) / \sqrt q$
and the variance $v_b - l_b^2$ of its own.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import BandMismatchError
from grainlight.estimators.clumpy import ClumpyLikelihood
from grainlight.estimators.flow_likelihood import FlowLikelihood
from grainlight.estimators.flux_detections import flux_residual, log_unit
from grainlight.estimators.flux_limits import Limits, draft_limits, limits_log_prob
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.likelihood_ensemble import LikelihoodEnsemble
from grainlight.estimators.moments import LOG_TWO_PI, Moments
from grainlight.estimators.observed import Conditional, Kind, condition_on_detected
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.estimators.variational import VariationalLikelihood

Magnitudes = (
    GaussianLikelihood | ClumpyLikelihood | LikelihoodEnsemble | VariationalLikelihood
)
#: Five per cent of flux [mag].
FIVE_PER_CENT = 2.5 / float(np.log(10)) * 0.05


class PhotometricLikelihood(eqx.Module):
    """How probable an observation is, for scaled parameters.

    Attributes:
        model: Likelihood of AB magnitudes at 10 Mpc, by its moments: exact for a
            Gaussian one, and the Gaussian of the same moments for an ensemble and for
            one with latent variables. Its conditions are the redshift, or nothing.
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
        seen = flux_residual(data, mean, jnp.diagonal(own))
        shared = data.distance_modulus_error**2
        # the error of the distance is the last of the latent values
        latent = jnp.pad(own, (0, 1)) + shared
        slope = jnp.append(seen.slope, 0.0)
        cross = slope[:, None] * latent
        known = condition_on_detected(
            jnp.append(seen.residual, 0.0),
            cross * slope + jnp.eye(slope.size),
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
        detections = known.log_prob - log_unit(data)
        if not data.has_limits:
            return detections
        left = known.variance[-1]
        covariance = data.distance_modulus_error**2 - known.rows[:-1] @ known.rows[-1]
        loading = covariance / jnp.sqrt(jnp.maximum(left, 1e-12))
        shift, variance = known.shift[:-1], known.variance[:-1]
        limits = Limits.of(data, mean + shift, variance, loading)
        return detections + limits_log_prob(limits)

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
        seen = flux_residual(data, mean, latent)
        shared = seen.slope * data.distance_modulus_error
        total = seen.slope**2 * latent + 1
        # one direction is shared: its inverse and determinant are written out
        excess = 1 + jnp.sum(shared**2 / total)
        pull = jnp.sum(shared * seen.residual / total)
        chi_squared = jnp.sum(seen.residual**2 / total) - pull**2 / excess
        log_det = jnp.sum(jnp.log(total)) + jnp.log(excess)
        count = jnp.sum(data.kind == Kind.detected)
        known = -0.5 * (chi_squared + log_det + count * LOG_TWO_PI) - log_unit(data)
        if not data.has_limits:
            return known
        # what the detections leave of the error of the distance
        error = data.distance_modulus_error
        mean, left = mean + error * pull / excess, error**2 / excess
        loading = jnp.full_like(mean, jnp.sqrt(left))
        return known + draft_limits(Limits.of(data, mean, latent + left, loading))

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
