"""What likelihoods of any kind do."""

from abc import abstractmethod

import equinox as eqx
from jaxtyping import Array, Bool, Float, Key

from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.moments import Moments


class AbstractLikelihood(eqx.Module):
    """The distribution of an outcome given scaled parameters and conditions.

    `theta` are the scaled parameters; `condition` is what is known beside them, such as
    the redshift, and may have length zero; `mask` is true where the outcome is there,
    which is everywhere if it is not given.

    Attributes:
        inputs: What a network sees of parameters and conditions.
        outputs: The map between the network and the outcome.
    """

    inputs: eqx.AbstractVar[Inputs]
    outputs: eqx.AbstractVar[Outputs]

    @property
    def dim(self) -> int:
        """Length of the outcome."""
        return self.outputs.gain.shape[0]

    @property
    def num_param(self) -> int:
        """Number of parameters."""
        return self.outputs.gain.shape[1]

    @property
    def num_cond(self) -> int:
        """Number of conditions."""
        return self.inputs.mixing.shape[1] - self.num_param

    @abstractmethod
    def log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        """Log-density of the outcome, marginal over the dimensions that are missing.

        Where it is missing, `x` has any value, finite or nan. What cannot marginalize
        raises `BandMismatchError` for a mask.
        """

    @abstractmethod
    def moments(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Moments:
        """Mean and covariance of the outcome, in its units; the same in every call."""

    @abstractmethod
    def sample(
        self,
        key: Key[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " dim"]:
        """Draw one outcome."""

    @abstractmethod
    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        """Objective of one pair, as the text of the module says.

        Args:
            key: Draws what is random in it; not used if nothing is.
            progress: 0 at the start of training, 1 when all is annealed.
            theta: Scaled parameters.
            condition: Conditions.
            x: The outcome.
            mask: As of `log_prob`.
        """
