"""`grainlight fit` for real, with few draws and a model that was never trained."""

import json
import warnings

import numpy as np
import pytest
from astropy.table import Table

from grainlight.cli import fit as command

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    import arviz

FILES = {"corner.png", "fit.json", "posterior.nc", "sed.png", "summary.ecsv"}
FEW = ("--num-draws", 100)


def no_constant(text):
    raise AssertionError(f"{text} is not JSON")


def words_of(folder):
    text = (folder / "fit.json").read_text()
    return json.loads(text, parse_constant=no_constant)


def test_one_object_leaves_all_that_is_promised(
    grainlight, one, tmp_path, shell_model_folder
):
    out = tmp_path / "new" / "results"
    model = ("--model", shell_model_folder)
    status, shown, errors = grainlight("fit", one, "--out", out, *model, *FEW)
    words = words_of(out)
    assert status == (0 if words["status"] == "ok" else 1)
    assert {path.name for path in out.iterdir()} == FILES
    assert "dust_mass" in shown
    assert "R-hat" in shown
    assert "Traceback" not in errors
    assert words["source"]["file"] == str(one)
    assert len(words["source"]["sha256"]) == 64
    assert words["settings"]["gate"]["rhat"] == 1.01
    assert words["settings"]["sampler"]["num_particles"] > 0
    assert words["settings"]["prior"] == "thesis2023"
    assert words["seed"] == 1
    assert words["model"]["identity"]
    assert words["versions"]["jax"]
    table = Table.read(out / "summary.ecsv")
    mass = table[table["parameter"] == "dust_mass"][0]
    assert mass["unit"] == "Msun"
    assert 1e-6 <= mass["lower_95"] < mass["median"] < mass["upper_95"] <= 0.1
    posterior = arviz.from_netcdf(out / "posterior.nc").posterior
    assert posterior["dust_mass"].shape == (4, 100)
    assert posterior["dust_temperature"].attrs["units"] == "K"

    # the same seed and other order of bands give the same numbers
    lines = one.read_text().splitlines()
    one.write_text("\n".join(lines[:3] + lines[:2:-1]) + "\n")
    again = tmp_path / "again"
    grainlight("fit", one, "--out", again, *model, *FEW)
    same = arviz.from_netcdf(again / "posterior.nc").posterior
    np.testing.assert_array_equal(same["dust_mass"], posterior["dust_mass"])

    # what is there is kept, then replaced when asked
    before = (out / "fit.json").read_bytes()
    status, _, errors = grainlight("fit", one, "--out", out, *model, *FEW)
    assert (status, (out / "fit.json").read_bytes()) == (2, before)
    assert "--overwrite" in errors
    more = ("--overwrite", "--seed", 2)
    grainlight("fit", one, "--out", out, *model, *FEW, *more)
    assert words_of(out)["seed"] == 2


@pytest.mark.slow
def test_a_table_has_a_status_for_every_object(
    grainlight, tmp_path, shell_model_folder
):
    path, out = tmp_path / "many.csv", tmp_path / "out"
    path.write_text(
        "# unit: uJy\nobject,redshift,filter,flux,flux_err,upper_limit\n"
        "one :smile:,0.002,F560W,6,0.5,0\none :smile:,0.002,F1000W,58,2,0\n"
        "one :smile:,0.002,F444W,1,0.3,1\n"
        "far [/red]$x$,0.5,F770W,10,1,0\nbad,0.003,F770W,10,0,0\n"
    )
    model = ("--model", shell_model_folder)
    status, shown, _ = grainlight("fit", path, "--out", out, *model, *FEW)
    assert status == 1
    assert "one :smile:" in shown
    assert "far [/red]$x$: Expected a redshift" in shown
    objects = {one["object"]: one for one in words_of(out)["objects"]}
    assert objects["far [/red]$x$"]["status"] == "outside"
    assert objects["bad"]["status"] == "unusable"
    assert "positive errors" in objects["bad"]["status_text"]
    folder = out / objects["one :smile:"]["folder"]
    assert {path.name for path in folder.iterdir()} == FILES


def test_an_interrupt_leaves_nothing(
    grainlight, one, tmp_path, shell_model_folder, monkeypatch
):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "trust_of", interrupt)
    monkeypatch.setattr("grainlight.report.folder.save_posterior", interrupt)
    before = sorted(tmp_path.iterdir())
    out = ("--out", tmp_path / "a" / "b", "--model", shell_model_folder)
    status, _, errors = grainlight("fit", one, *out, *FEW)
    assert status == 130
    assert "interrupted" in errors
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_is_told(
    grainlight, one, tmp_path, shell_model_folder, monkeypatch
):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("grainlight.report.folder.save_posterior", fail)
    out = ("--out", tmp_path / "a", "--model", shell_model_folder)
    status, _, errors = grainlight("fit", one, *out, *FEW)
    assert status == 2
    assert "No space left on device" in errors
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_prior_moves_the_posterior(grainlight, one, tmp_path, shell_model_folder):
    prior = tmp_path / "my prior.toml"
    prior.write_text(
        '[sn_luminosity]\ndistribution = "lognormal"\nmedian = 4e4\ndex = 0.02\n'
    )
    medians = {}
    for name in ("thesis2023", prior):
        out = tmp_path / f"out {medians.__len__()}"
        words = ("--out", out, "--model", shell_model_folder, "--prior", name)
        grainlight("fit", one, *words, "--num-draws", 400)
        table = Table.read(out / "summary.ecsv")
        medians[str(name)] = table["median"][table["parameter"] == "sn_luminosity"][0]
    assert medians[str(prior)] == pytest.approx(4e4, rel=0.1)
    assert medians["thesis2023"] != pytest.approx(4e4, rel=0.2)
