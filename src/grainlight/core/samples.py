"""Weighted draws of one object's parameters."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.core.parameters import Parameters
from grainlight.core.status import Status


class Diagnostics(eqx.Module):
    """What the gate looked at (Vehtari et al. 2021, arXiv:1903.08008).

    Attributes:
        rhat: Rank-normalized split R-hat, the larger of bulk and folded.
        ess_bulk: Effective number of draws for the center.
        ess_tail: Effective number of draws for the 5 % and 95 % quantiles.
        ess_chain: Smallest effective number of draws of a single chain.
        acceptance: Mean acceptance probability of the proposals.
    """

    rhat: Float[Array, " param"]
    ess_bulk: Float[Array, " param"]
    ess_tail: Float[Array, " param"]
    ess_chain: Float[Array, " param"]
    acceptance: Float[Array, ""]


class Samples(eqx.Module):
    """Weighted draws of one object's parameters: what every sampler returns.

    Draws are in physical units, one chain after another. `derived` holds outcomes
    that are functions of the parameters, by name.
    """

    theta: Float[Array, "draw param"]
    log_weight: Float[Array, " draw"]
    status: Status
    parameters: Parameters = eqx.field(static=True)
    num_chains: int = eqx.field(static=True, default=1)
    diagnostics: Diagnostics | None = None
    derived: dict[str, Float[Array, " draw"]] = eqx.field(default_factory=dict)

    @property
    def num_draws(self) -> int:
        """Draws of all chains together."""
        return self.theta.shape[0]

    @property
    def weight(self) -> Float[Array, " draw"]:
        """Weights that sum to one."""
        shifted = jnp.exp(self.log_weight - jnp.max(self.log_weight))
        return shifted / jnp.sum(shifted)

    def columns(self) -> dict[str, np.ndarray]:
        """Draws by name, parameters first, then derived outcomes."""
        draws = np.asarray(self.theta, dtype=float)
        named = {name: draws[:, i] for i, name in enumerate(self.parameters.names)}
        named.update(
            {name: np.asarray(value, float) for name, value in self.derived.items()}
        )
        return named

    def quantile(self, levels: tuple[float, ...]) -> dict[str, np.ndarray]:
        """Weighted quantiles of every column at the given levels."""
        weight = np.asarray(self.weight, dtype=float)
        keep = weight != 0  # else the tails would lean on draws that weigh nothing
        weight = weight[keep]
        table = {}
        for name, column in self.columns().items():
            draws = column[keep]
            order = np.argsort(draws)
            cumulative = np.cumsum(weight[order]) - 0.5 * weight[order]
            table[name] = np.interp(levels, cumulative, draws[order])
        return table
