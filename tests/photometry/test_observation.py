import numpy as np
import pytest
from jaxtyping import TypeCheckError

from grainlight.core import BandMismatchError, ObservationError, RangeError
from grainlight.photometry import Observation

BANDS = ("JWST/MIRI.F560W", "JWST/MIRI.F1000W", "JWST/MIRI.F2550W")


def observe(**changes):
    parts = {
        "name": "SN X",
        "bands": BANDS,
        "flux": np.array([100.0, np.nan, 300.0]),
        "error": np.array([1.0, np.nan, 100.0]),
        "is_limit": np.array([False, False, True]),
        "distance": 10.0,
    }
    return Observation(**{**parts, **changes})


def test_bands_are_counted():
    seen = observe()
    assert (seen.num_detected, seen.num_limits) == (1, 1)
    np.testing.assert_array_equal(seen.usable, [True, False, True])
    np.testing.assert_array_equal(seen.detected, [True, False, False])
    flagged = observe(is_limit=np.array([False, True, True]))
    np.testing.assert_array_equal(flagged.is_limit, [False, False, True])
    assert "1 detected, 1 limits" in repr(seen)


def test_arrays_cannot_be_changed_behind_its_back():
    flux = np.array([1.0, 2.0, 3.0])
    seen = observe(flux=flux, error=np.ones(3))
    flux[0] = -5
    assert seen.flux[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        seen.flux[0] = 2.0


def test_distance_and_redshift_follow_from_each_other():
    near = observe()
    assert near.luminosity_distance == 10.0
    assert near.distance_modulus == pytest.approx(30.0)
    assert "as given" in near.distance_origin
    assert near.resolved_redshift == pytest.approx(0.00225, rel=0.01)
    assert "Planck 2018" in near.redshift_origin
    hubble = observe(distance=np.nan, redshift=near.resolved_redshift)
    assert hubble.luminosity_distance == pytest.approx(10.0, rel=1e-6)
    assert "from the redshift" in hubble.distance_origin
    both = observe(redshift=0.000133)
    assert both.resolved_redshift == 0.000133
    assert both.luminosity_distance == 10.0
    blue = observe(redshift=-0.0001)
    assert blue.resolved_redshift == -0.0001


def test_distance_modulus_error_is_five_over_ln_ten():
    seen = observe(distance_err=0.1)
    exact = 2.5 * np.log10((10.05 / 9.95) ** 2)
    assert seen.distance_modulus_error == pytest.approx(exact, rel=1e-4)
    assert observe().distance_modulus_error == 0


def test_subset_keeps_the_rest():
    part = observe(galactic_av=0.5).subset(["F2550W", "F560W"])
    assert part.bands == (BANDS[2], BANDS[0])
    np.testing.assert_array_equal(part.flux, [300.0, 100.0])
    assert part.is_limit[0]
    assert part.galactic_av == 0.5
    with pytest.raises(BandMismatchError, match="F770W"):
        observe().subset(["F770W"])


def test_dereddening_raises_fluxes_errors_and_limits_alike():
    seen = observe(galactic_av=1.0)
    clear = seen.dereddened()
    rise = clear.flux / seen.flux
    np.testing.assert_allclose(clear.error / seen.error, rise)
    # Gordon et al. 2023, R_V = 3.1: A(5.6 um) and A(25.4 um) in units of A(V).
    assert 2.5 * np.log10(rise[0]) == pytest.approx(0.03, abs=0.01)
    assert 2.5 * np.log10(rise[2]) == pytest.approx(0.035, abs=0.01)
    assert clear.galactic_av == 0
    assert clear.dereddened() is clear


def test_dereddening_takes_out_av_in_the_optical():
    seen = Observation(
        "x",
        ("JWST/NIRCam.F070W",),
        np.array([1.0]),
        np.array([0.1]),
        distance=1.0,
        galactic_av=1.0,
    )
    # A(0.70 um) / A(V) lies near 0.72 in every Milky Way law.
    assert 2.5 * np.log10(seen.dereddened().flux[0]) == pytest.approx(0.72, abs=0.03)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"bands": (BANDS[0],) * 3}, ObservationError, "once; got JWST/MIRI.F560W"),
        ({"flux": np.full(3, np.nan)}, ObservationError, "usable band"),
        ({"flux": np.array([np.inf, np.nan, 1])}, ObservationError, "finite fluxes"),
        ({"error": np.array([0.0, 1, 1])}, ObservationError, "positive errors.*F560W"),
        ({"error": np.array([-1.0, 1, 1])}, ObservationError, "got -1 in"),
        ({"error": np.array([np.nan, 1, 1])}, ObservationError, "got nan in"),
        (
            {"flux": np.array([1.0, np.nan, -1])},
            ObservationError,
            "upper limits",
        ),
        ({"distance": np.nan}, ObservationError, "got neither"),
        ({"distance": 0.0}, RangeError, "positive distance"),
        ({"distance": -3.0}, RangeError, "positive distance"),
        ({"distance": np.nan, "redshift": 0.0}, RangeError, "positive redshift"),
        ({"redshift": -1.5}, RangeError, "above -1"),
        ({"distance_err": -1.0}, RangeError, "distance error"),
        ({"galactic_av": -1.0}, RangeError, "Galactic A_V"),
    ],
)
def test_what_cannot_be_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        observe(**changes)


def test_shapes_must_agree():
    # The type check of the tests may speak before the class does.
    with pytest.raises((ObservationError, TypeCheckError), match="band"):
        observe(flux=np.ones(2))
    with pytest.raises(ObservationError, match="one each a band"):
        observe(bands=BANDS[:2])


def test_negative_fluxes_are_measurements():
    seen = observe(flux=np.array([-3.0, 1.0, 2.0]), error=np.ones(3))
    assert seen.num_detected == 2
    assert seen.flux[0] == -3
