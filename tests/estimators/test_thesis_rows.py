"""The data of the thesis, made from shells of the data set of the tests."""

import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.estimators import LikelihoodEnsemble, TrainingSettings, named_preset
from grainlight.estimators.family import Family, train_family
from grainlight.estimators.presets import brightness_gain, shape_mixing
from grainlight.estimators.thesis_rows import (
    BANDS,
    SET_F,
    ThesisRows,
    thesis_parameters,
)
from grainlight.photometry import jwst_filters


def test_bands_are_those_of_the_thesis():
    usual = jwst_filters().names
    assert BANDS == tuple(b for b in usual if not b.endswith(("N", "W2")))
    assert len(BANDS) == 29
    assert len(SET_F) == 13
    assert set(SET_F) < set(BANDS)


def test_rows_are_of_one_prior_and_split_by_parent(invented, tmp_path):
    rows = {
        split: ThesisRows.read(invented, split, variants=2, seed=1)
        for split in ("train", "test")
    }
    assert not set(rows["train"].parent) & set(rows["test"].parent)
    train = rows["train"]
    parameters = thesis_parameters()
    assert np.all(train.theta > np.asarray(parameters.lower) - 1e-5)
    assert np.all(train.theta < np.asarray(parameters.upper) + 1e-5)
    assert np.all(np.unique(train.parent, return_counts=True)[1] == 2)
    few = ThesisRows.read(invented, "train", variants=1, seed=1, most=50)
    assert few.parent.max() < 50
    train.save(tmp_path / "rows.npz")
    np.testing.assert_array_equal(ThesisRows.load(tmp_path / "rows.npz").x, train.x)
    noisy = train.noisy(0.05, 3)
    assert np.std(noisy.x - train.x) == pytest.approx(0.05, rel=0.05)


def test_shells_with_clumps_are_refused(invented_clumps):
    with pytest.raises(ParameterError, match="smooth"):
        ThesisRows.read(invented_clumps, "train", variants=1, seed=1)


def test_a_brighter_shell_of_the_same_shape_has_the_same_features():
    """Mass and luminosity ten times as large at the same temperature."""
    parameters = thesis_parameters()
    at = np.array([-4.0, -1.0, 0.3, 2.5, 5.0, 6000.0, 0.01])
    moved = at.copy()
    moved[[0, 4]] += 1.0
    mixing = shape_mixing(parameters, 1)
    np.testing.assert_allclose(mixing @ at, mixing @ moved)
    moved[0] -= 1.0
    assert not np.allclose(mixing @ at, mixing @ moved)
    gain = brightness_gain(parameters, 3) @ (moved - at)[:-1]
    np.testing.assert_allclose(gain, -2.5)
    assert named_preset("dense").is_scale_free


@pytest.fixture
def trained(invented, tmp_path):
    """Trains a small ensemble of a blur for one epoch."""
    train, held = (
        ThesisRows.read(invented, split, variants=1, seed=1, most=40)
        for split in ("train", "test")
    )

    def run(blur):
        small = {"num_members": 2, "widths": (8,), "num_sources": 1, "blur": blur}
        return train_family(
            jr.key(1),
            Family("small", "ensemble", small),
            train,
            held,
            tmp_path / "small",
            TrainingSettings(num_epochs=1, batch_size=16),
            noise_mag=0.05,
        )

    return run


def test_an_ensemble_learns_with_the_noise_in_its_objective(trained, monkeypatch):
    monkeypatch.setattr(
        "grainlight.estimators.family.add_magnitude_noise",
        lambda noise: pytest.fail("noise was drawn as well"),
    )
    saved = trained((0.05, 0.05))
    assert isinstance(saved.estimator, LikelihoodEnsemble)
    assert saved.record.num_epochs == 1
    assert [one.blur for one in saved.estimator.members] == [(0.05, 0.05)] * 2


def test_noise_in_the_objective_is_that_of_the_magnitudes(trained):
    with pytest.raises(ParameterError, match=r"0\.05 mag, as the blur of small"):
        trained((0.02, 0.05))
