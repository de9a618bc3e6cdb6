"""Measured fluxes of Gaussian magnitudes against the integral over the magnitudes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from grainlight.estimators import Kind, PhotometricData, flux_detections
from grainlight.estimators.flux_detections import flux_residual, log_unit
from grainlight.photometry import luptitude_slope

ZERO = 31.4
#: Fluxes measured and expected, in errors, from far below the noise to far above.
MEASURED = np.array([-2.0, 0.0, 1.0, 3.0, 7.0, 30.0, 300.0])
#: How many standard deviations of scatter and noise the model is off.
OFF = np.array([-2.5, -1.0, 0.0, 1.0, 2.5])
NODES = np.linspace(-8, 8, 4001)


def observed(flux, error, distance_error=0.0):
    """One object with every flux detected."""
    count = len(flux)
    return PhotometricData(
        index=jnp.arange(count),
        flux=jnp.asarray(flux, jnp.float32),
        error=jnp.full(count, error),
        kind=jnp.full(count, int(Kind.detected)),
        distance_modulus=jnp.zeros(()),
        distance_modulus_error=jnp.asarray(distance_error),
        redshift=jnp.zeros(()),
        has_limits=False,
    )


def tangent_log_prob(data, mean, scatter):
    """Log-probability of one band, by the tangent, per error of the flux."""
    seen = flux_residual(data, mean, jnp.full(1, scatter**2))
    variance = seen.slope[0] ** 2 * scatter**2 + 1
    return norm.logpdf(float(seen.residual[0]), 0, float(jnp.sqrt(variance)))


def exact_log_prob(flux, mean, scatter):
    """The integral over the magnitude."""
    magnitude = mean + scatter * NODES
    model = 10 ** (0.4 * (ZERO - magnitude))
    log_prob = norm.logpdf(flux - model) + norm.logpdf(NODES)
    return logsumexp(log_prob) + np.log(NODES[1] - NODES[0])


def worst(scatter):
    """Largest error over what is measured and expected [nats]."""
    errors = []
    for flux in MEASURED:
        for off in OFF:
            expected = max(flux, 1.0) * np.exp(off * scatter) + off
            if expected <= 0:
                continue
            mean = ZERO - 2.5 * np.log10(expected)
            mine = tangent_log_prob(observed([flux], 1.0), jnp.array([mean]), scatter)
            errors.append(abs(mine - exact_log_prob(flux, mean, scatter)))
    return max(errors)


@pytest.mark.parametrize(("scatter", "tolerance"), [(0.02, 0.015), (0.1, 0.07)])
def test_one_flux_agrees_with_the_integral_over_its_magnitude(scatter, tolerance):
    assert worst(scatter) < tolerance


def test_a_tangent_at_the_expected_magnitude_is_worse(monkeypatch):
    """The control: what is measured has no say in where the tangent is laid."""
    kept = flux_detections.Deviations

    def nowhere(data, mean, variance):
        return kept(jnp.zeros_like(mean), jnp.zeros(()))

    monkeypatch.setattr(flux_detections, "_start", nowhere)
    monkeypatch.setattr(flux_detections, "NUM_POLISH", 0)
    assert worst(0.1) > 0.15


def test_no_flux_is_off_by_a_bias_that_many_bands_add_up():
    """Thirty bands at seven sigma: the most probable offset is that of the fluxes."""
    rng = np.random.default_rng(1)
    flux = 7 + rng.normal(size=30)
    data = observed(flux, 1.0)
    offsets = np.linspace(-0.2, 0.2, 401)
    mean = ZERO - 2.5 * np.log10(7.0)

    def log_prob(offset):
        seen = flux_residual(data, jnp.full(30, mean + offset), jnp.full(30, 1e-6))
        return -0.5 * jnp.sum(seen.residual**2)

    best = offsets[np.argmax(jax.vmap(log_prob)(jnp.asarray(offsets)))]
    exact = -2.5 * np.log10(flux.mean() / 7)
    error = 2.5 / np.log(10) / 7 / np.sqrt(30)
    assert best == pytest.approx(exact, abs=0.05 * error + 0.001)


def test_the_unit_is_that_of_asinh_magnitudes():
    data = observed([5.0, -1.0, 200.0], 2.0)
    softening = 3 * data.error
    noise = data.error * jnp.abs(luptitude_slope(data.flux, softening))
    assert float(log_unit(data)) == pytest.approx(float(jnp.sum(jnp.log(noise))))
