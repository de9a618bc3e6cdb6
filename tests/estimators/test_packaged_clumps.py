"""The packaged model against shells with clumps that it was not trained on."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grainlight.datasets import Dataset
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.shell_rows import likelihood_data
from grainlight.evaluation import GaussianPrediction, measure_reliability
from grainlight.photometry import jwst_filters

DATA = Path(__file__).parents[2] / "data" / "clumps"
ERROR, LEAST = 0.05, 0.01  # mag: of the photometry, and of the likelihood itself
FAINTEST = 32.0  # AB at 10 Mpc


@pytest.fixture(scope="module")
def model():
    return ShellModel.load("ccsn-dust")


@pytest.fixture(scope="module")
def pairs():
    if not DATA.exists():
        pytest.skip("the shells with clumps are not installed")
    return Dataset.open(DATA).pairs(jwst_filters(), split="test", variants=1, seed=5)


@pytest.fixture(scope="module")
def predicted(model, pairs):
    theta, condition, _ = likelihood_data(pairs)
    moments = jax.jit(jax.vmap(model.clumps.likelihood.moments))(theta, condition)
    return np.asarray(moments.mean, float), np.asarray(moments.factor, float)


def test_the_data_are_those_of_the_recipe(model, pairs):
    assert (
        Dataset.open(DATA).recipe.identity
        == (model.clumps.meta["datasets"][0]["dataset"])
    )
    assert len(pairs) == 174


def test_the_script_that_makes_the_model_asks_for_these_shells(model):
    script = (DATA.parents[1] / "scripts" / "make_ccsn_dust.sh").read_text()
    assert f"--num-parents {model.clumps.meta['num_parents']} --seed 2024" in script


@pytest.mark.parametrize(
    ("least", "most", "median"),
    [(0, 0.1, 0.004), (0.1, 1, 0.01), (1, 10, 0.03), (10, 300, 0.05)],
)
def test_magnitudes_are_near(model, predicted, pairs, least, most, median):
    depth = pairs.outcomes["optical_depth"]
    chosen = (depth >= least) & (depth < most)
    bright = pairs.x[chosen] < FAINTEST
    error = np.abs(predicted[0] - pairs.x)[chosen][bright]
    assert np.median(error) < median
    if least >= 0.1:  # negative control: as if they were smooth
        theta, condition, _ = likelihood_data(pairs)
        smooth = jax.vmap(lambda s, z: model.likelihood.moments(s[:6], z).mean)
        without = np.asarray(smooth(theta, condition), float) - pairs.x
        assert np.median(np.abs(without[chosen][bright])) > 2 * median


def test_dust_temperatures_are_near(model, pairs):
    scaled = jnp.asarray(pairs.theta, jnp.float32)
    found = np.asarray(jax.vmap(model.clumps.dust_temperature)(scaled))
    error = np.abs(found / pairs.outcomes["dust_temperature"] - 1)
    assert np.nanmedian(error) < 0.015
    assert np.nanquantile(error, 0.9) < 0.05


@pytest.mark.parametrize(("assumed", "accepted"), [(ERROR, True), (0.03, False)])
def test_scatters_are_right_under_errors(predicted, pairs, assumed, accepted):
    mean, factor = predicted
    rng = np.random.default_rng(8)
    observed = pairs.x + np.hypot(LEAST, ERROR) * rng.normal(size=pairs.x.shape)
    count, dim = pairs.x.shape
    white = np.broadcast_to(assumed * np.eye(dim), (count, dim, dim))
    wide = GaussianPrediction(mean, np.concatenate([factor, white], axis=2))
    some = rng.random(pairs.x.shape) < 0.5
    some[:, 0] = True
    for mask in (None, some):
        pvalue = measure_reliability(wide, observed, mask).pvalue
        assert (pvalue > 1e-5) == accepted
