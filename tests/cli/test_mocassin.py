"""`grainlight mocassin`: runs a table, resumes, compares, imports, refuses."""

import pytest
from astropy.table import Table

from grainlight.datasets import Dataset

HEAD = (
    "dust_mass,grain_radius,silicate_fraction,sn_luminosity,sn_temperature,outer_radius"
)
ROW = "1e-3,0.1,0.5,1e5,6000,1e17"
BAD = "1e-3,0.1,0.5,1e5,6666,1e17"
COARSE = ("--points", 9, "--packets", 20_000, "--workers", 2)


def write(tmp_path, *rows):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join((HEAD, *rows)) + "\n")
    return path


def calls(path):
    return len(path.read_text().splitlines())


def test_rows_are_run_once_compared_and_imported(grainlight, stand_in, tmp_path):
    words = ("--at", write(tmp_path, ROW, ROW), "--out", tmp_path / "runs", *COARSE)
    status, shown, errors = grainlight("mocassin", *words)
    assert (status, errors.strip()) == (0, "")
    assert "2 runs of MOCASSIN" in shown
    table = Table.read(tmp_path / "runs" / "comparison.ecsv")
    assert list(table["row"]) == [1, 2]
    assert grainlight("mocassin", *words, "--dataset", tmp_path / "data")[0] == 0
    assert calls(stand_in) == 4
    assert Dataset.open(tmp_path / "data").recipe.num_parents == 2


def test_runs_are_imported_without_a_table(grainlight, stand_in, tmp_path):
    at = ("--at", write(tmp_path, ROW), *COARSE)
    grainlight("mocassin", "--out", tmp_path / "runs", *at)
    words = ("--out", tmp_path / "runs", "--dataset", tmp_path / "data")
    status, shown, _ = grainlight("mocassin", *words, "--prior", "thesis2023")
    assert status == 0
    assert "1 shells" in shown
    assert Dataset.open(tmp_path / "data").recipe.priors == {"thesis2023": 1.0}


def test_a_failed_row_gives_status_one(grainlight, stand_in, tmp_path):
    words = ("--at", write(tmp_path, BAD, ROW), "--out", tmp_path / "runs", *COARSE)
    status, shown, errors = grainlight("mocassin", *words)
    assert status == 1
    assert "row 1 failed" in errors
    assert "no such star" in errors
    assert list(Table.read(tmp_path / "runs" / "comparison.ecsv")["row"]) == [2]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ((), "--at, --dataset"),
        (("--at", "no.csv"), "no.csv"),
        (("--at", "rows", "--points", 8), "odd number of points"),
        (("--at", "rows", "--packets", 0), "--packets"),
        (("--at", "rows", "--workers", 0), "--workers"),
        (("--at", "rows", "--carbon", "silicate_dl"), "carbon species"),
        (("--at", "rows", "--prior", "flat"), "thesis2023"),
        (("--dataset", "data"), "finished runs"),
    ],
)
def test_bad_input(grainlight, stand_in, tmp_path, monkeypatch, words, match):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, ROW)
    before = sorted(tmp_path.rglob("*"))
    words = [path if word == "rows" else word for word in words]
    status, shown, errors = grainlight("mocassin", "--out", "runs", *words)
    assert status == 2
    assert match in errors
    assert "Traceback" not in errors
    assert shown == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_program(grainlight, tmp_path, monkeypatch):
    path = write(tmp_path, ROW)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ("--at", path, "--out", tmp_path / "runs")
    status, _, errors = grainlight("mocassin", *words)
    assert status == 2
    assert "apt-get install mocassin mocassin-data" in errors


def test_other_runs_are_kept(grainlight, stand_in, tmp_path):
    words = ("--at", write(tmp_path, ROW), "--out", tmp_path / "runs", *COARSE)
    assert grainlight("mocassin", *words)[0] == 0
    status, _, errors = grainlight("mocassin", *words, "--inner", 0.5)
    assert status == 2
    assert "Name another folder" in errors
    assert calls(stand_in) == 2
