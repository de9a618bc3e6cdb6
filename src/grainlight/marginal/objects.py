"""Posterior draws of many objects, and what each of them counts for in a population."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError
from grainlight.marginal.densities import Density


class ObjectDraws(eqx.Module):
    """Draws of many objects, and the density that they stand for.

    Attributes:
        theta: Draws of every object.
        log_weight: What a draw counts for: minus its log interim prior, plus the log of
            its weight.
        condition: What is known of every object.
    """

    theta: Float[Array, "object draw param"]
    log_weight: Float[Array, "object draw"]
    condition: Float[Array, "object cond"]

    @classmethod
    def from_draws(
        cls,
        theta: Float[np.ndarray, "object draw param"] | Array,
        prior: Density,
        condition: Float[np.ndarray, "object cond"] | Array | None = None,
    ) -> "ObjectDraws":
        """Equally weighted posterior draws, under an interim prior."""
        table = np.asarray(theta, float)
        shape = table.shape[:2]
        log_prior = prior.log_prob_table(table.reshape(-1, table.shape[2]))
        if not np.all(np.isfinite(log_prior)):
            raise ParameterError(
                "Expected draws where the interim prior is positive; got "
                f"{int(np.sum(~np.isfinite(log_prior)))} where it is not. Give the "
                "prior that the objects were fitted under."
            )
        return cls(
            jnp.asarray(table, jnp.float32),
            jnp.asarray(-log_prior.reshape(shape), jnp.float32),
            _conditions(condition, shape[0]),
        )

    @classmethod
    def from_densities(
        cls,
        key: Key[Array, ""],
        densities: Sequence[Density],
        prior: Density,
        proposal: Density,
        num_draws: int,
        condition: Float[np.ndarray, "object cond"] | Array | None = None,
    ) -> "ObjectDraws":
        """Draws of a proposal, weighted by the posterior density of every object.

        Where the population is narrower than the posteriors, draws of a density near
        the population waste nothing.

        Args:
            key: Seeds the draws.
            densities: Posterior of every object.
            prior: The interim prior.
            proposal: A density somewhat wider than the population.
            num_draws: Draws of every object.
            condition: What is known of every object.
        """
        num = len(densities)
        theta = proposal.sample(key, num * num_draws)
        table = np.asarray(theta, float)
        common = -prior.log_prob_table(table) - proposal.log_prob_table(table)
        own = np.split(table, num)
        each = np.stack(
            [one.log_prob_table(part) for one, part in zip(densities, own, strict=True)]
        )
        each = each + common.reshape(num, num_draws)
        return cls(
            theta.reshape(num, num_draws, -1),
            jnp.asarray(np.where(np.isfinite(each), each, -np.inf), jnp.float32),
            _conditions(condition, num),
        )


def _conditions(condition: np.ndarray | Array | None, num: int) -> Array:
    if condition is None:
        return jnp.zeros((num, 0))
    table = jnp.asarray(condition, jnp.float32)
    if table.shape[0] != num:
        raise ParameterError(
            f"Expected conditions of {num} objects; got {table.shape[0]}. Give every "
            "object a row."
        )
    return table
