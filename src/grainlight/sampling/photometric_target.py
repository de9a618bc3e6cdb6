"""What a sampler asks of a model: prior and likelihood of one observed object."""

import equinox as eqx
from jaxtyping import Array, Float, Key

from grainlight.core import Parameters
from grainlight.estimators.photometric import PhotometricLikelihood
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.sampling.own_prior import OwnPrior
from grainlight.sampling.prior import ReplacedPrior


class PhotometricTarget(eqx.Module):
    """Prior and likelihood of the parameters of an observed shell."""

    likelihood: PhotometricLikelihood
    prior: ReplacedPrior | OwnPrior
    parameters: Parameters = eqx.field(static=True)

    def log_prior(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Log density of the prior per unit scaled parameter."""
        return self.prior.log_prob(scaled)

    def sample_prior(
        self, key: Key[Array, ""], num_draws: int
    ) -> Float[Array, "draw param"]:
        """Scaled draws from the prior."""
        return self.prior.sample(key, num_draws)

    def log_likelihood(
        self, scaled: Float[Array, " param"], data: PhotometricData
    ) -> Float[Array, ""]:
        """Log-probability of the observation."""
        return self.likelihood.log_prob(data, scaled)

    def log_draft(
        self, scaled: Float[Array, " param"], data: PhotometricData
    ) -> Float[Array, ""]:
        """The same without correlations of the model scatter."""
        return self.likelihood.log_draft(data, scaled)
