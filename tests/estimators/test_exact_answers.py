"""Trained estimators against simulators whose densities are known exactly."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.estimators import (
    FlowLikelihood,
    GaussianLikelihood,
    GaussianPosterior,
    LikelihoodEnsemble,
    TrainingSettings,
    VariationalLikelihood,
    fit_estimator,
    hide_bands,
)
from grainlight.simulators import ConjugateGaussian, Gaussian

pytestmark = pytest.mark.slow
SETTINGS = TrainingSettings(num_epochs=12, learning_rate=4e-3, warmup_steps=50)
LARGEST_DIVERGENCE = 0.03  # nat

SIMULATOR = ConjugateGaussian(
    Gaussian(np.array([1.0, -2.0]), np.array([[1.0, 0.3], [0.3, 0.5]])),
    design=np.array([[1.0, 0.5], [0.0, 1.0], [-1.0, 2.0]]),
    offset=np.array([20.0, 21.0, 30.0]),
    noise=np.array([[0.4, 0.2, 0.0], [0.2, 0.3, 0.05], [0.0, 0.05, 0.2]]),
)
MASKS = [(True, True, True), (True, False, True), (False, True, False)]
MAKERS = {
    "gaussian": GaussianLikelihood,
    "convolutional": GaussianLikelihood,
    "ensemble": LikelihoodEnsemble,
    "variational": VariationalLikelihood,
    "flow": FlowLikelihood,
    "posterior": GaussianPosterior,
}
SMALL = {
    "gaussian": {},
    "convolutional": {"covariance": "convolutional", "branch_widths": (16, 4)},
    "ensemble": {"num_members": 3},
    "variational": {
        "generation_widths": (32,),
        "recognition_widths": (32,),
        "num_latent": 2,
        "num_loss_draws": 4,
    },
    "flow": {"num_layers": 2, "width": 16},
    "posterior": {},
}


def table(num_sims, seed, width=1.0):
    """Pairs of the conjugate simulator, its noise `width` times as wide."""
    generator = np.random.default_rng(seed)
    simulator = ConjugateGaussian(
        *(SIMULATOR.prior, SIMULATOR.design, SIMULATOR.offset),
        noise=width**2 * SIMULATOR.noise,
    )
    theta = jnp.asarray(simulator.prior.sample(generator, num_sims), jnp.float32)
    x = jax.vmap(simulator)(jr.split(jr.key(seed), num_sims), theta)
    return theta, jnp.zeros((num_sims, 0)), x


def fit(name, data, **settings):
    """An estimator trained on most of the rows."""
    estimator = MAKERS[name].from_data(
        jr.key(1), *data, widths=(32,), **(SMALL[name] | settings)
    )
    augment = hide_bands() if name == "posterior" else None
    split = len(data[0]) - 1_000
    parts = tuple(c[:split] for c in data), tuple(c[split:] for c in data)
    return fit_estimator(
        jr.key(0), estimator, *parts, SETTINGS, augment=augment
    ).estimator


def mean_gap(log_prob, exact, *columns):
    """Mean excess of the exact log-density over the learned one [nat]."""
    learned = jax.jit(jax.vmap(log_prob))(*columns)
    return float(np.mean(exact - np.asarray(learned, float)))


@pytest.fixture(
    scope="module",
    params=["gaussian", "convolutional", "ensemble", "variational", "flow"],
)
def likelihood(request):
    return fit(request.param, table(9_000, 1))


@pytest.mark.parametrize(("width", "recovered"), [(1.0, True), (1.3, False)])
def test_training_recovers_the_exact_likelihood(likelihood, width, recovered):
    """Draws of a noisier simulator belong to another density."""
    theta, condition, x = table(4_000, 2, width)
    residual = np.asarray(x) - np.asarray(theta) @ SIMULATOR.design.T
    exact = Gaussian(SIMULATOR.offset, width**2 * SIMULATOR.noise).log_prob(residual)
    gap = mean_gap(likelihood.log_prob, exact, x, theta, condition)
    assert bool(abs(gap) < LARGEST_DIVERGENCE) is recovered


@pytest.mark.parametrize("at", [(1.0, -2.0), (0.2, -1.5)])
def test_training_recovers_the_moments_of_the_likelihood(likelihood, at):
    exact = SIMULATOR.likelihood(np.array(at))
    moments = eqx.filter_jit(likelihood.moments)(jnp.array(at), jnp.zeros(0))
    scale = np.sqrt(np.diag(exact.covariance))
    assert np.all(np.abs(moments.mean - exact.mean) < 0.25 * scale)
    correlation = exact.covariance / np.outer(scale, scale)
    found = moments.covariance / np.outer(scale, scale)
    np.testing.assert_allclose(found, correlation, atol=0.25)


@pytest.fixture(scope="module")
def posterior():
    return fit("posterior", table(25_000, 1))


@pytest.mark.parametrize(
    ("mask", "masked"),
    [*((mask, True) for mask in MASKS), *((mask, False) for mask in MASKS[1:])],
)
def test_training_recovers_the_exact_posterior(posterior, mask, masked):
    """With missing bands too; if the estimator is not told of them, it is wrong."""
    there = np.array(mask)
    theta, condition, x = table(2_000, 2)
    exact = [
        SIMULATOR.posterior(one, there).log_prob(at)
        for at, one in zip(np.asarray(theta), np.asarray(x), strict=True)
    ]
    given = jnp.asarray(there | (not masked))
    filled = jnp.where(there, x, jnp.asarray(SIMULATOR.evidence().mean))

    def log_prob(theta, x, condition):
        return posterior.log_prob(theta, x, condition, given)

    gap = mean_gap(log_prob, np.array(exact), theta, filled, condition)
    assert bool(abs(gap) < LARGEST_DIVERGENCE) is masked


def test_training_recovers_the_moments_of_the_posterior(posterior):
    x = np.array([20.3, 19.5, 25.4])
    exact = SIMULATOR.posterior(x)
    moments = eqx.filter_jit(posterior.moments)(jnp.asarray(x), jnp.zeros(0))
    scale = np.sqrt(np.diag(exact.covariance))
    assert np.all(np.abs(moments.mean - exact.mean) < 0.2 * scale)
    found = moments.covariance / np.outer(scale, scale)
    np.testing.assert_allclose(
        found, exact.covariance / np.outer(scale, scale), atol=0.2
    )


def two_peaks(num_sims, seed):
    """One outcome on either side of a line, and its exact log-density."""
    generator = np.random.default_rng(seed)
    theta = generator.uniform(-1, 1, (num_sims, 1))
    side = np.where(generator.random((num_sims, 1)) < 0.3, -1.0, 1.0)
    x = 2 * theta + side + 0.3 * generator.normal(size=(num_sims, 1))
    residual = (x - 2 * theta)[:, 0]
    peaks = [
        np.log(share) - 0.5 * ((residual - center) / 0.3) ** 2
        for share, center in ((0.3, -1.0), (0.7, 1.0))
    ]
    exact = np.logaddexp(*peaks) - np.log(0.3) - 0.5 * np.log(2 * np.pi)
    columns = (theta, np.zeros((num_sims, 0)), x)
    return tuple(jnp.asarray(c, jnp.float32) for c in columns), exact


@pytest.mark.parametrize(
    ("name", "recovered"),
    [("variational", True), ("flow", True), ("gaussian", False)],
)
def test_two_peaks_need_more_than_a_gaussian(name, recovered):
    estimator = fit(name, two_peaks(9_000, 1)[0])
    (theta, condition, x), exact = two_peaks(4_000, 2)
    gap = mean_gap(estimator.log_prob, exact, x, theta, condition)
    assert bool(gap < 0.2) is recovered
