"""The model of shells on disk, and the folders it may be trained in."""

import shutil

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ModelError, OutputExistsError, ParameterError
from grainlight.datasets import Dataset, Recipe
from grainlight.datasets.generate import make_shard
from grainlight.estimators import TrainingSettings
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.shell_rows import ShellRows
from grainlight.estimators.shell_training import train_shell_model
from grainlight.photometry import jwst_filters

SCALED = jnp.array([-4.0, -1.0, 0.5, 5.0, 6000.0, 17.0])


@pytest.fixture
def copy(shell_model_folder, tmp_path):
    return shutil.copytree(shell_model_folder, tmp_path / "model")


def test_a_model_is_loaded_whole(shell_model_folder):
    model = ShellModel.load(shell_model_folder)
    assert len(model.bands) == 38
    assert model.redshifts == (1e-4, 0.015)
    temperature = float(model.dust_temperature(SCALED))
    assert 10 < temperature < 1000
    thesis = np.asarray(model.thesis_parameters(SCALED))
    expected = [-4.0, -1.0, 0.5, np.log10(temperature), 5.0, 6000.0]
    np.testing.assert_allclose(thesis, expected, rtol=1e-5)


def test_the_identity_tells_models_apart(copy):
    before = ShellModel.load(copy).identity
    assert ShellModel.load(copy).identity == before
    words = copy / "density" / "model.json"
    words.write_text(words.read_text() + "\n")
    assert ShellModel.load(copy).identity != before


def test_parts_that_are_missing_or_exchanged_are_refused(copy):
    shutil.rmtree(copy / "density")
    with pytest.raises(ModelError, match="Expected a folder"):
        ShellModel.load(copy)
    shutil.copytree(copy / "outcomes", copy / "density")
    with pytest.raises(ModelError, match="kind FlowDensity"):
        ShellModel.load(copy)
    with pytest.raises(ModelError, match="without bands"):
        ShellModel.load(copy / "outcomes")


def test_training_spares_other_folders_and_small_data_sets(tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    recipe = Recipe(1, seed=1)
    recipe.save(data)
    make_shard(data, recipe, 0)
    dataset, settings = Dataset.open(data), TrainingSettings(num_epochs=1)
    with pytest.raises(ParameterError, match="Simulate more"):
        train_shell_model(jr.key(0), dataset, out, settings)
    assert not out.exists()
    with pytest.raises(ParameterError, match="variants for each of 1 data sets"):
        ShellRows.read([dataset], jwst_filters(), variants=[1, 2], most=1)
    with pytest.raises(OutputExistsError, match="other files"):
        train_shell_model(jr.key(0), dataset, data, settings)
    (out / "checkpoints").mkdir(parents=True)
    (out / "checkpoints" / "datasets.json").write_text('[{"dataset": "other"}]')
    with pytest.raises(OutputExistsError, match="data sets"):
        train_shell_model(jr.key(0), dataset, out, settings)
