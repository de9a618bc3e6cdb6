r"""Observations of simulated objects under any conditions, drawn afresh every time.

An amortized posterior answers for what it was trained on: all that an observer might do
is drawn at random. Magnitudes of the model at 10 Mpc get the model-error floor and the
distance error; errors follow the flux and a background,

$$ \sigma^2 = (0.4 \ln 10\, \sigma_m F')^2 + \sigma_b^2 ; $$

the measured flux is the true one plus noise, and a limit of $n \sigma$ where it is
below that. $F'$ is the true flux times a wide random factor: an error must not tell the
flux, or the posterior would know more than the likelihood, for which errors are given.
(It still does where what is bright, but has large errors, is a limit of many sigma.)

The bands are those of one instrument or of all, three to all of these, rarely fewer.
"""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from grainlight.estimators.band_summary import BandSummary
from grainlight.estimators.observed import Kind
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.estimators.photometric_posterior import Seen, see_bands
from grainlight.networks import AbstractConstant
from grainlight.photometry import AB_ZERO_POINT_NJY, background_noise

_MAG_ERROR = 0.4 * 2.302585092994046  # relative flux error of 1 mag
FAINTEST = 60.0  # magnitudes beyond this count as this
#: Ranges of what is drawn; logarithms base ten of errors and depths are even.
ERRORS = (0.005, 0.5)  # mag
FLOORS = (0.0, 0.12)  # mag
NEAR, FAR = (0.001, 0.05), (0.05, 2.0)  # error of the distance modulus [mag]
DEPTHS = (-2.0, 2.5)  # dex, noise of the sky over that of 10 ks at 10 Mpc
LIMITS = (1.5, 10.0)  # sigma
#: How often all negative fluxes are reported, how often there is one instrument, and
#: how often this is the one with fewer bands.
NO_LIMITS, ONE_INSTRUMENT, FEWER = 0.25, 0.6, 0.5
FEW_BANDS = 0.05  # how often one or two bands are all
FEWEST_BANDS = 3


class Conditions(eqx.Module):
    """Under which conditions one object is observed.

    Attributes:
        error: Error of the magnitude of bright fluxes, typical of the object [mag].
        floor: Model error of every band [mag].
        distance_error: Error of the distance modulus [mag].
        depth: Noise of the sky over that of 10 ks, relative to 10 Mpc [dex].
        limit_sigma: Significance of limits; minus infinity without limits.
        mask: Which bands are observed.
    """

    error: Float[Array, "*object"]
    floor: Float[Array, "*object"]
    distance_error: Float[Array, "*object"]
    depth: Float[Array, "*object"]
    limit_sigma: Float[Array, "*object"]
    mask: Bool[Array, "*object band"]


class Observing(AbstractConstant):
    """The bands that an observer may use, and their sky.

    Attributes:
        background: Noise of the empty sky of each band in 10 ks [nJy].
        instrument: Number of the instrument of each band.
    """

    background: Float[Array, " band"]
    instrument: Float[Array, " band"]

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> "Observing":
        """What is known of these bands of JWST."""
        instruments = [band.partition(".")[0] for band in bands]
        number = {name: i for i, name in enumerate(dict.fromkeys(instruments))}
        which = jnp.asarray([float(number[name]) for name in instruments])
        return cls(background_noise(bands), which)

    def draw_conditions(self, key: Key[Array, ""]) -> Conditions:
        """Conditions of one object."""
        keys = jr.split(key, 7)
        far = jr.bernoulli(keys[2], 0.5)
        near_key, far_key = jr.split(keys[3])
        distance = jnp.where(
            far, _log_uniform(far_key, *FAR), _log_uniform(near_key, *NEAR)
        )
        sigma_key, none_key = jr.split(keys[5])
        sigma = jr.uniform(sigma_key, minval=LIMITS[0], maxval=LIMITS[1])
        return Conditions(
            error=_log_uniform(keys[0], *ERRORS),
            floor=jr.uniform(keys[1], minval=FLOORS[0], maxval=FLOORS[1]),
            distance_error=distance,
            depth=jr.uniform(keys[4], minval=DEPTHS[0], maxval=DEPTHS[1]),
            limit_sigma=jnp.where(jr.bernoulli(none_key, NO_LIMITS), -jnp.inf, sigma),
            mask=self._draw_bands(keys[6]),
        )

    def _draw_bands(self, key: Key[Array, ""]) -> Bool[Array, " band"]:
        keys = jr.split(key, 4)
        one = jr.bernoulli(keys[0], ONE_INSTRUMENT)
        every = jnp.unique(self.instrument, size=2)
        second = jnp.sum(self.instrument == every[1])
        fewer = jnp.where(2 * second < self.instrument.size, every[1], every[0])
        pick = jnp.where(jr.bernoulli(keys[1], FEWER), fewer, jnp.sum(every) - fewer)
        eligible = (self.instrument == pick) | ~one
        lot = jnp.where(eligible, jr.uniform(keys[2], self.instrument.shape), 2.0)
        few_key, count_key = jr.split(keys[3])
        unit = jr.uniform(count_key)
        most = jnp.sum(eligible)
        count = FEWEST_BANDS + jnp.floor(unit * (most - FEWEST_BANDS + 1))
        few = 1 + jnp.floor(2 * unit)
        count = jnp.where(jr.bernoulli(few_key, FEW_BANDS), few, count)
        order = jnp.argsort(jnp.argsort(lot))
        return order < count

    def measure(
        self,
        key: Key[Array, ""],
        conditions: Conditions,
        magnitude: Float[Array, " band"],
        redshift: Float[Array, ""],
    ) -> PhotometricData:
        """What is measured of one object at 10 Mpc, in all bands of the model.

        Args:
            key: Random key.
            conditions: Under which conditions.
            magnitude: AB magnitudes at 10 Mpc, with the scatter of the model.
            redshift: Redshift.
        """
        keys = jr.split(key, 5)
        num_bands = magnitude.size
        true = jnp.clip(magnitude, 0.0, FAINTEST)
        true = true + conditions.floor * jr.normal(keys[0], (num_bands,))
        true = true + conditions.distance_error * jr.normal(keys[1])
        flux = 10 ** (0.4 * (AB_ZERO_POINT_NJY - true))
        factor = (0.5 + 2 * conditions.error) * jr.normal(keys[2], (num_bands,))
        bright = _MAG_ERROR * conditions.error * flux * jnp.exp(factor)
        sky = conditions.depth + 0.2 * jr.normal(keys[3], (num_bands,))
        error = jnp.hypot(bright, self.background * 10**sky)
        measured = flux + error * jr.normal(keys[4], (num_bands,))
        is_limit = measured < conditions.limit_sigma * error
        kind = jnp.where(is_limit, int(Kind.limit), int(Kind.detected))
        return PhotometricData(
            index=jnp.arange(num_bands, dtype=jnp.int32),
            flux=jnp.where(is_limit, conditions.limit_sigma * error, measured),
            error=error,
            kind=jnp.where(conditions.mask, kind, int(Kind.missing)).astype(jnp.int32),
            distance_modulus=jnp.zeros(()),
            distance_modulus_error=conditions.distance_error,
            redshift=redshift,
            has_limits=True,
        )


def observe_pool(
    condition_key: Key[Array, ""],
    measure_key: Key[Array, ""],
    observing: Observing,
    magnitude: Float[Array, "object band"],
    redshift: Float[Array, " object"],
    **fixed: float,
) -> tuple[PhotometricData, Conditions]:
    """Observe many objects, each under conditions of its own.

    Args:
        condition_key: Draws the conditions.
        measure_key: Draws the noise.
        observing: Bands and sky.
        magnitude: AB magnitudes at 10 Mpc, with the scatter of the model.
        redshift: Redshifts.
        **fixed: Conditions that are the same of all objects, by name.
    """
    number = redshift.size
    drawn = _draw_all(observing, jr.split(condition_key, number))
    same = {name: jnp.full(number, value) for name, value in fixed.items()}
    conditions = replace(drawn, **same)
    keys = jr.split(measure_key, number)
    return _measure_all(observing, keys, conditions, magnitude, redshift), conditions


@eqx.filter_jit
def _draw_all(observing: Observing, keys: Key[Array, " object"]) -> Conditions:
    return jax.vmap(observing.draw_conditions)(keys)


@eqx.filter_jit
def _measure_all(
    observing: Observing,
    keys: Key[Array, " object"],
    conditions: Conditions,
    magnitude: Float[Array, "object band"],
    redshift: Float[Array, " object"],
) -> PhotometricData:
    return jax.vmap(observing.measure)(keys, conditions, magnitude, redshift)


def _log_uniform(key: Key[Array, ""], low: float, high: float) -> Float[Array, ""]:
    return jnp.exp(jr.uniform(key, minval=jnp.log(low), maxval=jnp.log(high)))


def observe_afresh(observing: Observing, summary: BandSummary) -> Any:
    """Make an `augment` for `train`: every object observed anew in every step.

    It takes scaled parameters, redshifts and magnitudes at 10 Mpc, and gives what the
    loss of a `PhotometricPosterior` takes.
    """

    def one(key: Array, magnitude: Array, redshift: Array) -> Seen:
        condition_key, measure_key = jr.split(key)
        conditions = observing.draw_conditions(condition_key)
        data = observing.measure(measure_key, conditions, magnitude, redshift)
        return see_bands(summary, data, conditions.floor)

    def augment(
        key: Key[Array, ""],
        theta: Float[Array, "sim param"],
        redshift: Float[Array, " sim"],
        magnitude: Float[Array, "sim band"],
    ) -> tuple[Array, ...]:
        keys = jr.split(key, theta.shape[0])
        seen = jax.vmap(one)(keys, magnitude, redshift)
        return theta, seen.condition, seen.x, seen.mask

    return augment
