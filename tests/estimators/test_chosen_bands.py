"""Densities of some bands against exact marginals, for every kind of likelihood."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from grainlight.core import BandMismatchError, ModelError
from grainlight.estimators import (
    FlowLikelihood,
    GaussianLikelihood,
    LikelihoodEnsemble,
    PhotometricLikelihood,
    VariationalLikelihood,
)
from grainlight.estimators.chosen_bands import ChosenBands
from grainlight.estimators.errors import absolute_error

RNG = np.random.default_rng(0)
THETA, CONDITION = RNG.normal(size=(30, 2)), RNG.uniform(size=(30, 1))
X = 20 + RNG.normal(size=(30, 4))
AT = (jnp.asarray(THETA[0]), jnp.asarray(CONDITION[0]))
CHOSEN = (2, 0)
MASK = np.isin(np.arange(4), CHOSEN)


def made(kind, **settings):
    return kind.from_data(jr.key(0), THETA, CONDITION, X, widths=(8,), **settings)


GAUSSIAN = made(GaussianLikelihood)
LATENT = made(VariationalLikelihood, generation_widths=(8,), recognition_widths=(8,))
ENSEMBLE = made(LikelihoodEnsemble, num_members=3)
FLOW = made(FlowLikelihood, num_layers=1, width=4, num_draws=8)


@pytest.mark.parametrize("likelihood", [GAUSSIAN, LATENT], ids=["gaussian", "latent"])
@pytest.mark.parametrize("masked", [False, True])
def test_some_bands_have_the_gaussian_marginal_and_no_other(likelihood, masked):
    moments = likelihood.moments(*AT)
    index = np.array(CHOSEN)
    covariance = np.asarray(moments.covariance, float)
    exact = multivariate_normal(
        np.asarray(moments.mean, float)[index], covariance[np.ix_(index, index)]
    ).logpdf(X[0][index])
    bands = ChosenBands(likelihood, () if masked else CHOSEN)
    mask = jnp.asarray(MASK) if masked else None
    found = bands.log_prob(jnp.asarray(X[0]), *AT, mask)
    assert float(found) == pytest.approx(exact, abs=2e-3)
    alone = multivariate_normal(
        np.asarray(moments.mean, float)[index], np.diag(np.diag(covariance)[index])
    ).logpdf(X[0][index] + 1)
    assert float(found) != pytest.approx(alone, abs=2e-3)


@pytest.mark.parametrize("likelihood", [GAUSSIAN, ENSEMBLE, LATENT, FLOW])
def test_all_bands_have_the_density_of_the_likelihood(likelihood):
    x = jnp.asarray(X[0])
    found = ChosenBands(likelihood).log_prob(x, *AT)
    assert float(found) == pytest.approx(float(likelihood.log_prob(x, *AT)), abs=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_some_bands_of_an_ensemble_have_the_mixture_of_marginals(masked):
    index = np.array(CHOSEN)
    each = []
    for member in ENSEMBLE.members:
        moments = member.moments(*AT)
        covariance = np.asarray(moments.covariance, float)[np.ix_(index, index)]
        mean = np.asarray(moments.mean, float)[index]
        each.append(multivariate_normal(mean, covariance).logpdf(X[0][index]))
    assert np.ptp(each) > 0.01
    bands = ChosenBands(ENSEMBLE, () if masked else CHOSEN)
    mask = jnp.asarray(MASK) if masked else None
    found = float(bands.log_prob(jnp.asarray(X[0]), *AT, mask))
    assert found == pytest.approx(logsumexp(each) - np.log(3), abs=2e-3)
    # the Gaussian of the same moments is another density
    mean, covariance = ENSEMBLE.moments_at(*AT, jnp.asarray(CHOSEN))
    moments = multivariate_normal(np.asarray(mean, float), np.asarray(covariance))
    far = X[0][index] + 3
    there = float(bands.log_prob(jnp.asarray(X[0] + 3), *AT, mask))
    assert there != pytest.approx(moments.logpdf(far), abs=2e-3)


def test_moments_of_an_ensemble_are_those_of_its_draws():
    draw = jax.jit(jax.vmap(lambda key: ENSEMBLE.sample(key, *AT)))
    draws = np.asarray(draw(jr.split(jr.key(1), 100_000)), float)
    moments = ENSEMBLE.moments(*AT)
    sd = np.sqrt(np.diag(np.asarray(moments.covariance, float)))
    assert np.all(np.abs(draws.mean(axis=0) - moments.mean) < 5.3 * sd / 316)
    found = np.cov(draws.T) / np.outer(sd, sd)
    wanted = np.asarray(moments.covariance, float) / np.outer(sd, sd)
    np.testing.assert_allclose(found, wanted, atol=0.03)
    mean, variance = ENSEMBLE.scatter_at(*AT, jnp.arange(4))
    np.testing.assert_allclose(mean, moments.mean, rtol=1e-6)
    np.testing.assert_allclose(variance, sd**2, rtol=1e-4)
    # members disagree: their own scatter is not all
    own = [one.scatter_at(*AT, jnp.arange(4))[1] for one in ENSEMBLE.members]
    assert np.any(np.mean(own, axis=0) / variance < 0.95)


def test_an_ensemble_is_of_one_outcome():
    other = GaussianLikelihood.from_data(
        jr.key(0), THETA, CONDITION, X[:, :3], widths=(8,)
    )
    with pytest.raises(ModelError, match="of 2 kinds"):
        LikelihoodEnsemble([GAUSSIAN, other])


def test_what_has_no_marginal_is_refused():
    with pytest.raises(BandMismatchError, match="cannot marginalize"):
        ChosenBands(FLOW, CHOSEN)
    with pytest.raises(BandMismatchError, match="mask"):
        ChosenBands(FLOW).log_prob(jnp.asarray(X[0]), *AT, jnp.asarray(MASK))
    some = ChosenBands(GAUSSIAN, CHOSEN)
    with pytest.raises(BandMismatchError, match="got both"):
        some.log_prob(jnp.asarray(X[0]), *AT, jnp.asarray(MASK))
    with pytest.raises(BandMismatchError, match="moments"):
        PhotometricLikelihood(FLOW, tuple("abcd"))
    with pytest.raises(BandMismatchError, match="different places"):
        ChosenBands(GAUSSIAN, (0, 9))


def test_moments_of_some_bands_include_the_covariance_of_the_means():
    mean, covariance = LATENT.moments_at(*AT, jnp.asarray(CHOSEN))
    whole = LATENT.moments(*AT)
    index = np.array(CHOSEN)
    np.testing.assert_allclose(mean, whole.mean[index], rtol=1e-6)
    wanted = np.asarray(whole.covariance)[np.ix_(index, index)]
    np.testing.assert_allclose(covariance, wanted, rtol=1e-4, atol=1e-6)
    assert (LATENT.dim, LATENT.num_param, LATENT.num_cond) == (4, 2, 1)


def test_errors_are_those_of_the_mean():
    mean = np.asarray(GAUSSIAN.moments(*AT).mean)
    found = absolute_error(GAUSSIAN, *AT, jnp.asarray(X[0]), jnp.asarray(MASK))
    assert float(found) == pytest.approx(np.abs(X[0] - mean)[MASK].mean(), rel=1e-5)


def test_residuals_are_those_of_the_marginal():
    moments = GAUSSIAN.moments(*AT)
    x, index = jnp.asarray(X[0]), np.array(CHOSEN)
    apart = X[0] - np.asarray(moments.mean)
    covariance = np.asarray(moments.covariance)
    residual, scatter = ChosenBands(GAUSSIAN, CHOSEN).residual(x, *AT)
    assert np.allclose(residual, apart[index], atol=1e-4)
    assert np.allclose(scatter, covariance[np.ix_(index, index)], rtol=1e-3, atol=1e-5)
    residual, scatter = ChosenBands(GAUSSIAN).residual(x, *AT, jnp.asarray(MASK))
    assert np.allclose(residual, np.where(MASK, apart, 0.0), atol=1e-4)
    assert np.allclose(scatter[~MASK], np.eye(4)[~MASK])
    assert np.allclose(scatter[np.ix_(MASK, MASK)], covariance[np.ix_(MASK, MASK)])
    with pytest.raises(BandMismatchError, match="both"):
        ChosenBands(GAUSSIAN, CHOSEN).residual(x, *AT, jnp.asarray(MASK))
