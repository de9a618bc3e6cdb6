"""One pair of parameters and outcome, at any latent variables."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from grainlight.estimators.moments import marginal_log_prob
from grainlight.networks import Decoder, Proposal, Split, normal_log_prob


class LatentPair(eqx.Module):
    """One pair, ready to be asked about many latent variables.

    Attributes:
        decoder: Networks that make an outcome of latent variables.
        direct: What parameters and conditions contribute.
        condition: Standardized conditions.
        y: Standardized outcome, zero where it is missing.
        mask: True where it is there; all of it if none.
        floor: Least conditional variance, in standardized units.
        proposal: What the recognition network makes of the pair.
        log_spread: Logarithm of the volume of one standardized unit.
    """

    decoder: Decoder
    direct: Split
    condition: Float[Array, " cond"]
    y: Float[Array, " dim"]
    mask: Bool[Array, " dim"] | None
    floor: Float[Array, ""]
    proposal: Proposal
    log_spread: Float[Array, ""]

    def log_prob(self, v: Float[Array, " latent"]) -> Float[Array, ""]:
        """Log-density of the standardized outcome, given latent variables."""
        split = self.decoder.finish(self.direct, v, self.condition)
        residual = self.y - self.decoder.mean(split.mean)
        head = self.decoder.cholesky
        if self.mask is None:
            white = head.whiten(split.covariance, self.floor, residual)
            return normal_log_prob(white.residual) - white.log_det
        factor = head(split.covariance, self.floor)
        covariance = jnp.matmul(factor, factor.T, precision="highest")
        return marginal_log_prob(residual, covariance, self.mask)

    def log_weight(
        self, v: Float[Array, " latent"], prior_share: float
    ) -> Float[Array, ""]:
        """Log-density of outcome and latents, over that of the latents' proposal."""
        prior, proposal = normal_log_prob(v), self.proposal.log_prob(v)
        if prior_share == 0:
            return self.log_prob(v) + prior - proposal
        mixed = jnp.logaddexp(
            np.log(prior_share) + prior, _log1m(prior_share) + proposal
        )
        return self.log_prob(v) + prior - mixed


def _log1m(share: float) -> float:
    return float(np.log1p(-share)) if share < 1 else -np.inf
