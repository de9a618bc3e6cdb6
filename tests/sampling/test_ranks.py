"""Ranks of the truth are uniform, and those of a narrowed posterior are not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import chisquare

from grainlight.core import Parameter, Parameters
from grainlight.sampling import Settings, sample_posterior

FALSE_ALARM = 1e-6
NUM_OBJECTS, NUM_BINS = 256, 8


class Conjugate(eqx.Module):
    """A standard normal prior, one datum of error 0.5: a normal posterior."""

    parameters: Parameters = eqx.field(
        static=True, default=Parameters((Parameter("theta", -8.0, 8.0),))
    )

    def log_prior(self, scaled):
        return -0.5 * scaled[0] ** 2

    def sample_prior(self, key, num_draws):
        return jr.normal(key, (num_draws, 1))

    def log_likelihood(self, scaled, data):
        return -0.5 * ((data - scaled[0]) / 0.5) ** 2


@pytest.fixture(scope="module")
def ranked():
    """Truths, and 31 nearly independent draws for each."""
    truth_key, noise_key, run_key = jr.split(jr.key(5), 3)
    truth = jr.normal(truth_key, (NUM_OBJECTS,))
    data = truth + 0.5 * jr.normal(noise_key, (NUM_OBJECTS,))
    settings = Settings(
        num_retries=0,
        num_particles=32,
        num_components=4,
        refine_rounds=2,
        refine_blocks=1,
        archive_size=512,
        chunk_size=NUM_OBJECTS,
    )
    results = sample_posterior(
        run_key, Conjugate(), data, num_draws=16, settings=settings
    )
    draws = jax.vmap(lambda one: one[::2, 0][:31])(
        jnp.stack([r.theta for r in results])
    )
    return np.asarray(truth), np.asarray(draws)


@pytest.mark.parametrize(("width", "calibrated"), [(1.0, True), (0.5, False)])
def test_ranks_accept_the_posterior_and_no_narrower(ranked, width, calibrated):
    truth, draws = ranked
    center = draws.mean(axis=1, keepdims=True)
    narrowed = center + width * (draws - center)
    ranks = np.sum(narrowed < truth[:, None], axis=1)
    counts = np.bincount(ranks * NUM_BINS // 32, minlength=NUM_BINS)
    assert bool(chisquare(counts).pvalue > FALSE_ALARM) is calibrated
