"""Normalizing flows: the only file that knows FlowJAX."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import AbstractDistribution, Normal
from flowjax.flows import coupling_flow, masked_autoregressive_flow
from jaxtyping import Array, Float, Key


class Flow(eqx.Module):
    """A density over all reals, made of rational-quadratic splines.

    Splines act on `[-interval, interval]` and are the identity beyond, so the data
    should be standardized. `coupling` is fast both ways; `autoregressive` has a fast
    log-density and is more expressive in few dimensions. One dimension is always
    autoregressive.

    References:
        Durkan et al. (2019), arXiv:1906.04032; Papamakarios et al. (2017),
        arXiv:1705.07057.
    """

    distribution: AbstractDistribution

    def __init__(
        self,
        key: Key[Array, ""],
        dim: int,
        *,
        num_cond: int = 0,
        kind: Literal["coupling", "autoregressive"] = "coupling",
        num_layers: int = 6,
        width: int = 64,
        depth: int = 1,
        knots: int = 8,
        interval: float = 5.0,
    ) -> None:
        build = coupling_flow
        if kind == "autoregressive" or dim == 1:
            build = masked_autoregressive_flow
        self.distribution = build(
            key,
            base_dist=Normal(jnp.zeros(dim)),
            transformer=RationalQuadraticSpline(knots=knots, interval=interval),
            cond_dim=num_cond or None,
            flow_layers=num_layers,
            nn_width=width,
            nn_depth=depth,
        )

    def log_prob(
        self, y: Float[Array, " dim"], condition: Float[Array, " cond"] | None = None
    ) -> Float[Array, ""]:
        """Log-density of one vector, normalized over all reals."""
        return self.distribution.log_prob(y, condition)

    def sample(
        self,
        key: Key[Array, ""],
        num_draws: int,
        condition: Float[Array, " cond"] | None = None,
    ) -> Float[Array, "draw dim"]:
        """Draw vectors from the density."""
        return self.distribution.sample(key, (num_draws,), condition)

    def sample_with_log_prob(
        self, key: Key[Array, ""], condition: Float[Array, " cond"] | None = None
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """Draw one vector, with its log-density: no inversion rounds it."""
        return self.distribution.sample_and_log_prob(key, (), condition)
