from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from grainlight.core import BandMismatchError, ObservationError
from grainlight.estimators import (
    GaussianLikelihood,
    Kind,
    PhotometricData,
    PhotometricLikelihood,
)
from grainlight.estimators.flux_detections import model_asinh
from grainlight.photometry import Observation, luptitude

BANDS = tuple(f"JWST/MIRI.{name}" for name in ("F560W", "F770W", "F1000W", "F1500W"))
POGSON = 2.5 / np.log(10)
SCALED = jnp.array([0.2, -0.4])
TOLERANCE = 0.3  # nats


@pytest.fixture(scope="module")
def likelihood():
    """An untrained model of four bands with correlated scatter of some tenths."""
    rng = np.random.default_rng(3)
    theta = rng.normal(size=(100, 2))
    x = 24 + theta @ rng.normal(size=(2, 4))
    model = GaussianLikelihood.from_data(
        jr.key(0), theta, np.full((100, 1), 0.01), x, widths=(8,)
    )
    bias = model.cholesky.linear.bias
    model = eqx.tree_at(lambda m: m.cholesky.linear.bias, model, bias + 0.4)
    return PhotometricLikelihood(model, BANDS)


def flux_of(magnitude):
    return 10 ** (0.4 * (31.4 - np.asarray(magnitude, float)))


def observe(flux, error, is_limit=None, *, bands=BANDS, **place):
    flux, error = np.array(flux, float), np.array(error, float)
    is_limit = np.zeros(flux.size, bool) if is_limit is None else np.array(is_limit)
    place = {"distance": 20.0, "redshift": 0.004} | place
    return Observation("object", bands, flux, error, is_limit, **place)


def single(observation, **settings):
    return PhotometricData.from_observations([observation], BANDS, **settings)[0]


@pytest.fixture(scope="module")
def expected(likelihood):
    """Apparent magnitudes and their covariance, floor and distance error included."""
    moments = likelihood.model.moments(SCALED, jnp.array([0.004]))
    modulus, modulus_error = 5 * np.log10(2), 5 / np.log(10) * 0.05
    covariance = np.asarray(moments.covariance, float)
    covariance = covariance + 0.0542868**2 * np.eye(4) + modulus_error**2
    return np.asarray(moments.mean, float) + modulus, covariance


@pytest.fixture(scope="module")
def log_prob(likelihood):
    return eqx.filter_jit(likelihood.log_prob)


def test_bright_detections_are_gaussian_in_magnitudes(log_prob, expected):
    mean, covariance = expected
    magnitude = mean + np.array([0.1, -0.2, 0.15, 0.05])
    flux = flux_of(magnitude)
    data = single(observe(flux, flux / 500, distance_err=1.0))
    noise = (POGSON / 500) ** 2 * np.eye(4)
    exact = multivariate_normal(mean, covariance + noise).logpdf(magnitude)
    np.testing.assert_allclose(log_prob(data, SCALED), exact, rtol=2e-3)


def test_the_draft_leaves_out_correlations_of_the_model_alone(likelihood, expected):
    mean, covariance = expected
    shared = (5 / np.log(10) * 0.05) ** 2
    covariance = np.diag(np.diag(covariance) - shared) + shared
    magnitude = mean + np.array([0.1, -0.2, 0.15, 0.05])
    flux = flux_of(magnitude)
    data = single(observe(flux, flux / 500, distance_err=1.0))
    exact = multivariate_normal(mean, covariance + (POGSON / 500) ** 2 * np.eye(4))
    draft = eqx.filter_jit(likelihood.log_draft)(data, SCALED)
    np.testing.assert_allclose(draft, exact.logpdf(magnitude), rtol=2e-3)


def test_the_draft_is_the_likelihood_of_one_limit(likelihood, log_prob, expected):
    flux = np.full(4, np.nan)
    flux[2] = flux_of(expected[0][2] + 0.3)
    is_limit = np.array([False, False, True, False])
    data = single(observe(flux, np.abs(flux) / 3, is_limit))
    draft = eqx.filter_jit(likelihood.log_draft)(data, SCALED)
    np.testing.assert_allclose(draft, log_prob(data, SCALED), rtol=1e-5)
    assert -3 < float(draft) < -0.1


def test_order_and_missing_bands_and_padding_change_nothing(log_prob, expected):
    flux = flux_of(expected[0] + 0.1)
    flux[1] = np.nan
    first = single(observe(flux, flux / 20))
    order = [3, 1, 0, 2]
    names = tuple(BANDS[i] for i in order)
    second = single(observe(flux[order], flux[order] / 20, bands=names), num_slots=4)
    assert first.index.size == 3
    assert second.index.size == 4
    a, b = log_prob(first, SCALED), log_prob(second, SCALED)
    np.testing.assert_allclose(a, b, rtol=1e-5)
    flux[1] = flux_of(expected[0][1])
    assert abs(log_prob(single(observe(flux, flux / 20)), SCALED) - a) > 0.1


def test_one_limit_agrees_with_brute_force(log_prob, expected, brute_limit):
    mean, covariance = expected
    magnitude = mean + np.array([0.3, 0.0, -0.2, 0.1])
    flux = flux_of(magnitude)
    seen = np.array([0, 2, 3])
    error = flux / 300
    for offset in (-1.5, -0.3, 0.0, 0.6):
        limit = flux_of(mean[1] - offset)
        given, noise = flux.copy(), error.copy()
        given[1], noise[1] = limit, limit / 5
        data = single(observe(given, noise, np.arange(4) == 1, distance_err=1.0))
        total = covariance + np.diag(np.full(4, (POGSON / 300) ** 2))
        gain = np.linalg.solve(total[np.ix_(seen, seen)], covariance[seen, 1])
        center = mean[1] + gain @ (magnitude - mean)[seen]
        variance = covariance[1, 1] - gain @ covariance[seen, 1]
        detected = multivariate_normal(mean[seen], total[np.ix_(seen, seen)])
        exact = detected.logpdf(magnitude[seen])
        exact += brute_limit(center - mean[1] + offset, variance, 0.2)
        assert abs(float(log_prob(data, SCALED)) - exact) < 0.15


def test_asinh_magnitudes_of_models_are_those_of_their_fluxes():
    magnitude = jnp.linspace(10, 45, 71)
    softening = jnp.full(71, 30.0)
    asinh = model_asinh(magnitude, softening)
    flux = jnp.asarray(flux_of(magnitude))
    np.testing.assert_allclose(asinh.value, luptitude(flux, softening), rtol=2e-6)
    slope = jax.vmap(jax.grad(lambda m: model_asinh(m[None], softening[:1]).value[0]))
    np.testing.assert_allclose(asinh.slope, slope(magnitude), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("modulus", [-60.0, -20.0, 0.0, 20.0, 60.0])
def test_far_from_the_data_the_gradient_is_finite(likelihood, modulus):
    data = PhotometricData(
        index=jnp.arange(4),
        flux=jnp.array([100.0, -20.0, 30.0, 50.0]),
        error=jnp.array([1.0, 20.0, 10.0, 5.0]),
        kind=jnp.array([Kind.detected, Kind.detected, Kind.limit, Kind.missing]),
        distance_modulus=jnp.asarray(modulus),
        distance_modulus_error=jnp.asarray(0.1),
        redshift=jnp.asarray(0.01),
        has_limits=True,
    )
    value, slope = jax.jit(jax.value_and_grad(likelihood.log_prob, argnums=1))(
        data, SCALED
    )
    assert np.isfinite(value)
    assert np.all(np.isfinite(slope))


def test_chi_squared_of_draws_from_the_model_has_its_expectation(likelihood, expected):
    mean, covariance = expected
    keys = jr.split(jr.key(4), 3_000)
    blank = single(observe(flux_of(mean), flux_of(mean) / 300))
    draw = jax.vmap(likelihood.sample_magnitudes, in_axes=(0, None, None))
    magnitudes = np.asarray(jax.jit(draw)(keys, blank, SCALED), float)
    rng = np.random.default_rng(0)
    noisy = magnitudes + 0.0542868 * rng.normal(size=magnitudes.shape)
    flux = jnp.asarray(flux_of(noisy), jnp.float32)
    error = flux / 300
    batch = eqx.tree_at(
        lambda d: (d.flux, d.error),
        jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (3_000, *leaf.shape)), blank),
        (flux, error),
    )
    chi = jax.jit(jax.vmap(likelihood.chi_squared, in_axes=(0, None)))(batch, SCALED)
    assert abs(float(jnp.mean(chi)) - 4) < 5 * np.sqrt(8 / 3_000)
    assert np.all(batch.num_detected == 4)
    np.testing.assert_allclose(likelihood.magnitudes(blank, SCALED), mean, rtol=1e-6)


def test_place_of_an_object():
    flux = np.ones(4)
    near = single(observe(flux, flux, distance=7.12, distance_err=0.4, redshift=np.nan))
    np.testing.assert_allclose(near.distance_modulus, 5 * np.log10(0.712), rtol=1e-5)
    np.testing.assert_allclose(near.distance_modulus_error, 0.12199, rtol=1e-3)
    np.testing.assert_allclose(near.redshift, 7.12 * 67.66 / 299792.458, rtol=5e-3)
    far = single(observe(flux, flux, distance=np.nan, redshift=0.01))
    np.testing.assert_allclose(far.distance_modulus_error, 0.2173, rtol=1e-3)
    np.testing.assert_allclose(far.distance_modulus, 3.25, atol=0.05)


@pytest.mark.parametrize(
    ("observation", "settings", "error"),
    [
        (observe([1.0], [1.0], bands=("JWST/MIRI.F2100W",)), {}, BandMismatchError),
        (observe(np.ones(4), np.ones(4)), {"num_slots": 3}, ObservationError),
        (observe(np.ones(4), np.ones(4), galactic_av=0.3), {}, ObservationError),
    ],
)
def test_observations_that_do_not_fit(observation, settings, error):
    with pytest.raises(error, match="Expected"):
        single(observation, **settings)


def test_a_likelihood_names_all_its_bands(likelihood):
    with pytest.raises(BandMismatchError, match="Expected the 4 bands"):
        PhotometricLikelihood(likelihood.model, BANDS[:3])


@pytest.mark.parametrize("offset", [-9.0, -2.5, 0.0, 2.5, 9.0])
@pytest.mark.parametrize("depth", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("num_limits", [0, 3])
def test_a_wrong_distance_agrees_with_the_integral(
    likelihood, offset, depth, num_limits
):
    """Distances wrong by more than asinh magnitudes are straight for.

    The integral takes limits as independent at every distance: scatter is small here.
    """
    quiet = eqx.tree_at(
        lambda one: one.model.outputs.scaling.spread,
        likelihood,
        replace_fn=lambda a: a / 8,
    )
    log_prob = jax.jit(lambda data, scaled: quiet.log_prob(data, scaled))
    blank = single(observe(np.ones(4), np.ones(4)))
    mean = np.asarray(quiet.magnitudes(blank, SCALED), float)
    usual = flux_of(mean)
    flux = flux_of(mean + offset) + np.array([0.4, -0.3, 0.2, 0.1]) * depth * usual
    is_limit = np.arange(4) < num_limits
    flux = np.where(is_limit, 3 * depth * usual, flux)
    data = single(observe(flux, depth * usual, is_limit, distance_err=1e-3))
    wide = replace(data, distance_modulus_error=jnp.asarray(1.5))
    grid = np.linspace(-15, 15, 1501)
    given = np.array(
        [
            float(
                log_prob(
                    replace(data, distance_modulus=data.distance_modulus + one), SCALED
                )
            )
            for one in grid
        ]
    )
    exact = logsumexp(given + norm.logpdf(grid, 0, 1.5)) + np.log(grid[1] - grid[0])
    far = 0.04 * abs(exact) if num_limits else 0.0  # limits in the tail are near
    assert float(log_prob(wide, SCALED)) == pytest.approx(exact, abs=TOLERANCE + far)
