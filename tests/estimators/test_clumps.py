"""The clump filling factor as a parameter: fixed, learned beside smooth shells."""

import json
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ModelError, ParameterError
from grainlight.datasets import Dataset, write_rows
from grainlight.estimators import TrainingSettings
from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.shell_rows import ShellRows, check_together
from grainlight.estimators.shell_training import Sizes, train_shell_model
from grainlight.photometry import jwst_filters
from grainlight.simulators import SMOOTH

FILTERS = jwst_filters().subset(["F200W", "F444W", "F1000W"])
SCALED = jnp.array([-4.0, -1.0, 0.5, 5.0, 6000.0, 17.0])
REDSHIFT = jnp.array([0.004])


@pytest.fixture(scope="module")
def model(clumpy_model_folder):
    return ShellModel.load(clumpy_model_folder)


def whole(filling):
    return jnp.append(SCALED, filling)


def test_softened_inputs_enter_as_logarithms():
    table = np.array([[1.0, 0.0], [3.0, 0.09], [5.0, 0.99]])
    inputs = Inputs.from_data(
        table, np.zeros((3, 0)), softening=np.array([np.nan, 0.01])
    )
    raw = np.stack([table[:, 0], np.log10(table[:, 1] + 0.01)], axis=1)
    expected = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    found = [inputs(jnp.asarray(row), jnp.zeros(0)) for row in table]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    gradient = jax.grad(lambda row: jnp.sum(inputs(row, jnp.zeros(0))))(
        jnp.asarray(table[0])
    )
    assert np.isfinite(gradient).all()


def test_outputs_keep_the_effect_of_what_is_fixed():
    rng = np.random.default_rng(0)
    theta, gain = rng.normal(size=(50, 3)), rng.normal(size=(2, 3))
    outputs = Outputs.from_data(theta, rng.normal(size=(50, 2)), gain)
    fixed = outputs.fixed(1, 0.7)
    row = jnp.array([0.2, 0.7, -1.0])
    y = jnp.array([0.3, -0.4])
    found = fixed.restore(y, jnp.delete(row, 1))
    np.testing.assert_allclose(found, outputs.restore(y, row), rtol=1e-5)


def test_a_fixed_parameter_changes_nothing_but_the_number_of_them(model):
    for value in (0.2, SMOOTH):
        fixed = model.likelihood.fixed(6, value)
        assert (fixed.num_param, fixed.num_cond) == (6, 1)
        expected = model.likelihood.moments(whole(value), REDSHIFT)
        found = fixed.moments(SCALED, REDSHIFT)
        np.testing.assert_allclose(found.mean, expected.mean, atol=2e-5)
        np.testing.assert_allclose(found.factor, expected.factor, atol=2e-5)
        temperature = model.outcomes.fixed(6, value)(SCALED, jnp.zeros(0))
        np.testing.assert_allclose(
            temperature, model.outcomes(whole(value), jnp.zeros(0)), atol=1e-5
        )
    other = model.likelihood.moments(whole(0.2), REDSHIFT)
    assert np.abs(other.mean - expected.mean).max() > 1e-3


def test_a_model_answers_for_smooth_shells_and_for_clumps(
    model, shell_model_folder, clumpy_model_folder
):
    assert model.knows_clumps
    assert model.under(clumpy=True) is model
    smooth = model.under(clumpy=False)
    assert not smooth.knows_clumps
    assert smooth.under(clumpy=False) is smooth
    np.testing.assert_allclose(
        smooth.dust_temperature(SCALED),
        model.dust_temperature(whole(SMOOTH)),
        rtol=1e-4,
    )
    assert model.thesis_parameters(whole(0.3))[-1] == pytest.approx(0.3)
    assert smooth.thesis_parameters(SCALED).shape == (6,)
    plain = ShellModel.load(shell_model_folder)
    assert plain.under(clumpy=False) is plain
    with pytest.raises(ParameterError, match="trained on shells with clumps"):
        plain.under(clumpy=True)
    assert plain.identity != model.identity


def test_a_model_of_clumps_alone_is_not_asked_for_smooth_shells(
    clumpy_model_folder, tmp_path
):
    folder = shutil.copytree(clumpy_model_folder, tmp_path / "model")
    words = json.loads((folder / "model.json").read_text())
    words["meta"]["smooth"] = False
    (folder / "model.json").write_text(json.dumps(words))
    shutil.rmtree(folder / "density")
    alone = ShellModel.load(folder)
    assert alone.density is None
    with pytest.raises(ParameterError, match="knows only clumps"):
        alone.under(clumpy=False)
    shutil.rmtree(folder / "density-clumpy")
    with pytest.raises(ModelError, match="Expected a folder"):
        ShellModel.load(folder)


def test_smooth_shells_are_filled_by_one_clump(invented, invented_clumps, tmp_path):
    both = [invented, invented_clumps]
    rows = ShellRows.read(both, FILTERS, variants=[2, 6], most=10_000)
    assert rows.clumpy
    theta, _, _ = rows.likelihood(tmp_path / "none", block_size=100)
    filling = np.asarray(theta[:, 6])
    num_smooth = len(rows.train[0])
    assert np.all(filling[:num_smooth] == SMOOTH)
    assert np.all((filling[num_smooth:] >= 0) & (filling[num_smooth:] <= 0.5))
    assert len(np.unique(filling[num_smooth:])) == len(rows.train[1]) // 6
    # parents with three times the variants count three times
    parents = [
        np.isfinite(some.outcomes["dust_temperature"]).sum() // count
        for some, count in zip(rows.train, (2, 6), strict=True)
    ]
    assert len(rows.outcomes(rows.train)[0]) == parents[0] + 3 * parents[1]


def test_rows_of_both_are_streamed_together(invented, invented_clumps, tmp_path):
    both = [invented, invented_clumps]
    memory = ShellRows.read(both, FILTERS, variants=[2, 6], most=10_000)
    expected = np.concatenate(memory.likelihood(tmp_path, block_size=1), axis=1)
    streamed = ShellRows.read(both, FILTERS, variants=[2, 6], most=1)
    blocks = streamed.likelihood(tmp_path / "rows", block_size=10_000)
    found = np.concatenate(blocks.block(0), axis=1)
    assert found.shape == expected.shape
    for columns in (found, expected):
        columns[:] = columns[np.lexsort(columns.T)]
    np.testing.assert_array_equal(found, expected)
    alone = write_rows(
        tmp_path / "alone", [(invented, 2)], FILTERS, split="train", seed=0
    )
    assert alone.columns == (6, 1, 3)


def test_data_sets_of_other_simulators_are_not_mixed(
    invented, invented_clumps, tmp_path
):
    def other(data, **change):
        simulator = replace(data.recipe.simulator, **change)
        return Dataset(tmp_path, replace(data.recipe, simulator=simulator))

    check_together([invented, invented_clumps])
    check_together([invented, other(invented_clumps, clump_edge=0.05)])
    check_together([invented_clumps, other(invented_clumps, clumps_mirrored=True)])
    with pytest.raises(ParameterError, match="one simulator"):
        check_together([invented_clumps, other(invented_clumps, clump_edge=0.05)])
    with pytest.raises(ParameterError, match="one simulator"):
        check_together([invented, other(invented_clumps, inner=0.5)])


@pytest.mark.slow
def test_both_kinds_are_trained_together(invented, invented_clumps, tmp_path):
    sizes = Sizes((8,), (8,), variants=(1, 4))
    settings = TrainingSettings(num_epochs=2, batch_size=64, anneal_fraction=0.5)
    both = [invented, invented_clumps]
    model = train_shell_model(jr.key(0), both, tmp_path / "out", settings, sizes=sizes)
    assert model.knows_clumps
    assert model.largest_filling_factor == 0.5
    assert model.density.box.lower.shape == (6,)
    assert model.clumpy_density.box.upper[-1] == 0.5
    assert [one["variants"] for one in model.meta["datasets"]] == [1, 4]
    assert model.meta["num_parents"] == 370
    sizes = replace(sizes, variants=(4,))
    alone = train_shell_model(
        jr.key(0), invented_clumps, tmp_path / "alone", settings, sizes=sizes
    )
    assert alone.density is None
