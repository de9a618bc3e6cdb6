"""Weights and quantiles of draws."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import Certificate, Parameter, Parameters, Samples, Status

PARAMETERS = Parameters((Parameter("a", 0.0, 10.0), Parameter("b", -5.0, 5.0)))
LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)


def samples(theta, log_weight, **fields) -> Samples:
    return Samples(
        theta=jnp.asarray(theta),
        log_weight=jnp.asarray(log_weight),
        status=Status.ok,
        parameters=PARAMETERS,
        **fields,
    )


@pytest.fixture
def theta():
    return np.asarray(jr.normal(jr.key(3), (200, 2))) * [1.0, 2.0] + [5.0, 0.0]


@pytest.mark.parametrize("shift", [-1e4, 0.0, 700.0])
def test_weights_sum_to_one_whatever_the_evidence(theta, shift):
    log_weight = np.asarray(jr.normal(jr.key(1), (200,)))
    weight = samples(theta, log_weight + shift).weight
    expected = np.exp(log_weight) / np.exp(log_weight).sum()
    assert np.sum(weight) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(weight, expected, rtol=2e-3)


def test_a_draw_outside_the_prior_weighs_nothing(theta):
    log_weight = np.zeros(200)
    log_weight[:100] = -np.inf
    weight = samples(theta, log_weight).weight
    np.testing.assert_allclose(weight, np.repeat([0.0, 0.01], 100), rtol=1e-5)


def test_equal_weights_give_the_quantiles_of_numpy(theta):
    table = samples(theta, np.full(200, -3.0)).quantile(LEVELS)
    assert list(table) == ["a", "b"]
    for column, name in enumerate(PARAMETERS.names):
        draws = theta[:, column].astype(np.float32)
        expected = np.quantile(draws, LEVELS, method="hazen")
        np.testing.assert_allclose(table[name], expected, rtol=1e-4, atol=1e-4)


def test_integer_weights_are_repeated_draws(theta):
    counts = np.asarray(jr.randint(jr.key(2), (200,), 1, 5))
    weighted = samples(theta, np.log(counts)).quantile(LEVELS)
    repeated = samples(np.repeat(theta, counts, axis=0), np.zeros(counts.sum()))
    ignored = samples(theta, np.zeros(200)).quantile(LEVELS)
    expected = repeated.quantile(LEVELS)
    for name in PARAMETERS.names:
        # Both interpolate between the middles of neighboring draws: they differ by
        # at most the gap of two draws.
        order = np.sort(theta[:, PARAMETERS.index(name)])
        for value, other in zip(weighted[name], expected[name], strict=True):
            place = np.searchsorted(order, other)
            gap = order[min(place + 1, 199)] - order[max(place - 2, 0)]
            assert abs(value - other) <= gap
        assert not np.allclose(ignored[name], expected[name], atol=1e-3)


def test_draws_that_weigh_nothing_do_not_pull_the_tails():
    theta = np.array([[-1e6, 0.0], [1.0, 1.0], [2.0, 2.0], [1e6, 3.0]])
    table = samples(theta, [-np.inf, 0.0, 0.0, -np.inf]).quantile((0.001, 0.5, 0.999))
    np.testing.assert_allclose(table["a"], [1.0, 1.5, 2.0], rtol=1e-6)


def test_quantiles_are_nan_where_no_draw_is_possible(theta):
    table = samples(theta, np.full(200, -np.inf)).quantile((0.5,))
    assert np.isnan(table["a"]).all()


def test_quantiles_of_a_known_density():
    grid = np.linspace(0.0, 10.0, 2001)
    theta = np.stack([grid, 0 * grid], axis=1)
    table = samples(theta, -((grid - 4.0) ** 2) / 2).quantile(LEVELS)
    expected = 4.0 + np.array([-1.95996, -0.99446, 0.0, 0.99446, 1.95996])
    np.testing.assert_allclose(table["a"], expected, atol=2e-3)


def test_quantiles_are_finite_for_a_single_draw():
    table = samples([[1.0, 2.0]], [0.0]).quantile((0.1, 0.5))
    np.testing.assert_allclose(table["b"], [2.0, 2.0])


def test_derived_outcomes_stand_behind_the_parameters(theta):
    derived = {"dust_temperature": jnp.arange(200.0)}
    result = samples(theta, np.zeros(200), derived=derived)
    assert list(result.columns()) == ["a", "b", "dust_temperature"]
    assert result.quantile((0.5,))["dust_temperature"][0] == pytest.approx(99.5)
    assert result.num_draws == 200
    assert result.num_chains == 1


def test_samples_pass_through_jit(theta):
    result = jax.jit(lambda draws: draws)(samples(theta, np.zeros(200)))
    assert result.parameters == PARAMETERS
    assert result.status == Status.ok
    np.testing.assert_array_equal(result.theta, theta.astype(np.float32))


def test_every_status_explains_itself():
    for status in (Status.ok, Status.low_ess, Status.nonfinite, Status.outside):
        assert len(Status[status]) > 20
    assert "R-hat" in Status[Status.not_converged]


@pytest.mark.parametrize(
    ("efficiency", "shape", "known"),
    [(0.1, 0.3, True), (0.01, 0.3, False), (0.1, 0.8, False), (np.nan, np.nan, False)],
)
def test_an_evidence_is_known_by_weights_that_bear_it(efficiency, shape, known):
    certificate = Certificate("guided", efficiency, shape, 2048, -3.0, 0.1)
    assert (certificate.sound_evidence == -3.0) == known
    assert np.isnan(certificate.sound_evidence) != known
