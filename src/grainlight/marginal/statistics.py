r"""Divergence, dimensionality and evidence of a marginal posterior, with errors.

$$ D = \langle \ln P / \pi \rangle_P , \qquad d = 2\, \mathrm{Var}_P(\ln P / \pi) ,
   \qquad \ln Z = \langle \ln L \rangle_P - D . $$

A learned density $q = P\,(1 + e)$ spoils neither to first order in $e$. With $\ell =
\ln q / \pi$ and $D_q = \langle \ell \rangle_q$, from the draws of $q$ itself,

$$ D \approx \langle \ell \rangle_P , \qquad
   d \approx 2\, \langle (\ell - D_q)^2 + 2\, (\ell - D_q) \rangle_P , $$

over draws that $q$ has not seen: the one-step estimates of the two functionals. What is
left is $\mathrm{KL}(P \| q) = \langle e^2 \rangle / 2$ for $D$, which is low by it,
and about four times as much for $d$; the plain variance is off by $4 \langle e\, (\ell
- D) \rangle$. That divergence is read off the scatter of the ensemble, and off what
$q$ misses along $\ell$,

$$ \mathrm{KL} \approx \tfrac12 \langle \mathrm{Var}_m \ln q_m \rangle_P +
   \frac{(D_q - \langle \ell \rangle_P)^2}{2\, \mathrm{Var}_P\, \ell} . $$

References:
    Bevins et al. (2022), arXiv:2205.12841; Handley & Lemos (2019), arXiv:1903.06682;
    Kandasamy et al. (2015), arXiv:1411.4342 (one-step estimates of functionals).
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.stats import qmc

from grainlight.core import ParameterError
from grainlight.marginal.densities import Density
from grainlight.marginal.learn import Marginal
from grainlight.marginal.measured import Measured
from grainlight.sampling.importance import LARGEST_SHAPE, pareto_shape

_WEIGHT_SETS = 100
_POINT_SETS = 8


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
    key: Key[Array, ""], marginal: Marginal, *, num_draws: int = 32_768
) -> MarginalStatistics:
    """Divergence and dimensionality of a learned posterior.

    Args:
        key: Seeds the density's own draws and the weights of a nested run.
        marginal: The posterior.
        num_draws: Draws of every member of the density, to the next power of two.
    """
    draw_key, seed_key = jr.split(key)
    chains = marginal.chains
    sets = chains.draw_weights(_generator(seed_key), _WEIGHT_SETS)
    by_member = _weighted(marginal.member_log_ratio(), chains.weight[:, None])
    own, noise = _own_divergence(_generator(draw_key), marginal, num_draws)
    held = marginal.held_out(by_member)
    missed = _missed(by_member, held, chains.weight, float(np.mean(own)))

    def measure(by_member: np.ndarray, noise: float, model: float) -> Measured:
        held = marginal.held_out(by_member)
        members = chains.weight @ by_member
        again = [] if sets is None else sets @ held
        return Measured(
            float(chains.weight @ held),
            float(np.hypot(chains.standard_error(held), noise)),
            float(np.std(members, ddof=1) / np.sqrt(len(members))),
            float(np.std(again)) if len(again) else 0.0,
            model,
        )

    away = by_member - own
    return MarginalStatistics(
        chains.names,
        measure(by_member, 0.0, missed),
        Measured(float(np.mean(own)), noise),
        measure(2 * (away**2 + 2 * away), 4 * noise, 4 * missed),
        chains.num_effective,
        marginal.num_modes,
    )


def _generator(key: Key[Array, ""]) -> np.random.Generator:
    return np.random.default_rng(int(jr.randint(key, (), 0, 2**31 - 1)))


def _weighted(ratio: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Zero where a draw weighs nothing, whatever its density."""
    return np.where(weight > 0, ratio, 0.0)


def _mean(ratio: np.ndarray, weight: np.ndarray) -> float:
    return float(weight @ np.where(weight > 0, ratio, 0.0) / np.sum(weight))


def _own_divergence(
    generator: np.random.Generator, marginal: Marginal, num_draws: int
) -> tuple[np.ndarray, float]:
    """Divergence of every member by its own draws, and the noise of their mean.

    Sobol points, scrambled anew for every set, have far less of it than random ones.
    """
    power = max(4, int(np.ceil(np.log2(num_draws / _POINT_SETS))))
    dim = marginal.density.dim
    points = [
        qmc.Sobol(dim, rng=generator).random_base2(power) for _ in range(_POINT_SETS)
    ]
    ratio = marginal.drawn_log_ratio(np.concatenate(points))
    means = np.nanmean(ratio.reshape(_POINT_SETS, -1, ratio.shape[1]), axis=1)
    scatter = np.std(np.mean(means, axis=1), ddof=1)
    return np.mean(means, axis=0), float(scatter / np.sqrt(_POINT_SETS))


def _missed(
    by_member: np.ndarray, held: np.ndarray, weight: np.ndarray, own: float
) -> float:
    """Divergence of the posterior from what was learned of it."""
    mean = weight @ held
    scatter = weight @ np.var(by_member, axis=1, ddof=1)
    variance = weight @ (held - mean) ** 2
    return float(0.5 * scatter + 0.5 * (own - mean) ** 2 / max(variance, 1e-12))


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
