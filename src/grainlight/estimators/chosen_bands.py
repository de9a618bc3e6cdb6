r"""Any learned likelihood of exact values in all dimensions, or in some of them.

In all of them the density is the likelihood's own. In some it is

- for a Gaussian likelihood the exact marginal, of the rows and columns that are left;
- for an ensemble of Gaussians the even mixture of their exact marginals;
- for one with latent variables the Gaussian of the same mean and covariance, that of
  the means included, $\langle \Sigma_v \rangle + \mathrm{Cov}(\mu_v)$;
- for a flow nothing: the marginal is an integral that no formula gives.
"""

from typing import Any

import equinox as eqx
import jax
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
        members: Arrays of the members of an ensemble, one behind the other: they are
            gone through in a loop that is compiled once. None for any other likelihood.
        chosen: Which dimensions are there; all if none is named.
    """

    likelihood: Likelihood
    members: Any
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
        self.members = None
        if isinstance(likelihood, LikelihoodEnsemble):
            parts = [eqx.filter(one, eqx.is_array) for one in likelihood.members]
            self.members = jax.tree.map(lambda *leaf: jnp.stack(leaf), *parts)

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
        self._check(mask)
        if isinstance(self.likelihood, LikelihoodEnsemble):
            first = self.likelihood.members[0]

            def one(arrays: Any) -> Float[Array, ""]:
                member = ChosenBands(eqx.combine(arrays, first), self.chosen)
                return member.log_prob(x, theta, condition, mask)

            return even_mixture(jax.lax.map(one, self.members))
        if mask is not None and not isinstance(self.likelihood, FlowLikelihood):
            residual, covariance = self.residual(x, theta, condition, mask)
            return marginal_log_prob(residual, covariance, mask)
        if mask is not None:
            return self.likelihood.log_prob(x, theta, condition, mask)
        if not self.chosen or isinstance(self.likelihood, FlowLikelihood):
            return self.likelihood.log_prob(x, theta, condition)
        residual, covariance = self.residual(x, theta, condition)
        factor = jnp.linalg.cholesky(covariance, symmetrize_input=False)
        return gaussian_log_prob(residual, factor)

    def residual(
        self,
        x: Float[Array, " band"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " band"] | None = None,
    ) -> tuple[Float[Array, " some"], Float[Array, "some some"]]:
        """What is chosen minus its mean, and its covariance.

        Dimensions under no mask have a residual of zero and a variance of one.

        Args:
            x: All dimensions; those that are not chosen are not looked at.
            theta: Scaled parameters.
            condition: Conditions.
            mask: What is there of one object, if all dimensions are chosen.

        Raises:
            BandMismatchError: A mask is given beside chosen dimensions.
        """
        self._check(mask)
        if self.chosen:
            index = jnp.asarray(self.chosen)
            mean, covariance = self.likelihood.moments_at(theta, condition, index)
            return x[index] - mean, covariance
        moments = self.likelihood.moments(theta, condition)
        if mask is None:
            return x - moments.mean, moments.covariance
        both = mask[:, None] & mask[None, :]
        residual = jnp.where(mask, jnp.where(mask, x, 0.0) - moments.mean, 0.0)
        unit = jnp.eye(self.likelihood.dim)
        return residual, jnp.where(both, moments.covariance, unit)

    def _check(self, mask: Bool[Array, " band"] | None) -> None:
        if mask is not None and self.chosen:
            raise BandMismatchError(
                "Expected bands chosen for all objects, or a mask of one object; got "
                "both. Hide what is not chosen by the mask."
            )
