"""What posterior draws predict: magnitudes, chi-squared, dust temperature."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from grainlight.estimators import PhotometricData, PhotometricLikelihood


@eqx.filter_jit
def draw_predictions(
    key: Key[Array, ""],
    likelihood: PhotometricLikelihood,
    data: PhotometricData,
    scaled: Float[Array, "draw param"],
) -> tuple[Float[Array, "draw band"], Float[Array, " draw"]]:
    """Magnitudes with scatter and floor, and chi-squared, of draws."""

    def one(key: Array, point: Array) -> tuple[Array, Array]:
        scatter_key, floor_key = jr.split(key)
        magnitude = likelihood.sample_magnitudes(scatter_key, data, point)
        noise = likelihood.floor_mag * jr.normal(floor_key, magnitude.shape)
        return magnitude + noise, likelihood.chi_squared(data, point)

    return jax.vmap(one)(jr.split(key, len(scaled)), scaled)


@eqx.filter_jit
def dust_temperatures(
    outcomes: Callable[..., Array], scaled: Float[Array, "draw param"]
) -> Float[Array, " draw"]:
    """Dust temperature [K] of scaled draws."""
    return 10.0 ** jax.vmap(lambda s: outcomes(s, jnp.zeros(0))[0])(scaled)
