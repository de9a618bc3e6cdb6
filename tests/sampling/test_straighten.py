"""The map that takes bends out: exact inverse, constant Jacobian, straighter draws."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.sampling.mixture import fit_mixture
from grainlight.sampling.straighten import fit_straightening


def bent(count=4_000):
    """Draws along a parabola, with a scatter that is no part of it."""
    rng = np.random.default_rng(0)
    along, across, third = rng.normal(size=(3, count))
    return jnp.asarray(
        np.stack([5 + along, 0.5 * along**2 + 0.05 * across, 1e-3 * third], axis=1),
        jnp.float32,
    )


@pytest.fixture(scope="module")
def straight():
    return fit_straightening(bent())


def test_a_parabola_becomes_a_line(straight):
    z = np.asarray(jax.vmap(straight)(bent()), float)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(z.T), np.eye(3), atol=0.05)
    quadratic = [abs(np.corrcoef(z[:, 0] ** 2, z[:, i])[0, 1]) for i in (1, 2)]
    assert max(quadratic) < 0.1
    # What is left across is the scatter of the draws, not the bend.
    assert np.min(straight.scale) < 0.1


def test_the_inverse_is_exact(straight):
    z = jr.normal(jr.key(0), (200, 3)) * 2
    back = jax.vmap(straight)(jax.vmap(straight.inverse)(z))
    np.testing.assert_allclose(back, z, atol=2e-3)


@pytest.mark.parametrize("place", [(5.0, 0.0, 0.0), (9.0, -3.0, 0.01)])
def test_the_jacobian_is_the_same_everywhere(straight, place):
    jacobian = np.asarray(jax.jacobian(straight)(jnp.array(place)), float)
    log_det = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(log_det, straight.log_det, rtol=1e-4)


def test_draws_on_a_plane_leave_the_map_finite():
    flat = bent().at[:, 2].set(1.0)
    straight = fit_straightening(flat)
    assert np.all(np.isfinite(jax.vmap(straight)(flat)))


@pytest.mark.parametrize(("widened", "accepted"), [(1.0, True), (1.2, False)])
def test_a_bent_mixture_integrates_to_one(widened, accepted):
    mixture = fit_mixture(jr.key(1), bent()[:, :2], 4)
    center, factor = jnp.array([5.0, 0.6]), jnp.array([[1.5, 0.0], [0.0, 1.5]])
    if not accepted:
        # A density whose Jacobian is forgotten in part must fail.
        log_det = mixture.straight.log_det + jnp.log(widened)
        mixture = eqx.tree_at(lambda m: m.straight.log_det, mixture, log_det)

    def weigh(key):
        # Importance sampling from a wide mixture of the density itself and a Gaussian.
        kind_key, own_key, wide_key = jr.split(key, 3)
        own = jr.uniform(kind_key) < 0.5
        wide = center + factor @ jr.normal(wide_key, (2,))
        y = jnp.where(own, mixture.sample(own_key), wide)
        white = (y - center) / 1.5
        log_wide = -0.5 * white @ white - jnp.log(2 * jnp.pi * 1.5**2)
        log_own = mixture.log_prob(y)
        return jnp.exp(log_wide - jnp.logaddexp(log_own, log_wide) + jnp.log(2.0))

    weight = np.asarray(jax.jit(jax.vmap(weigh))(jr.split(jr.key(2), 40_000)), float)
    error = weight.std() / np.sqrt(weight.size)
    assert (abs(weight.mean() - 1) < 5 * error) == accepted
