import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainlight.core import ObservationError, RangeError
from grainlight.photometry import (
    Filter,
    FilterSet,
    band_flux,
    band_fluxes,
    jwst_filters,
    model_fluxes,
)
from grainlight.photometry.bands import _checked_spectra

GRID = np.exp(np.arange(np.log(0.3), np.log(60), 0.035))  # 3.5 % steps


def planck(wave, temperature):
    """Planck function per frequency, any scale."""
    return wave**-3.0 / np.expm1(np.minimum(14387.77 / (wave * temperature), 600))


def dense_mean(member, spectrum):
    """The defining integral on 20 001 points."""
    wave = np.geomspace(member.wave[0], member.wave[-1], 20_001)
    curve = np.interp(wave, member.wave, member.transmission)
    top = np.trapezoid(spectrum(wave) * curve, np.log(wave))
    return top / np.trapezoid(curve, np.log(wave))


def dense_means(spectrum):
    return np.array([dense_mean(member, spectrum) for member in jwst_filters()])


def test_a_flat_spectrum_gives_its_level_in_every_band():
    got = band_fluxes(jwst_filters(), GRID, np.full((1, GRID.size), 3.25))
    np.testing.assert_allclose(got, 3.25, rtol=1e-12)


@given(index=st.floats(-30, 30), redshift=st.floats(0, 0.1))
@settings(max_examples=20, deadline=None)
def test_power_laws_shift_by_their_index(index, redshift):
    flux = (GRID**index)[None]
    rest = band_fluxes(jwst_filters(), GRID, flux)
    seen = band_fluxes(jwst_filters(), GRID, flux, redshift)
    np.testing.assert_allclose(seen, rest * (1 + redshift) ** -index, rtol=1e-9)


def test_a_power_law_through_a_box_is_analytic():
    wave = np.linspace(1.0, 1.5, 200)
    box = FilterSet((Filter("mine/camera.box", wave, np.ones(200)),))
    grid = np.geomspace(0.9, 1.6, 30)
    got = band_fluxes(box, grid, (grid**7)[None])[0, 0]
    assert got == pytest.approx((1.5**7 - 1) / 7 / np.log(1.5), rel=1e-5)


@pytest.mark.parametrize("temperature", [300.0, 1000.0, 5000.0, 14000.0])
def test_blackbodies_on_a_coarse_grid_are_right_in_all_bands(temperature):
    flux = planck(GRID, temperature)[None]
    expected = dense_means(lambda wave: planck(wave, temperature))
    got = band_fluxes(jwst_filters(), GRID, flux)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-3)


@pytest.mark.parametrize("temperature", [50.0, 80.0, 150.0])
def test_wien_tails_of_cold_dust_are_right_in_the_mid_infrared(temperature):
    flux = planck(GRID, temperature)[None]
    expected = dense_means(lambda wave: planck(wave, temperature))[-9:]
    got = band_fluxes(jwst_filters(), GRID, flux)[0, -9:]
    np.testing.assert_allclose(got, expected, rtol=2e-4)


def test_straight_lines_would_miss_the_tails():
    """Negative control: what linear interpolation of the fluxes would give."""
    flux = planck(GRID, 50.0)
    expected = dense_means(lambda wave: planck(wave, 50.0))[-9:]
    linear = dense_means(lambda wave: np.interp(wave, GRID, flux))[-9:]
    assert np.abs(linear / expected - 1).max() > 0.05


def test_silicate_like_features_survive_the_thinning():
    def spectrum(wave):
        bump = 1 + 3 * np.exp(-0.5 * ((wave - 9.7) / 0.9) ** 2)
        return planck(wave, 400.0) * bump

    got = band_fluxes(jwst_filters(), GRID, spectrum(GRID)[None])[0]
    np.testing.assert_allclose(got, dense_means(spectrum), rtol=1e-3)


def test_zero_and_single_precision_are_handled():
    zero = band_fluxes(jwst_filters(), GRID, np.zeros((1, GRID.size)))
    np.testing.assert_allclose(zero, 1e-300)
    flux = planck(GRID, 1000.0)[None]
    half = flux.copy()
    half[:, GRID < 2] = 0.0
    got = band_fluxes(jwst_filters(), GRID, half)[0]
    assert (got >= 0).all()
    np.testing.assert_allclose(
        got[-9:], band_fluxes(jwst_filters(), GRID, flux)[0, -9:], rtol=1e-12
    )
    single = band_fluxes(jwst_filters(), GRID, flux.astype(np.float32))
    double = band_fluxes(jwst_filters(), GRID, flux)
    np.testing.assert_allclose(single, double, rtol=1e-5)


def test_rows_redshifts_and_threads_do_not_mix():
    temperatures = np.linspace(500, 3000, 7)
    flux = np.stack([planck(GRID, t) for t in temperatures])
    redshift = np.linspace(0, 0.015, 7)
    together = band_fluxes(jwst_filters(), GRID, flux, redshift)
    threaded = band_fluxes(jwst_filters(), GRID, flux, redshift, num_threads=3)
    alone = [
        band_fluxes(jwst_filters(), GRID, flux[i : i + 1], float(redshift[i]))[0]
        for i in range(7)
    ]
    np.testing.assert_array_equal(together, np.stack(alone))
    np.testing.assert_array_equal(together, threaded)
    assert band_fluxes(jwst_filters(), GRID, flux[:0]).shape == (0, 38)


def test_nan_stays_nan_in_its_object_only():
    flux = np.ones((2, GRID.size))
    flux[0] = np.nan
    got = band_fluxes(jwst_filters(), GRID, flux)
    assert np.isnan(got[0]).all()
    np.testing.assert_allclose(got[1], 1.0)


def test_spectra_that_do_not_cover_a_filter_are_refused():
    short = np.geomspace(0.3, 20.0, 50)
    with pytest.raises(RangeError, match=r"F1800W.*got 0\.3 to 20 um"):
        band_fluxes(jwst_filters(), short, np.ones((1, 50)))
    with pytest.raises(RangeError, match="redshifts above -1"):
        band_fluxes(jwst_filters(), GRID, np.ones((1, GRID.size)), -2.0)
    with pytest.raises(ObservationError, match="one row an object"):
        _checked_spectra(jwst_filters(), GRID, np.ones(GRID.size), 0.0)
    with pytest.raises(ObservationError, match="increasing wavelengths"):
        band_fluxes(jwst_filters(), GRID[::-1].copy(), np.ones((1, GRID.size)))


def test_band_flux_of_one_spectrum_is_the_defining_integral():
    member = jwst_filters()["F1000W"]
    wave = np.geomspace(member.wave[0], member.wave[-1], 2001)
    curve = np.interp(wave, member.wave, member.transmission)
    got = band_flux(*map(jnp.asarray, (wave, planck(wave, 300.0) * 1e8, curve)))
    expected = dense_mean(member, lambda w: planck(w, 300.0)) * 1e8
    assert float(got) == pytest.approx(expected, rel=1e-4)


def test_a_spectrum_as_a_function_gives_the_fluxes_of_a_fine_table():
    filters = jwst_filters()
    wave = np.geomspace(0.4, 40, 4000)

    def spectrum(at, temperature=300.0):
        return 1e6 * (10 / at) ** 3 / jnp.expm1(14387.8 / (at * temperature) / 4)

    table = band_fluxes(filters, wave, np.asarray(spectrum(wave))[None])[0]
    found = jax.jit(lambda t: model_fluxes(filters, lambda w: spectrum(w, t)))(300.0)
    np.testing.assert_allclose(found, table, rtol=1e-4)
    slope = jax.jacfwd(lambda t: model_fluxes(filters, lambda w: spectrum(w, t)))(300.0)
    more = model_fluxes(filters, lambda w: spectrum(w, 303.0))
    less = model_fluxes(filters, lambda w: spectrum(w, 297.0))
    np.testing.assert_allclose(slope, (more - less) / 6, rtol=5e-3)
