import json

import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ModelError
from grainlight.estimators import (
    Emulator,
    TrainingRecord,
    load_estimator,
    packaged_models,
    save_estimator,
)

THETA, EMPTY = np.linspace(0, 1, 20).reshape(10, 2), np.zeros((10, 0))


@pytest.fixture
def folder(tmp_path):
    emulator = Emulator.from_data(jr.key(0), THETA, EMPTY, THETA, widths=(4,))
    record = TrainingRecord(train_loss=[1.0], validation_loss=[0.5], best_epoch=0)
    save_estimator(tmp_path / "model", emulator, record, {"priors": ["thesis2023"]})
    return tmp_path / "model"


def test_a_saved_model_holds_words_and_weights_only(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "weights.npz",
    ]
    saved = load_estimator(folder)
    assert saved.record.best_loss == 0.5
    assert saved.meta["priors"] == ["thesis2023"]
    assert saved.versions["jax"]


def test_an_unknown_name_lists_the_packaged_models():
    with pytest.raises(ModelError, match="Packaged models: ") as caught:
        load_estimator("no-such-model")
    for name in packaged_models():
        assert name in str(caught.value)


@pytest.mark.parametrize("name", packaged_models())
def test_packaged_models_load(name):
    assert load_estimator(name).folder.name == name


@pytest.mark.parametrize("keep", [0, 10, 300, -30])
def test_truncated_weights_are_refused(folder, keep):
    path = folder / "weights.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"weights\.npz"):
        load_estimator(folder)


def test_a_pickle_in_place_of_weights_is_refused(folder):
    np.savez(folder / "weights.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ModelError, match=r"weights\.npz"):
        load_estimator(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Oracle"},
        {"format": 99},
        {"config": {}},
        {"config": {"num_feature": 2, "dim": "three"}},
    ],
)
def test_words_of_another_kind_are_refused(folder, change):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match="Expected"):
        load_estimator(folder)


def test_broken_words_are_refused(folder):
    (folder / "model.json").write_text('{"format": 1, ')
    with pytest.raises(ModelError, match="does not read"):
        load_estimator(folder)


def test_weights_of_another_architecture_are_refused(folder):
    path = folder / "model.json"
    words = json.loads(path.read_text())
    words["config"]["widths"] = [5]
    path.write_text(json.dumps(words))
    with pytest.raises(ModelError, match="of shape"):
        load_estimator(folder)


def test_what_is_no_estimator_is_not_saved(tmp_path):
    with pytest.raises(ModelError, match="Expected an estimator"):
        save_estimator(tmp_path / "model", np.ones(3))
    assert not (tmp_path / "model").exists()
