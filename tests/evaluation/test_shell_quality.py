"""Judgements of a shell model on data that it made itself, and on others."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grainlight.core import ParameterError, Samples, Status
from grainlight.datasets import Pairs
from grainlight.estimators.shell_model import ShellModel
from grainlight.evaluation import (
    judge_likelihood,
    judge_posteriors,
    make_mock_objects,
    posterior_quality,
)
from grainlight.photometry import jwst_filters
from grainlight.sampling.fit import Fit, FitSettings
from grainlight.simulators import SHELL_PARAMETERS, THESIS2023

FALSE_ALARM = 1e-6
NUM_OBJECTS = 600


@pytest.fixture(scope="module")
def model(shell_model_folder):
    return ShellModel.load(shell_model_folder)


@pytest.fixture(scope="module")
def pairs(model):
    """Magnitudes drawn from the model's own likelihood."""
    generator = np.random.default_rng(50)
    theta = np.asarray(
        SHELL_PARAMETERS.scale(
            jnp.asarray(THESIS2023.sample(generator, NUM_OBJECTS), float)
        ),
        float,
    )
    redshift = generator.uniform(*model.redshifts, (NUM_OBJECTS, 1))
    moments = jax.jit(jax.vmap(model.likelihood.moments))(
        jnp.asarray(theta, jnp.float32), jnp.asarray(redshift, jnp.float32)
    )
    noise = generator.normal(size=moments.mean.shape)
    x = np.asarray(moments.mean) + np.einsum(
        "oij,oj->oi", np.asarray(moments.factor), noise
    )
    temperature = jax.vmap(model.dust_temperature)(jnp.asarray(theta, jnp.float32))
    return Pairs(
        SHELL_PARAMETERS,
        theta,
        redshift,
        x,
        np.arange(NUM_OBJECTS),
        np.repeat(["thesis2023", "ansari2022"], NUM_OBJECTS // 2),
        {"dust_temperature": np.asarray(temperature, float)},
    )


def test_a_likelihood_is_reliable_on_its_own_data_and_on_no_other(model, pairs):
    exact = judge_likelihood(model, pairs, 1)
    wide = replace(
        pairs, x=pairs.x + 0.5 * np.random.default_rng(1).normal(size=(1, 38))
    )
    other = judge_likelihood(model, wide, 1)
    for found, reliable in ((exact, True), (other, False)):
        pvalue = [one.pvalue for one in found.reliability.values()]
        assert (min(pvalue) > FALSE_ALARM) is reliable
    assert exact.accuracy.nll < other.accuracy.nll
    assert exact.losses.mean == pytest.approx(exact.accuracy.nll)
    assert exact.words()["num_objects"] == NUM_OBJECTS
    seen = np.sum(pairs.x < 32, axis=0)
    np.testing.assert_array_equal(exact.errors.count, seen)


def test_an_empty_split_is_refused(model, pairs):
    columns = ("theta", "condition", "x", "parent", "prior")
    empty = replace(
        pairs,
        **{name: getattr(pairs, name)[:0] for name in columns},
        outcomes={"dust_temperature": np.zeros(0)},
    )
    with pytest.raises(ParameterError, match="test split"):
        judge_likelihood(model, empty, 1)


def test_mock_objects_are_what_a_fit_assumes(pairs):
    mocks = make_mock_objects(pairs, jwst_filters(), 200, seed=3, floor=0.1)
    assert mocks.is_full.sum() == 100
    sizes = np.array([len(one.bands) for one in mocks.observations])
    assert np.all((sizes == 38) == mocks.is_full)
    assert sizes.min() >= 3
    place = {name: i for i, name in enumerate(jwst_filters().names)}
    sigmas = []
    for one in mocks.observations:
        parent = int(one.name.split()[1])
        assert pairs.prior[parent] == "thesis2023"
        true = 10 ** (0.4 * (31.4 - pairs.x[parent, [place[b] for b in one.bands]]))
        bright = true > 12 * one.error  # never a limit
        error = np.hypot(one.error, 0.1 * true)
        sigmas.extend(((one.flux - true) / error)[bright])
    assert np.std(sigmas) == pytest.approx(1, abs=0.08)
    with pytest.raises(ParameterError, match="at most 300"):
        make_mock_objects(pairs, jwst_filters(), 301, seed=3, floor=0.1)


def made_up(truth, width):
    """In place of fits: draws as wide as `width` times their distance from the truth.

    With a width of one the truth is one more draw.
    """
    spread = 0.02 * np.array(THESIS2023.parameters.upper - THESIS2023.parameters.lower)
    generator = np.random.default_rng(9)

    def fit(key, model, observations, settings, progress):
        del key, progress
        fits = []
        for one, theta in zip(observations, truth, strict=True):
            center = theta + spread * generator.normal(size=theta.shape)
            noise = generator.normal(size=(200, theta.size))
            scaled = jnp.asarray(center + width * spread * noise, jnp.float32)
            samples = Samples(
                SHELL_PARAMETERS.unscale(scaled),
                jnp.zeros(200),
                Status.ok,
                SHELL_PARAMETERS,
                derived={"dust_temperature": jnp.full(200, 100.0)},
            )
            fits.append(
                Fit(
                    one,
                    Status.ok,
                    settings,
                    model.bands,
                    one.num_detected,
                    samples,
                    chi_squared=np.ones(200),
                )
            )
        return fits

    return fit


@pytest.mark.parametrize(("width", "calibrated"), [(1.0, True), (0.3, False)])
def test_posteriors_are_judged_by_the_truth(
    model, pairs, monkeypatch, width, calibrated
):
    objects = make_mock_objects(pairs, jwst_filters(), 200, seed=4, floor=0.5)
    cold = replace(objects, dust_temperature=np.full(200, np.nan))
    monkeypatch.setattr(
        posterior_quality, "fit_observations", made_up(objects.theta, width)
    )
    found = judge_posteriors(model, cold, FitSettings(floor=0.5), 5)
    pvalue = (found.ranks.adjusted_pvalue.min(), found.expected.pvalue)
    assert bool(min(pvalue) > FALSE_ALARM) is calibrated
    assert found.narrowed.adjusted_pvalue.min() < found.ranks.adjusted_pvalue.max()
    assert found.status == {"ok": 200}
    assert found.ranks.names == SHELL_PARAMETERS.names
    assert np.abs(found.offset[:, 4]).max() < 6 * 0.02 * 10_000
    assert 0 <= found.density.fraction.min() <= found.density.fraction.max() <= 1
    words = found.words()
    assert words["passed"] == words["num_judged"] == 200
