r"""Any learned likelihood of exact values in all dimensions, or in some of them.

In all of them the density is the likelihood's own. In some it is

- for a Gaussian likelihood the exact marginal, of the rows and columns that are left;
- for an ensemble of Gaussians the even mixture of their exact marginals;
- for one with latent variables the Gaussian of the same mean and covariance, that of
  the means included, $\langle \Sigma_v \rangle + \mathrm{Cov}(\mu_v)$;
- for a flow nothing: the marginal is an integral that no formula gives.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from grainlight.core import BandMismatchError
from grainlight.estimators.errors import Likelihood
from grainlight.estimators.flow_likelihood import FlowLikelihood
from grainlight.estimators.likelihood_ensemble import LikelihoodEnsemble
from grainlight.estimators.moments import (
    even_mixture,
    gaussian_log_prob,
    marginal_log_prob,
)


class ChosenBands(eqx.Module):
    """The density of the chosen dimensions of an outcome given parameters.

    Attributes:
        likelihood: Density of all dimensions.
        chosen: Which of them are there; all if none is named.
    """

    likelihood: Likelihood
    chosen: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, likelihood: Likelihood, chosen: tuple[int, ...] = ()) -> None:
        dim = likelihood.dim
        if len(set(chosen)) != len(chosen) or not set(chosen) <= set(range(dim)):
            raise BandMismatchError(
                f"Expected different places from 0 to {dim - 1}; got {chosen}. Name "
                "each band once."
            )
        if chosen and isinstance(likelihood, FlowLikelihood):
            raise BandMismatchError(
                f"Expected all {dim} bands of a flow likelihood; got {len(chosen)}. A "
                "flow cannot marginalize: use a Gaussian or variational likelihood, or "
                "train a flow on the bands that are there."
            )
        self.likelihood, self.chosen = likelihood, tuple(chosen)

    def log_prob(
        self,
        x: Float[Array, " band"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " band"] | None = None,
    ) -> Float[Array, ""]:
        """Log-density of the chosen dimensions.

        Args:
            x: All dimensions; those that are not chosen are not looked at.
            theta: Scaled parameters.
            condition: Conditions.
            mask: What is there of one object, if all dimensions are chosen.

        Raises:
            BandMismatchError: A mask is given beside chosen dimensions, or to a flow.
        """
        if mask is not None and self.chosen:
            raise BandMismatchError(
                "Expected bands chosen for all objects, or a mask of one object; got "
                "both. Hide what is not chosen by the mask."
            )
        if isinstance(self.likelihood, LikelihoodEnsemble):
            parts = [ChosenBands(m, self.chosen) for m in self.likelihood.members]
            return even_mixture([p.log_prob(x, theta, condition, mask) for p in parts])
        if mask is not None and not isinstance(self.likelihood, FlowLikelihood):
            moments = self.likelihood.moments(theta, condition)
            residual = jnp.where(mask, x, 0.0) - moments.mean
            return marginal_log_prob(residual, moments.covariance, mask)
        if mask is not None:
            return self.likelihood.log_prob(x, theta, condition, mask)
        if not self.chosen or isinstance(self.likelihood, FlowLikelihood):
            return self.likelihood.log_prob(x, theta, condition)
        index = jnp.asarray(self.chosen)
        mean, covariance = self.likelihood.moments_at(theta, condition, index)
        factor = jnp.linalg.cholesky(covariance, symmetrize_input=False)
        return gaussian_log_prob(x[index] - mean, factor)
