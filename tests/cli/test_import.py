"""`grainlight import`: reads a grid, says what was read, refuses what cannot be."""

import numpy as np
import pytest
from astropy.table import Table

from grainlight.datasets import GridDataset

WAVE = np.linspace(4.0, 30.0, 60)
MASS = np.geomspace(1e-5, 1e-3, 6)


def write(tmp_path, light=None):
    usual = MASS[:, None] * 1e30 * (10 / WAVE) ** 2
    table = Table({"mass": MASS, "radius": np.arange(6.0)})
    table["mass"].unit, table["radius"].unit = "Msun", "um"
    table["light"] = usual if light is None else light
    table["wave"] = np.tile(WAVE, (6, 1))
    table["light"].unit, table["wave"].unit = "erg / (s Hz)", "um"
    table.write(tmp_path / "grid.fits")
    return tmp_path / "grid.fits"


WORDS = ("--parameters", "mass, radius", "--log", "mass", "--wave", "wave")


def test_a_grid_is_read_and_described(grainlight, tmp_path):
    words = (write(tmp_path), *WORDS, "--out", tmp_path / "data", "--bands", "F770W")
    status, shown, errors = grainlight("import", *words)
    assert (status, errors.strip()) == (0, "")
    data = GridDataset.open(tmp_path / "data")
    for words in ("6 models", "log10", "4 to 30 um: 14 of 38 JWST", data.identity):
        assert words in shown
    assert data.parameters["mass"].unit in ("Msun", "solMass")


def test_bad_rows_give_status_one(grainlight, tmp_path):
    light = np.ones((6, 60))
    light[2, 3] = np.nan
    words = (write(tmp_path, light), *WORDS, "--out", tmp_path / "data")
    status, shown, errors = grainlight("import", *words)
    assert status == 1
    assert "left out 1 of 6 rows, with spectra that are not finite" in errors
    assert errors.strip().endswith("row 3")
    assert "5 models" in shown


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ((), "--parameters"),
        (("--parameters", "mass,age"), "named age"),
        (("--parameters", ","), "one parameter or more"),
        ((*WORDS[:5], "no.txt", "--spectrum", "light"), "no.txt"),
        ((*WORDS, "--spectrum-unit", "Jy"), "distance"),
        ((*WORDS, "--spectrum-unit", "parsec"), "parsec"),
        ((*WORDS, "--wave-unit", "K"), "wavelength"),
        ((*WORDS, "--distance", 3), "no distance"),
        ((*WORDS, "--bands", "F771W"), "JWST/MIRI.F770W"),
        ((*WORDS, "--bands", "F150W"), "too short for JWST/NIRCam.F150W"),
        ((*WORDS, "--theta", "t"), "HDF5 alone"),
    ],
)
def test_bad_input(grainlight, tmp_path, words, match):
    path = write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, shown, errors = grainlight(
        "import", path, *words, "--out", tmp_path / "new" / "data"
    )
    assert status == 2
    assert match in errors
    assert "Traceback" not in errors
    assert shown == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_training_on_a_grid_says_how_in_python(grainlight, tmp_path):
    grainlight("import", write(tmp_path), *WORDS, "--out", tmp_path / "data")
    words = (tmp_path / "data", "--out", tmp_path / "model")
    status, shown, errors = grainlight("train", *words)
    assert status == 2
    assert len(errors.strip().splitlines()) == 1
    assert "GridDataset.open(folder).pairs(...)" in errors
    assert "fit_estimator" in errors
    assert shown == ""
    assert not (tmp_path / "model").exists()
