r"""The amortized posterior of a photometric observation: any bands, errors and limits.

It answers what `PhotometricLikelihood` and a prior would, by a `FlowPosterior` of what
was seen. A band gives four numbers: its asinh magnitude (that of the limit, if it is
one) less the distance modulus, the logarithm of its error, the slope of the asinh
magnitude, which falls to zero where noise drowns the flux and below it for negative
ones, and whether it is a limit. The conditions are the redshift, the model-error floor,
the distance error, and a linear summary of the detected bands (`BandSummary`). Distance
itself is arithmetic: brightness and errors relative to it are all that counts.

References:
    Dax et al. (2023), arXiv:2210.05686 (amortized, then corrected by the likelihood).
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grainlight.estimators.band_summary import BandSummary
from grainlight.estimators.flow_posterior import FlowPosterior
from grainlight.estimators.flux_detections import SOFTENING
from grainlight.estimators.observed import Kind
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.estimators.posterior import PosteriorDraws
from grainlight.photometry import AB_ZERO_POINT_NJY, luptitude, luptitude_slope

_POGSON = 2.5 / float(np.log(10))
NUM_CHANNELS = 4
NUM_KNOWN = 3  # redshift, floor and distance error
#: Added to the floor and the distance error before their logarithm is taken [mag].
LEAST_FLOOR, LEAST_DISTANCE = 0.003, 0.001
#: Errors beyond this [mag] are given to the network as this.
LARGEST_ERROR = 20.0


class Seen(eqx.Module):
    """What a network sees of one object.

    Attributes:
        x: Four numbers of every band, those of a band together.
        mask: Which bands are there.
        condition: Redshift, floor, distance error, summary.
    """

    x: Float[Array, " dim"]
    mask: Bool[Array, " band"]
    condition: Float[Array, " cond"]


def see_bands(
    summary: BandSummary,
    data: PhotometricData,
    floor_mag: Float[Array, ""] | float,
) -> Seen:
    """What a network sees of one object's photometry, in all bands of the model."""
    flux, error, kind = _every_band(data, summary.center.size)
    is_limit, detected = kind == Kind.limit, kind == Kind.detected
    there = is_limit | detected
    softening = SOFTENING * error
    positive = flux > 0
    plain = AB_ZERO_POINT_NJY - _POGSON * jnp.log(jnp.where(positive, flux, 1.0))
    magnitude = jnp.where(is_limit, plain, luptitude(flux, softening))
    noise = jnp.where(
        is_limit, _POGSON * error / flux, -error * luptitude_slope(flux, softening)
    )
    slope = jnp.where(is_limit, 0.0, flux / jnp.hypot(flux, 2 * softening))
    channels = [magnitude - data.distance_modulus, jnp.log10(noise), slope]
    x = jnp.stack([*channels, is_limit.astype(flux.dtype)], axis=1)
    relative = jnp.where(
        positive, error / jnp.where(positive, flux, 1.0), LARGEST_ERROR
    )
    relative = jnp.minimum(_POGSON * relative, LARGEST_ERROR)
    coefficients = summary(
        plain - data.distance_modulus,
        relative,
        detected & positive,
        jnp.asarray(floor_mag),
        data.distance_modulus_error,
    )
    known = [
        data.redshift,
        jnp.log10(jnp.asarray(floor_mag) + LEAST_FLOOR),
        jnp.log10(data.distance_modulus_error + LEAST_DISTANCE),
    ]
    condition = [jnp.stack(known), coefficients.mean, jnp.log10(coefficients.sd)]
    return Seen(
        jnp.where(there[:, None], x, 0.0).reshape(-1), there, jnp.concatenate(condition)
    )


def _every_band(data: PhotometricData, num_bands: int) -> tuple[Array, Array, Array]:
    """Flux, error and kind by band of the model; padding falls off the end."""
    place = jnp.where(data.kind == Kind.missing, num_bands, data.index)
    flux = jnp.ones(num_bands + 1).at[place].set(data.flux)[:-1]
    error = jnp.ones(num_bands + 1).at[place].set(data.error)[:-1]
    kind = jnp.zeros(num_bands + 1, jnp.int32).at[place].set(data.kind)[:-1]
    return flux, error, kind


class PhotometricPosterior(eqx.Module):
    """The distribution of scaled parameters given an observation, in one pass.

    Attributes:
        summary: Linear summary of the detected bands.
        posterior: The flow and its encoder.
        prior: Name of the prior that it was trained under.
        largest_floor: Largest model-error floor that it was trained with [mag].
        largest_distance_error: Largest error of the distance modulus, likewise [mag].
    """

    summary: BandSummary
    posterior: FlowPosterior
    prior: str = eqx.field(static=True)
    largest_floor: float = eqx.field(static=True)
    largest_distance_error: float = eqx.field(static=True)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        num_bands, num_components = self.summary.loading.shape
        return {
            "num_bands": num_bands,
            "num_components": num_components,
            "prior": self.prior,
            "largest_floor": self.largest_floor,
            "largest_distance_error": self.largest_distance_error,
            "posterior": self.posterior.config(),
        }

    @classmethod
    def from_config(
        cls,
        key: Key[Array, ""],
        *,
        num_bands: int,
        num_components: int,
        posterior: dict[str, Any],
        **settings: Any,
    ) -> "PhotometricPosterior":
        """A posterior of a saved architecture, its arrays to be filled."""
        return cls(
            BandSummary.blank(num_bands, num_components),
            FlowPosterior.from_config(key, **posterior),
            **settings,
        )

    def features(
        self, data: PhotometricData, floor_mag: Float[Array, ""] | float
    ) -> Float[Array, " feature"]:
        """What the encoder makes of one object."""
        seen = see_bands(self.summary, data, floor_mag)
        return self.posterior.features(seen.x, seen.condition, seen.mask)

    def log_prob(
        self,
        theta: Float[Array, " param"],
        data: PhotometricData,
        floor_mag: Float[Array, ""] | float,
    ) -> Float[Array, ""]:
        """Log-density per unit of the scaled parameters, normalized.

        Args:
            theta: Scaled parameters.
            data: What was observed of one object.
            floor_mag: Model error of every band [mag].
        """
        features = self.features(data, floor_mag)
        return self.posterior.log_prob_given(theta, features, self.posterior.floor)

    def draw(
        self,
        key: Key[Array, ""],
        num_draws: int,
        data: PhotometricData,
        floor_mag: Float[Array, ""] | float,
    ) -> PosteriorDraws:
        """Draws with their densities; arguments as of `log_prob`."""
        features = self.features(data, floor_mag)
        return self.posterior.draw_given(key, num_draws, features)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " band"],
    ) -> Float[Array, ""]:
        """Minus the log-density of the parameters given what was seen of them.

        Args:
            key: Not used: this loss is not random.
            progress: 0 at the start of training, 1 when all is annealed.
            theta: Scaled parameters.
            condition: Conditions, as `see_bands` gives them.
            x: Bands, likewise.
            mask: Which are there, likewise.
        """
        return self.posterior.loss(key, progress, theta, condition, x, mask)
