"""A learned ratio against the exact linear law; chains against exact posteriors."""

import dataclasses

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ParameterError, UntrustedError
from grainlight.estimators import DensitySettings, Support, TrainingSettings
from grainlight.estimators.ratio import Variates
from grainlight.marginal import Chains, Measured, NormalDensity, learn_marginal
from grainlight.tension import (
    LinearPair,
    compare_chains,
    log_ratios,
    ratio_from_evidences,
    sigmas,
    train_ratio,
)

PAIR = LinearPair(np.array([1.0]), np.array([0.01]), np.array([0.04]))
QUICK = TrainingSettings(
    num_epochs=6,
    batch_size=500,
    learning_rate=2e-3,
    warmup_steps=50,
    anneal_fraction=0.0,
)


@pytest.fixture(scope="module")
def pairs():
    return PAIR.simulate(np.random.default_rng(0), 12_000)


@pytest.fixture(scope="module")
def neural(pairs):
    return train_ratio(jr.key(0), *pairs, QUICK, width=16, num_members=2)


def test_the_learned_ratio_is_the_exact_one(neural):
    a, b = PAIR.simulate(np.random.default_rng(9), 4_000)
    other = np.roll(b, 1, axis=0)
    near = np.abs(other - a)[:, 0] < 0.6  # pairs of little tension, as matched ones
    for first, second in ((a, b), (a[near], other[near])):
        off = log_ratios(neural.classifier, first, second)
        off = off - PAIR.log_ratio(first, second)
        assert np.sqrt(np.mean(off**2)) < 0.15
    assert neural.health.verdict == "ok"
    assert neural.health.information == pytest.approx(1.518, abs=0.08)


def test_the_worked_case(neural):
    found = neural.log_ratio(np.array([0.5]), np.array([0.8]))
    assert found.value == pytest.approx(0.894367, abs=0.12)
    tension = neural.tension(np.array([0.5]), np.array([0.8])).tension
    assert tension.value == pytest.approx(1.379, abs=0.2)
    clash = neural.tension(np.array([-1.0]), np.array([1.5]))
    assert clash.tension.value > 2.8


def test_a_network_that_broke_is_refused(neural):
    broken = dataclasses.replace(
        neural, health=dataclasses.replace(neural.health, worst_matched=1e-12)
    )
    with pytest.raises(UntrustedError, match="matched pairs break"):
        broken.tension(np.array([0.5]), np.array([0.8]))


def test_bad_pairs_are_refused(neural, pairs):
    with pytest.raises(ParameterError, match="1000 matched rows"):
        train_ratio(jr.key(0), pairs[0][:100], pairs[1][:100])
    with pytest.raises(ParameterError, match="finite simulations"):
        train_ratio(jr.key(0), pairs[0], np.where(pairs[1] > 2, np.nan, pairs[1]))
    with pytest.raises(ParameterError, match="as they were simulated"):
        neural.log_ratio(np.array([0.5, 1.0]), np.array([0.8]))
    twice = np.concatenate([pairs[0], pairs[0]], axis=1)
    with pytest.raises(ParameterError, match="Leave columns out"):
        train_ratio(jr.key(0), twice, pairs[1])


def learned(seed, mean, spread, prior):
    draws = np.random.default_rng(seed).normal(mean, spread, (4_000, 1))
    settings = DensitySettings(kind="kernel", num_members=2)
    chains = Chains.from_draws(draws, Support.free(1))
    return learn_marginal(jr.key(seed), chains, prior, settings)


@pytest.mark.slow
def test_chains_alone_give_ratio_and_suspiciousness():
    """Posteriors N(+-0.75, 0.5^2) under a prior of width 10."""
    prior = NormalDensity.of([0.0], [[100.0]])
    found = compare_chains(
        jr.key(1), learned(1, -0.75, 0.5, prior), learned(2, 0.75, 0.5, prior)
    )
    grid = np.linspace(-30, 30, 200_001)

    def normal(x, mean, spread):
        return np.exp(-0.5 * ((x - mean) / spread) ** 2) / spread / np.sqrt(2 * np.pi)

    first, second = normal(grid, -0.75, 0.5), normal(grid, 0.75, 0.5)
    ratio = np.log(np.sum(first * second / normal(grid, 0, 10)) * (grid[1] - grid[0]))
    assert abs(found.log_ratio.value - ratio) < 5 * found.log_ratio.error
    assert found.log_ratio.error < 0.2
    assert found.dimensionality.value == pytest.approx(1.0, abs=0.35)
    expected = 1.5**2 / (2 * 0.5**2)  # chi-squared of the difference
    log_s = 0.5 * (1 - expected)
    assert found.log_suspiciousness.value == pytest.approx(log_s, abs=0.4)
    assert 1.4 < found.sigma < 2.8
    low, high = found.pvalue_interval
    assert low < found.pvalue < high
    assert found.words()["trusted"]


def test_ratios_from_evidences_and_sigmas_without_infinity():
    found = ratio_from_evidences(
        Measured(-2.772280, 0.03), Measured(-1.760944, 0.0), Measured(-1.938005, 0.04)
    )
    assert found.value == pytest.approx(0.926669, abs=1e-6)
    assert found.error == pytest.approx(0.05)
    assert sigmas(0.0) == 38.0
    assert sigmas(1.0) == 0.0
    assert sigmas(0.0455) == pytest.approx(2.0, abs=1e-3)


def test_correlations_near_one_keep_their_distance_from_it():
    """1 - rho is 2.5e-8 here: it bears no other norm of variances and products."""
    wide = LinearPair(np.array([1e6]), np.array([0.01]), np.array([0.04]))
    found = Variates.from_data(*wide.simulate(np.random.default_rng(0), 20_000))
    assert found.information == pytest.approx(wide.mutual_information, abs=0.05)


@pytest.mark.slow
def test_where_nothing_can_be_told_the_start_is_kept_and_said():
    """A prior 10,000 times as wide as the noise: no shuffled pair looks matched."""
    wide = LinearPair(np.array([1e6]), np.array([0.01]), np.array([0.04]))
    a, b = wide.simulate(np.random.default_rng(0), 12_000)
    neural = train_ratio(jr.key(0), a, b, QUICK, width=16, num_members=2)
    assert neural.health.verdict.startswith("saturated")
    a, b = wide.simulate(np.random.default_rng(9), 4_000)
    off = log_ratios(neural.classifier, a, b) - wide.log_ratio(a, b)
    assert np.sqrt(np.mean(off**2)) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("bend", [np.sinh, np.cbrt])
def test_a_bent_data_set_has_the_ratio_of_the_straight_one(bend):
    """Log-ratios do not change when a data set is mapped one to one."""
    a, b = PAIR.simulate(np.random.default_rng(0), 60_000)
    neural = train_ratio(jr.key(0), bend(a), b)
    a, b = PAIR.simulate(np.random.default_rng(9), 4_000)
    off = log_ratios(neural.classifier, jnp.asarray(bend(a)), b) - PAIR.log_ratio(a, b)
    assert np.sqrt(np.mean(off**2)) < 0.25
    assert not neural.health.is_refused
