r"""Several Gaussian likelihoods as one mixture.

$$ p(x | \theta, z) = \frac1M \sum_{m=1}^M N\big(x;\, \mu_m(\theta, z),\,
   \Sigma_m(\theta, z)\big) $$

Networks that start from other weights err apart on what they were not trained on. Each
is too sure of itself there; where they disagree the mixture is wider, as it should be.

Objective: the mean of the objectives of the members, which learn side by side from the
same batches. Missing dimensions are left out exactly: the marginal of a mixture is that
of its members.

References:
    Lakshminarayanan, Pritzel & Blundell (2017), arXiv:1612.01474 (deep ensembles).
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.core import ModelError
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.likelihood import AbstractLikelihood
from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.moments import Moments, even_mixture


class LikelihoodEnsemble(AbstractLikelihood):
    """The even mixture of Gaussian likelihoods of the same outcome.

    Attributes:
        members: The likelihoods.
    """

    members: tuple[GaussianLikelihood, ...]

    def __init__(self, members: Sequence[GaussianLikelihood]) -> None:
        sizes = {(one.dim, one.num_param, one.num_cond) for one in members}
        if len(sizes) != 1:
            raise ModelError(
                "Expected one likelihood or more, of the same outcomes, parameters and "
                f"conditions; got {len(members)} of {len(sizes)} kinds. Train them on "
                "one data set."
            )
        self.members = tuple(members)

    @classmethod
    def from_data(
        cls,
        key: Key[Array, ""],
        theta: Float[np.ndarray, "sim param"] | Array,
        condition: Float[np.ndarray, "sim cond"] | Array,
        x: Float[np.ndarray, "sim dim"] | Array,
        *,
        num_members: int = 4,
        **settings: Any,
    ) -> "LikelihoodEnsemble":
        """Untrained likelihoods, standardized on a training set.

        Args:
            key: Draws the first weights, others for each.
            theta: Scaled parameters.
            condition: Conditions.
            x: Outcomes.
            num_members: How many there are.
            **settings: Those of `GaussianLikelihood.from_data`.
        """
        keys = jr.split(key, num_members)
        data = (theta, condition, x)
        return cls([GaussianLikelihood.from_data(k, *data, **settings) for k in keys])

    @property
    def inputs(self) -> Inputs:
        """What the first network sees of parameters and conditions."""
        return self.members[0].inputs

    @property
    def outputs(self) -> Outputs:
        """The map between the first network and the outcome."""
        return self.members[0].outputs

    def config(self) -> dict[str, Any]:
        """The architectures, for a file."""
        return {"members": [member.config() for member in self.members]}

    @classmethod
    def from_config(
        cls, key: Key[Array, ""], *, members: Sequence[dict[str, Any]]
    ) -> "LikelihoodEnsemble":
        """Likelihoods of saved architectures, their arrays to be filled."""
        return cls([GaussianLikelihood.from_config(key, **each) for each in members])

    def log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        return even_mixture(
            [one.log_prob(x, theta, condition, mask) for one in self.members]
        )

    def moments(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Moments:
        # the mean covariance, and the covariance of the means
        every = [one.moments(theta, condition) for one in self.members]
        mean, covariance = _joined([(one.mean, one.covariance) for one in every])
        return Moments(mean, jnp.linalg.cholesky(covariance))

    def moments_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> tuple[Float[Array, " row"], Float[Array, "row row"]]:
        """Mean and covariance of some dimensions of the outcome, at their cost.

        Args:
            theta: Scaled parameters.
            condition: Conditions.
            index: Which dimensions, in any order.
        """
        given = (theta, condition, index)
        return _joined([one.moments_at(*given) for one in self.members])

    def scatter_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> tuple[Float[Array, " row"], Float[Array, " row"]]:
        """The means and variances of `moments_at`; cheaper, if there is a `blur`."""
        every = [one.scatter_at(theta, condition, index) for one in self.members]
        means, variances = (jnp.stack(part) for part in zip(*every, strict=True))
        return jnp.mean(means, 0), jnp.mean(variances, 0) + jnp.var(means, 0)

    def sample(
        self,
        key: Key[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " dim"]:
        pick_key, draw_key = jr.split(key)
        every = [one.sample(draw_key, theta, condition) for one in self.members]
        return jnp.stack(every)[jr.randint(pick_key, (), 0, len(every))]

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        given = (progress, theta, condition, x, mask)
        return jnp.mean(jnp.stack([one.loss(key, *given) for one in self.members]))


def _joined(
    every: Sequence[tuple[Float[Array, " row"], Float[Array, "row row"]]],
) -> tuple[Float[Array, " row"], Float[Array, "row row"]]:
    """Mean and covariance of an even mixture."""
    means, covariances = (jnp.stack(part) for part in zip(*every, strict=True))
    away = means - jnp.mean(means, axis=0)
    spread = jnp.matmul(away.T, away, precision="highest") / len(every)
    return jnp.mean(means, axis=0), jnp.mean(covariances, axis=0) + spread
