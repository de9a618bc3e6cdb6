import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainlight.core import UnitError
from grainlight.photometry import flux_density_from_luminosity, flux_unit

UNITS = [
    "Jy",
    "mJy",
    "uJy",
    "nJy",
    "maggies",
    "nanomaggies",
    "ABmag",
    "STmag",
    "erg/s/cm2/A",
    "erg/s/cm2/Hz",
    "W/m2/Hz",
    "W/m2/um",
    "W/m2",
    "1e-17 erg/s/cm2/A",
]


@pytest.mark.parametrize("unit", UNITS)
@given(flux=st.floats(1e-3, 1e12), pivot=st.floats(0.1, 1000))
@settings(max_examples=25)
def test_there_and_back(unit, flux, pivot):
    known = flux_unit(unit)
    assert known.to_njy(known.from_njy(flux, pivot), pivot) == pytest.approx(
        flux, rel=1e-10
    )


@pytest.mark.parametrize(
    ("unit", "value", "njy"),
    [
        ("Jy", 1.0, 1e9),
        ("mjy", 2.0, 2e6),
        ("MJy", 1.0, 1e15),
        ("μJy", 1.0, 1e3),
        ("ABmag", 31.4, 1.0),
        ("AB mag", 23.9, 1e3),
        ("maggies", 1.0, 3630.78e9),
        ("nmgy", 1.0, 3630.78),
        ("erg/s/cm2/Hz", 1e-32, 1.0),
        ("W/m2/Hz", 1e-35, 1.0),
        # f_nu = f_lambda lambda^2 / c: 1e-18 erg/s/cm2/A at 1 um is 3.33564 uJy.
        ("erg/s/cm2/A", 1e-18, 3335.64),
        ("erg / (cm2 s Angstrom)", 1e-18, 3335.64),
        ("W/m2/um", 1e-17, 3335.64),
        # nu f_nu
        ("W/m2", 1e-17, 3335.64),
    ],
)
def test_exact_values_at_one_micron(unit, value, njy):
    assert flux_unit(unit).to_njy(value, 1.0) == pytest.approx(njy, rel=2e-6)


def test_errors_scale_as_fluxes_and_magnitude_errors_as_logarithms():
    assert flux_unit("mJy").error_to_njy(-5.0, 0.1) == pytest.approx(1e5)
    sigma = flux_unit("ABmag").error_to_njy(31.4, 0.01)
    exact = 10 ** (0.4 * 0.005) - 10 ** (-0.4 * 0.005)
    assert sigma == pytest.approx(exact, rel=1e-4)


def test_arrays_of_pivots_go_along():
    pivot = np.array([1.0, 2.0])
    got = flux_unit("erg/s/cm2/A").to_njy(np.array([1e-18, 1e-18]), pivot)
    np.testing.assert_allclose(got, [3335.64, 4 * 3335.64], rtol=2e-6)


def test_a_negative_flux_has_no_magnitude_but_survives_in_others():
    assert flux_unit("uJy").to_njy(-2.0) == pytest.approx(-2000)
    assert np.isnan(flux_unit("ABmag").from_njy(-1.0))


@pytest.mark.parametrize(
    "text", ["K", "cm", "counts", "zork", "Lsun/Hz", "J", "dex", "Jy/sr", "ph/s"]
)
def test_impossible_units_are_refused(text):
    with pytest.raises(UnitError, match="unit of flux density; got"):
        flux_unit(text)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_missing_unit_is_refused(text):
    with pytest.raises(UnitError, match="got none"):
        flux_unit(text)


@pytest.mark.parametrize("text", ["mag", "Vega", "vegamag", "mag(Vega)"])
def test_magnitudes_that_are_not_ab_are_refused(text):
    with pytest.raises(UnitError, match="does not say AB"):
        flux_unit(text)


def test_per_wavelength_needs_the_wavelength():
    assert flux_unit("erg/s/cm2/A").needs_pivot
    assert not flux_unit("ABmag").needs_pivot
    with pytest.raises(UnitError, match="pivot wavelength"):
        flux_unit("erg/s/cm2/A").to_njy(1.0)


def test_flux_density_of_a_known_luminosity():
    # L_nu = 4 pi (10 Mpc)^2 x 1 nJy
    sphere = 4 * np.pi * (10 * 3.0856775814913673e24) ** 2
    got = flux_density_from_luminosity(np.array([sphere * 1e-32]), 10.0)
    np.testing.assert_allclose(got, 1.0, rtol=1e-12)
    moved = flux_density_from_luminosity(np.array([sphere * 1e-32]), 20.0, 0.01)
    np.testing.assert_allclose(moved, 1.01 / 4, rtol=1e-12)
