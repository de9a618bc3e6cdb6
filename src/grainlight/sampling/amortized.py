"""Where the amortized posterior of a model applies, as a proposal of draws."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grainlight.estimators import (
    PhotometricData,
    PhotometricPosterior,
    PosteriorDraws,
)
from grainlight.estimators.shell_model import ShellModel
from grainlight.sampling.prior import PriorChoice


class AmortizedProposal(eqx.Module):
    """The amortized posterior of a model, under the floor of a fit."""

    posterior: PhotometricPosterior
    floor_mag: Float[Array, ""]

    def draw(
        self, key: Key[Array, ""], num_draws: int, data: PhotometricData
    ) -> PosteriorDraws:
        """Scaled draws of one object, with their densities."""
        return self.posterior.draw(key, num_draws, data, self.floor_mag)

    def log_prob(
        self, scaled: Float[Array, " param"], data: PhotometricData
    ) -> Float[Array, ""]:
        """Log-density of scaled parameters of one object."""
        return self.posterior.log_prob(scaled, data, self.floor_mag)

    def applies_to(self, data: PhotometricData) -> Bool[np.ndarray, " object"]:
        """Objects with a distance as well known as in the training."""
        known = np.asarray(data.distance_modulus_error)
        return known <= self.posterior.largest_distance_error


def amortized_proposal(
    model: ShellModel, prior: PriorChoice, floor_mag: float
) -> AmortizedProposal | None:
    """What the ladder starts from; none where the model has nothing that applies.

    It must have been trained under the prior that the fit's is made from, and with
    such a floor. Clumps go to the chains.

    Args:
        model: The model.
        prior: Prior of the fit.
        floor_mag: Model error of every band [mag].
    """
    posterior = model.under(clumpy=prior.is_clumpy).posterior
    if posterior is None or posterior.prior != prior.base.name:
        return None
    if floor_mag > posterior.largest_floor:
        return None
    return AmortizedProposal(posterior, jnp.asarray(floor_mag, float))
