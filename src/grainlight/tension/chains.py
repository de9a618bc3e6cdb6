r"""Tension from chains: ratio, information, suspiciousness.

$$ \ln R = \ln \int \frac{P_A P_B}{\pi}\, d\theta , \quad I = D_A + D_B - D_{AB} , \quad
   \ln S = \ln R - I , \quad d = d_A + d_B - d_{AB} , $$
$$ p = P(\chi^2_d > d - 2 \ln S) , \qquad
   \sigma = \sqrt2\, \mathrm{erfc}^{-1}(p) . $$

$R$ depends on the prior; $S$ does not, as long as the prior is wide.

References:
    Handley & Lemos (2019), arXiv:1902.04029.
"""

from dataclasses import dataclass

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key
from scipy.special import erfcinv
from scipy.stats import chi2

from grainlight.marginal import (
    Density,
    Experiment,
    Joint,
    Marginal,
    MarginalStatistics,
    Measured,
    combine,
    measure_marginal,
)

_DRAWS = 4_000
LARGEST_SIGMA = 38.0  # p-values beyond it are not numbers any more


@dataclass(frozen=True)
class ChainTension:
    """How far two finished analyses disagree, from their chains.

    Attributes:
        log_ratio: Log of the joint evidence over the product of the evidences [nat].
        information: What both have learned twice [nat].
        log_suspiciousness: What is left of the ratio without it [nat].
        dimensionality: Parameters that both constrain.
        pvalue: Chance of less agreement.
        pvalue_interval: Its 68 % interval, from the errors of S and d.
        sigma: The same in standard deviations.
        joint: The joint analysis.
        first: What the first has learned.
        second: What the second has learned.
    """

    log_ratio: Measured
    information: Measured
    log_suspiciousness: Measured
    dimensionality: Measured
    pvalue: float
    pvalue_interval: tuple[float, float]
    sigma: float
    joint: Joint
    first: MarginalStatistics
    second: MarginalStatistics

    def words(self) -> dict[str, object]:
        """Plain values for a file."""
        return {
            "log_ratio": self.log_ratio.words(),
            "information": self.information.words(),
            "log_suspiciousness": self.log_suspiciousness.words(),
            "dimensionality": self.dimensionality.words(),
            "pvalue": self.pvalue,
            "pvalue_interval": list(self.pvalue_interval),
            "sigma": self.sigma,
            "trusted": self.joint.is_trusted,
        }


def ratio_from_evidences(joint: Measured, *single: Measured) -> Measured:
    """Log-ratio from the log-evidences of a joint run and of single ones."""
    value = joint.value - sum(one.value for one in single)
    parts = [joint.error, *(one.error for one in single)]
    return Measured(value, float(np.sqrt(np.sum(np.square(parts)))))


def compare_chains(
    key: Key[Array, ""],
    first: Marginal,
    second: Marginal,
    prior: Density | None = None,
    *,
    names: tuple[str, str] = ("A", "B"),
    num_draws: int = 20_000,
) -> ChainTension:
    """Tension of two analyses of the same parameters under one prior.

    Args:
        key: Seeds everything that is random.
        first: Marginal posterior of one.
        second: Marginal posterior of the other.
        prior: The prior; that of the analyses if they share one.
        names: What they are called.
        num_draws: Draws of every density.
    """
    keys = jr.split(key, 4)
    pair = (first, second)
    found = [
        measure_marginal(one, marginal, num_draws=num_draws)
        for one, marginal in zip(keys[:2], pair, strict=True)
    ]
    joint = combine(
        keys[2],
        [Experiment.of(n, marginal) for n, marginal in zip(names, pair, strict=True)],
        prior,
        num_draws=num_draws,
    )
    information = _balance([one.divergence for one in found], joint.divergence)
    dims = _balance([one.dimensionality for one in found], joint.dimensionality)
    log_s = _minus(joint.log_ratio, information)
    seed = int(jr.randint(keys[3], (), 0, 2**31 - 1))
    pvalue, interval = _pvalue(np.random.default_rng(seed), log_s, dims)
    return ChainTension(
        joint.log_ratio,
        information,
        log_s,
        dims,
        pvalue,
        interval,
        sigmas(pvalue),
        joint,
        *found,
    )


def _balance(single: list[Measured], joint: Measured) -> Measured:
    """The sum of two less that of both, errors in quadrature."""
    value = sum(one.value for one in single) - joint.value
    errors = [one.error for one in (*single, joint)]
    return Measured(value, float(np.sqrt(np.sum(np.square(errors)))))


def _minus(one: Measured, other: Measured) -> Measured:
    return Measured(one.value - other.value, float(np.hypot(one.error, other.error)))


def _pvalue(
    generator: np.random.Generator, log_s: Measured, dims: Measured
) -> tuple[float, tuple[float, float]]:
    def tail(dim: np.ndarray, value: np.ndarray) -> np.ndarray:
        dim = np.maximum(dim, 1e-3)  # errors may take a small one below zero
        return np.asarray(chi2.sf(dim - 2 * value, dim))

    drawn = [
        one.value + one.error * generator.normal(size=_DRAWS) for one in (dims, log_s)
    ]
    low, high = np.quantile(tail(*drawn), [0.158655, 0.841345])
    value = tail(np.asarray(dims.value), np.asarray(log_s.value))
    return float(value), (float(low), float(high))


def sigmas(pvalue: float) -> float:
    """Standard deviations of a two-sided p-value; never infinite."""
    if pvalue <= 0:
        return LARGEST_SIGMA
    return float(min(np.sqrt(2) * erfcinv(min(pvalue, 1.0)), LARGEST_SIGMA))
