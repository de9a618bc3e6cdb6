"""A mixture that learns from its own draws: what it is resampled by, where it ends."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from grainlight.core import Parameter, Parameters
from grainlight.sampling.mixture import fit_mixture
from grainlight.sampling.refine import pick_by_weight, refine
from grainlight.sampling.settings import Settings
from grainlight.sampling.target import log_density

BOX = Parameters((Parameter("u", 0.0, 1.0), Parameter("v", 0.0, 1.0)))


class Bend(eqx.Module):
    """A thin bend across the unit square."""

    parameters: Parameters = eqx.field(static=True, default=BOX)

    def log_prior(self, scaled):
        return jnp.zeros(())

    def log_likelihood(self, scaled, data):
        along, across = scaled[0] - 0.5, scaled[1] - 4 * (scaled[0] - 0.5) ** 2
        return -0.5 * (along / 0.2) ** 2 - 0.5 * (across / data) ** 2

    def sample_prior(self, key, count):
        return jr.uniform(key, (count, 2))


def test_draws_are_picked_by_their_weights():
    weight = np.array([0.0, 1.0, 3.0, 4.0])
    with np.errstate(divide="ignore"):
        log_weight = jnp.asarray(500 + np.log(weight), jnp.float32)
    picked = np.asarray(pick_by_weight(jr.key(0), log_weight, 800))
    share = np.bincount(picked, minlength=4) / 800
    np.testing.assert_allclose(share, weight / 8, atol=2 / 800)


def test_a_weight_counts_root_n_times_the_mean_at_most():
    log_weight = jnp.zeros(100).at[7].set(np.log(100.0))
    picked = np.asarray(pick_by_weight(jr.key(0), log_weight, 10_000))
    largest = 10 * 1.99
    np.testing.assert_allclose(
        np.mean(picked == 7), largest / (99 + largest), rtol=0.01
    )


def test_without_a_finite_weight_all_are_picked_evenly():
    picked = np.asarray(pick_by_weight(jr.key(0), jnp.full(50, -jnp.inf), 50))
    np.testing.assert_array_equal(np.sort(picked), np.arange(50))


def efficiency(mixture, target, data):
    """Effective fraction of weighted draws of the mixture."""

    def weigh(key):
        y = mixture.sample(key)
        return log_density(target, data, y).posterior - mixture.log_prob(y)

    log_weight = np.asarray(jax.jit(jax.vmap(weigh))(jr.split(jr.key(9), 20_000)))
    weight = np.exp(log_weight - log_weight.max())
    return weight.sum() ** 2 / (weight**2).sum() / weight.size


def test_the_mixture_finds_the_posterior_from_the_prior():
    target, data = Bend(), jnp.asarray(0.02)
    settings = Settings(refine_rounds=8, refine_blocks=2)
    draws = BOX.unconstrain(target.sample_prior(jr.key(1), 1_000))
    blind = fit_mixture(jr.key(0), draws, settings.num_components)
    learn = jax.jit(lambda k: refine(k, target, data, draws, settings))
    guide, finite = learn(jr.key(2))
    assert bool(finite)
    assert efficiency(blind, target, data) < 0.1
    assert efficiency(guide.mixture, target, data) > 0.25
    assert guide.archive.shape == (settings.archive_size, 2)
