"""The posterior of exact data under a member of a family, with and without a mask."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import Parameter, ParameterError, Parameters
from grainlight.estimators import (
    ChosenBands,
    FlowDensity,
    GaussianLikelihood,
    LikelihoodEnsemble,
)
from grainlight.sampling import ExactData, FamilyTarget

RNG = np.random.default_rng(0)
NAMES = ("first", "hidden", "last")
PARAMETERS = Parameters(tuple(Parameter(name, 0.0, 1.0) for name in NAMES))
THETA, CONDITION = RNG.uniform(size=(30, 3)), RNG.uniform(size=(30, 1))
X = RNG.normal(size=(30, 4))
MIXING = np.delete(np.eye(4), 1, axis=0)
VISIBLE = ("first", "last")


@pytest.fixture(scope="module")
def likelihood():
    return GaussianLikelihood.from_data(
        jr.key(0), THETA, CONDITION, X, mixing=MIXING, widths=(8,)
    )


@pytest.fixture(scope="module")
def prior():
    table = THETA[:, [0, 2]]
    return FlowDensity.from_data(
        jr.key(1), table, np.zeros(2), np.ones(2), num_layers=1, width=4
    )


def test_visible_parameters_stand_where_the_likelihood_has_them(likelihood, prior):
    target = FamilyTarget(ChosenBands(likelihood), prior, PARAMETERS, VISIBLE)
    assert target.parameters.names == VISIBLE
    data = ExactData(jnp.asarray(X[0]), jnp.asarray(CONDITION[0]))
    found = target.log_likelihood(jnp.array([0.2, 0.7]), data)
    exact = likelihood.log_prob(data.x, jnp.array([0.2, 0.9, 0.7]), data.condition)
    assert float(found) == pytest.approx(float(exact), rel=1e-5)
    swapped = target.log_likelihood(jnp.array([0.7, 0.2]), data)
    assert float(swapped) != pytest.approx(float(exact), rel=1e-5)
    draws = target.sample_prior(jr.key(2), 5)
    assert draws.shape == (5, 2)
    assert np.isfinite(target.log_prior(draws[0]))


def test_a_mask_leaves_out_what_is_not_there(likelihood, prior):
    target = FamilyTarget(ChosenBands(likelihood), prior, PARAMETERS, VISIBLE)
    chosen = FamilyTarget(ChosenBands(likelihood, (0, 2)), prior, PARAMETERS, VISIBLE)
    at, mask = jnp.array([0.2, 0.7]), jnp.array([True, False, True, False])
    data = ExactData(jnp.asarray(X[0]), jnp.asarray(CONDITION[0]), mask)
    some = float(target.log_likelihood(at, data))
    same = float(chosen.log_likelihood(at, ExactData(data.x, data.condition)))
    assert some == pytest.approx(same, abs=1e-4)


def test_one_member_of_an_ensemble_shows_the_way(likelihood, prior):
    other = GaussianLikelihood.from_data(
        jr.key(3), THETA, CONDITION, X, mixing=MIXING, widths=(8,)
    )
    at = jnp.array([0.2, 0.7])
    data = ExactData(jnp.asarray(X[0]), jnp.asarray(CONDITION[0]))
    for chosen in ((), (0, 2)):
        both = ChosenBands(LikelihoodEnsemble([likelihood, other]), chosen)
        target = FamilyTarget(both, prior, PARAMETERS, VISIBLE)
        alone = FamilyTarget(
            ChosenBands(likelihood, chosen), prior, PARAMETERS, VISIBLE
        )
        draft = float(target.log_draft(at, data))
        assert draft == pytest.approx(float(alone.log_likelihood(at, data)), rel=1e-5)
        assert draft == pytest.approx(float(alone.log_draft(at, data)), rel=1e-5)
        assert draft != pytest.approx(float(target.log_likelihood(at, data)), rel=1e-5)


def test_a_prior_of_other_parameters_is_refused(likelihood, prior):
    with pytest.raises(ParameterError, match="just these"):
        FamilyTarget(ChosenBands(likelihood), prior, PARAMETERS, NAMES)
