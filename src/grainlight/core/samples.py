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


#: Effective draws and Pareto k-hat of weights that an evidence is believed of.
SOUND_DRAWS, SOUND_SHAPE = 50, 0.7


class Certificate(eqx.Module):
    r"""Which step of the ladder answered, and what importance weights say of it.

    Attributes:
        rung: `corrected` (amortized draws, weighed by likelihood and prior), `refined`
            (draws of a mixture that learned from these, likewise), `guided` (chains
            that start from such draws), `sampled` (chains from the prior) or `settled`
            (draws of a mixture that learned from these, weighed); in catalogs also
            `amortized` (draws as they came, of which a few are weighed).
        efficiency: $(\sum w)^2 / (N \sum w^2)$ of the weights: of the mixture's draws
            if one learned, else of the amortized ones; nan where there are none.
        shape: Pareto k-hat of these; trusted below 0.7.
        num_weighed: Number N of them.
        log_evidence: Log of their mean: of likelihood times prior, as far as that is
            normalized.
        log_evidence_error: Its standard error.
    """

    rung: str = eqx.field(static=True)
    efficiency: float = eqx.field(static=True, default=float("nan"))
    shape: float = eqx.field(static=True, default=float("nan"))
    num_weighed: int = eqx.field(static=True, default=0)
    log_evidence: float = eqx.field(static=True, default=float("nan"))
    log_evidence_error: float = eqx.field(static=True, default=float("nan"))

    @property
    def num_effective(self) -> float:
        """Draws that the weighed ones are worth."""
        return self.efficiency * self.num_weighed

    @property
    def sound_evidence(self) -> float:
        """The log-evidence, if its weights bear it: its error is 0.14 then; else nan.

        Chains keep what the weights said that failed before them.
        """
        sound = self.num_effective >= SOUND_DRAWS and self.shape < SOUND_SHAPE
        return self.log_evidence if sound else float("nan")


class Samples(eqx.Module):
    """Weighted draws of one object's parameters: what every sampler returns.

    Draws are in physical units, one chain after another. `derived` holds outcomes
    that are functions of the parameters, by name. A certificate says how they came.
    """

    theta: Float[Array, "draw param"]
    log_weight: Float[Array, " draw"]
    status: Status
    parameters: Parameters = eqx.field(static=True)
    num_chains: int = eqx.field(static=True, default=1)
    diagnostics: Diagnostics | None = None
    derived: dict[str, Float[Array, " draw"]] = eqx.field(default_factory=dict)
    certificate: Certificate | None = None

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
