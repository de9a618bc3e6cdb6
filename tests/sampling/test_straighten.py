"""The map that takes bends out: exact inverse, constant Jacobian, straighter draws."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.sampling.mixture import fit_mixture
from grainlight.sampling.straighten import fit_straightening

BEND = 0.3


def bent(count=4_000):
    """Draws along a slanted parabola, with little scatter across."""
    rng = np.random.default_rng(0)
    along, across, third = rng.normal(size=(3, count))
    return jnp.asarray(
        np.stack(
            [5 + along, 3 * along + BEND * along**2 + 0.02 * across, third], axis=1
        ),
        jnp.float32,
    )


@pytest.fixture(scope="module")
def straight():
    return fit_straightening(bent())


def test_a_parabola_becomes_a_line(straight):
    z = np.asarray(jax.vmap(straight)(bent()), float)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(z.T), np.eye(3), atol=0.05)
    thin = int(np.argmin(straight.scale))
    quadratic = [abs(np.corrcoef(z[:, 0] ** 2, z[:, thin])[0, 1])]
    assert max(quadratic) < 0.1
    # A line through the draws would leave one: it is as thick as the bend.
    assert np.min(straight.scale) < 0.25


def test_the_inverse_is_exact(straight):
    z = jr.normal(jr.key(0), (200, 3)) * 2
    back = jax.vmap(straight)(jax.vmap(straight.inverse)(z))
    np.testing.assert_allclose(back, z, atol=2e-3)


@pytest.mark.parametrize("place", [(5.0, 0.0, 0.0), (7.0, 6.0, 1.0)])
def test_the_jacobian_is_the_same_everywhere(straight, place):
    jacobian = np.asarray(jax.jacobian(straight)(jnp.array(place)), float)
    log_det = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(log_det, straight.log_det, rtol=1e-4)


def test_draws_on_a_plane_leave_the_map_finite():
    flat = bent().at[:, 2].set(1.0)
    straight = fit_straightening(flat)
    assert np.all(np.isfinite(jax.vmap(straight)(flat)))


@pytest.fixture(scope="module")
def weighted():
    """A bent mixture; draws from a wide Gaussian, and density over theirs."""
    draws = bent()[:, :2]
    mixture = fit_mixture(jr.key(1), draws, 4)
    mean, factor = jnp.mean(draws, axis=0), 2 * jnp.linalg.cholesky(jnp.cov(draws.T))

    def weigh(key):
        white = jr.normal(key, (2,))
        y = mean + factor @ white
        log_det = jnp.sum(jnp.log(jnp.diagonal(factor)))
        log_wide = -0.5 * white @ white - jnp.log(2 * jnp.pi) - log_det
        return y, jnp.exp(mixture.log_prob(y) - log_wide)

    y, weight = jax.jit(jax.vmap(weigh))(jr.split(jr.key(2), 200_000))
    return mixture, np.asarray(y, float), np.asarray(weight, float)


@pytest.mark.parametrize(("factor", "accepted"), [(1.0, True), (1.1, False)])
def test_a_bent_mixture_integrates_to_one(weighted, factor, accepted):
    weight = factor * weighted[2]
    error = weight.std() / np.sqrt(weight.size)
    assert (abs(weight.mean() - 1) < 5 * error) == accepted


@pytest.mark.parametrize(("widened", "accepted"), [(1.0, True), (1.2, False)])
def test_draws_of_a_bent_mixture_follow_its_density(weighted, widened, accepted):
    mixture, y, weight = weighted
    own = np.asarray(jax.vmap(mixture.sample)(jr.split(jr.key(3), 40_000)), float)
    own = own.mean(axis=0) + widened * (own - own.mean(axis=0))
    near = np.abs(own - [5, 0.3]) < [1, 2]
    expected = np.all(np.abs(y - [5, 0.3]) < [1, 2], axis=1) * weight
    found = np.all(near, axis=1)
    error = np.hypot(
        expected.std() / np.sqrt(y.shape[0]), found.std() / np.sqrt(found.size)
    )
    assert (abs(expected.mean() - found.mean()) < 5 * error) == accepted
