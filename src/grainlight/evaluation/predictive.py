"""Posterior predictive photometry, to be laid beside what was observed."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import BandMismatchError, Samples
from grainlight.photometry import AB_ZERO_POINT_NJY, FilterSet, Observation

#: Quantiles of a prediction: 95 % and 68 % interval around the median.
LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
_MAGNITUDES = (-200.0, 500.0)  # that fluxes are finite for
_FLUX_PER_MAG = float(np.log(10) / 2.5)  # relative error of a flux for 1 mag


@runtime_checkable
class Predictive(Protocol):
    """A likelihood that can predict what it judges, as `PhotometricLikelihood` can."""

    bands: tuple[str, ...]

    def chi_squared(
        self, data: Any, scaled: Float[Array, " param"]
    ) -> Float[Array, ""]:
        """Chi-squared of the detected bands at scaled parameters."""
        ...

    def sample_magnitudes(
        self, key: Key[Array, ""], data: Any, scaled: Float[Array, " param"]
    ) -> Float[Array, " band"]:
        """Draw apparent AB magnitudes in all bands at scaled parameters."""
        ...


@dataclass(frozen=True, eq=False)
class SedPrediction:
    """The fluxes that a posterior expects, band by band in order of wavelength.

    Attributes:
        bands: Canonical filter names.
        wave_um: Pivot wavelengths, increasing [um].
        quantiles: Fluxes at the 2.5, 16, 50, 84 and 97.5 % quantiles [nJy].
    """

    bands: tuple[str, ...]
    wave_um: Float[np.ndarray, " band"]
    quantiles: Float[np.ndarray, "5 band"]

    @property
    def median(self) -> Float[np.ndarray, " band"]:
        """Median flux [nJy]."""
        return self.quantiles[2]


@dataclass(frozen=True, eq=False)
class Residuals:
    """Observed minus predicted fluxes of an observation's usable bands.

    Attributes:
        bands: Canonical filter names, in order of wavelength.
        wave_um: Pivot wavelengths [um].
        sigma: Residual over its error. For a limit, zero where the prediction lies
            below it, as it should, and negative where it lies above.
        is_limit: Where the flux is an upper limit.
    """

    bands: tuple[str, ...]
    wave_um: Float[np.ndarray, " band"]
    sigma: Float[np.ndarray, " band"]
    is_limit: np.ndarray


@eqx.filter_jit
def _chi_squared(likelihood: Any, data: Any, scaled: Array) -> Array:
    return jax.vmap(lambda one: likelihood.chi_squared(data, one))(scaled)


@eqx.filter_jit
def _magnitudes(key: Array, likelihood: Any, data: Any, scaled: Array) -> Array:
    keys = jr.split(key, scaled.shape[0])
    draw = jax.vmap(lambda k, one: likelihood.sample_magnitudes(k, data, one))
    return draw(keys, scaled)


def chi_squared_of_draws(
    likelihood: Predictive, data: Any, samples: Samples
) -> Float[np.ndarray, " draw"]:
    """Chi-squared of one object's detected bands at each draw of its posterior.

    Args:
        likelihood: The likelihood of the fit.
        data: One object, as the likelihood takes it.
        samples: Its posterior.
    """
    scaled = samples.parameters.scale(samples.theta)
    return np.asarray(_chi_squared(likelihood, data, scaled), dtype=float)


def predict_posterior(
    key: Key[Array, ""],
    likelihood: Predictive,
    data: Any,
    samples: Samples,
    filters: FilterSet,
    num_draws: int = 1000,
) -> SedPrediction:
    """Posterior predictive fluxes of one object in all bands of the likelihood.

    Args:
        key: Source of random numbers.
        likelihood: The likelihood of the fit.
        data: One object, as the likelihood takes it.
        samples: Its posterior.
        filters: Where the wavelengths of the bands are found.
        num_draws: Draws that are taken from the posterior, by their weights.
    """
    pick_key, draw_key = jr.split(key)
    pick = jr.choice(pick_key, samples.num_draws, (num_draws,), p=samples.weight)
    scaled = samples.parameters.scale(jnp.asarray(samples.theta)[pick])
    magnitudes = _magnitudes(draw_key, likelihood, data, scaled)
    return predict_sed(
        magnitudes, likelihood.bands, filters.subset(likelihood.bands).pivot
    )


def predict_sed(
    magnitudes: Float[Array | np.ndarray, "draw band"],
    bands: tuple[str, ...],
    wave_um: Float[np.ndarray, " band"],
    weight: Float[Array | np.ndarray, " draw"] | None = None,
) -> SedPrediction:
    """Quantiles of the fluxes of posterior draws.

    Args:
        magnitudes: Apparent AB magnitudes of every draw.
        bands: Canonical filter names, in any order.
        wave_um: Their pivot wavelengths [um].
        weight: Weights of the draws, of any sum; equal if not given.
    """
    order = np.argsort(wave_um)
    # a draw of a model that knows nothing of a band must not overflow
    bounded = np.clip(np.asarray(magnitudes, dtype=float)[:, order], *_MAGNITUDES)
    flux = 10 ** (0.4 * (AB_ZERO_POINT_NJY - bounded))
    if weight is None:
        quantiles = np.quantile(flux, LEVELS, axis=0)
    else:
        weight = np.asarray(weight, dtype=float)
        quantiles = np.stack([_quantiles(column, weight) for column in flux.T], axis=1)
    names = tuple(bands[i] for i in order)
    return SedPrediction(names, np.asarray(wave_um, dtype=float)[order], quantiles)


def _quantiles(column: np.ndarray, weight: np.ndarray) -> np.ndarray:
    order = np.argsort(column)
    sorted_weight = weight[order] / weight.sum()
    return np.interp(
        LEVELS, np.cumsum(sorted_weight) - sorted_weight / 2, column[order]
    )


def measure_residuals(
    observation: Observation, prediction: SedPrediction, floor_mag: float
) -> Residuals:
    r"""Residuals in units of $\sqrt{\sigma^2 + (0.4 \ln 10\, f F_{\rm median})^2}$.

    Args:
        observation: The object, corrected for Galactic extinction.
        prediction: What the posterior expects of it.
        floor_mag: Model error $f$ of every band [mag].
    """
    missing = [
        band
        for band, used in zip(observation.bands, observation.usable, strict=True)
        if used and band not in prediction.bands
    ]
    if missing:
        raise BandMismatchError(
            f"Expected a prediction of every observed band; got none of "
            f"{', '.join(missing)}. Predict these bands too."
        )
    rows = [
        (prediction.bands.index(band), i)
        for i, band in enumerate(observation.bands)
        if observation.usable[i]
    ]
    place, band_index = np.array(sorted(rows), dtype=int).reshape(-1, 2).T
    expected = prediction.median[place]
    floor = _FLUX_PER_MAG * floor_mag * expected
    error = np.hypot(observation.error[band_index], floor)
    sigma = (observation.flux[band_index] - expected) / error
    is_limit = observation.is_limit[band_index]
    return Residuals(
        bands=tuple(prediction.bands[i] for i in place),
        wave_um=prediction.wave_um[place],
        sigma=np.where(is_limit, np.minimum(sigma, 0.0), sigma),
        is_limit=is_limit,
    )
