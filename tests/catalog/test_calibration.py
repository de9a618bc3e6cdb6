"""Simulated objects that others are laid beside: observed at random, made once."""

import jax.random as jr
import numpy as np
import pytest

from grainlight.catalog import calibrate_belonging, calibration, observe_at_random
from grainlight.core import ParameterError
from grainlight.estimators.belonging import FILE, Belonging
from grainlight.estimators.files import WORDS
from grainlight.estimators.shell_model import ShellModel


@pytest.fixture(scope="module")
def model(amortized_model_folder):
    return ShellModel.load(amortized_model_folder)


def test_objects_are_observed_under_any_conditions(model):
    objects = observe_at_random(jr.key(1), model, "thesis2023", 300, 0.05)
    counts = np.array([len(one.bands) for one in objects])
    assert counts.min() <= 3
    assert counts.max() == len(model.bands)
    assert any(one.num_limits for one in objects)
    assert any(one.num_limits == 0 for one in objects)
    assert {one.distance for one in objects} == {10.0}
    low, high = model.redshifts
    assert all(low <= one.redshift <= high for one in objects)
    again = observe_at_random(jr.key(1), model, "thesis2023", 300, 0.05)
    assert np.array_equal(objects[7].flux, again[7].flux)


@pytest.fixture
def pieces(monkeypatch):
    """Fits that cost nothing, and a note of each; the third is interrupted once."""
    done = []

    def fit_piece(key, model, prior, floor):
        if len(done) == 2 and "interrupted" not in done:
            done.append("interrupted")
            raise KeyboardInterrupt
        done.append(floor)
        return np.random.default_rng(int(1e3 * floor)).random((100, 7))

    monkeypatch.setattr(calibration, "_fit_piece", fit_piece)
    return done


def test_it_goes_on_where_it_was_interrupted(model, tmp_path, pieces):
    with pytest.raises(ParameterError, match="folder of your own"):
        calibrate_belonging(jr.key(1), model, tmp_path, 900)
    (tmp_path / WORDS).touch()
    with pytest.raises(KeyboardInterrupt):
        calibrate_belonging(jr.key(1), model, tmp_path, 900)
    assert not (tmp_path / FILE).exists()
    seen = []
    found = calibrate_belonging(
        jr.key(1), model, tmp_path, 900, progress=lambda *done: seen.append(done)
    )
    assert pieces == [0.0, 0.02, "interrupted", 0.05, 0.1]
    assert seen[-1] == (1000, 1000)
    assert len(found) == 400
    assert len(Belonging.load(tmp_path)) == 400
    assert {path.name for path in tmp_path.iterdir()} == {FILE, WORDS}


def test_a_model_without_an_amortized_posterior_is_refused(
    shell_model_folder, tmp_path
):
    model = ShellModel.load(shell_model_folder)
    with pytest.raises(ParameterError, match="grainlight amortize"):
        calibrate_belonging(jr.key(1), model, tmp_path, 1000)
