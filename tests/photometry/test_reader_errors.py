"""Bad input: one clear message each, of the right kind, and nothing else."""

import numpy as np
import pytest

from grainlight.core import (
    FileFormatError,
    GrainlightError,
    ObservationError,
    RangeError,
    UnitError,
    UnknownFilterError,
)
from grainlight.photometry import read_observations

GOOD = "filter,flux_njy,flux_err_njy\nF560W,10,1\n"


def read(tmp_path, text, **options):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return read_observations(path, **{"distance": 10.0, **options})


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        (GOOD.replace("F560W", "F561W"), {}, UnknownFilterError, "F560W"),
        (GOOD.replace("F560W", ""), {}, UnknownFilterError, "empty cell"),
        (GOOD.replace("_njy", ""), {}, UnitError, "got none"),
        (GOOD.replace("_njy", ""), {"unit": "kelvin"}, UnitError, "'kelvin'"),
        (GOOD, {"unit": "mJy"}, UnitError, "one unit of flux"),
        (GOOD.replace("flux_njy,flux_err_njy", "mag,err"), {}, UnitError, "say AB"),
        (GOOD.replace("10,1", "10,0"), {}, ObservationError, "positive errors"),
        (GOOD.replace("10,1", "-5,-1"), {}, ObservationError, "positive errors"),
        (GOOD.replace("10,1", "10,nan"), {}, ObservationError, "got nan in"),
        (GOOD.replace("10,1", "nan,nan"), {}, ObservationError, "usable band"),
        (GOOD.replace("10,1", "-99,-99"), {}, ObservationError, "usable band"),
        (GOOD.replace("10,1", "inf,1"), {}, ObservationError, "finite fluxes"),
        (GOOD.replace("10,1", "ten,1"), {}, FileFormatError, "number for the flux"),
        (GOOD + "F560W,11,1\n", {}, ObservationError, "more than once"),
        (GOOD, {"distance": None}, ObservationError, "got neither"),
        (GOOD, {"distance": -1.0}, RangeError, "positive distance"),
        (GOOD, {"redshift": -3.0}, RangeError, "above -1"),
        (GOOD, {"limit_sigma": 0.0}, ObservationError, "sigmas of a limit"),
        ("# distance: 3 kg\n" + GOOD, {"distance": None}, UnitError, "length"),
        ("", {}, FileFormatError, "is empty"),
        ("  \n\n", {}, FileFormatError, "is empty"),
        ("# a comment\n", {}, FileFormatError, "got none"),
        ("filter,flux,flux_err\n", {}, FileFormatError, "header alone"),
        (GOOD + "F770W,1\n", {}, FileFormatError, "columns in line 3"),
        ("filter,flux,flux\nF560W,1,1\n", {}, FileFormatError, "distinct column"),
        ("Dear all, see below\nthe text, of it\n", {}, FileFormatError, "Rename"),
        ("{}", {}, FileFormatError, "JSON"),
        ("<?xml version='1.0'?>", {}, FileFormatError, "VOTable"),
        ("# %ECSV 1.0\n# ---\nbroken: [\n", {}, FileFormatError, "Expected ECSV"),
    ],
)
def test_bad_tables(tmp_path, text, options, error, message):
    with pytest.raises(error, match=message) as caught:
        read(tmp_path, text, **options)
    assert "Expected" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ("F560W,6,1,2", ObservationError, "lower limit"),
        ("F560W,6,1,4", ObservationError, "log10"),
        ("F560W,6,1,7", FileFormatError, "flag 0"),
        ("F560W,6,30,3", RangeError, "confidence"),
    ],
)
def test_flags_that_cannot_be_used(tmp_path, row, error, message):
    text = f"filter,flux_njy,flux_err_njy,flag\n{row}\n"
    with pytest.raises(error, match=message):
        read(tmp_path, text)


def test_limits_that_cannot_be(tmp_path):
    head = "filter,flux_njy,flux_err_njy,upper_limit\n"
    with pytest.raises(FileFormatError, match="true or false"):
        read(tmp_path, head + "F560W,6,1,perhaps\n")
    with pytest.raises(ObservationError, match="positive upper limits"):
        read(tmp_path, head + "F560W,-6,1,1\n")
    with pytest.raises(ObservationError, match="positive errors"):
        read(tmp_path, head + "F560W,6,-1,0\n")


def test_zero_points_must_be_ab(tmp_path):
    text = "time,band,flux,fluxerr,zp,zpsys\n1,F560W,1,1,25,vega\n"
    with pytest.raises(UnitError, match="AB system"):
        read(tmp_path, text)


def test_a_misspelt_column_of_a_wide_table_is_an_unknown_filter(tmp_path):
    text = "object,F560W,F560W_err,F1005W,F1005W_err\na,1,1,1,1\n"
    with pytest.raises(UnknownFilterError, match="F1000W"):
        read(tmp_path, text, unit="nJy")


def test_a_wide_object_may_not_come_twice(tmp_path):
    text = "object,F560W,F560W_err\na,1,1\na,2,1\n"
    with pytest.raises(FileFormatError, match="one row an object"):
        read(tmp_path, text, unit="nJy")


def test_rows_of_one_object_must_agree(tmp_path):
    text = "object,filter,flux_njy,error_njy,z\na,F560W,1,1,0.1\na,F770W,1,1,0.2\n"
    with pytest.raises(ObservationError, match="one redshift"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"SIMPLE  =                    T", "FITS"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "PNG"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"PAR1....", "Parquet"),
        (b"PK\x03\x04....", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"%PDF-1.4", "PDF"),
        (b"filter,flux\n\x00\x01\x02", "binary"),
        ("filter,flüx\n".encode("latin-1"), "encoding"),
    ],
)
def test_files_of_another_kind(tmp_path, data, kind):
    path = tmp_path / "file.csv"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=kind):
        read_observations(path, distance=10.0)


def test_folders_and_missing_files(tmp_path):
    with pytest.raises(FileFormatError, match="folder"):
        read_observations(tmp_path)
    with pytest.raises(FileFormatError, match="nothing there"):
        read_observations(tmp_path / "absent.csv")


def test_strict_and_hopeless_tables_raise(tmp_path):
    text = "object,filter,flux_njy,error_njy\na,F560W,1,1\nb,F560W,1,0\n"
    assert len(read(tmp_path, text)) == 1
    with pytest.raises(ObservationError, match="of b"):
        read(tmp_path, text, strict=True)
    with pytest.raises(ObservationError, match="None of 2 objects"):
        read(tmp_path, text.replace("1,1", "1,0"))
    with pytest.raises(ObservationError, match="single object"):
        read(tmp_path, text, name="mine")


@pytest.mark.parametrize("seed", range(8))
def test_noise_gives_a_clear_error_and_no_other(tmp_path, seed):
    """Whatever the bytes, the reader says so in its own words."""
    rng = np.random.default_rng(seed)
    alphabet = np.array(list("filterux,#%:\n\t;|.-9e \"'ECSV"))
    path = tmp_path / "noise.csv"
    path.write_text("".join(rng.choice(alphabet, 400)))
    with pytest.raises(GrainlightError):
        read_observations(path, distance=10.0, unit="nJy")
