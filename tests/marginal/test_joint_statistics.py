"""What a joint posterior has learned, from densities that are a little wrong."""

import dataclasses

import jax.random as jr
import numpy as np
import pytest

from grainlight.estimators import Support
from grainlight.marginal import Chains, Experiment, NormalDensity, combine

PRIOR = NormalDensity.of([0.0], [[4.0]])
NOISE = np.array([0.26, 0.13])
DATA = np.array([1.0, 1.6])
NUM_DRAWS = 40_000


def moments(number):
    variance = 1 / (1 / 4 + 1 / NOISE[number])
    return variance * DATA[number] / NOISE[number], variance


def exact():
    """Divergence and dimensionality of the joint posterior, by quadrature."""
    precision = 1 / 4 + np.sum(1 / NOISE)
    mean, spread = np.sum(DATA / NOISE) / precision, precision**-0.5
    theta = mean + spread * np.linspace(-9, 9, 20_001)
    density = np.exp(-0.5 * ((theta - mean) / spread) ** 2)
    density /= density.sum()
    gain = np.log(2 / spread) + 0.5 * (theta**2 / 4 - ((theta - mean) / spread) ** 2)
    average = density @ gain
    return average, 2 * density @ (gain - average) ** 2


def experiment(number, seed, *, wider=1.0):
    """An experiment of exact draws; its density is that of them, but for its width."""
    mean, variance = moments(number)
    generator = np.random.default_rng([seed, number])
    theta = generator.normal(mean, variance**0.5, (NUM_DRAWS, 1))
    return Experiment(
        "AB"[number],
        ("theta",),
        NormalDensity.of([mean], [[variance * wider**2]]),
        PRIOR,
        chains=Chains.from_draws(theta, Support.free(1), names=("theta",)),
    )


def statistics(seed, wider, *, mended=True):
    both = [experiment(n, seed, wider=wider) for n in range(2)]
    if not mended:
        both = [dataclasses.replace(one, chains=None) for one in both]
    joint = combine(jr.key(seed), both)
    return joint.divergence, joint.dimensionality


def test_the_draws_mend_densities_that_are_too_wide():
    divergence, dimensionality = exact()
    found = statistics(1, 1.1)
    assert found[0].value == pytest.approx(divergence, rel=0.02)
    assert found[1].value == pytest.approx(dimensionality, rel=0.04)
    plain = statistics(1, 1.1, mended=False)
    assert plain[0].value < 0.96 * divergence
    for one, exact_one in zip(found, exact(), strict=True):
        assert abs(one.value - exact_one) < 4 * one.error
        assert one.model > 0


def test_the_errors_cover():
    found = [statistics(seed, 1.05) for seed in range(2, 14)]
    for column, expected in zip(zip(*found, strict=True), exact(), strict=True):
        pulls = [(one.value - expected) / one.error for one in column]
        assert np.sum(np.square(pulls)) < 45  # 12 degrees of freedom: 1e-5


def test_errors_of_the_densities_alone_do_not_cover():
    """Without the draws nothing tells that a density is too wide."""
    found = [statistics(seed, 1.05, mended=False) for seed in range(2, 8)]
    pulls = [(one[0].value - exact()[0]) / one[0].error for one in found]
    assert np.sum(np.square(pulls)) > 45


def test_draws_that_never_meet_the_joint_vouch_for_nothing():
    both = [experiment(n, 3) for n in range(2)]
    far = dataclasses.replace(
        both[1], posterior=NormalDensity.of([80.0], [[0.01]]), chains=None
    )
    joint = combine(jr.key(1), [both[0], far], num_draws=2_000)
    assert joint.log_ratio.error == np.inf
    assert joint.divergence.error == np.inf
