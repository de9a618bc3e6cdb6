"""The packaged model against shells simulated for this test.

Their seed is none that the model was trained with: every split of them is new to it.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import kstest

from grainlight.core import Status
from grainlight.datasets import Dataset, Recipe, generate
from grainlight.estimators.belonging import Belonging
from grainlight.estimators.files import find_model
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.shell_rows import likelihood_data
from grainlight.evaluation import GaussianPrediction, measure_reliability
from grainlight.photometry import jwst_filters, read_observations
from grainlight.report import trust_of
from grainlight.sampling.fit import fit_observations

ERROR = 0.05  # mag
FAINTEST = 32.0  # AB at 10 Mpc
EXAMPLE = Path(__file__).parents[2] / "examples" / "sn2017eaw.ecsv"


@pytest.fixture(scope="module")
def model():
    return ShellModel.load("ccsn-dust")


@pytest.fixture(scope="module")
def predicted(model, tmp_path_factory):
    """Moments of the model and the magnitudes that were simulated."""
    folder = tmp_path_factory.mktemp("fresh") / "parents"
    generate(folder, Recipe(300, 90_210, {"thesis2023": 0.75, "ansari2022": 0.25}))
    pairs = Dataset.open(folder).pairs(
        jwst_filters(), split="train", variants=1, seed=5
    )
    theta, condition, x = likelihood_data(pairs)
    moments = jax.jit(jax.vmap(model.likelihood.moments))(theta, condition)
    mean, factor = np.asarray(moments.mean, float), np.asarray(moments.factor, float)
    return mean, factor, np.asarray(x, float)


def test_magnitudes_of_new_shells_are_near(predicted):
    mean, _, x = predicted
    error = np.where(x < FAINTEST, mean - x, np.nan)
    assert len(x) > 200
    assert np.max(np.nanmedian(np.abs(error), axis=0)) < 0.01
    assert np.nanquantile(np.abs(error), 0.99) < 0.1


@pytest.mark.parametrize(("assumed", "accepted"), [(ERROR, True), (0.03, False)])
def test_scatters_of_new_shells_are_right_under_errors(predicted, assumed, accepted):
    mean, factor, x = predicted
    rng = np.random.default_rng(8)
    # the density of the model is that of magnitudes with its least noise
    noise = np.hypot(0.01, ERROR)
    observed = x + noise * rng.normal(size=x.shape)
    count, dim = x.shape
    white = np.broadcast_to(assumed * np.eye(dim), (count, dim, dim))
    wide = GaussianPrediction(mean, np.concatenate([factor, white], axis=2))
    some = rng.random(x.shape) < 0.5
    some[:, 0] = True
    for mask in (None, some):
        pvalue = measure_reliability(wide, observed, mask).pvalue
        assert (pvalue > 1e-4) == accepted


@pytest.mark.slow
def test_sn_2017eaw_has_a_posterior_that_is_not_to_be_trusted(model):
    observation = read_observations(EXAMPLE).observations[0]
    fit = fit_observations(jr.key(4), model, [observation])[0]
    assert bool(fit.status == Status.ok)
    mass = float(jnp.median(fit.samples.theta[:, 0]))
    assert 4.2e-4 < mass < 5.2e-4
    temperature = float(jnp.median(fit.samples.derived["dust_temperature"]))
    assert 165 < temperature < 180
    trust = trust_of(fit)
    assert trust.verdict == "do not trust"
    assert any("does not fit" in fault for fault in trust.faults)


@pytest.mark.parametrize(("shift", "belongs"), [(0.0, True), (-10.0, False)])
def test_packaged_objects_are_seldom_called_unusual(shift, belongs):
    """One half laid beside the other: at most 5 % below 5 %; more if improbable."""
    whole = Belonging.load(find_model("ccsn-dust"))
    parts = (whole.features, whole.fit, whole.density)
    known = Belonging(*(part[::2] for part in parts), whole.prior)
    others = zip(*(part[1::2] for part in parts), strict=True)
    scores = [known.place(f, fit, density + shift) for f, fit, density in others]
    assert kstest([one.fit for one in scores], "uniform").pvalue > 1e-4
    pvalue = kstest([one.density for one in scores], "uniform").pvalue
    assert (pvalue > 1e-4) == belongs
    flagged = np.mean([one.probability < 0.05 for one in scores])
    assert (flagged < 0.065) == belongs  # of 1,729: 3 sigma
