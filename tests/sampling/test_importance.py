"""A prior replaced after sampling gives the posterior under the new prior."""

import arviz
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import Parameter, Parameters, Samples, Status
from grainlight.sampling import pareto_shape, reweight

PARAMETERS = Parameters((Parameter("mass", 1e-6, 1e6, scale="log10"),))


def uniform(scaled):
    return jnp.zeros(())


def normal(center, width):
    return lambda scaled: -0.5 * ((scaled[0] - center) / width) ** 2


@pytest.fixture
def samples():
    """A unit normal in dex, under a uniform prior."""
    theta = 10 ** jr.normal(jr.key(0), (4000, 1))
    return Samples(theta, jnp.zeros(4000), Status.ok, PARAMETERS)


def test_the_product_of_two_normals(samples):
    found = reweight(samples, normal(1.0, 1.0), uniform)
    draws = jnp.log10(found.samples.theta[:, 0])
    assert float(jnp.sum(found.samples.weight * draws)) == pytest.approx(0.5, abs=0.08)
    assert bool(found.samples.status == Status.ok)
    assert found.num_effective == pytest.approx(4000 * found.efficiency)
    assert found.shape < 0.7


def test_the_same_prior_changes_nothing(samples):
    found = reweight(samples, uniform, uniform)
    assert found.efficiency == pytest.approx(1.0)
    assert bool(found.samples.status == Status.ok)


@pytest.mark.parametrize(
    "prior", [normal(4.0, 0.2), lambda s: -jnp.inf * jnp.ones(()), lambda s: jnp.nan]
)
def test_a_far_or_impossible_prior_is_said_to_fail(samples, prior):
    found = reweight(samples, prior, uniform)
    assert bool(found.samples.status == Status.low_ess)
    assert bool(jnp.all(jnp.isfinite(found.samples.weight)))


@pytest.mark.parametrize("power", [0.3, 0.8, 1.5])
def test_pareto_shape_is_that_of_arviz(power):
    weights = np.random.default_rng(1).exponential(size=3000) * power
    expected = float(arviz.psislw(weights)[1])
    assert pareto_shape(weights) == pytest.approx(expected, rel=1e-6)
    assert pareto_shape(weights) == pytest.approx(power, abs=0.25)


def test_few_weights_have_no_shape():
    assert pareto_shape(np.array([0.0, -1.0, -2.0])) == np.inf
    assert pareto_shape(np.zeros(100)) == -np.inf
