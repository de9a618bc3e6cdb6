r"""The likelihood of shells with clumps.

$$ p(x | \theta, z) = r\big( x - \mu(\theta, z) \,\big|\, \theta, z \big) , $$

with $\mu$ of an `EffectiveShell` and $r$ a Gaussian with the covariance of what it
leaves: its own errors, and the scatter between shells that differ in nothing but the
places of their clumps. $r$ is learned from residuals of shells that $\mu$ was not
learned from (`clump_training`).
"""

from typing import Any

import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.estimators.effective import EffectiveShell
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.likelihood import AbstractLikelihood
from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.moments import Moments


class ClumpyLikelihood(AbstractLikelihood):
    """The distribution of the magnitudes of shells with clumps.

    Its parameters are those of smooth shells and, last, the filling factor.

    Attributes:
        effective: Mean of the magnitudes.
        residual: Distribution of what is left.
    """

    effective: EffectiveShell
    residual: GaussianLikelihood

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {
            "smooth": self.effective.base.config(),
            "effective": self.effective.config(),
            "residual": self.residual.config(),
        }

    @classmethod
    def from_config(
        cls,
        key: Key[Array, ""],
        *,
        smooth: dict[str, Any],
        effective: dict[str, Any],
        residual: dict[str, Any],
    ) -> "ClumpyLikelihood":
        """A likelihood of a saved architecture, its arrays to be filled."""
        keys = jr.split(key, 3)
        base = GaussianLikelihood.from_config(keys[0], **smooth)
        return cls(
            EffectiveShell.from_config(keys[1], base, **effective),
            GaussianLikelihood.from_config(keys[2], **residual),
        )

    @property
    def inputs(self) -> Inputs:
        """What the residual sees; the filling factor is among it."""
        return self.residual.inputs

    @property
    def outputs(self) -> Outputs:
        """The map between the residual's network and magnitudes."""
        return self.residual.outputs

    @property
    def blur(self) -> tuple[float, float] | None:
        """Least and largest scatter of the noise that it was trained under."""
        return self.residual.blur

    def moments(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Moments:
        left = self.residual.moments(theta, condition)
        return Moments(self.effective(theta, condition) + left.mean, left.factor)

    def moments_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> tuple[Float[Array, " row"], Float[Array, "row row"]]:
        """Mean and covariance of some dimensions of the outcome."""
        mean, covariance = self.residual.moments_at(theta, condition, index)
        return self.effective(theta, condition)[index] + mean, covariance

    def scatter_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> tuple[Float[Array, " row"], Float[Array, " row"]]:
        """The means and variances of `moments_at`."""
        mean, variance = self.residual.scatter_at(theta, condition, index)
        return self.effective(theta, condition)[index] + mean, variance

    def log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        left = x - self.effective(theta, condition)
        return self.residual.log_prob(left, theta, condition, mask)

    def sample(
        self,
        key: Key[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " dim"]:
        left = self.residual.sample(key, theta, condition)
        return self.effective(theta, condition) + left

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        left = x - self.effective(theta, condition)
        return self.residual.loss(key, progress, theta, condition, left, mask)
