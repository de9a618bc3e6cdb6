"""What amortized posteriors of any kind do, and what they answer with."""

from abc import abstractmethod

import equinox as eqx
from jaxtyping import Array, Bool, Float, Key


class PosteriorDraws(eqx.Module):
    """Draws of one object's scaled parameters, and the density they are drawn from.

    Attributes:
        theta: The draws.
        log_prob: Log-density of each, per unit of the scaled parameters.
    """

    theta: Float[Array, "draw param"]
    log_prob: Float[Array, " draw"]


class AbstractPosterior(eqx.Module):
    """The distribution of scaled parameters given an outcome, for any outcome.

    `x` is the outcome, anything where it is missing; `condition` is what is known
    beside it and may have length zero; `mask` is true where a token of the outcome is
    there, and where all its numbers are finite if not given.
    """

    @abstractmethod
    def log_prob(
        self,
        theta: Float[Array, " param"],
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " token"] | None = None,
    ) -> Float[Array, ""]:
        """Log-density per unit of the scaled parameters, normalized."""

    @abstractmethod
    def draw(
        self,
        key: Key[Array, ""],
        num_draws: int,
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " token"] | None = None,
    ) -> PosteriorDraws:
        """Draw many vectors of scaled parameters, with their densities."""

    @abstractmethod
    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " token"] | None = None,
    ) -> Float[Array, ""]:
        """Minus the log-density of one pair.

        Args:
            key: Not used where the loss is not random.
            progress: 0 at the start of training, 1 when all is annealed.
            theta: Scaled parameters.
            condition: Conditions.
            x: The outcome.
            mask: True where a token is there.
        """

    def sample(
        self,
        key: Key[Array, ""],
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " token"] | None = None,
    ) -> Float[Array, " param"]:
        """Draw one vector of scaled parameters."""
        return self.draw(key, 1, x, condition, mask).theta[0]
