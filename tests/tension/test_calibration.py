"""Calibrated tension and the checks of a ratio, by the exact linear law."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from grainlight.core import ParameterError, UntrustedError
from grainlight.tension import LinearPair, calibrate, check_ratio

FALSE_ALARM = 1e-6
PAIR = LinearPair(np.array([1.0]), np.array([0.01]), np.array([0.04]))
MANY = LinearPair(np.full(3, 4.0), np.full(3, 0.5), np.full(3, 1.0))


def test_the_law_has_its_exact_mean_and_scatter():
    assert PAIR.correlation[0] == pytest.approx(0.975714, abs=1e-6)
    assert PAIR.mutual_information == pytest.approx(1.518468, abs=1e-6)
    assert PAIR.log_ratio(np.array([0.5]), np.array([0.8])) == pytest.approx(
        0.894367, abs=1e-6
    )
    drawn = PAIR.concordance(np.random.default_rng(0), 400_000)
    assert np.mean(drawn) == pytest.approx(1.518468, abs=0.01)
    assert np.std(drawn) == pytest.approx(0.975714, abs=0.01)


@pytest.mark.parametrize("pair", [PAIR, MANY])
@pytest.mark.parametrize(("matched", "accepted"), [(True, True), (False, False)])
def test_matched_pairs_follow_the_law_and_shuffled_ones_do_not(pair, matched, accepted):
    generator = np.random.default_rng(1)
    a, b = pair.simulate(generator, 20_000)
    found = pair.log_ratio(a, b if matched else np.roll(b, 1, axis=0))
    law = pair.concordance(generator, 20_000)
    assert bool(kstest(found, law).pvalue > FALSE_ALARM) is accepted


def test_tension_of_the_worked_case():
    law = PAIR.concordance(np.random.default_rng(0), 1_000_000)
    found = calibrate(0.894367, law)
    assert found.tension.value == pytest.approx(1.379, abs=0.005)
    assert found.tension.low < 1.379 < found.tension.high
    agreement = norm.isf(0.5 * (1 - found.fraction))
    assert found.agreement.value == pytest.approx(agreement, abs=1e-6)
    assert found.words()["num_simulations"] == 1_000_000


def test_the_interval_of_the_tension_covers_it():
    generator = np.random.default_rng(3)
    inside = [
        one.tension.low < 1.3789 < one.tension.high
        for one in (
            calibrate(0.894367, PAIR.concordance(generator, 500)) for _ in range(300)
        )
    ]
    assert 0.54 < np.mean(inside) < 0.81  # 68 %, 4.9 sigma of 300


def test_beyond_the_simulations_there_is_a_limit():
    law = PAIR.concordance(np.random.default_rng(0), 999)
    found = calibrate(-30.0, law)
    assert found.tension.is_limit
    assert found.tension.value == pytest.approx(norm.isf(0.0005))
    assert str(found.tension).startswith(">")
    assert not found.agreement.is_limit
    assert found.agreement.value == pytest.approx(0.0, abs=0.01)
    assert calibrate(50.0, law).agreement.is_limit
    with pytest.raises(ParameterError, match="finite observed"):
        calibrate(-np.inf, law)
    with pytest.raises(ParameterError, match="100 finite"):
        calibrate(0.0, law[:50])


BROKEN = {
    "exact": (lambda r: r, False),
    "twice": (lambda r: 2 * r, True),
    "shifted up": (lambda r: r + 2.5, True),
    "shifted down": (lambda r: r - 4.0, True),
    "not finite": (lambda r: np.where(r > 2, np.nan, r), True),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_ratio_that_breaks_the_bounds_is_refused(name):
    change, refused = BROKEN[name]
    a, b = MANY.simulate(np.random.default_rng(4), 20_000)
    matched, shuffled = MANY.log_ratio(a, b), MANY.log_ratio(a, np.roll(b, 1, axis=0))
    health = check_ratio(change(matched), change(shuffled), 20_000)
    assert health.is_refused is refused
    assert ("refused" in health.verdict) is refused
    if refused:
        with pytest.raises(UntrustedError, match="Train longer"):
            health.require()
    else:
        health.require()


def test_no_more_information_than_pairs_can_show():
    wide = LinearPair(np.full(1, 1e6), np.full(1, 1e-2), np.full(1, 1e-2))
    a, b = wide.simulate(np.random.default_rng(4), 2_000)
    health = check_ratio(
        wide.log_ratio(a, b), wide.log_ratio(a, np.roll(b, 1, axis=0)), 2_000
    )
    assert health.is_saturated
    assert health.verdict.startswith("saturated")
    drifted = check_ratio(np.full(2_000, 3.0), np.full(2_000, -9.0), 2_000, 8.4)
    assert drifted.is_saturated
    assert "8.4 nats" in drifted.verdict
    assert not check_ratio(
        np.full(2_000, 3.0), np.full(2_000, -9.0), 2_000
    ).is_saturated
    with pytest.raises(ParameterError, match="positive variances"):
        LinearPair(np.zeros(1), np.ones(1), np.ones(1))
