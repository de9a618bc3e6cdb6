r"""How far the mean of a prediction lies from the truth.

$$ \frac{1}{|D|} \sum_{i \in D} |x_i - \mu_i(\theta, z)| $$

over the dimensions $D$ that are there; of a posterior the same of its parameters, each
in units of its standard deviation over the training set.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from grainlight.estimators.flow_likelihood import FlowLikelihood
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.gaussian_posterior import GaussianPosterior
from grainlight.estimators.likelihood_ensemble import LikelihoodEnsemble
from grainlight.estimators.variational import VariationalLikelihood

Likelihood = (
    GaussianLikelihood | LikelihoodEnsemble | VariationalLikelihood | FlowLikelihood
)


def absolute_error(
    estimator: Likelihood | GaussianPosterior,
    theta: Float[Array, " param"],
    condition: Float[Array, " cond"],
    x: Float[Array, " dim"],
    mask: Bool[Array, " dim"] | None = None,
) -> Float[Array, ""]:
    """Mean absolute error of one object, in the unit of `x` or standardized.

    Args:
        estimator: A likelihood of `x`, or a posterior of `theta`.
        theta: Scaled parameters.
        condition: Conditions.
        x: The outcome.
        mask: True where `x` is there.
    """
    if isinstance(estimator, GaussianPosterior):
        mean = estimator.moments(x, condition, mask).mean
        return jnp.mean(jnp.abs(theta - mean) / estimator.theta_scaling.spread)
    error = jnp.abs(x - estimator.moments(theta, condition).mean)
    there = jnp.ones_like(error) if mask is None else mask.astype(error.dtype)
    return jnp.sum(jnp.where(there > 0, error, 0.0)) / jnp.maximum(jnp.sum(there), 1)
