import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import kstest

from grainlight.estimators import FlowDensity, TrainingSettings, fit_estimator

FALSE_ALARM = 1e-6
LOWER, UPPER = np.array([0.0, -2.0]), np.array([1.0, 3.0])


@pytest.fixture(scope="module")
def trained():
    """A density of a curved band in a box, its second column bent by the first."""
    rng = np.random.default_rng(0)
    unit = rng.beta(2, 4, (4_000, 2))
    unit[:, 1] = 0.7 * unit[:, 0] ** 2 + 0.3 * unit[:, 1]
    theta = jnp.asarray(LOWER + (UPPER - LOWER) * unit, jnp.float32)
    density = FlowDensity.from_data(
        jr.key(0), theta, LOWER, UPPER, num_layers=4, width=32
    )
    settings = TrainingSettings(num_epochs=10, batch_size=128, learning_rate=4e-3)
    return fit_estimator(
        jr.key(1), density, (theta[:3_500],), (theta[3_500:],), settings
    )


@pytest.fixture(scope="module")
def draws(trained):
    return trained.estimator.sample(jr.key(2), 20_000)


def grid(num):
    edges = [np.linspace(a, b, num + 1) for a, b in zip(LOWER, UPPER, strict=True)]
    centers = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    points = np.stack(np.meshgrid(*centers, indexing="ij"), axis=-1).reshape(-1, 2)
    return jnp.asarray(points, jnp.float32)


def test_it_integrates_to_one_over_the_box(trained):
    values = jnp.exp(jax.jit(jax.vmap(trained.estimator.log_prob))(grid(400)))
    area = np.prod(UPPER - LOWER)
    np.testing.assert_allclose(jnp.mean(values) * area, 1.0, atol=0.01)


@pytest.mark.parametrize(("power", "accepted"), [(1.0, True), (0.8, False)])
def test_draws_follow_the_density(trained, draws, power, accepted):
    """Compare the first coordinate with its marginal; a tempered density must fail."""
    values = jnp.exp(jax.jit(jax.vmap(trained.estimator.log_prob))(grid(400)))
    marginal = np.sum((np.asarray(values, float) ** power).reshape(400, 400), axis=1)
    cumulative = np.concatenate([[0.0], np.cumsum(marginal)]) / marginal.sum()
    edges = np.linspace(LOWER[0], UPPER[0], 401)
    first = np.asarray(draws[:, 0], float)
    test = kstest(first, lambda value: np.interp(value, edges, cumulative))
    assert bool(test.pvalue > FALSE_ALARM) is accepted


def test_no_draw_and_no_density_beyond_the_bounds(trained, draws):
    assert np.all((draws >= LOWER) & (draws <= UPPER))
    for outside in ([-0.01, 0.0], [0.5, 3.01], [1.01, 0.0]):
        assert trained.estimator.log_prob(jnp.array(outside)) == -np.inf
    edge = trained.estimator.log_prob(jnp.asarray(LOWER, jnp.float32))
    assert np.isfinite(edge)


def test_training_improves_on_the_start(trained):
    assert trained.record.best_loss < trained.record.validation_loss[0] - 0.2


def test_samples_beyond_the_bounds_are_refused():
    with pytest.raises(ValueError, match="got 1 outside"):
        FlowDensity.from_data(jr.key(0), np.array([[0.5, 0], [1.5, 0]]), LOWER, UPPER)
