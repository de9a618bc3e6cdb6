"""What is found of the draws of all objects of a piece in one compiled call."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from grainlight.catalog.summary import COMPONENTS
from grainlight.estimators import PhotometricData
from grainlight.sampling.mixture import Gaussians, fit_gaussians
from grainlight.sampling.photometric_target import PhotometricTarget


class Checked(eqx.Module):
    """What is found of the draws of an object.

    Attributes:
        chi_squared: Of the detected bands, at the first draws.
        temperature: Dust temperature there [K].
        gaussians: Mixture fitted to all draws, standardized.
    """

    chi_squared: Float[Array, "*object draw"]
    temperature: Float[Array, "*object draw"]
    gaussians: Gaussians


@eqx.filter_jit
def check_draws(
    key: Key[Array, ""],
    target: PhotometricTarget,
    outcomes: Callable[..., Array],
    data: PhotometricData,
    scaled: Float[Array, "object draw param"],
    number: int,
) -> Checked:
    """What is found of every object.

    Args:
        key: Random key of where the Gaussians start.
        target: Prior and likelihood of one object.
        outcomes: Emulator of the dust temperature.
        data: What was observed of the objects.
        scaled: Scaled draws.
        number: How many of them chi-squared and temperature are found of.
    """

    def one(given: tuple[Array, PhotometricData, Array]) -> Checked:
        key, seen, draws = given
        few = draws[:number]
        chi_squared = jax.vmap(lambda s: target.likelihood.chi_squared(seen, s))(few)
        warm = jax.vmap(lambda s: outcomes(s, jnp.zeros(0))[0])(few)
        spread = jnp.std(draws, axis=0)
        white = (draws - jnp.mean(draws, axis=0)) / jnp.where(spread > 0, spread, 1.0)
        gaussians = fit_gaussians(key, white, COMPONENTS)
        return Checked(chi_squared, 10.0**warm, gaussians)

    keys = jr.split(key, scaled.shape[0])
    return jax.lax.map(one, (keys, data, scaled))
