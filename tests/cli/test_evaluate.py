"""The command that judges a model."""

import json

import pytest
from astropy.table import Table

ALWAYS = {
    "evaluation.json",
    "bands.ecsv",
    "reliability.png",
    "errors.png",
    "losses.png",
    "correlation.png",
}


def read(folder):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads((folder / "evaluation.json").read_text(), parse_constant=refuse)


def test_a_likelihood_is_judged_once(
    grainlight, invented, tmp_path, shell_model_folder
):
    out = tmp_path / "judged"
    words = ("evaluate", shell_model_folder, invented.folder, "--out", out)
    status, shown, _ = grainlight(*words)
    assert status == 0
    assert "NLL" in shown
    assert {path.name for path in out.iterdir()} == ALWAYS
    found = read(out)
    assert len(found["parameters"]) == 6
    assert found["posteriors"] is None
    assert found["as_smooth"] is False
    num = found["likelihood"]["num_objects"]
    assert f"{num} shells: NLL {found['likelihood']['nll']:.3f}" in shown
    table = Table.read(out / "bands.ecsv")
    assert len(table) == 38
    mae = found["likelihood"]["mae_mag"][table["band"][20]]
    assert table["mae_mag"][20] == pytest.approx(mae)
    status, _, error = grainlight(*words)
    assert status == 2
    assert "--overwrite" in error
    assert grainlight(*words, "--overwrite", "--seed", 8)[0] == 0
    assert read(out)["seed"] == 8


def test_shells_with_clumps_are_judged_with_them_or_as_if_smooth(
    grainlight, invented_clumps, tmp_path, clumpy_model_folder
):
    words = ("evaluate", clumpy_model_folder, invented_clumps.folder, "--out")
    assert grainlight(*words, tmp_path / "with", "--clumps")[0] == 0
    status, shown, _ = grainlight(*words, tmp_path / "without")
    assert status == 0
    assert "as if smooth" in shown
    found = [read(tmp_path / name) for name in ("with", "without")]
    assert [len(one["parameters"]) for one in found] == [7, 6]
    assert [one["as_smooth"] for one in found] == [False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objects", 5), "20 objects or more"),
        (("--objects", 300), "Expected at most"),
        (("--objects", -1), ""),
        (("--floor", 2), "floor"),
        (("--clumps",), "trained on shells with clumps"),
    ],
)
def test_bad_options_are_refused(
    grainlight, invented, tmp_path, shell_model_folder, options, message
):
    out = tmp_path / "new" / "out"
    words = ("evaluate", shell_model_folder, invented.folder, "--out", out)
    status, shown, error = grainlight(*words, *options)
    assert status == 2
    assert message in error
    assert "Traceback" not in error
    assert shown == ""
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused(
    grainlight, invented, tmp_path, shell_model_folder, clumpy_model_folder
):
    out = ("--out", tmp_path / "out")
    for words, message in (
        (("no-model", invented.folder), "packaged model"),
        ((shell_model_folder, tmp_path / "none"), "dataset.json"),
        ((clumpy_model_folder, invented.folder, "--clumps"), "have none"),
    ):
        status, _, error = grainlight("evaluate", *words, *out)
        assert status == 2
        assert message in error
        assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_posteriors_are_judged_too(
    grainlight, many_invented, tmp_path, shell_model_folder
):
    out = tmp_path / "judged"
    words = ("evaluate", shell_model_folder, many_invented.folder, "--out", out)
    status, shown, error = grainlight(*words, "--objects", 20)
    assert status == 0, error
    assert "20 posteriors" in shown
    assert "density ranks p" in shown
    table = Table.read(out / "parameters.ecsv")
    assert len(table) >= 6
    assert {path.name for path in out.iterdir()} >= {"ranks.png", "coverage.png"}
    assert read(out)["posteriors"]["num_objects"] == 20
