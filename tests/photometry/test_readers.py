"""Every habit of writing photometry that the readers must understand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainlight.photometry import Filter, Observation, read_observations

EXAMPLE = Path(__file__).parents[2] / "examples" / "sn2017eaw.ecsv"
SEEN = "JWST/MIRI.F1000W"


@pytest.fixture
def read(tmp_path):
    """Write a text to a file and read it; one object is returned bare."""

    def write_and_read(text, **options):
        path = tmp_path / "table.csv"
        path.write_text(text)
        options = {"distance": 10.0, **options}
        table = read_observations(path, **options)
        return table[0] if len(table) == 1 and not table.failures else table

    return write_and_read


def test_the_example_is_the_published_photometry():
    (seen,) = read_observations(EXAMPLE)
    assert isinstance(seen, Observation)
    assert seen.name == "SN 2017eaw"
    assert seen.num_detected == 8
    assert (seen.redshift, seen.distance) == (0.000133, 7.12)
    assert seen.flux[1] == pytest.approx(58_120)
    assert seen.error[-1] == pytest.approx(6080)
    assert seen.bands[0] == "JWST/MIRI.F560W"


def test_the_example_holds_the_reference_numbers(reference_data):
    path = reference_data("sn2017eaw_jwst_miri.ecsv")
    (reference,) = read_observations(path, distance=7.12)
    (seen,) = read_observations(EXAMPLE)
    assert seen.bands == reference.bands
    np.testing.assert_array_equal(seen.flux, reference.flux)
    np.testing.assert_array_equal(seen.error, reference.error)


def test_arguments_go_before_the_file():
    (seen,) = read_observations(
        EXAMPLE,
        redshift=0.001,
        distance=7.72,
        distance_err=0.32,
        galactic_av=0.9,
        name="mine",
    )
    assert (seen.redshift, seen.distance, seen.distance_err) == (0.001, 7.72, 0.32)
    assert (seen.galactic_av, seen.name) == (0.9, "mine")


def test_long_table_with_notes(read):
    seen = read(
        "# object: SN 2004et\n# redshift: 0.00016\n# distance: 7720 kpc\n"
        "# distance_err = 0.32\n# A_V: 0.5\n# unit: uJy\n"
        "filter,flux,flux_err,upper_limit\n"
        "F1000W,58.12,0.79,0\nF560W,-0.2,0.3,false\nF770W,9,3,True\n",
        distance=None,
    )
    assert (seen.name, seen.redshift) == ("SN 2004et", 0.00016)
    assert seen.distance == pytest.approx(7.72)
    assert (seen.distance_err, seen.galactic_av) == (0.32, 0.5)
    np.testing.assert_allclose(seen.flux, [58_120, -200, 9000])
    np.testing.assert_allclose(seen.error, [790, 300, 3000])
    np.testing.assert_array_equal(seen.is_limit, [False, False, True])


@pytest.mark.parametrize(
    "header",
    [
        "filter,flux_mjy,flux_err_mjy",
        "filter,flux [mJy],flux_err [mJy]",
        "band;flux_mjy;fluxerr_mjy",
        "filter\tflux_mjy\terror_mjy",
        "filter  flux_mjy  e_flux_mjy",
        "band|fnu_mjy|unc_mjy",
    ],
)
def test_units_in_names_and_any_delimiter(read, header):
    mark = next((m for m in ",;\t|" if m in header), "  ")
    seen = read(header + "\n" + mark.join(["F1000W", "0.05", "0.001"]) + "\n")
    assert seen.flux[0] == pytest.approx(50_000)
    assert seen.error[0] == pytest.approx(1000)


def test_a_header_in_a_comment_and_quoted_cells(read):
    seen = read('# object filter flux_njy error_njy\n"SN 1 a" F560W 5 1\n')
    assert (seen.name, seen.flux[0]) == ("SN 1 a", 5.0)


def test_errors_may_have_their_own_unit(read):
    seen = read("filter,flux_mjy,flux_err_ujy\nF560W,1,10\n")
    assert seen.error[0] == pytest.approx(1e4)


def test_magnitudes_and_their_errors(read):
    seen = read("filter,abmag,abmag_err\nF560W,23.9,0.1\n")
    assert seen.flux[0] == pytest.approx(1000)
    assert seen.error[0] == pytest.approx(92.1, rel=1e-3)
    seen = read("filter,mag,mag_err\nF560W,23.9,0.1\n", unit="ABmag")
    assert seen.flux[0] == pytest.approx(1000)
    seen = read("filter,abmag,upper_limit\nF560W,23.9,1\nF770W,99,0\n")
    assert seen.is_limit[0]
    assert seen.error[0] == pytest.approx(1000 / 3)


def test_flux_per_wavelength_uses_the_pivot(read):
    seen = read("filter,flux,error\nF1000W,1e-19,1e-20\n", unit="erg/s/cm2/A")
    assert seen.flux[0] == pytest.approx(333.564 * 9.953**2, rel=1e-3)
    assert seen.error[0] == pytest.approx(seen.flux[0] / 10)


def test_a_unit_column(read):
    seen = read("filter,flux,error,unit\nF560W,1,0.1,uJy\nF770W,1,0.1,mJy\n")
    np.testing.assert_allclose(seen.flux, [1e3, 1e6])


def test_vosa_with_and_without_header(read):
    row = "SNX 308.7 60.2 7120000 0.9 JWST/MIRI.F1000W 1e-19 1e-20 --- ---\n"
    header = "object RA DEC dis Av filter flux error pntopts objopts\n"
    for text in (row, header + row, "#" + header + row):
        seen = read(text, distance=None)
        assert (seen.name, seen.distance) == ("SNX", pytest.approx(7.12))
        assert seen.galactic_av == 0.9
        assert seen.flux[0] == pytest.approx(333.564 * 9.953**2, rel=1e-3)
    row = "SNX --- --- --- --- JWST/MIRI.F1000W 1e-6 1e-7 jy ---\n"
    other = row.replace("F1000W 1e-6", "F560W 2e-6").replace("jy", "jy,uplim")
    third = row.replace("F1000W", "F770W").replace("jy", "nofit")
    seen = read(row + other + third)
    np.testing.assert_allclose(seen.flux, [1000, 2000, np.nan])
    np.testing.assert_array_equal(seen.is_limit, [False, True, False])


def test_sncosmo_zero_points(read):
    seen = read(
        "@z 0.001\n@name sn5\n"
        "time band flux fluxerr zp zpsys\n"
        "59000 f1000w 100 10 25 ab\n59000 f560w 1 0.1 31.4 ab\n"
    )
    np.testing.assert_allclose(seen.flux, [100 * 10**2.56, 1], rtol=1e-9)
    assert seen.error[0] == pytest.approx(10 * 10**2.56)
    assert (seen.name, seen.redshift) == ("sn5", 0.001)


def test_dustysn_is_in_jansky(read):
    seen = read(
        "Flux Flux_err UL Filter Telescope Instrument\n"
        "5.8e-05 7.9e-07 False F1000W JWST MIRI\n"
        "6e-06 2e-06 True F560W JWST MIRI\n"
    )
    np.testing.assert_allclose(seen.flux, [58_000, 6000])
    np.testing.assert_allclose(seen.error, [790, 2000])
    np.testing.assert_array_equal(seen.is_limit, [False, True])


def test_wide_tables(read):
    table = read(
        "object,redshift,distance,distance_err,JWST/MIRI.F1000W,JWST/MIRI.F1000W_err,"
        "JWST/MIRI.F1000W_limit,miri_f560w,miri_f560w_err,note\n"
        "a,0.001,7,0.3,5,1,0,4,1,first\n"
        "b,,20,,9,3,1,nan,nan,second\n",
        unit="uJy",
        distance=None,
    )
    first, second = table
    assert table.names == ("a", "b")
    np.testing.assert_allclose(first.flux, [5000, 4000])
    assert (first.redshift, first.distance, first.distance_err) == (0.001, 7, 0.3)
    assert (second.num_detected, second.num_limits) == (0, 1)
    assert np.isnan(second.redshift)
    assert second.error[0] == pytest.approx(3000)


def test_wide_tables_by_other_names(read):
    seen = read("flux_F1000W_mjy,F1000W_mjy_err,F560W_ujy,F560W_err_ujy\n1,.1,2,.2\n")
    np.testing.assert_allclose(seen.flux, [1e6, 2e3])
    np.testing.assert_allclose(seen.error, [1e5, 2e2])
    table = read(
        "id,jwst.miri.F1000W,jwst.miri.F1000W_err\n1,1,.1\n2,3,.2\n", unit="mJy"
    )
    assert table.names == ("1", "2")
    table = read("F560W,F560W_err\n1,1\n2,1\n", unit="nJy")
    assert table.names == ("table-1", "table-2")


def test_long_tables_of_several_objects_keep_the_order(read):
    table = read(
        "object,filter,flux_njy,error_njy,distance\n"
        "b,F560W,1,1,5\na,F560W,2,1,6\nb,F770W,3,1,5\n",
        distance=None,
    )
    assert table.names == ("b", "a")
    np.testing.assert_allclose(table[0].flux, [1, 3])
    assert table[1].distance == 6


@pytest.mark.parametrize(
    ("header", "row", "flux", "error"),
    [
        ("filter,flux,flux_err", "F560W,6,-2", 6, 2),  # CIGALE
        ("filter,flux,flux_err,flag", "F560W,6,0.99865,3", 6, 2),  # sedfitter
        ("filter,flux,flux_err,upper_limit", "F560W,6,2,1", 6, 2),  # boolean
        ("filter,flux,flux_err,upper_limit", "F560W,6,nan,1", 6, 2),
        ("filter,flux,flux_err,upper_limit", "F560W,6,0,1", 6, 2),
        ("filter,flux,flux_err", "F560W,0,6", 6, 2),  # VOSA, Prospector
        ("filter,flux", "F560W,<6", 6, 2),
        ("filter,flux,upper_limit,n_sigma", "F560W,6,yes,2", 6, 3),
    ],
)
def test_habits_of_limits(read, header, row, flux, error):
    seen = read(f"{header}\n{row}\n", unit="nJy")
    assert seen.is_limit[0]
    assert seen.flux[0] == pytest.approx(flux)
    assert seen.error[0] == pytest.approx(error, rel=1e-3)


def test_sigmas_of_a_limit_are_a_setting(read):
    text = "# limit_sigma: 5\nfilter,flux,upper_limit\nF560W,10,1\n"
    assert read(text, unit="nJy").error[0] == pytest.approx(2)
    assert read(text, unit="nJy", limit_sigma=2.0).error[0] == pytest.approx(5)


def test_confidence_below_one_half_says_nothing(read):
    text = "filter,flux,flux_err,flag\nF560W,6,0.3,3\nF770W,6,1,1\nF1000W,6,1,3\n"
    seen = read(text, unit="nJy")
    np.testing.assert_array_equal(seen.usable, [False, True, True])
    assert seen.error[2] == pytest.approx(6 / 5)


def test_a_zero_flux_that_is_said_to_be_measured_is_measured(read):
    seen = read("filter,flux,flux_err,upper_limit\nF560W,0,6,0\n", unit="nJy")
    assert seen.num_detected == 1
    assert seen.flux[0] == 0


@pytest.mark.parametrize(
    "cells",
    [
        "nan,1",
        "-99,-99",
        "-99,",
        "99,-99",
        "-90,0",
        "-999,nan",
        "5,9.9e99",
        "---,---",
        ",",
        "N/A,1",
    ],
)
def test_missing_fluxes(read, cells):
    seen = read(f"filter,flux,flux_err\nF560W,1,1\nF770W,{cells}\n", unit="nJy")
    np.testing.assert_array_equal(seen.usable, [True, False])


@pytest.mark.parametrize("magnitude", ["-99", "99", "99.9", "-90", "nan"])
def test_missing_magnitudes(read, magnitude):
    text = f"filter,abmag,abmag_err\nF560W,20,.1\nF770W,{magnitude},.1\n"
    np.testing.assert_array_equal(read(text).usable, [True, False])


@pytest.mark.parametrize("flux", [-99.0, -90.0, 99.0, -0.5])
def test_real_fluxes_that_look_like_sentinels_survive(read, flux):
    seen = read(f"filter,flux,flux_err\nF560W,{flux},30\n", unit="nJy")
    assert seen.num_detected == 1
    assert seen.flux[0] == flux


def test_masked_cells_of_ecsv_are_missing(tmp_path):
    path = tmp_path / "masked.ecsv"
    path.write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: band, datatype: string}\n"
        "# - {name: flux, unit: uJy, datatype: float32}\n"
        "# - {name: error, unit: uJy, datatype: float32}\n"
        "# meta: !!omap\n# - {distance: 10.0}\n"
        "# schema: astropy-2.0\n"
        'band flux error\nF560W 1.5 0.5\nF770W "" ""\n'
    )
    (seen,) = read_observations(path)
    np.testing.assert_array_equal(seen.usable, [True, False])
    assert seen.flux[0] == pytest.approx(1500)
    assert seen.name == "masked"


def test_own_filters_may_be_named(read):
    own = Filter("mine/camera.F1", np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    seen = read(
        "filter,flux,error\nmine/camera.F1,1e-19,1e-20\n",
        filters=[own],
        unit="erg/s/cm2/A",
    )
    assert seen.bands == ("mine/camera.F1",)
    assert seen.flux[0] == pytest.approx(333.564e-2 * (own.pivot * 10) ** 2, rel=1e-4)


@given(flux=st.floats(-1e6, 1e6), error=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, flux, error):
    path = tmp_path_factory.mktemp("written") / "table.csv"
    path.write_text(
        "# distance: 10\nfilter,flux_ujy,flux_err_ujy,upper_limit\n"
        f"F560W,{flux!r},{error!r},0\nF770W,1,1,0\n"
    )
    (seen,) = read_observations(path)
    assert seen.flux[0] == pytest.approx(1000 * flux, rel=1e-12)
    assert seen.error[0] == pytest.approx(1000 * error, rel=1e-12)


def test_one_bad_object_does_not_stop_the_rest(read):
    table = read(
        "object,filter,flux_njy,error_njy\n"
        "good,F560W,1,1\nbad,F560W,1,0\nodd,F567W,1,1\nfine,F560W,2,1\n"
    )
    assert table.names == ("good", "fine")
    assert set(table.failures) == {"bad", "odd"}
    assert "positive errors" in table.failures["bad"]
    assert "F560W" in table.failures["odd"]
    assert table[0:1][0].name == "good"
