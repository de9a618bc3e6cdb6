"""What an amortized posterior sees of an observation, and on what it is trained."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from grainlight.core import ParameterError
from grainlight.estimators import PhotometricData, TrainingSettings
from grainlight.estimators.amortized_training import (
    AmortizedSizes,
    train_shell_posterior,
)
from grainlight.estimators.band_summary import BandSummary
from grainlight.estimators.observed import Kind
from grainlight.estimators.photometric_posterior import NUM_CHANNELS, see_bands
from grainlight.estimators.random_observing import Conditions, Observing
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import Observation, jwst_names
from grainlight.sampling.amortized import amortized_proposal
from grainlight.sampling.prior import PriorChoice

FALSE_ALARM = 1e-6
RNG = np.random.default_rng(4)
LOADING = RNG.normal(size=(5, 2)) * np.array([3.0, 1.0])
TABLE = 25 + RNG.normal(size=(4_000, 2)) @ LOADING.T + 0.1 * RNG.normal(size=(4_000, 5))
SUMMARY = BandSummary.from_data(TABLE, 2)
BANDS = ("a", "b", "c", "d", "e")


def test_the_summary_is_the_posterior_of_the_components():
    magnitude, error = TABLE[7], np.array([0.1, 0.3, 0.05, 0.2, 9.0])
    detected = np.array([True, True, False, True, True])
    floor, common = 0.05, 0.4
    found = SUMMARY(
        *(jnp.asarray(part) for part in (magnitude, error, detected, floor, common))
    )
    # by brute force: the covariance of bands and coefficients, conditioned
    loading = np.asarray(SUMMARY.loading, float)
    noise = error**2 + floor**2 + np.asarray(SUMMARY.rest, float)
    total = loading @ loading.T + np.diag(noise) + common**2
    kept = np.ix_(detected, detected)
    gain = np.linalg.solve(total[kept], loading[detected]).T
    residual = (magnitude - np.asarray(SUMMARY.center, float))[detected]
    covariance = np.eye(2) - gain @ loading[detected]
    np.testing.assert_allclose(found.mean, gain @ residual, atol=2e-4)
    np.testing.assert_allclose(found.sd, np.sqrt(np.diag(covariance)), rtol=2e-3)
    # what is not detected does not matter
    other = np.where(detected, magnitude, 99.0)
    again = SUMMARY(
        *(jnp.asarray(part) for part in (other, error, detected, floor, common))
    )
    np.testing.assert_array_equal(again.mean, found.mean)


def data_of(index, flux, error, kind, modulus=0.0):
    return PhotometricData(
        index=jnp.asarray(index, jnp.int32),
        flux=jnp.asarray(flux, jnp.float32),
        error=jnp.asarray(error, jnp.float32),
        kind=jnp.asarray(kind, jnp.int32),
        distance_modulus=jnp.asarray(modulus, jnp.float32),
        distance_modulus_error=jnp.asarray(0.1),
        redshift=jnp.asarray(0.002),
        has_limits=True,
    )


SLOTS = [3, 0, 1, 0], [400.0, -20.0, 90.0, 1.0], [20.0, 30.0, 30.0, 1.0]
KINDS = [Kind.detected, Kind.detected, Kind.limit, Kind.missing]


def same(first, second):
    return all(
        np.allclose(a, b, atol=2e-5)
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


def test_neither_the_order_of_bands_nor_the_distance_matters():
    seen = see_bands(SUMMARY, data_of(*SLOTS, KINDS), 0.05)
    assert list(np.asarray(seen.mask)) == [True, True, False, True, False]
    order = [2, 3, 0, 1]
    moved = [[part[i] for i in order] for part in (*SLOTS, KINDS)]
    assert same(see_bands(SUMMARY, data_of(*moved), 0.05), seen)
    far = 10 ** (-0.4 * 3.0)
    flux, error = (np.asarray(part) * far for part in SLOTS[1:])
    away = data_of(SLOTS[0], flux, error, KINDS, modulus=3.0)
    assert same(see_bands(SUMMARY, away, 0.05), seen)
    # but brightness, kind and floor do
    brighter = data_of(SLOTS[0], [500.0, *SLOTS[1][1:]], SLOTS[2], KINDS)
    assert not same(see_bands(SUMMARY, brighter, 0.05), seen)
    assert not same(see_bands(SUMMARY, data_of(*SLOTS, KINDS), 0.1), seen)
    limits = [Kind.detected, Kind.detected, Kind.detected, Kind.missing]
    assert not same(see_bands(SUMMARY, data_of(*SLOTS, limits), 0.05), seen)
    channels = np.asarray(seen.x).reshape(5, NUM_CHANNELS)
    assert list(channels[:, 3]) == [0, 1, 0, 0, 0]
    assert np.all(np.isfinite(channels))


OBSERVING = Observing.of_bands(tuple(jwst_names()))


def test_conditions_span_what_observers_do():
    draw = jax.jit(jax.vmap(OBSERVING.draw_conditions))
    drawn = draw(jr.split(jr.key(1), 3_000))
    count = np.asarray(drawn.mask).sum(axis=1)
    assert set(count) >= {1, 2, 3, 4, 9, 20, 38}
    assert np.mean(count < 3) < 0.1
    miri = np.asarray([band.startswith("JWST/MIRI") for band in jwst_names()])
    only = np.asarray(drawn.mask) @ ~miri == 0
    assert 0.25 < only.mean() < 0.38
    assert 0.25 < (np.asarray(drawn.mask) @ miri == 0).mean() < 0.38
    assert np.quantile(drawn.error, [0.0, 1.0]) == pytest.approx([0.005, 0.5], rel=0.05)
    assert 0.2 < np.mean(np.isinf(drawn.limit_sigma)) < 0.3


def measured(limit_sigma):
    """True fluxes, and 500 observations of them with errors around 0.1 mag."""
    conditions = Conditions(
        *(jnp.asarray(v) for v in (0.1, 0.0, 0.0, 0.0, limit_sigma)), jnp.ones(38, bool)
    )
    magnitude = jnp.linspace(20.0, 34.0, 38)
    measure = jax.jit(
        jax.vmap(lambda k: OBSERVING.measure(k, conditions, magnitude, jnp.zeros(())))
    )
    return 10 ** (0.4 * (31.4 - np.asarray(magnitude, float))), measure(
        jr.split(jr.key(2), 500)
    )


def test_measured_fluxes_have_their_errors():
    true, data = measured(-jnp.inf)
    assert np.all(np.asarray(data.kind) == Kind.detected)
    pull = ((np.asarray(data.flux) - true) / np.asarray(data.error)).ravel()
    assert stats.kstest(pull, "norm").pvalue > FALSE_ALARM
    assert stats.kstest(0.9 * pull, "norm").pvalue < FALSE_ALARM


def test_limits_are_what_is_measured_below_them():
    true, data = measured(3.0)
    flux, error = np.asarray(data.flux, float), np.asarray(data.error, float)
    is_limit = np.asarray(data.kind) == Kind.limit
    np.testing.assert_allclose(flux[is_limit], 3 * error[is_limit], rtol=1e-5)
    assert np.all(flux[~is_limit] >= 3 * error[~is_limit] * (1 - 1e-6))
    below = stats.norm.cdf(3 - true / error).mean(axis=0)
    assert np.allclose(is_limit.mean(axis=0), below, atol=0.12)
    assert is_limit[:, -1].mean() > 0.97


@pytest.fixture(scope="module")
def model(amortized_model_folder):
    return ShellModel.load(amortized_model_folder)


@pytest.mark.slow
def test_a_posterior_is_loaded_with_its_model_and_knows_its_density(model):
    posterior = model.posterior
    assert posterior.prior == "thesis2023"
    assert model.under(clumpy=False).posterior is posterior
    flux = np.array([6e3, 5.8e4, 1.2e5])
    bands = ("JWST/MIRI.F560W", "JWST/MIRI.F1000W", "JWST/MIRI.F2100W")
    seen = Observation("a", bands, flux, 0.05 * flux, redshift=2e-3, distance=10.0)
    data = PhotometricData.from_observations([seen], model.bands, num_slots=8)[0]
    draw = eqx.filter_jit(lambda k: posterior.draw(k, 500, data, 0.05))
    draws = draw(jr.key(2))
    prior = PriorChoice.read("thesis2023").prior(model)
    inside = jax.vmap(prior.choice.base.log_prob)(draws.theta)
    assert np.mean(np.isfinite(inside)) > 0.9  # the rest is too thick
    again = eqx.filter_jit(jax.vmap(lambda t: posterior.log_prob(t, data, 0.05)))
    np.testing.assert_allclose(again(draws.theta), draws.log_prob, atol=0.02)


@pytest.mark.parametrize(
    ("prior", "floor_mag", "applies"),
    [
        ("thesis2023", 0.05, True),
        ("ansari2022", 0.05, False),
        ("thesis2023", 1.0, False),
    ],
)
def test_the_ladder_starts_where_the_posterior_was_trained(
    model, prior, floor_mag, applies
):
    choice = PriorChoice.read(prior)
    assert (amortized_proposal(model, choice, floor_mag) is not None) is applies
    without = replace(model, posterior=None)
    assert amortized_proposal(without, choice, floor_mag) is None


def test_training_needs_draws_and_a_start_under_its_prior(model, tmp_path):
    settings = TrainingSettings()
    with pytest.raises(ParameterError, match="million"):
        train_shell_posterior(
            jr.key(1), model, tmp_path, settings, sizes=AmortizedSizes(num_draws=0)
        )
    with pytest.raises(ParameterError, match="Train anew"):
        train_shell_posterior(
            jr.key(1),
            model,
            tmp_path,
            settings,
            prior="ansari2022",
            sizes=AmortizedSizes(num_draws=10, num_held=10),
            start=model.posterior,
        )
