r"""Divergence, dimensionality and evidence of a marginal posterior, with errors.

$$ D = \langle \ln P / \pi \rangle_P , \qquad d = 2\, \mathrm{Var}_P(\ln P / \pi) ,
   \qquad \ln Z = \langle \ln L \rangle_P - D . $$

$D$ is measured twice. Held-out draws give $D - \mathrm{KL}(P \| q)$, not more than $D$;
the draws of the density itself give $\mathrm{KL}(q \| \pi)$. The first is quoted; how
far the second is from it, beyond its noise, tells what the density misses.

References:
    Bevins et al. (2022), arXiv:2205.12841; Handley & Lemos (2019), arXiv:1903.06682.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError
from grainlight.marginal.densities import Density
from grainlight.marginal.learn import Marginal
from grainlight.marginal.measured import Measured
from grainlight.sampling.importance import LARGEST_SHAPE, pareto_shape

_WEIGHT_SETS = 100


@dataclass(frozen=True)
class MarginalStatistics:
    """What a posterior has learned of some parameters.

    Attributes:
        names: The parameters.
        divergence: Kullback-Leibler divergence of posterior and prior [nat].
        drawn_divergence: The same by the density's own draws [nat].
        dimensionality: Bayesian model dimensionality.
        num_effective: Effective draws, by Kish.
        num_modes: Pieces of the density.
    """

    names: tuple[str, ...]
    divergence: Measured
    drawn_divergence: Measured
    dimensionality: Measured
    num_effective: float
    num_modes: int

    def words(self) -> dict[str, object]:
        """Plain values for a file."""
        return {
            "parameters": list(self.names),
            "divergence": self.divergence.words(),
            "drawn_divergence": self.drawn_divergence.words(),
            "dimensionality": self.dimensionality.words(),
            "num_effective": self.num_effective,
            "num_modes": self.num_modes,
        }


def measure_marginal(
    key: Key[Array, ""], marginal: Marginal, *, num_draws: int = 20_000
) -> MarginalStatistics:
    """Divergence and dimensionality of a learned posterior.

    Args:
        key: Seeds the density's own draws and the weights of a nested run.
        marginal: The posterior.
        num_draws: The density's own draws.
    """
    draw_key, seed_key = jr.split(key)
    chains = marginal.chains
    sets = chains.draw_weights(_generator(seed_key), _WEIGHT_SETS)
    by_member = marginal.member_log_ratio()
    held = _weighted(marginal.held_out(by_member), chains.weight)
    drawn = _drawn_ratio(draw_key, marginal, num_draws)
    num_modes = marginal.num_modes

    def measure(statistic: Callable, spread: Callable) -> Measured:
        value = statistic(held, chains.weight)
        members = [statistic(column, chains.weight) for column in by_member.T]
        own = statistic(drawn, np.ones(drawn.size))
        noise = np.std(spread(drawn, np.ones(drawn.size))) / np.sqrt(drawn.size)
        again = [] if sets is None else [statistic(held, weight) for weight in sets]
        return Measured(
            value,
            chains.standard_error(spread(held, chains.weight)),
            float(np.std(members, ddof=1) / np.sqrt(len(members))),
            float(np.std(again)) if again else 0.0,
            float(np.sqrt(max((own - value) ** 2 - noise**2, 0.0))),
        )

    noise = float(np.std(drawn) / np.sqrt(drawn.size))
    return MarginalStatistics(
        chains.names,
        measure(_mean, lambda ratio, weight: ratio),
        Measured(float(np.mean(drawn)), noise),
        measure(_dimensionality, _square),
        chains.num_effective,
        num_modes,
    )


def _generator(key: Key[Array, ""]) -> np.random.Generator:
    return np.random.default_rng(int(jr.randint(key, (), 0, 2**31 - 1)))


def _weighted(ratio: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Zero where a draw weighs nothing, whatever its density."""
    return np.where(weight > 0, ratio, 0.0)


def _mean(ratio: np.ndarray, weight: np.ndarray) -> float:
    return float(weight @ np.where(weight > 0, ratio, 0.0) / np.sum(weight))


def _square(ratio: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return 2 * (ratio - _mean(ratio, weight)) ** 2


def _dimensionality(ratio: np.ndarray, weight: np.ndarray) -> float:
    return _mean(_square(ratio, weight), weight)


def _drawn_ratio(key: Key[Array, ""], marginal: Marginal, num_draws: int) -> np.ndarray:
    theta = np.asarray(marginal.density.sample(key, num_draws), float)
    ratio = marginal.density.log_prob_table(theta) - marginal.prior.log_prob_table(
        theta
    )
    return ratio[np.isfinite(ratio)]


def evidence_of_chain(key: Key[Array, ""], marginal: Marginal) -> Measured:
    """Log-evidence from the log-likelihoods of a chain, $<ln L> - D$.

    The marginal must hold all parameters that the likelihood depends on.

    Args:
        key: Seeds the weights of a nested run.
        marginal: The posterior, of chains that know their log-likelihoods.
    """
    chains = marginal.chains
    if chains.log_likelihood is None:
        raise ParameterError(
            "Expected chains with log-likelihoods; got some without. Give a file that "
            "has them, or use `importance_evidence`."
        )
    weight = chains.weight
    members = marginal.member_log_ratio()
    log_evidence = chains.log_likelihood - marginal.held_out(members)
    log_evidence = _weighted(log_evidence, weight)
    mean = [_mean(column, weight) for column in members.T]
    sets = chains.draw_weights(_generator(key), _WEIGHT_SETS)
    again = [] if sets is None else [_mean(log_evidence, one) for one in sets]
    value = _mean(log_evidence, weight)
    # exp(-x) should average to 1 / Z as x does to ln Z: what the density misses
    lowest = np.min(log_evidence[weight > 0])
    harmonic = lowest - np.log(_mean(np.exp(lowest - log_evidence), weight))
    return Measured(
        value,
        chains.standard_error(log_evidence),
        float(np.std(mean, ddof=1) / np.sqrt(len(mean))),
        float(np.std(again)) if again else 0.0,
        abs(float(harmonic) - value),
    )


@dataclass(frozen=True)
class Evidence:
    """A log-evidence by importance sampling, and how far to trust it.

    Attributes:
        log_evidence: Log-evidence with its standard error.
        efficiency: Effective fraction of the draws.
        shape: Pareto k-hat of the weights; trusted below 0.7.
    """

    log_evidence: Measured
    efficiency: float
    shape: float

    @property
    def is_trusted(self) -> bool:
        """Whether the weights have a finite variance."""
        return self.shape < LARGEST_SHAPE


def importance_evidence(
    key: Key[Array, ""],
    density: Density,
    log_likelihood: Callable[[Float[Array, " param"]], Float[Array, ""]],
    prior: Density,
    *,
    num_draws: int = 20_000,
) -> Evidence:
    r"""Evidence as $\langle L \pi / q \rangle_q$ over draws of a learned posterior.

    Args:
        key: Seeds the draws.
        density: The learned posterior $q$.
        log_likelihood: Log-likelihood of one vector.
        prior: The prior.
        num_draws: Number of draws.
    """
    theta = density.sample(key, num_draws)
    table = np.asarray(theta, float)
    log_like = np.asarray(jax.jit(jax.vmap(log_likelihood))(theta), float)
    log_weight = log_like + prior.log_prob_table(table) - density.log_prob_table(table)
    return evidence_of_weights(log_weight)


def evidence_of_weights(log_weight: Float[np.ndarray, " draw"]) -> Evidence:
    """Log of the mean of importance weights, its error, and whether to trust it."""
    log_weight = np.where(log_weight < np.inf, log_weight, -np.inf)
    highest = np.max(log_weight)
    if not np.isfinite(highest):
        return Evidence(Measured(-np.inf, np.inf), 0.0, np.inf)
    weight = np.exp(log_weight - highest)
    mean = np.mean(weight)
    error = np.std(weight) / mean / np.sqrt(weight.size)
    efficiency = float(np.sum(weight) ** 2 / np.sum(weight**2) / weight.size)
    value = float(highest + np.log(mean))
    shape = pareto_shape(log_weight)
    return Evidence(Measured(value, float(error)), efficiency, shape)
