import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import kstest, multivariate_normal

from grainlight.estimators import (
    GaussianLikelihood,
    Scaling,
    TrainingSettings,
    fit_estimator,
)
from grainlight.estimators.moments import expected_deviance

FALSE_ALARM = 1e-6
SLOPE = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, -1.0]])
CORRELATION = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 0.01]])


def scatter(theta):
    return 0.05 + 0.1 * (theta[..., :1] + 1)


def simulate(num_sims):
    """A linear Gaussian simulator far from zero, its scatter set by the parameter."""
    rng = np.random.default_rng(0)
    theta = rng.uniform(-1, 1, (num_sims, 2))
    condition = rng.uniform(size=(num_sims, 1))
    noise = rng.normal(size=(num_sims, 3)) @ np.linalg.cholesky(CORRELATION).T
    x = 1000 + theta @ SLOPE.T + condition + scatter(theta) * noise
    return tuple(jnp.asarray(c, jnp.float32) for c in (theta, condition, x))


BLURRED = {"blur": (0.003, 0.03), "num_sources": 2}


@pytest.fixture(scope="module", params=[{}, BLURRED], ids=["plain", "blurred"])
def untrained(request):
    theta, condition, x = simulate(200)
    return GaussianLikelihood.from_data(
        jr.key(1), theta, condition, x, widths=(16,), **request.param
    )


@pytest.fixture(scope="module")
def point():
    return jnp.array([0.3, -0.5]), jnp.array([0.4]), jnp.array([1001.0, 999.8, 1000.7])


def test_log_prob_is_that_of_its_moments(untrained, point):
    theta, condition, x = point
    moments = untrained.moments(theta, condition)
    exact = multivariate_normal(
        np.asarray(moments.mean, float), np.asarray(moments.covariance, float)
    )
    log_prob = untrained.log_prob(x, theta, condition)
    np.testing.assert_allclose(log_prob, exact.logpdf(np.asarray(x)), rtol=1e-4)


@pytest.mark.parametrize("kept", [[0], [1, 2], [0, 2], [0, 1, 2]])
def test_missing_dimensions_are_marginalized_exactly(untrained, point, kept):
    theta, condition, x = point
    moments = untrained.moments(theta, condition)
    mean, covariance = np.asarray(moments.mean), np.asarray(moments.covariance)
    exact = multivariate_normal(mean[kept], covariance[np.ix_(kept, kept)])
    mask = jnp.zeros(3, bool).at[jnp.array(kept)].set(True)
    hidden = jnp.where(mask, x, jnp.nan)
    log_prob = eqx.filter_jit(untrained.log_prob)(hidden, theta, condition, mask)
    np.testing.assert_allclose(
        log_prob, exact.logpdf(np.asarray(x)[kept]), rtol=2e-4, atol=1e-3
    )


def test_no_dimension_at_all_says_nothing(untrained, point):
    theta, condition, x = point
    log_prob = eqx.filter_jit(untrained.log_prob)(
        x, theta, condition, jnp.zeros(3, bool)
    )
    np.testing.assert_allclose(log_prob, 0, atol=1e-6)


def test_a_hidden_nan_leaves_the_gradient_finite(untrained, point):
    theta, condition, x = point
    mask = jnp.array([True, False, True])
    hidden = jnp.where(mask, x, jnp.nan)
    slope = jax.jit(jax.grad(untrained.log_prob, argnums=1))
    gradient = slope(hidden, theta, condition, mask)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("blur", [None, (0.01, 0.1)])
def test_moments_of_some_dimensions_are_those_of_all(point, blur):
    theta, condition, _ = point
    likelihood = GaussianLikelihood.from_data(
        jr.key(0), *simulate(200), widths=(8,), blur=blur
    )
    index = np.array([2, 0])
    mean, covariance = likelihood.moments_at(theta, condition, jnp.asarray(index))
    whole = likelihood.moments(theta, condition)
    np.testing.assert_allclose(mean, whole.mean[index], rtol=1e-6)
    square = np.asarray(whole.covariance)[np.ix_(index, index)]
    np.testing.assert_allclose(covariance, square, rtol=1e-5, atol=1e-7)
    mean, variance = likelihood.scatter_at(theta, condition, jnp.asarray(index))
    np.testing.assert_allclose(mean, whole.mean[index], rtol=1e-6)
    np.testing.assert_allclose(variance, np.diag(square), rtol=1e-5)


def test_density_integrates_to_one_in_one_dimension():
    theta, condition, x = simulate(200)
    likelihood = GaussianLikelihood.from_data(
        jr.key(1), theta, condition, x[:, :1], widths=(8,)
    )
    center, spread = float(jnp.mean(x[:, 0])), float(jnp.std(x[:, 0]))
    grid = jnp.linspace(center - 8 * spread, center + 8 * spread, 2001)[:, None]
    density = jax.jit(jax.vmap(likelihood.log_prob, in_axes=(0, None, None)))
    values = jnp.exp(density(grid, theta[0], condition[0]))
    np.testing.assert_allclose(jnp.trapezoid(values, grid[:, 0]), 1.0, rtol=1e-3)


@pytest.mark.parametrize(("width", "accepted"), [(1.0, True), (0.9, False)])
def test_samples_follow_the_density(untrained, point, width, accepted):
    theta, condition, _ = point
    keys = jr.split(jr.key(5), 20_000)
    sample = jax.jit(jax.vmap(untrained.sample, in_axes=(0, None, None)))
    draws = sample(keys, theta, condition)
    moments = untrained.moments(theta, condition)
    residual = np.asarray((draws - moments.mean).T, float)
    covariance = width**2 * np.asarray(moments.covariance, float)
    distance = np.sum(residual * np.linalg.solve(covariance, residual), axis=0)
    pvalue = kstest(distance, "chi2", args=(3,)).pvalue
    assert bool(pvalue > FALSE_ALARM) is accepted


def test_gain_and_mixing_are_exact():
    theta, condition, x = simulate(200)
    gain = np.array([[0.0, -2.5], [0.0, -2.5], [0.0, 0.0]])
    mixing = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    likelihood = GaussianLikelihood.from_data(
        jr.key(1), theta, condition, x, gain=gain, mixing=mixing, widths=(8,)
    )
    low = likelihood.moments(jnp.array([0.2, -1.0]), condition[0])
    high = likelihood.moments(jnp.array([0.2, 1.0]), condition[0])
    shift = np.asarray(high.mean - low.mean)
    np.testing.assert_allclose(shift, [-5.0, -5.0, 0.0], atol=2e-3)
    np.testing.assert_array_equal(low.factor, high.factor)


@pytest.mark.parametrize(
    "wrong", [{"gain": np.zeros((2, 2))}, {"mixing": np.zeros((3, 2))}]
)
def test_matrices_of_the_wrong_shape_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected a"):
        GaussianLikelihood.from_data(jr.key(1), *simulate(20), **wrong)


@pytest.fixture(scope="module")
def trained():
    data = simulate(12_000)
    untrained = GaussianLikelihood.from_data(jr.key(1), *data, widths=(32, 32))
    settings = TrainingSettings(num_epochs=16, learning_rate=4e-3, warmup_steps=50)
    parts = tuple(c[:10_000] for c in data), tuple(c[10_000:] for c in data)
    return fit_estimator(jr.key(0), untrained, *parts, settings)


@pytest.mark.parametrize("theta", [[0.5, 0.2], [-0.6, -0.5], [0.0, 0.7]])
def test_training_recovers_a_linear_gaussian(trained, theta):
    theta = np.array(theta)
    moments = trained.estimator.moments(jnp.asarray(theta), jnp.array([0.5]))
    scale = scatter(theta)
    error = (np.asarray(moments.mean) - (1000.5 + SLOPE @ theta)) / scale
    assert np.all(np.abs(error) < 0.2)
    covariance = np.asarray(moments.covariance) / scale**2
    np.testing.assert_allclose(covariance[:2, :2], CORRELATION[:2, :2], atol=0.2)
    assert 0.005 < covariance[2, 2] < 0.02
    assert np.all(np.abs(covariance[2, :2]) < 0.03)


def test_training_reaches_the_entropy_of_the_simulator(trained):
    theta = np.linspace(-1, 1, 401)[:, None]
    log_scatter = np.mean(np.log(scatter(theta)))
    entropy = 1.5 * np.log(2 * np.pi * np.e) + 3 * log_scatter
    entropy += 0.5 * np.log(np.linalg.det(CORRELATION))
    assert entropy - 0.05 < trained.record.best_loss < entropy + 0.15
    assert trained.record.num_skipped == 0


@pytest.mark.parametrize("theta", [[0.5, 0.2], [-0.6, -0.5]])
def test_training_under_noise_recovers_it_too(trained_under_noise, theta):
    theta = np.array(theta)
    moments = trained_under_noise.moments(jnp.asarray(theta), jnp.array([0.5]))
    scale = scatter(theta)
    error = (np.asarray(moments.mean) - (1000.5 + SLOPE @ theta)) / scale
    assert np.all(np.abs(error) < 0.3)
    covariance = np.asarray(moments.covariance) / scale**2
    np.testing.assert_allclose(covariance[:2, :2], CORRELATION[:2, :2], atol=0.25)
    assert 0.003 < covariance[2, 2] < 0.03


@pytest.fixture(scope="module")
def trained_under_noise():
    data = simulate(12_000)
    blur = {"blur": (0.003, 0.03)}
    untrained = GaussianLikelihood.from_data(jr.key(1), *data, widths=(32, 32), **blur)
    settings = TrainingSettings(num_epochs=16, learning_rate=4e-3, warmup_steps=50)
    parts = tuple(c[:10_000] for c in data), tuple(c[10_000:] for c in data)
    return fit_estimator(jr.key(0), untrained, *parts, settings).estimator


def test_missing_dimensions_do_not_count_under_noise(point):
    theta, condition, x = point
    likelihood = GaussianLikelihood.from_data(
        jr.key(1), *simulate(200), widths=(8,), **BLURRED
    )
    mask = jnp.array([True, False, True])
    loss = eqx.filter_jit(eqx.filter_value_and_grad(GaussianLikelihood.loss))
    key = jr.key(2)
    for progress in (jnp.zeros(()), jnp.ones(())):
        answers = []
        for hidden in (7.0, np.nan):
            there = jnp.where(mask, x, hidden)
            answers.append(
                loss(likelihood, key, progress, theta, condition, there, mask)
            )
        assert answers[0][0] == answers[1][0]
        leaves = jax.tree.leaves(answers[1][1])
        assert all(np.all(np.isfinite(leaf)) for leaf in leaves)


def test_the_expected_deviance_is_least_at_the_covariance():
    rng = np.random.default_rng(0)
    factor = np.tril(rng.normal(size=(4, 4))) + 2 * np.eye(4)
    covariance = jnp.asarray(factor @ factor.T, jnp.float32)
    draws = jnp.asarray(rng.normal(size=(200_000, 4)) @ factor.T, jnp.float32)
    noise = jnp.array([0.5, 0.5, 0.0, 0.5])
    blurred = covariance + jnp.diag(noise**2)

    def mean_deviance(total):
        return jnp.mean(jax.vmap(lambda r: expected_deviance(r, total, noise))(draws))

    slope = np.asarray(jax.grad(mean_deviance)(blurred))
    wrong = np.asarray(jax.grad(mean_deviance)(1.3 * blurred))
    assert np.abs(slope).max() < 0.01 < 0.1 * np.abs(wrong).max()


def test_the_gradient_of_the_expected_deviance_is_that_of_its_formula():
    rng = np.random.default_rng(0)
    factor = np.tril(rng.normal(size=(4, 4))) + 2 * np.eye(4)
    covariance = jnp.asarray(factor @ factor.T, jnp.float32)
    residual, noise = jnp.asarray(rng.normal(size=(2, 4)), jnp.float32)

    def formula(residual, covariance):
        moment = jnp.outer(residual, residual) + jnp.diag(noise**2)
        log_det = jnp.linalg.slogdet(covariance)[1]
        return log_det + jnp.trace(jnp.linalg.solve(covariance, moment))

    def written(residual, covariance):
        return expected_deviance(residual, covariance, noise)

    answers = [
        jax.value_and_grad(f, (0, 1))(residual, covariance) for f in (formula, written)
    ]
    for exact, found in zip(*map(jax.tree.leaves, answers), strict=True):
        even = 0.5 * (exact + exact.T)
        np.testing.assert_allclose(found, even, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_scatter_of_a_thousandth_trains_without_nan():
    theta, condition, x = simulate(4_000)
    exact = 1000 + theta @ SLOPE.T.astype(np.float32) + condition
    data = (theta, condition, (exact - 1000) + 1e-3 * (x - exact))
    untrained = GaussianLikelihood.from_data(jr.key(1), *data, widths=(32, 32))
    parts = tuple(c[:3_500] for c in data), tuple(c[3_500:] for c in data)
    settings = TrainingSettings(num_epochs=15, batch_size=64, learning_rate=1e-2)
    training = fit_estimator(jr.key(0), untrained, *parts, settings)
    assert training.record.num_skipped == 0
    assert np.all(np.isfinite(training.record.train_loss))
    assert training.record.best_loss < -6  # scatter below 0.03 of the range


def test_scaling_undoes_itself_and_survives_constant_and_missing_values():
    table = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0], [5.0, 5.0, 4.0]])
    scaling = Scaling.from_data(table)
    np.testing.assert_allclose(scaling.center, [3, 5, 3])
    np.testing.assert_allclose(scaling.spread, [np.sqrt(8 / 3), 1, 1], rtol=1e-6)
    x = jnp.array([2.0, 5.5, -1.0])
    np.testing.assert_allclose(scaling.inverse(scaling(x)), x, rtol=1e-6)
    slope = jnp.linalg.slogdet(jax.jacobian(scaling)(x))[1]
    np.testing.assert_allclose(scaling.log_det, slope, rtol=1e-5)
    again = Scaling.from_json(scaling.to_json())
    np.testing.assert_array_equal(again.spread, scaling.spread)
