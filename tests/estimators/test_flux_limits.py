"""Probabilities of fluxes below limits, beside integrals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from grainlight.estimators.flux_limits import (
    Limits,
    draft_limits,
    limit_log_prob,
    limits_log_prob,
)

GRID = np.linspace(-12, 40, 10_401)
each_on_grid = jax.jit(jax.vmap(limit_log_prob, in_axes=(0, None, None)))
together, draft = jax.jit(limits_log_prob), jax.jit(draft_limits)


jitted_limit = jax.jit(limit_log_prob)


@pytest.mark.parametrize("distance", [-1.5, -0.5, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("spread", [0.06, 0.3, 1.0])
@pytest.mark.parametrize("noise", [0.1, 1 / 3])
def test_limits_stay_near_the_integral(distance, spread, noise, brute_limit):
    got = jitted_limit(
        jnp.array([distance]), jnp.array([spread**2]), jnp.array([noise])
    )
    exact = brute_limit(distance, spread**2, noise)
    assert abs(got[0] - exact) < 0.15 + 0.02 * abs(exact)


@pytest.mark.parametrize("magnitude", [-1.0, 0.0, 1.0, 30.0])
def test_limits_without_model_scatter_are_exact(magnitude):
    distance = jnp.array([magnitude])
    got = jitted_limit(distance, jnp.array([1e-12]), jnp.array([0.2]))
    exact = norm.logcdf((1 - 10 ** (-0.4 * magnitude)) / 0.2)
    np.testing.assert_allclose(got[0], exact, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("variance", [1e-4, 3e-3, 0.3])
@pytest.mark.parametrize("noise", [0.05, 1 / 3])
def test_a_limit_prefers_models_below_it_smoothly(variance, noise):
    distance = jnp.linspace(-10, 40, 4_001)
    log, slope = limit_slope(distance, jnp.asarray(variance), jnp.asarray(noise))
    assert np.all(np.isfinite(log))
    assert np.all(np.isfinite(slope))
    assert np.all(slope >= -1e-6)
    assert log[0] < -100
    assert log[-1] > -0.01
    moving = slope > 1e-3
    secant = np.diff(np.asarray(log, float)) / np.diff(np.asarray(distance, float))
    middle = 0.5 * (slope[1:] + slope[:-1])
    np.testing.assert_allclose(
        secant[moving[1:]], middle[moving[1:]], rtol=0.05, atol=0.05
    )


@jax.jit
@partial(jax.vmap, in_axes=(0, None, None))
@jax.value_and_grad
def limit_slope(distance, variance, noise):
    return limit_log_prob(distance[None], variance[None], noise[None])[0]


def random_limits(faintest, spread, num, seed):
    """Limits of models up to three magnitudes fainter than `faintest`."""
    rng = np.random.default_rng(seed)
    parts = (
        rng.uniform(faintest, faintest + 3, num),
        rng.uniform(0.05, 0.15, num) ** 2,
        spread * rng.uniform(0.8, 1.0, num),
        rng.uniform(0.1, 1 / 3, num),
    )
    return Limits(*(jnp.asarray(part, jnp.float32) for part in parts))


def integral(limits):
    """Log-probability of all, by summation over what they share."""
    shifted = limits.distance + GRID[:, None] * limits.loading
    each = each_on_grid(shifted, limits.variance, limits.noise)
    given = np.asarray(each, float).sum(axis=1)
    return logsumexp(given + norm.logpdf(GRID)) + np.log(GRID[1] - GRID[0])


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.6, 1.5])
@pytest.mark.parametrize("num", [1, 4, 38])
@pytest.mark.parametrize("faintest", [-3.0, -1.0, 0.5])
def test_limits_share_an_error(spread, num, faintest):
    for seed in range(3):
        limits = random_limits(faintest, spread, num, seed)
        assert float(together(limits)) == pytest.approx(integral(limits), abs=0.15)


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("num", [1, 4, 38])
def test_drafts_come_near(spread, num):
    for seed in range(3):
        limits = random_limits(-1.0, spread, num, seed)
        assert float(draft(limits)) == pytest.approx(integral(limits), abs=0.7)


def test_limits_are_not_independent_then():
    limits = random_limits(-1.0, 0.6, 10, seed=0)
    variance = limits.variance + limits.loading**2
    apart = float(jnp.sum(limit_log_prob(limits.distance, variance, limits.noise)))
    assert apart < integral(limits) - 1.5


def test_limits_in_any_order_and_beside_bands_without():
    limits = random_limits(-1.0, 0.6, 6, seed=1)
    parts = (limits.distance, limits.variance, limits.loading, limits.noise)
    order = np.array([4, 0, 5, 2, 1, 3])
    other = Limits(*(part[order] for part in parts))
    assert float(together(other)) == pytest.approx(float(together(limits)), abs=0.05)
    nan = jnp.full(3, jnp.nan)
    wide = (jnp.concatenate([part, nan]) for part in parts)
    padded = Limits.where(jnp.arange(9) < 6, *wide)
    assert float(together(padded)) == pytest.approx(float(together(limits)), abs=1e-4)
    none = Limits.where(jnp.zeros(3, bool), nan, nan, nan, nan)
    assert float(together(none)) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("spread", [0.0, 0.02, 1.5])
def test_limits_lead_smoothly_to_fainter_models(spread):
    limits = random_limits(-1.0, spread, 5, seed=2)

    @jax.jit
    @jax.vmap
    @jax.value_and_grad
    def moved(by):
        distance = limits.distance + by
        parts = (limits.variance, limits.loading, limits.noise)
        return limits_log_prob(Limits(distance, *parts))

    grid = jnp.linspace(-8, 20, 2_801)
    log, slope = moved(grid)
    assert np.all(np.isfinite(log))
    assert np.all(np.isfinite(slope))
    assert log[-1] > -0.01
    secant = np.diff(np.asarray(log, float)) / np.diff(np.asarray(grid, float))
    assert np.all(secant > -0.02)
    middle = 0.5 * (slope[1:] + slope[:-1])
    near = np.asarray(log[1:]) > -50
    np.testing.assert_allclose(secant[near], middle[near], rtol=0.1, atol=0.1)
