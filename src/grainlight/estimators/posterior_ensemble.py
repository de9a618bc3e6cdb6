r"""Several amortized posteriors as one mixture.

$$ q(\theta | x) = \frac1M \sum_{m=1}^M q_m(\theta | x) $$

Networks that were trained apart err apart: where they disagree the mixture is wider, as
it should be, and its weights under the likelihood have lighter tails.

Each member makes its share of the draws, as even as their number allows, in random
order: every draw has the density of the mixture, and means scatter less than if the
members had been picked by chance.

References:
    Lakshminarayanan, Pritzel & Blundell (2017), arXiv:1612.01474 (deep ensembles);
    Hermans et al. (2022), arXiv:2110.06581 (of posteriors).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from grainlight.core import ParameterError
from grainlight.estimators.flow_posterior import FlowPosterior
from grainlight.estimators.moments import even_mixture
from grainlight.estimators.posterior import AbstractPosterior, PosteriorDraws


class PosteriorEnsemble(AbstractPosterior):
    """The even mixture of posteriors of the same parameters and outcomes.

    Attributes:
        members: The posteriors.
    """

    members: tuple[FlowPosterior, ...]

    def __init__(self, members: Sequence[FlowPosterior]) -> None:
        sizes = {
            (m.theta_scaling.center.size, m.x_scaling.center.size, m.num_channels)
            for m in members
        }
        if len(sizes) != 1:
            raise ParameterError(
                "Expected one posterior or more, of the same parameters and outcomes; "
                f"got {len(members)} of {len(sizes)} kinds. Train them on one data set."
            )
        self.members = tuple(members)

    def config(self) -> dict[str, Any]:
        """The architectures, for a file."""
        return {"members": [member.config() for member in self.members]}

    @classmethod
    def from_config(
        cls, key: Key[Array, ""], *, members: Sequence[dict[str, Any]]
    ) -> "PosteriorEnsemble":
        """Posteriors of saved architectures, their arrays to be filled."""
        return cls([FlowPosterior.from_config(key, **each) for each in members])

    def log_prob(
        self,
        theta: Float[Array, " param"],
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " token"] | None = None,
    ) -> Float[Array, ""]:
        return even_mixture(
            [one.log_prob(theta, x, condition, mask) for one in self.members]
        )

    def draw(
        self,
        key: Key[Array, ""],
        num_draws: int,
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " token"] | None = None,
    ) -> PosteriorDraws:
        pick_key, order_key, draw_key = jr.split(key, 3)
        num = len(self.members)
        share = -(-num_draws // num)
        every = jnp.stack(
            [
                one.draw(k, share, x, condition, mask).theta
                for k, one in zip(jr.split(draw_key, num), self.members, strict=True)
            ],
            axis=1,
        )
        # which members give the last draws, if not all do, is left to chance
        every = jr.permutation(pick_key, every, axis=1)
        rows = every.reshape(share * num, -1)[:num_draws]
        theta = jr.permutation(order_key, rows)
        log_prob = jax.vmap(lambda row: self.log_prob(row, x, condition, mask))(theta)
        return PosteriorDraws(theta, log_prob)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " token"] | None = None,
    ) -> Float[Array, ""]:
        # each member learns by itself
        losses = [
            one.loss(key, progress, theta, condition, x, mask) for one in self.members
        ]
        return jnp.mean(jnp.stack(losses))
