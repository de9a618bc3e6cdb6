"""Units of spectra: each known amount of light is the same in all of them."""

import numpy as np
import pytest

from grainlight.core import UnitError
from grainlight.datasets.spectral_units import spectral_scale, wavelengths_um

WAVE = np.array([1.0, 5.0, 20.0])
LIGHT_UM_PER_S = 2.99792458e14
SUN = 3.828e33
AREA = 4 * np.pi * (10 * 3.0856775814913673e24) ** 2
PER_HZ = np.array([1e27, 3e28, 2e26])  # erg/s/Hz
PER_UM = PER_HZ * LIGHT_UM_PER_S / WAVE**2
WRITTEN = {
    "erg/s/Hz": (PER_HZ, None),
    "W/Hz": (PER_HZ * 1e-7, None),
    "Lsun/Hz": (PER_HZ / SUN, None),
    "erg/s/um": (PER_UM, None),
    "erg/s/A": (PER_UM * 1e-4, None),
    "Lsun/um": (PER_UM / SUN, None),
    "W/um": (PER_UM * 1e-7, None),
    "Lsun": (PER_UM * WAVE / SUN, None),
    "dex(erg/s/Hz)": (np.log10(PER_HZ), None),
    "Jy": (PER_HZ / AREA * 1e23, 10.0),
    "mJy": (PER_HZ / AREA * 1e26 * 4, 5.0),
    "erg/s/cm2/Hz": (PER_HZ / AREA, 10.0),
    "erg/s/cm2/Angstrom": (PER_UM / AREA * 1e-4, 10.0),
    "W/m2/um": (PER_UM / AREA * 1e-3, 10.0),
    "erg/s/cm2": (PER_UM * WAVE / AREA, 10.0),
}


@pytest.mark.parametrize("unit", WRITTEN)
def test_the_same_light_in_every_unit(unit):
    values, distance = WRITTEN[unit]
    logs = spectral_scale(unit, WAVE, distance)(values[None])[0]
    np.testing.assert_allclose(logs, np.log10(PER_HZ), atol=1e-10)


def test_a_wrong_unit_is_another_light():
    logs = spectral_scale("erg/s/Hz", WAVE, None)(PER_UM[None])[0]
    assert np.all(np.abs(logs - np.log10(PER_HZ)) > 1)


def test_darkness_and_negative_light_are_told_apart():
    scale = spectral_scale("erg/s/Hz", WAVE, None)
    logs = scale(np.array([[0.0, -1.0, np.nan]]))[0]
    assert logs[0] == -np.inf
    assert np.all(np.isnan(logs[1:]))


@pytest.mark.parametrize(
    ("unit", "value"), [("um", 5.0), ("Angstrom", 5e4), ("A", 5e4), ("nm", 5e3)]
)
def test_wavelengths_become_micrometers(unit, value):
    assert wavelengths_um(np.array([value]), unit)[0] == pytest.approx(5.0, rel=1e-12)
    frequency = np.array([LIGHT_UM_PER_S / 5.0])
    assert wavelengths_um(frequency, "Hz")[0] == pytest.approx(5.0, rel=1e-12)


@pytest.mark.parametrize(
    ("unit", "distance", "match"),
    [
        (None, None, "unit of the spectrum; got none"),
        ("  ", None, "unit of the spectrum; got none"),
        ("furlong/fortnite", None, "furlong"),
        ("mag(AB)", None, "got 'mag\\(AB\\)'"),
        ("mag", None, "got 'mag'"),
        ("dex(K)", None, "got 'dex"),
        ("K", None, "luminosity or flux density; got 'K'"),
        ("Jy", None, "distance of spectra in Jy, a flux density; got None"),
        ("Jy", -1.0, "got -1"),
        ("Jy", float("nan"), "got nan"),
        ("erg/s/Hz", 10.0, "no distance of spectra in erg/s/Hz"),
    ],
)
def test_impossible_units_of_spectra(unit, distance, match):
    with pytest.raises(UnitError, match=match):
        spectral_scale(unit, WAVE, distance)


@pytest.mark.parametrize("unit", [None, "Jy", "micrn"])
def test_impossible_units_of_wavelengths(unit):
    with pytest.raises(UnitError, match="wavelength"):
        wavelengths_um(WAVE, unit)
