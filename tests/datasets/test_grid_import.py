"""Grids of one's own: the same light from every file, and errors that can be mended."""

import json

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from grainlight.core import (
    FileFormatError,
    OutputExistsError,
    ParameterError,
    RangeError,
    UnitError,
)
from grainlight.datasets import (
    Dataset,
    GridDataset,
    Recipe,
    generate,
    import_grid,
    split_of,
)
from grainlight.photometry import jwst_filters

WAVE = np.geomspace(3.0, 32.0, 400)
NAMES = ("mass", "temperature")
MASS, TEMPERATURE = (
    grid.ravel()
    for grid in np.meshgrid(np.geomspace(1e-5, 1e-2, 8), np.linspace(150, 600, 10))
)
NUM = len(MASS)
CM_AT_10_MPC = 3.0856775814913673e25
GIVEN = {
    "parameters": NAMES,
    "log": ("mass",),
    "wave": WAVE,
    "wave_unit": "um",
    "spectrum_unit": "erg/s/Hz",
}


def light(wave):
    """Blackbodies [erg/s/Hz], one row a model."""
    photon = np.expm1(14387.77 / (wave * TEMPERATURE[:, None]))
    return 1e33 * MASS[:, None] * (10 / wave) ** 3 / photon


LIGHT = light(WAVE)


def models(**columns):
    return Table({"mass": MASS, "temperature": TEMPERATURE} | columns)


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "grid.fits"
    models(light=LIGHT).write(place)
    return place


@pytest.fixture(scope="module")
def filters():
    return jwst_filters().subset(("F560W", "F1000W", "F2100W"))


def direct(filters, redshift, parent):
    """AB magnitudes at 10 Mpc by brute force on the curves of the filters."""
    answers = np.empty((len(parent), len(filters)))
    for column, member in enumerate(filters):
        fine = np.geomspace(member.wave[0], member.wave[-1], 20_001)
        curve = np.interp(fine, member.wave, member.transmission)
        for row, (z, model) in enumerate(zip(redshift, parent, strict=True)):
            at = light(fine / (1 + z))[model]
            mean = np.trapezoid(at * curve / fine, fine)
            mean /= np.trapezoid(curve / fine, fine)
            flux = (1 + z) * mean / (4 * np.pi * CM_AT_10_MPC**2)
            answers[row, column] = -2.5 * np.log10(flux) - 48.6
    return answers


def test_blackbodies_read_back_give_the_magnitudes_of_direct_integration(
    path, tmp_path, filters
):
    data = import_grid(path, tmp_path / "data", **GIVEN)
    pairs = data.pairs(filters, split="train", variants=2, seed=1)
    some = slice(0, 160, 23)
    exact = direct(filters, pairs.condition[some, 0], pairs.parent[some])
    seen = exact < 29
    assert seen.mean() > 0.7
    assert np.max(np.abs(pairs.x[some] - exact)[seen]) < 2e-3
    shifted = direct(filters, pairs.condition[some, 0] + 0.01, pairs.parent[some])
    assert np.max(np.abs(pairs.x[some] - shifted)[seen]) > 2e-3


def test_theta_is_scaled_and_belongs_to_the_row(path, tmp_path, filters):
    data = import_grid(path, tmp_path / "data", **GIVEN)
    assert [member.scale for member in data.parameters.members] == ["log10", "linear"]
    assert data.parameters["temperature"].upper == 600
    pairs = data.pairs(filters, split="train", variants=1, seed=1)
    np.testing.assert_allclose(10 ** pairs.theta[:, 0], MASS[pairs.parent])
    np.testing.assert_array_equal(pairs.theta[:, 1], TEMPERATURE[pairs.parent])
    assert pairs.outcomes == {}


def test_splits_are_by_row_and_variants_stay_together(path, tmp_path, filters):
    data = import_grid(path, tmp_path / "data", shard_size=17, **GIVEN)
    parts = {
        name: data.pairs(filters, split=name, variants=3, seed=1)
        for name in ("train", "validation", "test")
    }
    assert sum(map(len, parts.values())) == 3 * NUM
    for name, pairs in parts.items():
        assert np.all(split_of(pairs.parent) == name)
    redshift = parts["train"].condition[:, 0]
    assert len(np.unique(redshift)) == len(redshift)
    assert redshift.min() >= 1e-4
    assert redshift.max() <= 0.015
    same, other = (
        data.pairs(filters, split="train", variants=3, seed=seed) for seed in (1, 2)
    )
    np.testing.assert_array_equal(same.x, parts["train"].x)
    assert not np.any(other.condition == same.condition)
    near = data.pairs(filters, split="train", variants=1, seed=1, redshifts=(0.0, 0.0))
    assert np.all(near.condition == 0)
    with pytest.raises(RangeError, match="least to largest"):
        data.pairs(filters, split="train", variants=1, seed=1, redshifts=(0.1, 0.0))


def test_the_origin_is_stated(path, tmp_path):
    data = import_grid(path, tmp_path / "data", **GIVEN)
    stated = json.loads((tmp_path / "data" / "dataset.json").read_text())
    assert stated["origin"]["file"] == "grid.fits"
    assert len(stated["origin"]["sha256"]) == 64
    assert stated["origin"]["spectrum_unit"] == "erg/s/Hz"
    other = import_grid(path, tmp_path / "other", **(GIVEN | {"log": ()}))
    assert other.identity != data.identity
    assert str(tmp_path) not in (tmp_path / "data" / "dataset.json").read_text()


def write_fits(folder):
    table = models(flux=light(WAVE) * 1e23 / (4 * np.pi * CM_AT_10_MPC**2))
    table["wave"] = np.tile(WAVE, (NUM, 1)).astype(">f8")
    table["flux"].unit, table["wave"].unit = "Jy", "um"
    table.write(folder / "grid.fits")
    return "grid.fits", {"wave": "wave", "distance_mpc": 10.0}


def write_ecsv(folder):
    table = models(flux=light(WAVE) * 2.99792458e14 / WAVE**2 * 1e-4)
    table["flux"].unit = "erg / (s Angstrom)"
    table.write(folder / "grid.ecsv")
    (folder / "wave.txt").write_text("\n".join(f"{w * 1e4!r}" for w in WAVE.tolist()))
    return "grid.ecsv", {"wave": folder / "wave.txt", "wave_unit": "Angstrom"}


def write_csv(folder):
    order = np.random.default_rng(0).permutation(len(WAVE))
    columns = {f"L_{WAVE[i]!r}".replace("np.float64(", ""): i for i in order}
    table = models(**{n.replace(")", ""): LIGHT[:, i] for n, i in columns.items()})
    table.write(folder / "grid.csv")
    return "grid.csv", {"spectrum": "L_", "wave_unit": "um"}


def write_parquet(folder, kind=None):
    spectra = pa.array(list(LIGHT), kind or pa.list_(pa.float64(), len(WAVE)))
    columns = {"mass": MASS, "temperature": TEMPERATURE, "light": spectra}
    pq.write_table(pa.table(columns), folder / "grid.parquet")
    return "grid.parquet", {"wave": WAVE, "wave_unit": "um"}


def write_ragged_parquet(folder):
    return write_parquet(folder, pa.list_(pa.float64()))


def write_hdf5(folder):
    with h5py.File(folder / "grid.h5", "w") as file:
        file["models/mass"], file["models/temperature"] = MASS, TEMPERATURE
        file["spectra"], file["wave"] = np.log10(LIGHT), WAVE
        file["spectra"].attrs["units"] = "dex(erg/s/Hz)"
        file["wave"].attrs["units"] = b"um"
    names = ("models/mass", "models/temperature")
    given = {"wave": "wave", "spectrum": "spectra", "parameters": names}
    return "grid.h5", given | {"log": names[:1]}


def write_hdf5_table(folder):
    with h5py.File(folder / "grid.hdf5", "w") as file:
        file["theta"] = np.stack([MASS, TEMPERATURE], axis=1)
        file["spectra"] = LIGHT
    given = {"wave": WAVE, "wave_unit": "um", "spectrum": "/spectra"}
    return "grid.hdf5", given | {"theta": "theta"}


def write_hdf5_records(folder):
    rows = np.zeros(NUM, dtype=[("id", "i4"), ("temperature", "f4"), ("mass", "f8")])
    rows["mass"], rows["temperature"] = MASS, TEMPERATURE
    with h5py.File(folder / "grid.h5", "w") as file:
        file["theta"], file["spectra"] = rows, LIGHT
    given = {"wave": WAVE, "wave_unit": "um", "spectrum": "spectra"}
    return "grid.h5", given | {"theta": "theta"}


WRITERS = (
    write_fits,
    write_ecsv,
    write_csv,
    write_parquet,
    write_ragged_parquet,
    write_hdf5,
    write_hdf5_table,
    write_hdf5_records,
)


@pytest.mark.parametrize("write", WRITERS)
def test_every_file_holds_the_same_light(tmp_path, write):
    name, given = write(tmp_path)
    stated = {} if write in (write_fits, write_ecsv, write_hdf5) else {"erg/s/Hz"}
    given = {"parameters": NAMES, "log": ("mass",)} | given
    if stated:
        given["spectrum_unit"] = "erg/s/Hz"
    data = import_grid(tmp_path / name, tmp_path / "data", shard_size=33, **given)
    assert data.num_models == NUM
    np.testing.assert_allclose(data.wave, WAVE, rtol=1e-12)
    tables = list(data.shards())
    assert [len(table) for table in tables] == [33, 33, 14]
    logs = np.concatenate([np.stack(t["log_luminosity"].to_numpy()) for t in tables])
    np.testing.assert_allclose(logs, np.log10(LIGHT), atol=4e-6)
    found = np.concatenate([t[data.parameters.names[0]].to_numpy() for t in tables])
    np.testing.assert_allclose(found, MASS)


def test_bad_rows_are_left_out_and_named(tmp_path, filters):
    table, spectra = models(light=LIGHT), LIGHT.copy()
    table["mass"] = MaskedColumn(MASS, mask=np.arange(NUM) == 7)
    table["mass"][0] = -1.0
    spectra[20, 5], spectra[30, 6], spectra[40] = np.nan, -1.0, 0.0
    spectra[50, :3] = 0.0  # dark in places is a model
    table["light"] = spectra
    table.write(tmp_path / "grid.ecsv")
    data = import_grid(tmp_path / "grid.ecsv", tmp_path / "data", **GIVEN)
    by_reason = list(data.left_out.values())
    assert by_reason == [[1, 8], [21, 31, 41]]
    assert data.num_left_out == 5
    assert data.num_models == NUM - 5
    pairs = data.pairs(filters, split="train", variants=1, seed=1)
    good = np.setdiff1d(np.arange(NUM), [0, 7, 20, 30, 40])
    np.testing.assert_array_equal(pairs.parent, good[split_of(good) == "train"])
    assert np.all(np.isfinite(pairs.x))


def test_a_word_among_the_numbers_is_a_bad_row(tmp_path):
    wave = WAVE[::40]
    head = "mass,temperature," + ",".join(f"{w:.5f}" for w in wave)
    rows = [f"{i + 1},{i},1,2,3,4,5,6,7,8,9,1" for i in range(4)]
    rows[2] = rows[2].replace("5", "n/a")
    (tmp_path / "grid.csv").write_text("\n".join([head, *rows, "x,3" + ",1" * 10]))
    given = {name: GIVEN[name] for name in ("parameters", "wave_unit", "spectrum_unit")}
    data = import_grid(tmp_path / "grid.csv", tmp_path / "data", **given)
    assert sorted(sum(data.left_out.values(), [])) == [3, 5]
    assert data.num_models == 3


BAD = {
    "missing parameter": ({"parameters": ("mass", "age")}, ParameterError, "named age"),
    "no parameters": ({"parameters": (), "log": ()}, ParameterError, "one parameter"),
    "twice": ({"parameters": ("mass", "mass")}, ParameterError, "each once"),
    "reserved": (
        {"parameters": ("mass", "parent")},
        ParameterError,
        "columns of a data set",
    ),
    "unknown log": ({"log": ("age",)}, ParameterError, "got age"),
    "no unit": ({"spectrum_unit": None}, UnitError, "unit of the spectrum; got none"),
    "no wave unit": ({"wave_unit": None}, UnitError, "unit of the wavelength"),
    "no distance": ({"spectrum_unit": "Jy"}, UnitError, "distance of spectra"),
    "no wave": ({"wave": None}, FileFormatError, "wavelengths of the spectra"),
    "other wave": ({"wave": "lambda"}, FileFormatError, "there is mass"),
    "other spectrum": ({"spectrum": "flux"}, FileFormatError, "go with the wave"),
    "theta": ({"theta": "mass"}, FileFormatError, "HDF5 alone"),
    "decreasing": (
        {"wave": WAVE[::-1]},
        FileFormatError,
        "increasing wavelengths; got 31.8107 um after 32 um, at number 2",
    ),
    "nan wave": (
        {"wave": np.where(np.arange(400) == 3, np.nan, WAVE)},
        FileFormatError,
        "got nan um at number 4",
    ),
    "negative wave": ({"wave": WAVE - 5}, FileFormatError, "positive wavelengths"),
    "few waves": ({"wave": WAVE[:10]}, FileFormatError, "models at 10 wavelengths"),
    "shard size": ({"shard_size": 0}, ParameterError, "shard_size of one"),
    "one wave": ({"wave": WAVE[:1]}, FileFormatError, "two wavelengths or more"),
    "short": (
        {"filters": jwst_filters().subset(("F150W", "F770W"))},
        RangeError,
        "too short for JWST/NIRCam.F150W. Extend",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_has_one_message_and_leaves_nothing(path, tmp_path, name):
    change, error, match = BAD[name]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=match) as caught:
        import_grid(path, tmp_path / "data", **(GIVEN | change))
    assert str(caught.value).startswith("Expected")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("columns", "error", "match"),
    [
        ({"light": np.full((NUM, 400), np.nan)}, FileFormatError, "none of 80 rows"),
        ({"temperature": np.ones(NUM), "light": LIGHT}, ParameterError, "got one of t"),
        ({"light": LIGHT, "more": LIGHT}, FileFormatError, "got light, more"),
        ({}, FileFormatError, "column of spectra to go with"),
    ],
)
def test_bad_tables_have_one_message(tmp_path, columns, error, match):
    models(**columns).write(tmp_path / "grid.fits")
    with pytest.raises(error, match=match):
        import_grid(tmp_path / "grid.fits", tmp_path / "new" / "data", **GIVEN)
    assert [one.name for one in tmp_path.iterdir()] == ["grid.fits"]


def test_wavelengths_that_differ_between_rows_are_refused(tmp_path):
    wave = np.tile(WAVE, (NUM, 1))
    wave[4] += 1e-3
    models(light=LIGHT, wave=wave).write(tmp_path / "grid.fits")
    with pytest.raises(FileFormatError, match="got others in row 5"):
        import_grid(
            tmp_path / "grid.fits", tmp_path / "data", **(GIVEN | {"wave": "wave"})
        )


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("grid.fits", b"SIMPLE", "readable .fits"),
        ("grid.parquet", b"PAR1", "readable .parquet"),
        ("grid.h5", b"\x89HDF", "readable .h5"),
        ("grid.csv", b"", "one row or more"),
        ("grid.csv", b"mass,temperature,5,6\n", "one row or more"),
        ("grid.ecsv", b"# %ECSV 1.0\n# ---\n# - {", "readable .ecsv"),
        ("grid.xlsx", b"PK", "whose name ends in .ecsv"),
        ("grid.npy", None, "which is not one"),
    ],
)
def test_broken_files(tmp_path, name, content, match):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=match):
        import_grid(tmp_path / name, tmp_path / "data", **GIVEN)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"spectrum": None}, "got no spectra. Name them: there is mass, s, t"),
        ({"wave": None}, "got no wavelengths"),
        ({"spectrum": "flux"}, "spectra named flux"),
        ({"wave": "lambda"}, "there is mass, s, t"),
        ({"parameters": ("mass", "age")}, "parameters named age"),
        ({"parameters": ("mass", "s"), "log": ()}, "one number a model"),
        ({"theta": "s"}, "s in .* with a column for each of mass, t"),
        ({"spectrum": "turned"}, "named turned"),
    ],
)
def test_bad_data_sets_of_hdf5(tmp_path, change, match):
    with h5py.File(tmp_path / "grid.h5", "w") as file:
        file["mass"], file["t"], file["s"] = MASS, TEMPERATURE, LIGHT
    given = GIVEN | {"parameters": ("mass", "t"), "spectrum": "s"} | change
    with pytest.raises(FileFormatError, match=match):
        import_grid(tmp_path / "grid.h5", tmp_path / "data", **given)


def test_turned_spectra_are_told_how_to_mend(tmp_path):
    with h5py.File(tmp_path / "grid.h5", "w") as file:
        file["mass"], file["t"], file["s"] = MASS, TEMPERATURE, LIGHT.T
    given = GIVEN | {"parameters": ("mass", "t"), "spectrum": "s"}
    with pytest.raises(FileFormatError, match="Transpose them"):
        import_grid(tmp_path / "grid.h5", tmp_path / "data", **given)


def test_a_full_folder_is_kept(path, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letter.txt").write_text("dear")
    with pytest.raises(OutputExistsError, match="Name another folder"):
        import_grid(path, tmp_path / "data", **GIVEN)
    assert (tmp_path / "data" / "letter.txt").read_text() == "dear"
    (tmp_path / "empty").mkdir()
    import_grid(path, tmp_path / "empty", **GIVEN)
    import_grid(path, tmp_path / "new" / "data", **GIVEN)


def test_an_interrupted_import_leaves_nothing(path, tmp_path):
    def stop(done, total):
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_grid(path, tmp_path / "data", shard_size=20, progress=stop, **GIVEN)
    assert [one.name for one in tmp_path.iterdir()] == ["grid.fits"]
    one, other = (import_grid(path, tmp_path / name, **GIVEN) for name in "ab")
    for file in one.folder.iterdir():
        assert file.read_bytes() == (other.folder / file.name).read_bytes()


def test_kinds_of_data_sets_are_told_apart(path, tmp_path, filters):
    data = import_grid(path, tmp_path / "data", **GIVEN)
    with pytest.raises(FileFormatError, match=r"GridDataset.open.*bring-your-own"):
        Dataset.open(data.folder)
    with pytest.raises(OutputExistsError, match="grid-spectra"):
        generate(data.folder, Recipe(3, seed=1))
    Recipe(3, seed=1).save(tmp_path)
    with pytest.raises(FileFormatError, match=r"Use `Dataset.open\(folder\)`"):
        GridDataset.open(tmp_path)
    (data.folder / "shard-00000.parquet").unlink()
    with pytest.raises(FileFormatError, match="1 are missing"):
        GridDataset.open(data.folder)
    assert set(data.covered(jwst_filters()).names) > set(filters.names)
    with pytest.raises(FileFormatError, match="readable dataset"):
        GridDataset.open(tmp_path / "none")


def test_filters_beyond_the_spectra_are_refused(path, tmp_path):
    data = import_grid(path, tmp_path / "data", **GIVEN)
    with pytest.raises(RangeError, match=r"F150W; got 3 to 32 um. Extend"):
        data.pairs(jwst_filters().subset(("F150W",)), split="train", variants=1, seed=1)
    covered = data.covered(jwst_filters())
    assert data.pairs(covered, split="test", variants=1, seed=1).x.shape[1] == 19
