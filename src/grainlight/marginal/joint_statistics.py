r"""Ratio, divergence and dimensionality of a joint posterior, to first order.

With the integrand $J = \pi_J \prod_i q_i / \pi_i$ of learned densities $q_i = P_i +
\delta_i$, $R_q = \int J$, $g = \ln (J / R_q \pi_J)$ and averages over $J / R_q$,

$$ D_q = \langle g \rangle , \qquad d_q = 2\, \langle (g - D_q)^2 \rangle . $$

What the densities are off by is taken out to first order by the draws that they were
learned from. With $w_i = J / (R_q q_i)$ and averages over $P_i$,

$$ \ln R \approx \ln R_q + \sum_i \ln \langle w_i \rangle_{P_i} , \qquad
   D \approx D_q + \sum_i \langle w_i\, (g - D_q) \rangle_{P_i} , $$
$$ d \approx d_q + \sum_i \langle w_i\, (2 (g - D_q)^2 + 4 (g - D_q) - d_q)
   \rangle_{P_i} , $$

and half of the change is quoted as model error.

References:
    Kandasamy et al. (2015), arXiv:1411.4342 (one-step estimates of functionals).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from grainlight.marginal.densities import Density, member_log_prob
from grainlight.marginal.likelihood import Experiment
from grainlight.marginal.measured import Measured
from grainlight.marginal.statistics import evidence_of_weights


@dataclass(frozen=True)
class JointStatistics:
    """What a joint posterior has learned.

    Attributes:
        log_ratio: Log of the joint evidence over the product of the evidences [nat].
        divergence: Kullback-Leibler divergence of joint posterior and prior [nat].
        dimensionality: Bayesian model dimensionality.
    """

    log_ratio: Measured
    divergence: Measured
    dimensionality: Measured


def measure_joint(
    experiments: Sequence[Experiment],
    prior: Density,
    table: Float[np.ndarray, "draw param"],
    members: Float[np.ndarray, "draw member"],
    log_proposal: Float[np.ndarray, " draw"],
) -> JointStatistics:
    """Measure what importance draws stand for, mended by the experiments' own draws.

    Args:
        experiments: The experiments.
        prior: Prior of the joint analysis.
        table: The draws.
        members: What `member_targets` says of them.
        log_proposal: Log-density that they were drawn from.
    """
    log_prior = prior.log_prob_table(table)
    plain = _plain(mean_target(members), log_prior, log_proposal)
    each = [_plain(column, log_prior, log_proposal) for column in members.T]
    found = JointStatistics(
        *(
            replace(getattr(plain, name), training=_scatter(each, name))
            for name in ("log_ratio", "divergence", "dimensionality")
        )
    )
    return _corrected(experiments, prior, found)


def member_targets(
    experiments: Sequence[Experiment], prior: Density, table: np.ndarray
) -> Float[np.ndarray, "draw member"]:
    """Log of what is integrated for R, by every member of the ensembles."""
    parts = [member_log_prob(one.posterior, table) for one in experiments]
    num = max(part.shape[1] for part in parts)
    # members that share a number were trained apart: any pairing is as good
    total = sum(part[:, np.arange(num) % part.shape[1]] for part in parts)
    once = prior.log_prob_table(table)
    with np.errstate(invalid="ignore"):
        for one in experiments:
            total = total - one.prior.log_prob_table(table)[:, None]
        total = np.asarray(total) + once[:, None]
    return np.where(np.isfinite(once)[:, None] & np.isfinite(total), total, -np.inf)


def mean_target(
    members: Float[np.ndarray, "draw member"],
) -> Float[np.ndarray, " draw"]:
    """Log of the mean over the members."""
    return np.logaddexp.reduce(members, axis=1) - np.log(members.shape[1])


def _plain(
    log_target: np.ndarray, log_prior: np.ndarray, log_proposal: np.ndarray
) -> JointStatistics:
    """The statistics of the densities alone, with the noise of the draws."""
    used = np.isfinite(log_target)
    log_weight = np.where(used, log_target - log_proposal, -np.inf)
    log_ratio = evidence_of_weights(log_weight).log_evidence
    if not np.any(used):
        unknown = Measured(np.nan, np.inf)
        return JointStatistics(log_ratio, unknown, unknown)
    weight = np.exp(log_weight[used] - np.max(log_weight))
    weight /= np.sum(weight)
    gain = log_target[used] - log_ratio.value - log_prior[used]
    divergence = float(weight @ gain)
    away = gain - divergence
    dimensionality = float(2 * weight @ away**2)
    return JointStatistics(
        replace(log_ratio, training=0.0),
        Measured(divergence, _error(weight, away)),
        Measured(dimensionality, _error(weight, 2 * away**2 - dimensionality)),
    )


def _error(weight: np.ndarray, away: np.ndarray) -> float:
    return float(np.sqrt(np.sum((weight * away) ** 2)))


def _scatter(each: Sequence[JointStatistics], name: str) -> float:
    """Standard error of the mean over the members."""
    if len(each) < 2:
        return 0.0
    values = [getattr(one, name).value for one in each]
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _corrected(
    experiments: Sequence[Experiment], prior: Density, plain: JointStatistics
) -> JointStatistics:
    """The same, mended by the draws that the densities were learned from."""
    ratio, gain, spread = _Change(), _Change(), _Change()
    for number, one in enumerate(experiments):
        if one.chains is None:
            continue
        values, log_gain = _at_own_draws(experiments, number, prior, plain)
        with np.errstate(over="ignore"):
            weight = np.exp(values)
        mean = float(one.chains.weight @ weight)
        if not 0 < mean < np.inf:
            return _unknown(plain)
        away = np.where(weight > 0, log_gain - plain.divergence.value, 0.0)
        bent = 2 * away**2 + 4 * away - plain.dimensionality.value
        noise = one.chains.standard_error
        ratio = ratio.plus(float(np.log(mean)), noise(weight) / mean)
        gain = gain.plus(
            float(one.chains.weight @ (weight * away)), noise(weight * away)
        )
        spread = spread.plus(
            float(one.chains.weight @ (weight * bent)), noise(weight * bent)
        )
    return JointStatistics(
        ratio.applied_to(plain.log_ratio),
        gain.applied_to(plain.divergence),
        spread.applied_to(plain.dimensionality),
    )


def _unknown(plain: JointStatistics) -> JointStatistics:
    """The same values, of which nothing can be vouched for."""
    return JointStatistics(
        replace(plain.log_ratio, statistical=np.inf),
        replace(plain.divergence, statistical=np.inf),
        replace(plain.dimensionality, statistical=np.inf),
    )


@dataclass(frozen=True)
class _Change:
    """A change to first order, and its variance."""

    value: float = 0.0
    variance: float = 0.0

    def plus(self, value: float, error: float) -> "_Change":
        return _Change(self.value + value, self.variance + error**2)

    def applied_to(self, plain: Measured) -> Measured:
        return replace(
            plain,
            value=plain.value + self.value,
            statistical=float(np.hypot(plain.statistical, self.variance**0.5)),
            model=abs(self.value) / 2,
        )


def _at_own_draws(
    experiments: Sequence[Experiment],
    number: int,
    prior: Density,
    plain: JointStatistics,
) -> tuple[np.ndarray, np.ndarray]:
    """Logs of $w_i$ and of the joint posterior over its prior at one's own draws."""
    chains = experiments[number].chains
    assert chains is not None
    theta = chains.theta
    with np.errstate(invalid="ignore"):
        gain = np.full(len(theta), -plain.log_ratio.value)
        for one in experiments:
            gain = gain + one.posterior.log_prob_table(theta)
            gain = gain - one.prior.log_prob_table(theta)
        own = experiments[number].posterior.log_prob_table(theta)
        log_weight = gain + prior.log_prob_table(theta) - own
    used = (chains.weight > 0) & np.isfinite(log_weight)
    return np.where(used, log_weight, -np.inf), gain
