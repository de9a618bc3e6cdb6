"""Bad input: one message, exit status 2, no traceback, nothing left behind."""

import pytest

HEAD = "filter,flux,flux_err\n"
NOTES = "# unit: uJy\n# redshift: 0.001\n"
SHELL = (
    "dust_mass,grain_radius,silicate_fraction,sn_luminosity,sn_temperature,outer_radius"
)
TEXTS = {
    "unknown filter": (NOTES + HEAD + "F771W,1,0.1\n", "JWST/MIRI.F770W"),
    "no unit": ("# redshift: 0.001\n" + HEAD + "F770W,1,0.1\n", "unit of flux"),
    "bad unit": (
        "# unit: furlong\n# redshift: 0.001\n" + HEAD + "F770W,1,.1\n",
        "furlong",
    ),
    "zero error": (NOTES + HEAD + "F770W,1,0\n", "positive errors"),
    "no band": (NOTES + HEAD + "F770W,nan,nan\nF1000W,-99,-99\n", "usable band"),
    "no place": ("# unit: uJy\n" + HEAD + "F770W,1,0.1\n", "redshift or a distance"),
    "far": ("# unit: uJy\n# redshift: 0.5\n" + HEAD + "F770W,1,0.1\n", "from 0.0001"),
    "infinite": (NOTES + HEAD + "F770W,inf,0.1\n", "finite fluxes"),
    "words": (NOTES + HEAD + "F770W,abc,0.1\n", "a number"),
    "header": (NOTES + HEAD, "header alone"),
    "empty": ("", "empty"),
    "other bands": (NOTES + HEAD + "SLOAN/SDSS.r,1,0.1\n", "38 of the model"),
    "twice": (NOTES + HEAD + "F770W,1,0.1\nF770W,2,0.1\n", "once"),
}
OPTIONS = {
    "floor": (("--floor", -1), "floor"),
    "large floor": (("--floor", 5), "floor"),
    "few draws": (("--num-draws", 3), "draws"),
    "many draws": (("--num-draws", 10**9), "draws"),
    "seed": (("--seed", -1), "seed"),
    "prior": (("--prior", "foo"), "thesis2023"),
    "no prior": (("--prior", "no.toml"), "No such file"),
    "model": (("--model", "foo"), "packaged model"),
    "nan": (("--galactic-av", "nan"), "finite --galactic-av"),
    "unit": (("--unit", "parsec"), "parsec"),
    "redshift": (("--redshift", -2), "redshift"),
    "distance": (("--distance", -2), "distance"),
    "method": (("--method", "hmc"), "hmc"),
    "number": (("--redshift", "abc"), "number"),
    "clumps": (("--clumps",), "trained on shells with clumps"),
}


def check(answer, match, folder, before):
    status, shown, errors = answer
    assert status == 2
    assert match in errors
    assert "Traceback" not in errors
    assert shown == ""
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", TEXTS)
def test_bad_photometry(grainlight, tmp_path, shell_model_folder, name):
    text, match = TEXTS[name]
    path = tmp_path / "a table.csv"
    path.write_text(text)
    before = sorted(tmp_path.rglob("*"))
    words = ("--out", tmp_path / "new" / "out", "--model", shell_model_folder)
    check(grainlight("fit", path, *words), match, tmp_path, before)


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options(grainlight, one, tmp_path, shell_model_folder, name):
    options, match = OPTIONS[name]
    before = sorted(tmp_path.rglob("*"))
    words = ("--out", tmp_path / "out", "--model", shell_model_folder, *options)
    check(grainlight("fit", one, *words), match, tmp_path, before)


@pytest.mark.parametrize("kind", ["png", "random", "folder", "missing"])
@pytest.mark.parametrize("command", ["fit", "simulate"])
def test_files_of_another_kind(grainlight, tmp_path, shell_model_folder, kind, command):
    path = tmp_path / "file.ecsv"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes({"png": b"\x89PNG\r\n\x1a\n", "random": b"\xff\0\x01"}[kind])
    before = sorted(tmp_path.rglob("*"))
    out = ("--out", tmp_path / "out")
    words = (path, *out, "--model", shell_model_folder)
    if command == "simulate":
        words = ("--at", path, *out)
    check(grainlight(command, *words), "Expected", tmp_path, before)


@pytest.mark.parametrize(
    ("place", "match"),
    [("file", "--overwrite"), ("file/x", "can be made"), ("full", "--overwrite")],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_places_that_cannot_be_written(
    grainlight, one, tmp_path, place, match, overwrite
):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    words = ("--out", tmp_path / place, *(["--overwrite"] if overwrite else []))
    match = "kept" if overwrite and place != "file/x" else match
    check(grainlight("fit", one, *words), match, tmp_path, before)


def test_a_broken_model(grainlight, one, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{")
    before = sorted(tmp_path.rglob("*"))
    words = ("--out", tmp_path / "out", "--model", tmp_path / "model")
    check(grainlight("fit", one, *words), "Expected the words", tmp_path, before)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("1e-4,50,0.5,1e5,6000,1e17", "grain_radius from 0.005 to 5 um; got 50"),
        ("1e-4,abc,0.5,1e5,6000,1e17", "'abc' in row 1"),
        ("1e-4,,0.5,1e5,6000,1e17", "got nan in row 1"),
    ],
)
def test_bad_rows(grainlight, tmp_path, row, match):
    path = tmp_path / "rows.csv"
    path.write_text(f"{SHELL}\n{row}\n")
    before = sorted(tmp_path.rglob("*"))
    words = ("--at", path, "--out", tmp_path / "out")
    check(grainlight("simulate", *words), match, tmp_path, before)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--num-parents", 0),
        ("--num-parents", 3, "--workers", 0),
        ("--num-parents", 3, "--seed", -1),
        ("--num-parents", 3, "--prior", "foo"),
        ("--num-parents", 3, "--prior", "thesis2023=x"),
        ("--num-parents", 3, "--inner", 2),
        ("--num-parents", 3, "--carbon", "silicate_dl"),
    ],
)
def test_bad_simulations(grainlight, tmp_path, words):
    answer = grainlight("simulate", "--out", tmp_path / "out", *words)
    check(answer, "", tmp_path, [])


def test_bad_trainings(grainlight, tmp_path):
    words = ("train", tmp_path / "none", "--out", tmp_path / "out")
    check(grainlight(*words), "dataset.json", tmp_path, [])
    for option in ("--epochs", "--width", "--minutes", "--learning-rate"):
        check(grainlight(*words, option, 0), "", tmp_path, [])


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("F771W",), "JWST/MIRI.F770W"),
        (("F770W", "--plot", "x.bmp"), "*.png"),
        (("F770W", "--plot", "file/x.png"), "can be written"),
    ],
)
def test_bad_filters(grainlight, tmp_path, monkeypatch, words, match):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    check(grainlight("filters", *words), match, tmp_path, [tmp_path / "file"])


def test_filters_are_listed_and_drawn(grainlight, tmp_path):
    status, shown, _ = grainlight("filters", "F770W", "--plot", tmp_path / "a.svg")
    assert status == 0
    assert "JWST/MIRI.F770W" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]
