r"""Divergence, dimensionality and evidence of a marginal posterior, with errors.

$$ D = \langle \ln P / \pi \rangle_P , \qquad d = 2\, \mathrm{Var}_P(\ln P / \pi) ,
   \qquad \ln Z = \langle \ln L \rangle_P - D . $$

A learned density $q = P\,(1 + e)$ spoils neither to first order in $e$. With $\ell =
\ln q / \pi$ and $D_q = \langle \ell \rangle_q$, from the draws of $q$ itself,

$$ D \approx \langle \ell \rangle_P , \qquad
   d \approx 2\, \langle (\ell - D_q)^2 + 2\, (\ell - D_q) \rangle_P , $$

over draws that $q$ has not seen: the one-step estimates of the two functionals. Second
order is left, $\langle e^2 \rangle / 2$ for $D$ and $2\, \langle e^2 (1 + \ell - D)
\rangle$ for $d$, mostly from tails, where few draws are. The part of $e^2$ that is due
to the chance of training is read off the $M$ members of the ensemble and added,

$$ \langle e^2 \rangle_m \approx (M - 1)\, \mathrm{Var}_m \ln q_m , $$

as any two members share a part $(M - 2) / (M - 1)$ of their draws. Half of that change
is quoted as error, and what all members miss along $\ell$, $\sum_b P_b \ln (P_b /
q_b)$ over bins $b$ of $\ell$, with four times as much for $d$.

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
#: Quantiles at which the log-ratios of a density's own draws are cut into bins.
_LEVELS = np.array([0.001, 0.003, 0.01, 0.03, *np.linspace(0.1, 0.9, 9)])


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
    drawn = _draw_own(_generator(draw_key), marginal, num_draws)
    own, noise = _own_divergence(drawn)
    missed = _missed(marginal, by_member, drawn)
    away = by_member - own
    chance = (own.size - 1) * np.var(by_member, axis=1, ddof=1, keepdims=True)
    mended = 0.5 * chance, 2 * chance * (1 + away)
    first = 2 * (away**2 + 2 * away)
    return MarginalStatistics(
        chains.names,
        _measure(marginal, by_member, mended[0], missed, sets),
        Measured(float(np.mean(own)), noise),
        _measure(marginal, first, mended[1], 4 * missed, sets, noise=4 * noise),
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


def _measure(
    marginal: Marginal,
    first: Float[np.ndarray, "draw member"],
    second: Float[np.ndarray, "draw member"] | Float[np.ndarray, "draw 1"],
    missed: float,
    sets: Float[np.ndarray, "set draw"] | None,
    *,
    noise: float = 0.0,
) -> Measured:
    """The mean over draws that the members have not seen, to first and second order."""
    chains = marginal.chains
    by_member = first + second
    held = marginal.held_out(by_member)
    members = chains.weight @ by_member
    change = np.mean(chains.weight @ second)
    return Measured(
        float(chains.weight @ held),
        float(np.hypot(chains.standard_error(held), noise)),
        float(np.std(members, ddof=1) / np.sqrt(len(members))),
        0.0 if sets is None else float(np.std(sets @ held)),
        float(np.hypot(0.5 * change, missed)),
    )


def _draw_own(
    generator: np.random.Generator, marginal: Marginal, num_draws: int
) -> Float[np.ndarray, "set sim member"]:
    """Log-ratios at every member's own draws.

    Sobol points, scrambled anew for every set, have far less noise than random ones.
    """
    power = max(4, int(np.ceil(np.log2(num_draws / _POINT_SETS))))
    dim = marginal.density.dim
    points = [
        qmc.Sobol(dim, rng=generator).random_base2(power) for _ in range(_POINT_SETS)
    ]
    ratio = marginal.drawn_log_ratio(np.concatenate(points))
    return ratio.reshape(_POINT_SETS, -1, ratio.shape[1])


def _own_divergence(
    drawn: Float[np.ndarray, "set sim member"],
) -> tuple[np.ndarray, float]:
    """Divergence of every member by its own draws, and the noise of their mean."""
    means = np.nanmean(drawn, axis=1)
    scatter = np.std(np.mean(means, axis=1), ddof=1)
    return np.mean(means, axis=0), float(scatter / np.sqrt(_POINT_SETS))


def _missed(
    marginal: Marginal,
    by_member: Float[np.ndarray, "draw member"],
    drawn: Float[np.ndarray, "set sim member"],
) -> float:
    """What all members miss along the log-ratio, as a divergence."""
    weight = marginal.chains.weight
    edges = np.nanquantile(drawn, _LEVELS)
    place = np.searchsorted(edges, marginal.held_out(by_member))
    share = np.bincount(place, weights=weight, minlength=len(_LEVELS) + 1)
    expected = np.diff(_LEVELS, prepend=0.0, append=1.0)
    excess = np.sum(share * np.log(np.maximum(share, 1e-12) / expected))
    excess -= 0.5 * len(_LEVELS) / marginal.chains.num_effective  # of chance alone
    return float(max(excess, 0.0))


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
