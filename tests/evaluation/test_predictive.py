"""Posterior predictive fluxes and residuals."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import BandMismatchError, Parameter, Parameters, Samples, Status
from grainlight.evaluation import (
    chi_squared_of_draws,
    measure_residuals,
    predict_posterior,
    predict_sed,
)
from grainlight.photometry import Observation, jwst_filters

BANDS = ("JWST/MIRI.F1000W", "JWST/NIRCam.F444W", "JWST/MIRI.F2100W")
WAVE = np.array([9.95, 4.4, 20.8])


class Line(eqx.Module):
    """Magnitudes that the one parameter shifts, with scatter."""

    bands: tuple[str, ...] = eqx.field(static=True, default=BANDS)

    def chi_squared(self, data, scaled):
        return jnp.sum((data - scaled[0]) ** 2)

    def sample_magnitudes(self, key, data, scaled):
        return scaled[0] + jnp.arange(3.0) + 0.1 * jr.normal(key, (3,))


def posterior(theta, log_weight):
    return Samples(
        theta=jnp.asarray(theta),
        log_weight=jnp.asarray(log_weight),
        status=Status.ok,
        parameters=Parameters((Parameter("a", 1.0, 1e4, "um", "log10"),)),
    )


def magnitudes_of(flux):
    return 31.4 - 2.5 * np.log10(flux)


def test_quantiles_are_fluxes_in_order_of_wavelength():
    flux = np.array([100.0, 10.0, 1000.0]) * np.linspace(0.5, 1.5, 2_001)[:, None]
    found = predict_sed(magnitudes_of(flux), BANDS, WAVE)
    assert found.bands == (BANDS[1], BANDS[0], BANDS[2])
    assert np.all(np.diff(found.wave_um) > 0)
    np.testing.assert_allclose(found.median, [10, 100, 1000], rtol=1e-4)
    np.testing.assert_allclose(found.quantiles[4], [14.75, 147.5, 1475], rtol=1e-3)


def test_weights_move_the_quantiles():
    magnitudes = np.linspace(20, 30, 1_001)[:, None] * np.ones(3)
    same = predict_sed(magnitudes, BANDS, WAVE, np.ones(1_001))
    plain = predict_sed(magnitudes, BANDS, WAVE)
    np.testing.assert_allclose(same.quantiles, plain.quantiles, rtol=0.02)
    bright = predict_sed(magnitudes, BANDS, WAVE, np.linspace(1, 0, 1_001))
    assert np.all(bright.median > 2 * plain.median)


def test_the_posterior_is_drawn_from_by_its_weights():
    theta = np.concatenate([np.full(50, 10.0), np.full(50, 1000.0)])[:, None]
    log_weight = np.repeat([0.0, -np.inf], 50)
    found = predict_posterior(
        jr.key(3), Line(), None, posterior(theta, log_weight), jwst_filters(), 4_000
    )
    # scaled: log10(10) = 1; bands are fainter by one magnitude each
    expected = 10 ** (0.4 * (31.4 - np.array([2.0, 1.0, 3.0])))
    np.testing.assert_allclose(found.median, expected, rtol=0.02)
    ratio = found.quantiles[3] / found.quantiles[1]
    np.testing.assert_allclose(ratio, 10 ** (0.4 * 0.2 * 0.9945), rtol=0.05)


def test_chi_squared_is_that_of_every_draw_on_the_scaled_axis():
    samples = posterior(np.array([[10.0], [100.0]]), np.zeros(2))
    found = chi_squared_of_draws(Line(), jnp.zeros(3), samples)
    np.testing.assert_allclose(found, [3.0, 12.0], rtol=1e-5)


def observation(flux, error, is_limit):
    return Observation(
        "x", BANDS, np.array(flux), np.array(error), np.array(is_limit), distance=7.0
    )


def test_residuals_hold_errors_and_floor_and_limits_only_complain_from_below():
    magnitudes = magnitudes_of(np.array([[100.0, 10.0, 1000.0]]))
    prediction = predict_sed(magnitudes, BANDS, WAVE)
    floor = 2.5 / np.log(10) * 0.05
    seen = observation([110.0, 20.0, 800.0], [5.0, 4.0, 100.0], [False, True, True])
    found = measure_residuals(seen, prediction, floor)
    assert found.bands == prediction.bands
    exact = [0.0, 10 / np.hypot(5, 5), -200 / np.hypot(100, 50)]
    np.testing.assert_allclose(found.sigma, exact, rtol=1e-4)
    assert found.is_limit.tolist() == [True, False, True]
    without = measure_residuals(seen, prediction, 0.0)
    assert without.sigma[1] == pytest.approx(2.0, rel=1e-4)


def test_missing_bands_are_absent_and_unpredicted_ones_refused():
    magnitudes = np.full((1, 2), 25.0)
    prediction = predict_sed(magnitudes, BANDS[:2], WAVE[:2])
    seen = observation([1.0, np.nan, np.nan], [1.0, 1.0, 1.0], [False] * 3)
    assert measure_residuals(seen, prediction, 0.0).bands == BANDS[:1]
    with pytest.raises(BandMismatchError, match="F2100W"):
        measure_residuals(
            observation([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [False] * 3), prediction, 0.0
        )
