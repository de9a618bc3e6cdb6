r"""Another prior after sampling, by importance weights.

$$ w \propto \pi_\mathrm{new}(\theta) / \pi_\mathrm{old}(\theta) $$

References:
    Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25, 72 (Pareto k-hat);
    Zhang & Stephens (2009), Technometrics 51, 316 (its estimate).
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.core import Samples, Status

LARGEST_SHAPE = 0.7  # k-hat above which weighted means are not to be trusted
FEWEST_TAIL = 5  # tail weights below which no shape can be estimated

LogPrior = Callable[[Float[Array, " param"]], Float[Array, ""]]


class Reweighting(eqx.Module):
    """Draws under another prior, and how far to trust their weights.

    Attributes:
        samples: The draws with their new weights and status.
        efficiency: Effective fraction of the draws, (sum w)^2 / (N sum w^2).
        shape: Pareto k-hat of the weights; trusted below 0.7, infinite if unknown.
        num_effective: Efficiency times the effective number of unweighted draws.
    """

    samples: Samples
    efficiency: float
    shape: float
    num_effective: float


def reweight(
    samples: Samples,
    log_prior_new: LogPrior,
    log_prior_old: LogPrior,
    *,
    min_effective: float = 400.0,
) -> Reweighting:
    """Replace the prior that a posterior was sampled under.

    Args:
        samples: Draws under the old prior.
        log_prior_new: Log-density of the prior wanted, of one object's scaled
            values, per unit of those; minus infinity where it forbids.
        log_prior_old: The same of the prior that was used.
        min_effective: Effective draws below which the status is `low_ess`.
    """
    scaled = samples.parameters.scale(samples.theta)
    change = jax.vmap(lambda s: log_prior_new(s) - log_prior_old(s))(scaled)
    log_weight = np.asarray(samples.log_weight + change, dtype=float)
    # Not a number, and +inf where the old prior gave a draw no chance: no weight.
    log_weight = np.where(log_weight < np.inf, log_weight, -np.inf)
    if not np.any(np.isfinite(log_weight)):
        none = jnp.zeros(samples.num_draws)
        failed = _with_weight(samples, none, _worse(samples.status))
        return Reweighting(failed, 0.0, float("inf"), 0.0)
    log_weight = log_weight - np.max(log_weight)
    weight = np.exp(log_weight)
    efficiency = float(np.sum(weight) ** 2 / np.sum(weight**2) / weight.size)
    shape = pareto_shape(log_weight)
    num_effective = efficiency * _independent_draws(samples)
    good = num_effective >= min_effective and shape < LARGEST_SHAPE
    status = samples.status if good else _worse(samples.status)
    weighted = _with_weight(samples, jnp.asarray(log_weight), status)
    return Reweighting(weighted, efficiency, shape, num_effective)


def _worse(status: Status) -> Status:
    """An object that failed before keeps its own reason."""
    return Status.low_ess if bool(status == Status.ok) else status


def _with_weight(samples: Samples, log_weight: Array, status: Status) -> Samples:
    return Samples(
        theta=samples.theta,
        log_weight=log_weight,
        status=status,
        parameters=samples.parameters,
        num_chains=samples.num_chains,
        diagnostics=samples.diagnostics,
        derived=samples.derived,
        certificate=samples.certificate,
    )


def _independent_draws(samples: Samples) -> float:
    """The draws that the chains are worth; all of them if they are no chains."""
    if samples.diagnostics is None:
        return float(samples.num_draws)
    return float(min(jnp.min(samples.diagnostics.ess_bulk), samples.num_draws))


def pareto_shape(log_weight: Float[np.ndarray, " draw"]) -> float:
    """Shape k-hat of the Pareto tail of importance weights.

    The tail holds the largest `min(N / 5, 3 sqrt(N))` weights. Equal weights have no
    tail: minus infinity. Too few distinct weights in it: infinity.
    """
    finite = np.sort(np.asarray(log_weight, dtype=float))
    finite = finite - finite[-1]
    if finite[0] == 0:
        return float("-inf")
    num_tail = int(np.ceil(min(0.2 * finite.size, 3 * np.sqrt(finite.size))))
    tiny = np.log(np.finfo(float).tiny)
    cutoff = max(finite[-num_tail - 1], tiny)
    excess = np.exp(finite[finite > cutoff]) - np.exp(cutoff)
    if excess.size < FEWEST_TAIL:
        return float("inf")
    return _generalized_pareto_shape(excess)


def _generalized_pareto_shape(excess: Float[np.ndarray, " tail"]) -> float:
    """Posterior mean of the shape, with a weak prior towards one half."""
    count = excess.size
    grid = np.arange(1, 30 + int(np.sqrt(count)) + 1)
    rate = 1 - np.sqrt(grid.size / (grid - 0.5))
    quartile = excess[int(count / 4 + 0.5) - 1]
    rate = rate / (3 * quartile) + 1 / excess[-1]
    shapes = np.mean(np.log1p(-rate[:, None] * excess), axis=1)
    log_like = count * (np.log(-rate / shapes) - shapes - 1)
    weight = np.exp(log_like - np.max(log_like))
    mean_rate = np.sum(rate * weight) / np.sum(weight)
    shape = np.mean(np.log1p(-mean_rate * excess))
    return float((count * shape + 10 * 0.5) / (count + 10))
