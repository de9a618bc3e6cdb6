"""A narrow mode beside a broad one: whether it is found, by particles and sweeps.

All groups of an object may lose a narrow mode, and then their chains agree on the wrong
answer. More particles and sweeps make that rare.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import Parameter, Parameters, Status
from grainlight.sampling import Settings, sample_posterior

NUM_OBJECTS = 16
DIM = 5
BROAD = 0.12  # standard deviation
NEEDLE_SHARE = 0.7
NEEDLE_CENTER, BROAD_CENTER = 0.25, 0.6
PARAMETERS = Parameters(tuple(Parameter(f"p{i}", 0.0, 1.0) for i in range(DIM)))


class Needle(eqx.Module):
    """A heavy narrow Gaussian, as wide as `data`, and a light broad one, far apart."""

    parameters: Parameters = eqx.field(static=True, default=PARAMETERS)

    def log_prior(self, scaled):
        return jnp.zeros(())

    def log_likelihood(self, scaled, data):
        def mode(share, center, width):
            distance = jnp.sum((scaled - center) ** 2) / width**2
            return jnp.log(share) - DIM * jnp.log(width) - 0.5 * distance

        needle = mode(NEEDLE_SHARE, NEEDLE_CENTER, data)
        return jnp.logaddexp(needle, mode(1 - NEEDLE_SHARE, BROAD_CENTER, BROAD))


def shares_of_the_needle(width, settings):
    """Share of each object's draws that lie in the narrow mode, and what passed."""
    results = sample_posterior(
        jr.key(4), Needle(), jnp.full(NUM_OBJECTS, width), settings=settings
    )
    draws = np.stack([np.asarray(one.theta) for one in results])
    near = np.all(np.abs(draws - NEEDLE_CENTER) < 6 * width, axis=2)
    passed = np.array([bool(one.status == Status.ok) for one in results])
    return near.mean(axis=1), passed


@pytest.mark.slow
def test_the_narrow_mode_is_found_with_its_weight():
    share, passed = shares_of_the_needle(0.034, Settings())
    assert passed.sum() >= NUM_OBJECTS - 1
    assert np.all(np.abs(share[passed] - NEEDLE_SHARE) < 0.1)


@pytest.mark.slow
def test_few_particles_and_sweeps_lose_it_and_pass_the_gate():
    few = Settings(num_particles=64, stage_sweeps=3)
    share, passed = shares_of_the_needle(0.028, few)
    better, _ = shares_of_the_needle(0.028, Settings())
    lost = np.sum(passed & (share < 0.01))
    assert lost >= 4
    assert np.sum(better < 0.01) <= lost / 2
