"""What clumps change: a part of the model beside smooth shells."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from grainlight.core import ModelError, ParameterError
from grainlight.datasets import Dataset
from grainlight.estimators import (
    EffectiveShell,
    GaussianLikelihood,
    TrainingSettings,
    fit_estimator,
)
from grainlight.estimators.clump_training import fold_of
from grainlight.estimators.mixing import Inputs
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.shell_rows import ShellRows, check_together
from grainlight.estimators.shell_training import Sizes, train_shell_model
from grainlight.networks import trainable
from grainlight.photometry import jwst_filters

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


def test_an_untrained_change_is_small(model):
    """A shell with clumps starts as the smooth shell of the same parameters."""
    smooth = model.likelihood.moments(SCALED, REDSHIFT).mean
    effective = model.clumps.likelihood.effective
    for filling in (0.01, 0.5):
        found = effective(whole(filling), REDSHIFT)
        assert 0 < np.abs(found - smooth).max() < 0.5


def test_the_smooth_shell_that_it_looks_like_is_asked(model):
    """Shifted features and a corrected source, by hand."""
    base = model.likelihood
    effective = model.clumps.likelihood.effective
    shift = jnp.array([0.3, -0.2, 0.1, 0.4, -0.5])
    constant = eqx.tree_at(
        lambda net: (
            *(net.shift.head.weight, net.shift.head.bias),
            *(net.change.weight, net.change.bias),
        ),
        effective,
        (
            jnp.zeros_like(effective.shift.head.weight),
            shift,
            jnp.zeros_like(effective.change.weight),
            jnp.zeros_like(effective.change.bias),
        ),
    )
    mixing = np.asarray(base.inputs.mixing)
    wanted = np.asarray(base.inputs.scaling.spread[:5] * shift)
    moved, *_ = np.linalg.lstsq(mixing[:5, :6], wanted, rcond=None)
    # at a fixed luminosity in Lsun, which the gain would change
    moved = moved + np.array([2, 0, 0, 2, 0, 1]) * -moved[3] / 2
    expected = base.moments(SCALED + jnp.asarray(moved), REDSHIFT).mean
    found = constant(whole(0.2), REDSHIFT)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    # a source that is a magnitude brighter makes the sum brighter, by no more
    brighter = eqx.tree_at(
        lambda net: net.change.bias,
        constant,
        constant.change.bias.at[: len(found)].set(-1 / base.outputs.scaling.spread),
    )
    gain = found - brighter(whole(0.2), REDSHIFT)
    assert np.all((gain > 0) & (gain <= 1 + 1e-4))


def test_residuals_come_on_top_of_the_mean(model):
    likelihood = model.clumps.likelihood
    theta, index = whole(0.2), jnp.array([3, 0, 37])
    mean = likelihood.effective(theta, REDSHIFT)
    left = likelihood.residual.moments(theta, REDSHIFT)
    found = likelihood.moments(theta, REDSHIFT)
    np.testing.assert_allclose(found.mean, mean + left.mean, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, left.covariance, rtol=1e-6)
    some, covariance = likelihood.moments_at(theta, REDSHIFT, index)
    np.testing.assert_allclose(some, found.mean[index], rtol=1e-6)
    np.testing.assert_allclose(
        covariance, found.covariance[index][:, index], rtol=1e-4, atol=1e-7
    )
    again, variance = likelihood.scatter_at(theta, REDSHIFT, index)
    np.testing.assert_allclose(again, some, rtol=1e-6)
    np.testing.assert_allclose(variance, jnp.diagonal(covariance), rtol=1e-4)
    x = found.mean + 0.1
    mask = jnp.arange(x.size) % 3 == 0
    exact = stats.multivariate_normal(
        np.asarray(found.mean, float)[mask],
        np.asarray(found.covariance, float)[np.ix_(mask, mask)],
    ).logpdf(np.asarray(x, float)[mask])
    assert likelihood.log_prob(x, theta, REDSHIFT, mask) == pytest.approx(
        exact, rel=1e-3
    )
    draws = jax.vmap(lambda key: likelihood.sample(key, theta, REDSHIFT))(
        jr.split(jr.key(1), 4_000)
    )
    error = np.sqrt(np.diagonal(found.covariance) / 4_000)
    assert np.all(np.abs(draws.mean(axis=0) - found.mean) < 5.5 * error)


def test_training_leaves_the_smooth_shells_alone(model):
    effective = model.clumps.likelihood.effective
    trained, _ = eqx.partition(effective, trainable(effective))
    assert jax.tree.leaves(trained.smooth) == []
    assert len(jax.tree.leaves(trained.shift)) > 0
    emulator = model.clumps.outcomes
    trained, _ = eqx.partition(emulator, trainable(emulator))
    assert jax.tree.leaves(trained.smooth) == []


@pytest.mark.slow
def test_what_clumps_change_is_learned():
    """A shell with clumps that is a smooth one of less dust, exactly."""
    rng = np.random.default_rng(2)
    theta = rng.uniform(-1, 1, (4_000, 3))
    theta[:, 2] = 0.5 * np.abs(theta[:, 2])
    condition = np.zeros((4_000, 0))

    def magnitudes(dust, heat):
        return np.stack([dust - heat, np.tanh(2 * dust) + heat, dust * heat], axis=1)

    columns = (theta[:, :2], condition, magnitudes(theta[:, 0], theta[:, 1]))
    settings = TrainingSettings(num_epochs=25, learning_rate=3e-3)
    table = tuple(jnp.asarray(column, jnp.float32) for column in columns)
    smooth = fit_estimator(
        jr.key(1),
        GaussianLikelihood.from_data(
            jr.key(2), *table, widths=(32, 32), blur=(0.01, 0.1), num_sources=2
        ),
        *(tuple(c[:3_000] for c in table), tuple(c[3_000:] for c in table)),
        settings,
    ).estimator
    shifted = magnitudes(theta[:, 0] * (0.2 + theta[:, 2]), theta[:, 1])
    few = [jnp.asarray(c, jnp.float32) for c in (theta, condition, shifted)]
    untrained = EffectiveShell(
        jr.key(3), smooth, Inputs.from_data(theta, condition), widths=(32, 32)
    )

    def error(net):
        found = jax.vmap(net)(*(column[2_000:] for column in few[:2]))
        return float(jnp.median(jnp.abs(found - few[2][2_000:])))

    trained = fit_estimator(
        jr.key(4),
        untrained,
        tuple(c[:1_000] for c in few),
        tuple(c[1_000:2_000] for c in few),
        TrainingSettings(num_epochs=60, batch_size=64, learning_rate=3e-3),
    ).estimator
    assert error(trained) < 0.02
    assert error(untrained) > 0.1  # negative control


def test_a_model_answers_for_smooth_shells_and_for_clumps(
    model, shell_model_folder, clumpy_model_folder
):
    assert not model.is_clumpy
    assert model.under(clumpy=False) is model
    clumpy = model.under(clumpy=True)
    assert clumpy is model.clumps
    assert clumpy.is_clumpy
    assert clumpy.largest_filling_factor == 0.5
    assert clumpy.under(clumpy=True) is clumpy
    with pytest.raises(ParameterError, match="the part of one that knows clumps"):
        clumpy.under(clumpy=False)
    assert clumpy.thesis_parameters(whole(0.3))[-1] == pytest.approx(0.3)
    assert model.thesis_parameters(SCALED).shape == (6,)
    assert clumpy.dust_temperature(whole(0.3)) > 0
    plain = ShellModel.load(shell_model_folder)
    with pytest.raises(ParameterError, match="trained on shells with clumps"):
        plain.under(clumpy=True)
    alone = ShellModel.load(clumpy_model_folder / "clumps")
    assert alone.is_clumpy
    assert alone.identity == clumpy.identity
    assert len({alone.identity, model.identity, plain.identity}) == 3


def test_folds_hold_whole_parents(invented_clumps):
    rows = ShellRows.read([invented_clumps], FILTERS, variants=[6], most=10_000)
    fold = fold_of(rows.train)
    parent = rows.train[0].parent
    assert len(fold) == len(parent)
    assert set(fold) == {0, 1, 2, 3, 4}
    for one in np.unique(parent):
        assert len(set(fold[parent == one])) == 1


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


SETTINGS = TrainingSettings(num_epochs=2, batch_size=64, anneal_fraction=0.5)
SIZES = Sizes((8,), (8,), variants=(4,))


@pytest.mark.slow
def test_both_kinds_are_trained(invented, invented_clumps, tmp_path):
    both = [invented, invented_clumps]
    sizes = replace(SIZES, variants=(1, 4))
    model = train_shell_model(jr.key(0), both, tmp_path / "out", SETTINGS, sizes=sizes)
    assert not model.is_clumpy
    assert model.clumps.largest_filling_factor == 0.5
    assert model.density.box.lower.shape == (6,)
    assert model.clumps.density.box.upper[-1] == 0.5
    assert [one["variants"] for one in model.meta["datasets"]] == [1]
    assert [one["variants"] for one in model.clumps.meta["datasets"]] == [4]
    same = train_shell_model(
        jr.key(0), invented, tmp_path / "smooth", SETTINGS, sizes=replace(SIZES)
    )
    assert same.clumps is None
    # clumps are added to a model that is there, and change nothing of it
    added = train_shell_model(
        jr.key(0),
        invented_clumps,
        tmp_path / "added",
        SETTINGS,
        sizes=SIZES,
        smooth=model,
    )
    assert added.identity == model.identity
    assert added.clumps.is_clumpy


def test_smooth_shells_are_wanted_once(
    invented, invented_clumps, tmp_path, clumpy_model_folder
):
    model = ShellModel.load(clumpy_model_folder)

    def train(data, smooth, sizes=SIZES):
        folder = tmp_path / "out"
        train_shell_model(jr.key(0), data, folder, SETTINGS, sizes=sizes, smooth=smooth)

    with pytest.raises(ParameterError, match="got neither"):
        train(invented_clumps, None)
    with pytest.raises(ParameterError, match="got both"):
        train([invented, invented_clumps], model)
    with pytest.raises(ParameterError, match="knows only clumps"):
        train(invented_clumps, model.clumps)
    with pytest.raises(ParameterError, match="Expected variants"):
        train([invented, invented_clumps], None, replace(SIZES, variants=(1, 2, 3)))
    assert not (tmp_path / "out").exists()


def test_a_change_needs_sources_and_noise(model):
    plain = GaussianLikelihood.from_data(
        jr.key(0), np.ones((3, 2)), np.ones((3, 1)), np.ones((3, 4)), widths=(4,)
    )
    with pytest.raises(ModelError, match="adds sources"):
        EffectiveShell(jr.key(0), plain, plain.inputs)
