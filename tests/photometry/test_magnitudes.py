import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainlight.photometry import (
    ab_magnitude,
    flux_from_ab,
    flux_from_luptitude,
    flux_unit,
    luptitude,
    luptitude_slope,
)

SOFTENING = 10.0


@given(flux=st.floats(1e-3, 1e12))
def test_ab_magnitudes_agree_with_the_units(flux):
    expected = flux_unit("ABmag").from_njy(flux)
    assert float(ab_magnitude(jnp.asarray(flux))) == pytest.approx(expected, rel=3e-6)
    back = flux_from_ab(ab_magnitude(jnp.asarray(flux)))
    assert float(back) == pytest.approx(flux, rel=3e-5)


def test_bright_luptitudes_are_ab_magnitudes():
    flux = jnp.geomspace(100 * SOFTENING, 1e10, 30)
    got = luptitude(flux, jnp.asarray(SOFTENING))
    np.testing.assert_allclose(got, ab_magnitude(flux), atol=1.2e-4)


def test_faint_luptitudes_are_not():
    """Negative control of the bright limit."""
    got = luptitude(jnp.asarray(SOFTENING), jnp.asarray(SOFTENING))
    assert abs(float(got - ab_magnitude(jnp.asarray(SOFTENING)))) > 0.3


def test_negative_fluxes_are_finite_and_the_scale_is_monotone():
    flux = jnp.asarray(np.concatenate([-np.geomspace(1e8, 1, 50), [0.0]]))
    flux = jnp.concatenate([flux, -flux[:-1][::-1]])
    got = jax.jit(luptitude)(flux, jnp.asarray(SOFTENING))
    assert bool(jnp.isfinite(got).all())
    assert bool((jnp.diff(got) < 0).all())


def test_slope_is_the_derivative():
    flux = jnp.array([-1e4, -10.0, 0.0, 3.0, 1e5])
    softening = jnp.asarray(SOFTENING)
    expected = jax.vmap(jax.grad(lambda f: luptitude(f, softening)))(flux)
    np.testing.assert_allclose(luptitude_slope(flux, softening), expected, rtol=1e-5)


@given(flux=st.floats(-1e6, 1e6), softening=st.floats(0.1, 1e4))
def test_luptitudes_there_and_back(flux, softening):
    flux, softening = jnp.asarray(flux), jnp.asarray(softening)
    back = flux_from_luptitude(luptitude(flux, softening), softening)
    scale = float(jnp.hypot(flux, 2 * softening))
    assert abs(float(back - flux)) < 2e-5 * scale
