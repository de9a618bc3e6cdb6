"""Populations of normal objects, whose posterior is known on a grid."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.scipy.stats import norm

from grainlight.core import ParameterError
from grainlight.estimators import Support
from grainlight.marginal import (
    NormalDensity,
    ObjectDraws,
    UniformDensity,
    fit_population,
    read_population,
)

INTERIM = NormalDensity.of([0.0], [[9.0]])
HYPER = UniformDensity(Support.between([-3.0, 0.05], [3.0, 3.0]))
ERROR = 0.5
TRUTH = (0.7, 0.8)


class Normals(eqx.Module):
    """Objects scattered around a mean, which may drift with a condition."""

    names: tuple[str, ...] = eqx.field(static=True, default=("mean", "scatter"))

    def log_prob(self, hyper, theta, condition):
        drift = hyper[2] * condition[0] if len(self.names) > 2 else 0.0
        return norm.logpdf(theta[0], hyper[0] + drift, hyper[1])


def observe(seed, num):
    generator = np.random.default_rng(seed)
    theta = generator.normal(*TRUTH, num)
    return generator, theta + ERROR * generator.normal(size=num)


def posteriors(generator, data, num_draws):
    """Exact posterior draws under the interim prior."""
    variance = 1 / (1 / 9 + 1 / ERROR**2)
    noise = generator.normal(size=(data.size, num_draws))
    draws = variance * data[:, None] / ERROR**2 + np.sqrt(variance) * noise
    return draws[..., None]


def exact(data):
    """Mean and spread of both parameters, by a grid."""
    mean, scatter = np.linspace(-0.5, 2, 201), np.linspace(0.05, 2, 201)
    total = np.sqrt(scatter**2 + ERROR**2)
    square = np.sum((data - mean[:, None]) ** 2, axis=1)[:, None]
    log_like = -0.5 * square / total**2 - data.size * np.log(total)
    weight = np.exp(log_like - log_like.max())
    weight /= weight.sum()
    found = []
    for axis, values in ((1, mean), (0, scatter)):
        share = weight.sum(axis=axis)
        center = share @ values
        found.append((center, np.sqrt(share @ (values - center) ** 2)))
    return np.array(found).T


def moments(fit):
    center = fit.chains.weight @ fit.chains.theta
    return center, np.sqrt(fit.chains.weight @ (fit.chains.theta - center) ** 2)


@pytest.fixture(scope="module")
def objects():
    generator, data = observe(1, 100)
    draws = posteriors(generator, data, 1_000)
    return ObjectDraws.from_draws(draws, INTERIM), data


@pytest.fixture(scope="module")
def fit(objects):
    return fit_population(jr.key(1), Normals(), objects[0], HYPER, num_draws=500)


def test_the_exact_posterior_is_recovered(fit, objects):
    center, spread = exact(objects[1])
    found = moments(fit)
    assert fit.is_trusted
    assert fit.trust.endswith("ok")
    np.testing.assert_array_less(np.abs(found[0] - center), 0.35 * spread)
    np.testing.assert_allclose(found[1], spread, rtol=0.2)


def test_the_interim_prior_is_divided_out(fit, objects):
    """Without that the objects are drawn towards its center."""
    flat = UniformDensity(Support.between([-50.0], [50.0]))
    table = np.asarray(objects[0].theta, float)
    wrong = ObjectDraws.from_draws(table, flat)
    center, spread = exact(objects[1])
    found = moments(fit_population(jr.key(1), Normals(), wrong, HYPER, num_draws=500))
    off = np.abs(found[0] - center) / spread
    right = np.abs(moments(fit)[0] - center) / spread
    assert off.max() > right.max()


def test_few_draws_are_seen(objects):
    few = objects[0].theta[:, :5]
    poor = ObjectDraws(few, objects[0].log_weight[:, :5], objects[0].condition)
    narrow = read_population(Normals(), poor, jnp.array([0.7, 0.1]))
    enough = read_population(Normals(), objects[0], jnp.array([0.7, 0.8]))
    assert narrow.variance > 10
    assert enough.variance < 1


def test_densities_take_the_place_of_draws(objects):
    variance = 1 / (1 / 9 + 1 / ERROR**2)
    densities = [
        NormalDensity.of([variance * x / ERROR**2], [[variance]]) for x in objects[1]
    ]
    proposal = NormalDensity.of([0.7], [[1.5]])
    shared = ObjectDraws.from_densities(jr.key(2), densities, INTERIM, proposal, 4_000)
    hyper = jnp.array([0.7, 0.1])
    found = read_population(Normals(), shared, hyper)
    total = np.sqrt(0.1**2 + ERROR**2)
    evidence = norm.logpdf(objects[1], 0.0, np.sqrt(9 + ERROR**2))
    exact = np.sum(norm.logpdf(objects[1], 0.7, total) - evidence)
    assert found.log_likelihood == pytest.approx(float(exact), abs=3)
    assert found.variance < read_population(Normals(), objects[0], hyper).variance


def test_bad_objects_are_refused():
    box = UniformDensity(Support.between([0.0], [1.0]))
    with pytest.raises(ParameterError, match="interim prior is positive"):
        ObjectDraws.from_draws(np.full((3, 4, 1), 2.0), box)


def test_a_variance_beyond_one_is_not_trusted(fit):
    poor = dataclasses.replace(fit, variance=2.0)
    assert not poor.is_trusted
    assert "or densities" in poor.trust
