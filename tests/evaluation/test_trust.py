"""The verdict on a fit, and its reasons."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from grainlight.core import Diagnostics, Parameter, Parameters, Samples, Status
from grainlight.estimators.belonging import BelongingScore
from grainlight.evaluation import judge_fit, predictive_probability
from grainlight.simulators import FILLING

PARAMETERS = Parameters(
    (
        Parameter("mass", 1e-6, 1e-1, "Msun", "log10"),
        Parameter("silicate_fraction", 0.0, 1.0),
        Parameter("temperature", 4000.0, 14000.0, "K"),
    )
)
GENERATOR = np.random.default_rng(17)
NUM_DRAWS = 4_000
NOISE = GENERATOR.normal(size=NUM_DRAWS)
UNIFORM = GENERATOR.random(NUM_DRAWS)
GOOD = GENERATOR.chisquare(8, NUM_DRAWS)


def fit(
    mass=None,
    temperature=None,
    status=Status.ok,
    chi_squared=GOOD,
    filling=None,
    depth=None,
    **settings,
):
    columns = [
        10 ** (-3 + 0.2 * NOISE) if mass is None else mass,
        1 - 0.1 * UNIFORM**2,
        9000 + 300 * NOISE if temperature is None else temperature,
    ]
    diagnostics = Diagnostics(
        rhat=jnp.array([1.001, 1.004, 1.002]),
        ess_bulk=jnp.array([1840.0, 2000.0, 3000.0]),
        ess_tail=jnp.array([1900.0, 1560.0, 3000.0]),
        ess_chain=jnp.array([200.0, 300.0, 400.0]),
        acceptance=jnp.array(0.3),
    )
    parameters = PARAMETERS
    if filling is not None:
        columns.append(filling)
        parameters = Parameters((*parameters.members, FILLING))
    samples = Samples(
        theta=jnp.asarray(np.stack(columns, axis=1)),
        log_weight=jnp.zeros(NUM_DRAWS),
        status=status,
        parameters=parameters,
        derived={} if depth is None else {"optical_depth": jnp.asarray(depth)},
        num_chains=4,
        diagnostics=diagnostics,
    )
    return judge_fit(samples, chi_squared, 8, floor_mag=0.0543, **settings)


def test_a_good_fit_is_ok_and_carries_the_worst_of_each_diagnostic():
    trust = fit()
    assert trust.verdict == "ok"
    assert trust.faults == trust.warnings == ()
    assert trust.rhat == pytest.approx(1.004)
    assert (trust.ess_bulk, trust.ess_tail, trust.ess_chain) == (1840, 1560, 200)
    assert trust.chi_squared == pytest.approx(GOOD.min())
    assert trust.floor_percent == pytest.approx(5, rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"chi_squared": np.full(NUM_DRAWS, 40.0)}, "does not fit these data"),
        ({"status": Status.not_converged}, "chains disagree"),
        ({"status": Status.low_ess}, "Too few effective draws"),
        ({"inside_range": False}, "outside the training range"),
    ],
)
def test_each_fault_is_enough_and_is_said_in_words(settings, reason):
    trust = fit(**settings)
    assert trust.verdict == "do not trust"
    assert len(trust.faults) == 1
    assert reason in trust.faults[0]


def test_a_poor_fit_calls_for_caution():
    chi_squared = np.full(NUM_DRAWS, stats.chi2.isf(0.005, 8))
    trust = fit(chi_squared=chi_squared)
    assert trust.verdict == "caution"
    assert "0.005" in trust.warnings[0]


def test_a_posterior_against_a_bound_calls_for_caution():
    low = 10 ** (-6 + 0.3 * np.abs(NOISE))
    trust = fit(mass=low)
    assert trust.verdict == "caution"
    assert "mass pile up at its lower edge, 1e-06 Msun" in trust.warnings[0]
    high = np.minimum(14000 - 300 * np.abs(NOISE), 14000)
    assert "upper edge, 14000 K" in fit(temperature=high).warnings[0]


@pytest.mark.parametrize("distance", [2.0, 3.0])
def test_a_posterior_close_to_a_bound_does_not_pile_up(distance):
    scaled = -6 + np.abs(distance + NOISE) * 0.02
    assert fit(mass=10**scaled).at_edge == ()


def test_the_ends_of_a_fraction_are_no_fault_of_the_range():
    assert not any("silicate" in text for text in fit().warnings)


def test_a_parameter_that_keeps_its_prior_is_named_without_harm():
    trust = fit(temperature=4000 + 10000 * UNIFORM)
    assert trust.unconstrained == ("temperature",)
    assert trust.at_edge == ()
    assert trust.verdict == "ok"
    assert "hardly constrain temperature" in trust.warnings[0]
    narrow = fit(prior_sd={"temperature": 310.0})
    assert narrow.unconstrained == ("temperature",)


def test_a_failed_run_is_judged_without_failing():
    nothing = np.full(NUM_DRAWS, np.nan)
    trust = fit(
        mass=nothing, temperature=nothing, status=Status.nonfinite, chi_squared=nothing
    )
    assert trust.verdict == "do not trust"
    assert np.isnan(trust.predictive_probability)


def test_predictive_probability_is_exact_for_one_draw_and_follows_weights():
    value = np.array([8.0, 40.0])
    exact = stats.chi2.sf(value, 8)
    assert predictive_probability(value[:1], 8) == pytest.approx(exact[0])
    weighted = predictive_probability(value, 8, np.array([1.0, 3.0]))
    assert weighted == pytest.approx((exact[0] + 3 * exact[1]) / 4)
    assert np.isnan(predictive_probability(value, 0))


def test_predictive_probability_is_rarely_small_if_the_model_is_right():
    # a Gaussian mean of eight unit-variance values under a flat prior
    data = GENERATOR.normal(size=(2_000, 8))
    least = np.sum((data - data.mean(axis=1, keepdims=True)) ** 2, axis=1)
    extra = GENERATOR.chisquare(1, (2_000, 50))
    found = [
        predictive_probability(a + b, 8) for a, b in zip(least, extra, strict=True)
    ]
    assert np.mean(np.array(found) < 0.01) < 0.02


@pytest.mark.parametrize(
    ("filling", "depth", "cautious"),
    [
        (0.25 + 0.02 * NOISE, 10 ** (1.0 + 0.3 * NOISE), True),
        (0.25 + 0.02 * NOISE, 10 ** (0.2 + 0.3 * NOISE), False),
        (None, 10 ** (1.0 + 0.3 * NOISE), False),
    ],
)
def test_thick_clumps_call_for_caution(filling, depth, cautious):
    trust = fit(filling=filling, depth=depth)
    assert (trust.verdict == "caution") is cautious
    assert any("not resolved" in line for line in trust.warnings) is cautious


@pytest.mark.parametrize(
    ("score", "verdict"),
    [
        (BelongingScore(0.4, 0.3), "ok"),
        (BelongingScore(0.4, 0.004), "caution"),
        (BelongingScore(0.004, np.nan), "caution"),
        (BelongingScore(np.nan, np.nan), "ok"),
        (None, "ok"),
    ],
)
def test_what_simulations_do_not_look_like_calls_for_caution(score, verdict):
    trust = replace(fit(), belonging=score)
    assert trust.verdict == verdict
    unlike = [words for words in trust.warnings if "unlike" in words]
    assert len(unlike) == (verdict == "caution")
    if unlike:
        assert "0.4 %" in unlike[0]
