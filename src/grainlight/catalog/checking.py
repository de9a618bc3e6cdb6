"""What is found of the draws of all objects of a piece in one compiled call."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

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
    target: PhotometricTarget,
    outcomes: Callable[..., Array],
    data: PhotometricData,
    scaled: Float[Array, "object draw param"],
    number: int,
) -> Checked:
    """What is found of every object; of as many draws as the last argument says."""

    def one(given: tuple[PhotometricData, Array]) -> Checked:
        seen, draws = given
        few = draws[:number]
        chi_squared = jax.vmap(lambda s: target.likelihood.chi_squared(seen, s))(few)
        warm = jax.vmap(lambda s: outcomes(s, jnp.zeros(0))[0])(few)
        spread = jnp.std(draws, axis=0)
        white = (draws - jnp.mean(draws, axis=0)) / jnp.where(spread > 0, spread, 1.0)
        gaussians = fit_gaussians(jr.key(0), white, COMPONENTS)
        return Checked(chi_squared, 10.0**warm, gaussians)

    return jax.lax.map(one, (data, scaled))
