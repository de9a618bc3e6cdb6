"""The command that trains an amortized posterior."""

import shutil
from functools import partial

import pytest

from grainlight.cli import amortize
from grainlight.estimators.amortized_training import AmortizedSizes
from grainlight.estimators.shell_model import ShellModel

TINY = partial(
    AmortizedSizes,
    num_held=100,
    num_components=3,
    widths=(8,),
    num_context=4,
    num_layers=2,
    width=8,
)


def test_nothing_goes_on_without_a_posterior(grainlight, shell_model_folder):
    status, _, error = grainlight("amortize", shell_model_folder, "--onward")
    assert status == 2
    assert "Leave out --onward" in " ".join(error.split())


@pytest.mark.slow
def test_a_posterior_is_trained_and_trained_on(
    grainlight, shell_model_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(amortize, "AmortizedSizes", TINY)
    folder = tmp_path / "model"
    shutil.copytree(shell_model_folder, folder)
    words = ("amortize", folder, "--minutes", 0.02, "--draws", 300)
    status, shown, _ = grainlight(*words, "--batch-size", 100)
    assert status == 0
    assert "the posterior is in" in shown
    first = ShellModel.load(folder).posterior
    assert first.prior == "thesis2023"
    monkeypatch.setattr(amortize, "AmortizedSizes", partial(TINY, widths=(8, 8)))
    assert grainlight(*words, "--batch-size", 50, "--onward")[0] == 0
    second = ShellModel.load(folder).posterior
    assert second.config()["posterior"]["widths"] == [8, 8]
