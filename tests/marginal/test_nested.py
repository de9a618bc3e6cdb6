"""Nested samplers with a learned or exact density as their prior."""

import importlib.util

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ParameterError, SimulatorMissingError
from grainlight.marginal import (
    NormalDensity,
    run_blackjax,
    run_dynesty,
    run_nautilus,
)

# B's data given the posterior of A: ln Z_AB / Z_A of the two linear experiments
VARIANCE = 1 / (1 / 4 + 1 / 0.26)
FIRST = NormalDensity.of([VARIANCE * 1.0 / 0.26], [[VARIANCE]])
# the same beside a parameter that no likelihood sees: nautilus takes no single one
WIDER = NormalDensity.of([VARIANCE * 1.0 / 0.26, 0.0], [[VARIANCE, 0.0], [0.0, 1.0]])
EXACT, MEAN, SPREAD = -2.772280 + 1.760944, 1.370310, 0.291254
RUNS = {"dynesty": run_dynesty, "nautilus": run_nautilus}


def log_likelihood(theta):
    return -0.5 * ((1.6 - theta[0]) ** 2 / 0.13 + jnp.log(2 * jnp.pi * 0.13))


def check(run):
    assert abs(run.log_evidence.value - EXACT) < 5 * run.log_evidence.error
    assert run.log_evidence.error < 0.2
    mean = run.chains.weight @ run.chains.theta[:, 0]
    spread = np.sqrt(run.chains.weight @ (run.chains.theta[:, 0] - mean) ** 2)
    assert mean == pytest.approx(MEAN, abs=0.08)
    assert spread == pytest.approx(SPREAD, abs=0.06)
    assert run.num_calls > 0


@pytest.mark.slow
def test_blackjax_takes_the_posterior_of_one_as_the_prior_of_the_next():
    run = run_blackjax(jr.key(1), log_likelihood, FIRST, ("theta",), num_live=200)
    check(run)
    assert run.chains.order == "nested"
    assert run.chains.draw_weights(np.random.default_rng(0), 3) is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_samplers_of_the_extra_do_too(name):
    pytest.importorskip(name)
    names = ("theta", "unseen")
    check(RUNS[name](jr.key(1), log_likelihood, WIDER, names, num_live=200))


def test_one_parameter_alone_is_not_for_nautilus():
    with pytest.raises(ParameterError, match="2 parameters or more for nautilus"):
        run_nautilus(jr.key(1), log_likelihood, FIRST, ("theta",))


@pytest.mark.parametrize("name", RUNS)
def test_what_is_not_installed_is_said(name):
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    with pytest.raises(SimulatorMissingError, match=r"grainlight\[nested\]"):
        RUNS[name](jr.key(1), log_likelihood, WIDER, ("theta", "unseen"))
