"""The command that describes a data set."""

import json

import pytest

FILES = {"card.json", "filters.png", "parameters.png", "undetected.png", "variants.png"}


def test_a_card_is_written_once(grainlight, invented, tmp_path):
    out = tmp_path / "card"
    words = ("describe", invented.folder, "--out", out, "--variants", 2)
    status, printed, _ = grainlight(*words)
    assert status == 0
    assert "330 parents, 660 rows" in printed
    assert {path.name for path in out.iterdir()} == FILES
    status, _, error = grainlight(*words)
    assert status == 2
    assert "--overwrite" in error
    status, _, _ = grainlight(*words[:-1], 3, "--overwrite")
    assert status == 0
    assert json.loads((out / "card.json").read_text())["num_rows"] == 990


@pytest.mark.parametrize(
    ("case", "message"), [("empty", "readable dataset.json"), ("short", "are missing")]
)
def test_what_is_no_data_set_is_refused(grainlight, invented, tmp_path, case, message):
    data = tmp_path / "data"
    data.mkdir()
    if case == "short":
        (data / "dataset.json").write_bytes(
            (invented.folder / "dataset.json").read_bytes()
        )
    status, _, error = grainlight("describe", data, "--out", tmp_path / "out")
    assert status == 2
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()
