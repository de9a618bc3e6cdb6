"""The command that remakes a study."""

import json
from functools import partial

import jax.random as jr
import pytest
from astropy.table import Table

from grainlight.core import ParameterError
from grainlight.estimators.family import Family
from grainlight.estimators.files import save_estimator
from grainlight.estimators.thesis_rows import ThesisRows, thesis_parameters
from grainlight.report import reproduction
from grainlight.report.reproduction_recipe import ReproductionRecipe
from grainlight.sampling import Settings

QUICK = Settings(num_retries=0, num_particles=32, refine_rounds=1, refine_blocks=1)
SIZE = ("--minutes", 0.01, "--objects", 20)
FAMILIES = ("--family", "thesis-convolutional", "--family", "thesis-standard")


@pytest.mark.slow
def test_a_study_is_remade_and_a_rerun_resumes(
    grainlight, invented, tmp_path, monkeypatch
):
    monkeypatch.setattr(reproduction, "SAMPLER", QUICK)
    monkeypatch.setattr(reproduction, "ANEW", QUICK)
    few = partial(reproduction.ChainPlan, batch=2)
    monkeypatch.setattr(
        reproduction,
        "ChainPlan",
        lambda draws, chains, batch, **how: few(50, 4, **how),
    )
    out = tmp_path / "thesis"
    words = ("reproduce", "thesis", "--out", out, "--data", invented.folder)
    words += (*FAMILIES, *SIZE)
    status, shown, error = grainlight(*words)
    assert status == 0, error
    assert "thesis-convolutional, all bands" in shown
    table = Table.read(out / "tables" / "chains.ecsv")
    assert list(table["total"]) == [4]
    # chains of 50 draws fail the gate, and what failed is run anew
    assert list(table["retained"]) == [0]
    assert len(list((out / "chains").glob("*/anew-*.npz"))) == 1
    assert json.loads((out / "thesis.json").read_text())["noise_mag"] == 0.05
    figures = {path.stem for path in (out / "figures").iterdir()}
    assert {"training", "losses", "errors", "reliability", "redshifts"} <= figures
    kept = out / "families" / "thesis-convolutional" / "weights.npz"
    before = kept.stat().st_mtime_ns
    assert grainlight(*words)[0] == 0
    assert kept.stat().st_mtime_ns == before
    status, _, error = grainlight(*words, "--parents", 300)
    assert status == 2
    assert "Name another folder" in error


@pytest.mark.slow
def test_the_direct_posterior_alone_can_be_remade(grainlight, invented, tmp_path):
    out = tmp_path / "thesis"
    words = ("reproduce", "thesis", "--out", out, *SIZE, "--data", invented.folder)
    status, _, error = grainlight(*words, "--family", "thesis-standard")
    assert status == 0, error
    figures = {path.stem for path in (out / "figures").iterdir()}
    assert "reliability" in figures
    assert "covariances" not in figures


def test_trained_networks_do_without_the_shells_they_learned_from(
    grainlight, invented, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        raise ParameterError("shells were asked for")

    monkeypatch.setattr("grainlight.report.reproduction_shells.generate", refuse)
    out = tmp_path / "thesis"
    test = ThesisRows.read(invented, "test", variants=1, seed=2, most=100)
    family = Family("thesis-standard", "thesis-standard")
    network = family.made_of.build(jr.key(1), thesis_parameters(), *test.columns())
    meta = {"visible": list(family.visible)}
    save_estimator(out / "families" / family.name, network, meta=meta)
    test.save(out / "rows-test.npz")
    sized = {"data": None, "parents": 330, "seed": 2023, "variants": 2}
    (out / "recipe.json").write_text(json.dumps(sized | {"noise_mag": 0.05}))
    words = ("reproduce", "thesis", "--out", out, "--parents", 330)
    status, shown, error = grainlight(*words, "--family", family.name)
    assert status == 0, error
    assert str(out) in shown
    figures = {path.stem for path in (out / "figures").iterdir()}
    assert {"errors", "reliability"} <= figures
    assert "redshifts" not in figures
    # what is not trained asks for them
    status, _, error = grainlight(*words, "--family", "dense")
    assert status == 2
    assert "shells were asked for" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("else",), "one of the recipes"),
        (("thesis", "--family", "dens"), "families among"),
    ],
)
def test_what_is_not_known_is_refused(grainlight, tmp_path, words, message):
    out = tmp_path / "out"
    status, shown, error = grainlight("reproduce", *words, "--out", out)
    assert status == 2
    assert message in error
    assert shown == ""
    assert not out.exists()


def test_the_recipe_has_every_family_and_can_be_sized():
    recipe = ReproductionRecipe.named("thesis")
    names = {one.name for one in recipe.families}
    for kind in ("dense", "convolutional", "variational"):
        assert {f"thesis-{kind}", f"thesis-{kind}*"} <= names
    assert {"thesis-standard", "dense", "ensemble", "flow", "flow*"} <= names
    assert {one.bands for one in recipe.runs} == {"all", "F", "random"}
    small = recipe.sized(
        parents=500,
        minutes=1.0,
        objects=3,
        batch_size=64,
        together=4,
        only=("flow",),
    )
    assert (small.parents, small.objects, small.together) == (500, 3, 4)
    assert small.training.time_limit_s == 60
    assert small.training.batch_size == 64
    assert [run.family for run in small.runs] == ["flow"]
    # what a family starts from is trained as well
    assert [one.name for one in small.families] == ["dense", "flow"]
    with pytest.raises(ParameterError, match="start from a family before it"):
        ReproductionRecipe.read(
            "[data]\n[chains]\n[training]\nminutes=1\n[[run]]\nfamily='a'\n"
            "bands='all'\nshare=1.0\n[[family]]\nname='a'\nstart='b'\n"
            "[[family]]\nname='b'\n"
        )
    with pytest.raises(ParameterError, match="besides"):
        ReproductionRecipe.read(
            "[data]\n[chains]\n[training]\nminutes=1\n[[family]]\nname='a'\n"
            "[[run]]\nfamily='b'\nbands='all'\nshare=1.0\n"
        )
