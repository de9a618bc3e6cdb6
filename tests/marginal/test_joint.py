"""Joint analyses against the exact answers of two linear experiments."""

import dataclasses

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.estimators import Support
from grainlight.marginal import (
    Experiment,
    Measured,
    NormalDensity,
    UniformDensity,
    combine,
    importance_evidence,
)

PRIOR = NormalDensity.of([0.0], [[4.0]])
NOISE = np.array([0.5**2 + 0.1**2, 0.3**2 + 0.2**2])
DATA = np.array([1.0, 1.6])
LOG_EVIDENCE = (-1.760944, -1.938005)
LOG_JOINT, LOG_RATIO = -2.772280, 0.926668
MEAN, SPREAD = 1.370310, 0.291254
# where the prior is counted twice, as if no prior were divided out
WRONG_MEAN, WRONG_SPREAD = 1.341853, 0.288214


def posterior(number):
    variance = 1 / (1 / 4 + 1 / NOISE[number])
    return NormalDensity.of([variance * DATA[number] / NOISE[number]], [[variance]])


@pytest.fixture(scope="module")
def experiments():
    return [
        Experiment(
            "AB"[n], ("theta",), posterior(n), PRIOR, Measured(LOG_EVIDENCE[n], 0.01)
        )
        for n in range(2)
    ]


@pytest.fixture(scope="module")
def joint(experiments):
    return combine(jr.key(1), experiments)


def moments(joint):
    mean = joint.chains.weight @ joint.chains.theta[:, 0]
    away = joint.chains.theta[:, 0] - mean
    return mean, np.sqrt(joint.chains.weight @ away**2)


def test_mean_spread_evidence_and_ratio_are_exact(joint):
    assert moments(joint) == pytest.approx((MEAN, SPREAD), abs=0.004)
    assert joint.log_ratio.value == pytest.approx(LOG_RATIO, abs=0.01)
    assert joint.log_evidence.value == pytest.approx(LOG_JOINT, abs=0.01)
    assert joint.log_evidence.weights == pytest.approx(0.01 * 2**0.5)
    gain = 0.5 * (np.log(4 / SPREAD**2) + (SPREAD**2 + MEAN**2) / 4 - 1)
    assert joint.divergence.value == pytest.approx(gain, abs=0.02)
    assert joint.is_trusted
    assert joint.trust.endswith("ok")


def test_the_error_of_the_ratio_covers_it(experiments):
    found = [combine(jr.key(n), experiments, num_draws=2_000) for n in range(30)]
    pulls = [(one.log_ratio.value - LOG_RATIO) / one.log_ratio.error for one in found]
    assert 6 < np.sum(np.square(pulls)) < 78  # 30 degrees of freedom, 1e-6 each side


def test_counting_the_prior_twice_is_seen(experiments, joint):
    """Experiments that claim a flat prior leave their own in: the wrong answer."""
    wide = UniformDensity(Support.between([-30.0], [30.0]))
    claimed = [dataclasses.replace(one, prior=wide) for one in experiments]
    wrong = moments(combine(jr.key(1), claimed))
    assert wrong == pytest.approx((WRONG_MEAN, WRONG_SPREAD), abs=0.004)
    assert abs(wrong[0] - moments(joint)[0]) > 0.02


def test_three_experiments_count_the_prior_once(experiments):
    again = dataclasses.replace(experiments[1], name="C")
    joint = combine(jr.key(2), [*experiments, again])
    precision = 1 / 4 + 1 / NOISE[0] + 2 / NOISE[1]
    mean = (DATA[0] / NOISE[0] + 2 * DATA[1] / NOISE[1]) / precision
    assert moments(joint) == pytest.approx((mean, precision**-0.5), abs=0.004)


def test_another_prior_for_the_joint_analysis(experiments):
    prior = NormalDensity.of([0.0], [[1.0]])
    joint = combine(jr.key(3), experiments, prior)
    precision = 1 + 1 / NOISE[0] + 1 / NOISE[1]
    mean = np.sum(DATA / NOISE) / precision
    assert moments(joint) == pytest.approx((mean, precision**-0.5), abs=0.004)


def test_the_sequential_form_gives_the_joint_evidence(experiments):
    """The posterior of A as the prior of B: that evidence is Z_AB / Z_A."""

    def log_likelihood(theta):
        away = (DATA[1] - theta[0]) ** 2 / NOISE[1]
        return -0.5 * (away + jnp.log(2 * jnp.pi * NOISE[1]))

    first = experiments[0].posterior
    found = importance_evidence(jr.key(4), first, log_likelihood, first)
    expected = LOG_JOINT - LOG_EVIDENCE[0]
    assert found.is_trusted
    assert abs(found.log_evidence.value - expected) < 5 * found.log_evidence.error
    assert found.log_evidence.error < 0.02


def test_the_nuisance_free_likelihood_is_that_of_the_data(experiments):
    for theta in (0.0, 1.2):
        away = (DATA[0] - theta) ** 2 / NOISE[0]
        expected = -0.5 * (away + np.log(2 * np.pi * NOISE[0]))
        found = experiments[0].log_likelihood(jnp.array([theta]))
        assert found == pytest.approx(expected, abs=1e-4)


def test_outside_its_prior_an_experiment_says_nothing(experiments):
    box = UniformDensity(Support.between([0.0], [2.0]))
    one = dataclasses.replace(experiments[0], prior=box)
    assert one.log_likelihood(jnp.array([2.5])) == -np.inf
    with pytest.raises(ParameterError, match="within that of 'A'"):
        combine(jr.key(1), [one, experiments[1]], PRIOR)
    with pytest.raises(ParameterError, match="share one prior"):
        combine(jr.key(1), [experiments[1], one])
    joint = combine(jr.key(1), [one, experiments[1]], box)
    assert joint.chains.theta[joint.chains.weight > 0].max() <= 2.0


def test_what_cannot_be_combined_is_refused(experiments):
    with pytest.raises(ParameterError, match="two experiments"):
        combine(jr.key(1), experiments[:1])
    other = dataclasses.replace(experiments[1], names=("phi",))
    with pytest.raises(ParameterError, match="same parameters"):
        combine(jr.key(1), [experiments[0], other])
    with pytest.raises(ParameterError, match="parameters"):
        dataclasses.replace(experiments[1], names=("a", "b"))


def test_far_apart_it_says_so():
    far = [
        Experiment("AB"[n], ("t",), NormalDensity.of([8.0 * n], [[0.01]]), PRIOR)
        for n in range(2)
    ]
    joint = combine(jr.key(1), far, num_draws=2_000)
    assert joint.log_ratio.value < -500
    assert joint.log_evidence.error == np.inf
