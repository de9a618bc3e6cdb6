r"""Joint analyses of several experiments, the prior used once.

$$ P_J \propto \pi_J \prod_i \frac{P_i}{\pi_i} , \qquad
   R = \frac{Z_J}{\prod_i Z_i} = \int \pi_J \prod_i \frac{P_i}{\pi_i}\, d\theta , $$

by importance sampling: from the posteriors of the experiments first, then twice from a
Student distribution around what was found, all draws weighted by the mixture of all
proposals. No evidence is needed for $R$; where all are given, $Z_J$ follows.

What learned densities are off by is taken out to first order by the draws that they
were learned from (`joint_statistics`).

References:
    Bevins et al. (2023), arXiv:2207.11457; Veach & Guibas (1995), SIGGRAPH, 419
    (balance heuristic).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from grainlight.core import ParameterError
from grainlight.estimators import Support
from grainlight.marginal.chains import Chains
from grainlight.marginal.densities import Density
from grainlight.marginal.joint_statistics import (
    mean_target,
    measure_joint,
    member_targets,
)
from grainlight.marginal.likelihood import Experiment
from grainlight.marginal.measured import Measured
from grainlight.marginal.statistics import evidence_of_weights
from grainlight.marginal.student import Student
from grainlight.sampling.importance import LARGEST_SHAPE

_ROUNDS = 2
FEWEST_EFFECTIVE = 400

LogTable = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Joint:
    """The joint posterior of several experiments.

    Attributes:
        experiments: Names of the experiments.
        chains: Weighted draws of the joint posterior.
        prior: The prior, used once.
        log_ratio: Log of the joint evidence over the product of the evidences [nat].
        log_evidence: Log of the joint evidence; infinite error if one is unknown.
        divergence: Kullback-Leibler divergence of joint posterior and prior [nat].
        dimensionality: Bayesian model dimensionality of the joint posterior.
        shape: Pareto k-hat of the weights; trusted below 0.7.
    """

    experiments: tuple[str, ...]
    chains: Chains
    prior: Density
    log_ratio: Measured
    log_evidence: Measured
    divergence: Measured
    dimensionality: Measured
    shape: float

    @property
    def is_trusted(self) -> bool:
        """Whether enough draws bear the result, with weights of a finite variance."""
        enough = self.chains.num_effective >= FEWEST_EFFECTIVE
        return enough and self.shape < LARGEST_SHAPE

    @property
    def trust(self) -> str:
        """What to think of it, in words."""
        words = (
            f"{self.chains.num_effective:.0f} effective draws, k-hat {self.shape:.2f}"
        )
        verdict = "ok" if self.is_trusted else "do not trust"
        return f"{words}: {verdict}"


def combine(
    key: Key[Array, ""],
    experiments: Sequence[Experiment],
    prior: Density | None = None,
    *,
    num_draws: int = 20_000,
) -> Joint:
    """Combine experiments that share parameters, counting their prior once.

    Args:
        key: Seeds the draws.
        experiments: The experiments.
        prior: Prior of the joint analysis; that of the experiments if they share one.
        num_draws: Draws of every proposal.
    """
    check_key, key = jr.split(key)
    prior = _check(check_key, experiments, prior)
    table, log_proposal = _propose(key, experiments, prior, num_draws)
    members = member_targets(experiments, prior, table)
    log_target = mean_target(members)
    log_weight = np.where(np.isfinite(log_target), log_target - log_proposal, -np.inf)
    found = evidence_of_weights(log_weight)
    if not np.isfinite(found.log_evidence.value):
        raise ParameterError(
            "Expected experiments that overlap; got no draw at which all have density."
            " Look at their posteriors side by side."
        )
    measured = measure_joint(experiments, prior, table, members, log_proposal)
    keep = np.isfinite(log_weight)
    names = experiments[0].names
    chains = Chains(names, table[keep], log_weight[keep], prior.support)
    return Joint(
        tuple(one.name for one in experiments),
        chains,
        prior,
        measured.log_ratio,
        _joint_evidence(experiments, measured.log_ratio),
        measured.divergence,
        measured.dimensionality,
        found.shape,
    )


def _joint_evidence(experiments: Sequence[Experiment], log_ratio: Measured) -> Measured:
    value = log_ratio.value + sum(one.log_evidence.value for one in experiments)
    parts = [one.log_evidence.error for one in experiments]
    return Measured(
        value,
        log_ratio.statistical,
        log_ratio.training,
        float(np.sqrt(np.sum(np.square(parts)))),
        log_ratio.model,
    )


def _check(
    key: Key[Array, ""], experiments: Sequence[Experiment], prior: Density | None
) -> Density:
    if len(experiments) < 2:
        raise ParameterError(
            f"Expected two experiments or more; got {len(experiments)}. Give another."
        )
    if len({one.names for one in experiments}) > 1:
        listed = "; ".join(", ".join(one.names) for one in experiments)
        raise ParameterError(
            f"Expected experiments of the same parameters; got {listed}. Select the "
            "shared ones, in the same order."
        )
    if prior is None:
        prior = experiments[0].prior
        for one in experiments[1:]:
            _check_same(key, prior, one)
    for one in experiments:
        if not one.prior.support.covers(prior.support):
            raise ParameterError(
                f"Expected a joint prior within that of {one.name!r}; got bounds "
                f"{_bounds(prior.support)} against {_bounds(one.prior.support)}. "
                "Outside of its prior an experiment says nothing: give a narrower "
                "joint prior."
            )
    return prior


def _check_same(key: Key[Array, ""], prior: Density, one: Experiment) -> None:
    theta = np.asarray(prior.sample(key, 16), float)
    first, second = prior.log_prob_table(theta), one.prior.log_prob_table(theta)
    if not np.allclose(first, second, rtol=1e-3, atol=1e-3):
        raise ParameterError(
            f"Expected experiments that share one prior; got another in {one.name!r}. "
            "Give the prior of the joint analysis."
        )


def _bounds(support: Support) -> str:
    pairs = zip(np.asarray(support.lower), np.asarray(support.upper), strict=True)
    return ", ".join(f"{low:.6g} .. {high:.6g}" for low, high in pairs)


def _propose(
    key: Key[Array, ""],
    experiments: Sequence[Experiment],
    prior: Density,
    num_draws: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of all proposals, and the log-density of their mixture."""
    keys = jr.split(key, len(experiments) + _ROUNDS)
    tables, proposals = [], []
    for number, one in enumerate(experiments):
        tables.append(np.asarray(one.posterior.sample(keys[number], num_draws), float))
        proposals.append(one.posterior.log_prob_table)
    for number in range(_ROUNDS):
        table = np.concatenate(tables)
        members = member_targets(experiments, prior, table)
        target = mean_target(members)
        log_weight = target - _mixture(proposals, table)
        if not np.any(np.isfinite(log_weight)):
            continue
        seed = int(jr.randint(keys[len(experiments) + number], (), 0, 2**31 - 1))
        student = Student.around(table, log_weight, prior.support)
        tables.append(student.sample(np.random.default_rng(seed), num_draws))
        proposals.append(student.log_prob_table)
    table = np.concatenate(tables)
    return table, _mixture(proposals, table)


def _mixture(proposals: Sequence[LogTable], table: np.ndarray) -> np.ndarray:
    each = np.stack([log_prob(table) for log_prob in proposals])
    return np.logaddexp.reduce(each, axis=0) - np.log(len(proposals))
