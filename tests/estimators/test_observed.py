import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from grainlight.estimators import Kind, observed_log_prob

RNG = np.random.default_rng(2)
ROOT = RNG.normal(size=(4, 4))
MEAN = RNG.normal(size=4)
COVARIANCE = ROOT @ ROOT.T + 0.1 * np.eye(4)
ERROR = np.array([0.3, 0.2, 0.5, 0.1])
X = MEAN + np.array([0.5, -1.0, 0.3, 0.8])


jitted = jax.jit(observed_log_prob, static_argnames="side")


def log_prob(kind, x=X, **settings):
    arrays = (jnp.asarray(a, jnp.float32) for a in (MEAN, COVARIANCE, x, ERROR))
    return jitted(*arrays, jnp.asarray(kind), **settings)


def total(floor=0.0, common=0.0):
    return COVARIANCE + np.diag(ERROR**2) + floor**2 * np.eye(4) + common**2


@pytest.mark.parametrize("kept", [[0, 1, 2, 3], [1, 3], [2]])
@pytest.mark.parametrize("extra", [{}, {"floor": 0.4}, {"floor": 0.1, "common": 0.7}])
def test_detections_are_the_exact_marginal(kept, extra):
    kind = np.zeros(4, int)
    kind[kept] = Kind.detected
    square = total(**extra)[np.ix_(kept, kept)]
    exact = multivariate_normal(MEAN[kept], square).logpdf(X[kept])
    hidden = np.where(kind == Kind.detected, X, np.nan)
    np.testing.assert_allclose(log_prob(kind, hidden, **extra), exact, rtol=1e-4)


@pytest.mark.parametrize(("side", "sign"), [(1, 1), (-1, -1)])
def test_one_limit_agrees_with_brute_force(side, sign):
    square = total()
    grid = np.linspace(-30, X[1], 6001) if sign == 1 else np.linspace(X[1], 30, 6001)
    points = np.tile(X, (grid.size, 1))
    points[:, 1] = grid
    density = multivariate_normal(MEAN, square).pdf(points)
    exact = np.log(np.trapezoid(density, grid))
    got = log_prob([1, 2, 1, 1], side=side)
    np.testing.assert_allclose(got, exact, rtol=2e-4)
    other = log_prob([1, 2, 1, 1], side=-side)
    assert abs(other - exact) > 0.1


def test_limits_alone_are_normal_probabilities():
    exact = norm.logcdf((X[2] - MEAN[2]) / np.sqrt(total()[2, 2]))
    np.testing.assert_allclose(log_prob([0, 0, 2, 0]), exact, rtol=1e-5)


def test_two_limits_are_exact_where_independent_given_the_detection():
    mean, error = np.zeros(3), np.full(3, 0.1)
    loading = np.array([1.0, 0.5, -0.8])  # one shared factor, seen in the first band
    covariance = np.outer(loading, loading)
    x = np.array([0.4, 0.3, 0.2])
    arrays = (jnp.asarray(a, jnp.float32) for a in (mean, covariance, x, error))
    got = observed_log_prob(*arrays, jnp.array([1, 2, 2]))
    full = covariance + 0.01 * np.eye(3)
    gain = full[1:, 0] / full[0, 0]
    left = full[1:, 1:] - np.outer(gain, full[0, 1:])
    detected = norm.logpdf(x[0], 0, np.sqrt(full[0, 0]))
    exact = detected + multivariate_normal(gain * x[0], left).logcdf(x[1:])
    np.testing.assert_allclose(got, exact, atol=5e-3)


@pytest.mark.parametrize("distance", [-1e3, -30.0, 0.0, 30.0, 1e3])
def test_limits_far_out_keep_a_finite_gradient(distance):
    kind = jnp.array([1, 2, 1, 0])

    def value(shift):
        moved = jnp.asarray(X, jnp.float32).at[1].add(shift)
        return log_prob(kind, moved)

    log, slope = jax.value_and_grad(value)(jnp.asarray(distance))
    assert np.isfinite(log)
    assert np.isfinite(slope)
    assert slope >= 0
