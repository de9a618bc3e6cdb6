"""The exact answers, against numerical integrals and draws."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import chi2, kstest, multivariate_normal

from grainlight.core import ParameterError
from grainlight.simulators import ConjugateGaussian, Gaussian, check_simulator

FALSE_ALARM = 1e-6
SIMULATOR = ConjugateGaussian(
    Gaussian(np.array([1.0, -2.0]), np.array([[1.0, 0.3], [0.3, 0.5]])),
    design=np.array([[1.0, 0.5], [0.0, 1.0], [-1.0, 2.0]]),
    offset=np.array([10.0, 20.0, 30.0]),
    noise=np.array([[0.4, 0.1, 0.0], [0.1, 0.3, 0.05], [0.0, 0.05, 0.2]]),
)
X = np.array([10.4, 18.2, 25.0])
MASK = np.array([True, False, True])


def grid(num=401):
    mean, spread = SIMULATOR.prior.mean, np.sqrt(np.diag(SIMULATOR.prior.covariance))
    axes = [
        np.linspace(m - 8 * s, m + 8 * s, num)
        for m, s in zip(mean, spread, strict=True)
    ]
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2), cell


def joint(theta, mask):
    """Prior times likelihood, the latter with missing bands dropped."""
    noise = SIMULATOR.noise[np.ix_(mask, mask)]
    residual = X[mask] - (theta @ SIMULATOR.design.T + SIMULATOR.offset)[:, mask]
    likelihood = multivariate_normal(np.zeros(mask.sum()), noise).pdf(residual)
    return likelihood * np.exp(SIMULATOR.prior.log_prob(theta))


def test_it_is_a_simulator():
    assert check_simulator(SIMULATOR) is SIMULATOR
    assert SIMULATOR.parameters.names == ("parameter_0", "parameter_1")
    np.testing.assert_allclose(SIMULATOR.parameters.lower, [-9, -2 - 50**0.5])


@pytest.mark.parametrize("mask", [None, MASK])
def test_the_evidence_is_the_integral_over_the_parameters(mask):
    theta, cell = grid()
    kept = np.ones(3, bool) if mask is None else mask
    integral = np.sum(joint(theta, kept)) * cell
    log_prob = SIMULATOR.evidence(mask).log_prob(X[kept])
    np.testing.assert_allclose(log_prob, np.log(integral), atol=1e-8)


@pytest.mark.parametrize("mask", [None, MASK])
def test_the_posterior_has_the_moments_of_prior_times_likelihood(mask):
    theta, _ = grid()
    weight = joint(theta, np.ones(3, bool) if mask is None else mask)
    weight /= weight.sum()
    mean = weight @ theta
    covariance = (theta - mean).T @ (weight[:, None] * (theta - mean))
    posterior = SIMULATOR.posterior(X, mask)
    np.testing.assert_allclose(posterior.mean, mean, atol=1e-6)
    np.testing.assert_allclose(posterior.covariance, covariance, atol=1e-6)


def test_posterior_is_prior_times_likelihood_over_evidence():
    theta = np.array([0.3, -1.0])
    log_prob = SIMULATOR.prior.log_prob(theta) + SIMULATOR.likelihood(theta).log_prob(X)
    log_prob -= SIMULATOR.evidence().log_prob(X)
    np.testing.assert_allclose(SIMULATOR.posterior(X).log_prob(theta), log_prob)


@pytest.mark.parametrize(("width", "accepted"), [(1.0, True), (1.05, False)])
def test_what_it_draws_follows_the_likelihood(width, accepted):
    theta = np.array([0.3, -1.0])
    draws = jax.vmap(SIMULATOR, in_axes=(0, None))(
        jr.split(jr.key(0), 40_000), jnp.asarray(theta)
    )
    exact = SIMULATOR.likelihood(theta)
    residual = np.asarray(draws, float) - exact.mean
    solved = np.linalg.solve(width**2 * exact.covariance, residual.T).T
    pvalue = kstest(np.sum(residual * solved, axis=1), chi2(3).cdf).pvalue
    assert bool(pvalue > FALSE_ALARM) is accepted


def test_the_entropy_is_that_of_its_draws():
    exact = SIMULATOR.evidence()
    log_prob = exact.log_prob(exact.sample(np.random.default_rng(0), 100_000))
    np.testing.assert_allclose(-np.mean(log_prob), exact.entropy, atol=0.02)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="Expected prior mean"):
        ConjugateGaussian(
            SIMULATOR.prior, SIMULATOR.design.T, SIMULATOR.offset, SIMULATOR.noise
        )
