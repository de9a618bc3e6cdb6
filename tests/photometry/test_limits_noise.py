import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import UnknownFilterError
from grainlight.photometry import (
    Filter,
    FilterSet,
    add_noise,
    background_noise,
    band_limits,
    filter_table,
    jwst_filters,
)


def test_every_jwst_band_has_a_limit_and_a_saturation():
    limits = band_limits(jwst_filters().names)
    assert (limits.detection > 0).all()
    assert (limits.saturation > 1e3 * limits.detection).all()


def test_limits_are_the_shipped_numbers():
    limits = band_limits(["F1000W", "F200W"])
    np.testing.assert_allclose(limits.detection, [474.2, 8.364])
    np.testing.assert_allclose(limits.saturation, [5.834e6, 0.7895e6])
    assert np.isnan(band_limits(["WISE/WISE.W1"]).detection).all()


def test_the_table_of_filters_has_units_and_rows():
    own = Filter("mine/camera.box", np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    table = filter_table(FilterSet((*jwst_filters(), own)))
    assert len(table) == 39
    assert str(table["pivot"].unit) == "um"
    assert str(table["limit"].unit) == "nJy"
    assert table["kind"][0] == "broad"
    assert np.isnan(table["limit"][-1])


def test_background_follows_the_exposure():
    ten = background_noise(["F1000W"])
    np.testing.assert_allclose(ten, 47.42, rtol=1e-5)
    np.testing.assert_allclose(background_noise(["F1000W"], 1000.0), 10**0.5 * ten)
    with pytest.raises(UnknownFilterError, match="limits are known"):
        background_noise(["WISE/WISE.W1"])


def test_noise_has_the_stated_size_and_flags_the_faint():
    flux = jnp.broadcast_to(jnp.array([1e6, 100.0, 0.0]), (4000, 3))
    background = jnp.array([50.0, 50.0, 50.0])
    noisy = add_noise(jr.key(0), flux, background, mag_error=0.05, limit_sigma=-jnp.inf)
    scatter = np.std(np.asarray(noisy.flux - flux), axis=0)
    expected = np.hypot(0.4 * np.log(10) * 0.05 * flux[0], 50.0)
    np.testing.assert_allclose(scatter, expected, rtol=0.06)
    np.testing.assert_allclose(noisy.error[0], expected, rtol=1e-5)
    assert not bool(noisy.is_limit.any())

    noisy = add_noise(jr.key(0), flux, background)
    assert not bool(noisy.is_limit[:, 0].any())
    share = float(noisy.is_limit[:, 2].mean())
    assert share == pytest.approx(0.99865, abs=0.004)
    limits = np.asarray(noisy.flux)[np.asarray(noisy.is_limit)]
    errors = np.asarray(noisy.error)[np.asarray(noisy.is_limit)]
    np.testing.assert_allclose(limits, 3 * errors, rtol=1e-6)


def test_one_object_and_many_agree_and_keys_decide():
    background = jnp.array([1.0, 2.0])
    one = add_noise(jr.key(1), jnp.array([10.0, 20.0]), background)
    again = jax.jit(add_noise)(jr.key(1), jnp.array([10.0, 20.0]), background)
    other = add_noise(jr.key(2), jnp.array([10.0, 20.0]), background)
    np.testing.assert_allclose(one.flux, again.flux, rtol=1e-6)
    assert not np.allclose(one.flux, other.flux)
