"""Divergence, dimensionality and evidence against exact answers, errors included."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import norm

from grainlight.core import ParameterError
from grainlight.estimators import DensitySettings, Support
from grainlight.marginal import (
    Chains,
    Measured,
    NormalDensity,
    UniformDensity,
    cube_map,
    evidence_of_chain,
    importance_evidence,
    learn_marginal,
    measure_marginal,
    rank_surveys,
)

KERNEL = DensitySettings(kind="kernel", num_members=2)
BOX = Support.between([-5.0], [5.0])
PRIOR = NormalDensity.of([0.0], [[1.0]])
DIVERGENCE, DIMENSIONALITY = 0.818147, 1.0625


#: Of all chains of one parameter here, so that one compilation serves them.
DRAWS = 3_000


def normal_chains(seed, num=DRAWS):
    """P = N(1, 0.5^2) under the prior N(0, 1)."""
    theta = np.random.default_rng(seed).normal(1, 0.5, (num, 1))
    return Chains.from_draws(theta, Support.free(1))


@pytest.fixture(scope="module")
def learned():
    return learn_marginal(jr.key(0), normal_chains(0), PRIOR, KERNEL)


def test_a_posterior_under_a_normal_prior(learned):
    found = measure_marginal(jr.key(1), learned)
    for one, exact in (
        (found.divergence, DIVERGENCE),
        (found.dimensionality, DIMENSIONALITY),
    ):
        assert abs(one.value - exact) < 5 * one.error
        assert one.error < 0.15 * exact
        assert one.error >= max(one.statistical, one.training, one.model)
    assert found.words()["num_modes"] == 1
    wrong = dataclasses.replace(learned, prior=NormalDensity.of([0.0], [[4.0]]))
    other = measure_marginal(jr.key(1), wrong)
    assert abs(other.divergence.value - DIVERGENCE) > 5 * other.divergence.error


def test_a_coarse_density_spoils_neither_number_to_first_order(learned):
    """Kernels so wide that the plain variance of the log-ratio is far off.

    The draws are quantiles, without noise of their own.
    """
    even = norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS, 1, 0.5)[:, None]
    chains = dataclasses.replace(learned.chains, theta=even)
    wide = eqx.tree_at(
        lambda density: density.pieces[0].members.stacked.width,
        learned.density,
        jnp.full(2, 0.4),
    )
    fit = dataclasses.replace(learned.fit, density=wide)
    coarse = dataclasses.replace(learned, chains=chains, fit=fit)
    found = measure_marginal(jr.key(2), coarse)
    plain = 2 * np.var(coarse.log_ratio())
    assert plain < 0.92 * DIMENSIONALITY
    assert found.dimensionality.value == pytest.approx(DIMENSIONALITY, abs=0.03)
    assert found.divergence.value == pytest.approx(DIVERGENCE, abs=0.01)
    # KL(P || q) is 0.0052 nats here, of which the error knows about a half
    assert 0.001 < found.divergence.model < 0.01


def test_weights_of_three_to_one_are_followed():
    """Bimodal in a box; without its weights the answer is another."""
    generator = np.random.default_rng(2)
    theta = generator.choice([-2.0, 2.0], 4_000) + generator.normal(size=4_000)
    theta = theta[np.abs(theta) < 5][:DRAWS]
    modes = np.exp(-0.5 * (theta - np.array([[-2.0], [2.0]])) ** 2)
    weight = np.array([0.75, 0.25]) @ modes / (np.array([0.5, 0.5]) @ modes)
    found = []
    for one in (weight, np.ones_like(weight)):
        chains = Chains.from_draws(theta[:, None], BOX, one)
        learned = learn_marginal(jr.key(3), chains, None, KERNEL)
        found.append(measure_marginal(jr.key(4), learned).divergence)
    assert abs(found[0].value - 0.380664) < min(5 * found[0].error, 0.05)
    assert abs(found[1].value - 0.380664) > 0.08


@pytest.mark.slow
def test_a_flat_axis_adds_nothing():
    generator = np.random.default_rng(3)
    theta = np.stack(
        [generator.triangular(-1, 0, 1, 4_000), generator.random(4_000)], 1
    )
    box = Support.between([-1.0, 0.0], [1.0, 1.0])
    learned = learn_marginal(
        jr.key(3), Chains.from_draws(theta, box), None, KERNEL, most_modes=1
    )
    found = measure_marginal(jr.key(4), learned)
    assert abs(found.divergence.value - 0.193147) < 5 * found.divergence.error
    assert found.divergence.error < 0.06


def log_likelihood(theta):
    """With the prior N(0, 1) it gives the posterior N(1, 0.5^2) and ln Z = -1.5."""
    log_posterior = -0.5 * (theta[0] - 1) ** 2 / 0.25 - jnp.log(0.5)
    return log_posterior + 0.5 * theta[0] ** 2 - 1.5


def test_the_evidence_by_importance_sampling_and_from_the_chain(learned):
    found = importance_evidence(jr.key(5), learned.density, log_likelihood, PRIOR)
    assert abs(found.log_evidence.value + 1.5) < 5 * found.log_evidence.error
    assert found.log_evidence.error < 0.01
    log_like = np.asarray(log_likelihood(jnp.asarray(learned.chains.theta.T)), float)
    known = dataclasses.replace(learned.chains, log_likelihood=log_like)
    again = evidence_of_chain(jr.key(6), dataclasses.replace(learned, chains=known))
    assert abs(again.value + 1.5) < 5 * again.error
    assert again.error < 0.1
    with pytest.raises(ParameterError, match="with log-likelihoods"):
        evidence_of_chain(jr.key(6), learned)


def test_surveys_are_ranked_by_what_they_tell(learned):
    wide = Chains.from_draws(
        np.random.default_rng(9).normal(0, 0.9, (DRAWS, 1)),
        Support.free(1),
        names=learned.chains.names,
    )
    other = learn_marginal(jr.key(7), wide, PRIOR, KERNEL)
    power = rank_surveys(jr.key(8), {"wide": other, "narrow": learned})
    assert power.surveys == ("narrow", "wide")
    assert power.lines()[0].startswith("narrow")
    named = Chains.from_draws(wide.theta, Support.free(1), names=["x"])
    third = dataclasses.replace(other, chains=named)
    with pytest.raises(ParameterError, match="same parameters"):
        rank_surveys(jr.key(8), {"a": third, "b": learned})


def test_the_cube_maps_one_point_and_many(learned):
    transform = cube_map(learned.density)
    u = np.array([[0.25], [0.5]])
    np.testing.assert_allclose(transform(u)[1], transform(u[1]), rtol=1e-6)
    box = cube_map(UniformDensity(BOX))
    np.testing.assert_allclose(box(u), [[-2.5], [0.0]], atol=1e-5)
    even = transform((np.arange(4_000)[:, None] + 0.5) / 4_000)
    assert np.mean(even) == pytest.approx(1.0, abs=0.03)
    assert np.std(even) == pytest.approx(0.5, abs=0.03)


def test_bad_input_is_refused():
    chains = normal_chains(0, 300)
    with pytest.raises(ParameterError, match="two bounds"):
        learn_marginal(jr.key(0), chains, None, KERNEL)
    narrow = UniformDensity(Support.between([0.9], [1.1]))
    with pytest.raises(ParameterError, match="prior is positive"):
        learn_marginal(jr.key(0), chains, narrow, KERNEL)
    with pytest.raises(ParameterError, match="2 parameters"):
        learn_marginal(jr.key(0), chains, NormalDensity.of([0, 0], np.eye(2)), KERNEL)


def test_errors_are_shown_with_two_digits():
    assert str(Measured(1.23456, 0.03, 0.04)) == "1.235 +- 0.050"
    assert "inf" in str(Measured(0.0, np.inf))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["autoregressive", "kernel"])
def test_the_error_bars_cover_the_exact_answer(kind):
    """Over seeds, pulls of divergence and dimensionality scatter by about one."""
    settings = DensitySettings(kind=kind)
    pulls = []
    for seed in range(12):
        chains = normal_chains(seed, 20_000)
        learned = learn_marginal(jr.key(seed), chains, PRIOR, settings)
        found = measure_marginal(jr.key(seed + 100), learned)
        pulls.append(
            [
                (found.divergence.value - DIVERGENCE) / found.divergence.error,
                (found.dimensionality.value - DIMENSIONALITY)
                / found.dimensionality.error,
            ]
        )
    scatter = np.sqrt(np.mean(np.square(pulls), axis=0))
    # 12 degrees of freedom, a chance of 1e-6 each side
    assert np.all((scatter > 0.2) & (scatter < 2.4))
    assert np.max(np.abs(pulls)) < 5.5


@pytest.mark.slow
def test_separate_modes_become_pieces():
    generator = np.random.default_rng(1)
    far = np.where(generator.random(20_000) < 0.75, -6.0, 6.0)
    theta = np.stack([far, 0 * far], 1) + generator.normal(size=(20_000, 2))
    box = Support.between([-12.0, -6.0], [12.0, 6.0])
    learned = learn_marginal(jr.key(1), Chains.from_draws(theta, box))
    assert learned.num_modes == 2
    assert learned.density.log_share[0] == pytest.approx(np.log(0.75), abs=0.02)
    found = measure_marginal(jr.key(2), learned)
    entropy = 1 + np.log(2 * np.pi) - (0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    exact = np.log(24 * 12) - entropy
    assert abs(found.divergence.value - exact) < 4 * found.divergence.error
    assert found.divergence.value == pytest.approx(exact, rel=0.02)
