"""Named priors: what is drawn is what the density says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from grainlight.core import ParameterError
from grainlight.simulators import (
    PRIORS,
    SHELL_PARAMETERS,
    ShellSimulator,
    named_prior,
)
from grainlight.transfer import Shell

FALSE_ALARM = 1e-6
NUM_DRAWS = 10_000
NAMES = list(PRIORS)


def scaled_of(theta):
    logs = np.array([member.scale == "log10" for member in SHELL_PARAMETERS.members])
    return np.where(logs, np.log10(np.where(logs, theta, 1)), theta)


@pytest.fixture(scope="module", params=NAMES)
def drawn(request):
    prior = PRIORS[request.param]
    return prior, prior.sample(np.random.default_rng(11), NUM_DRAWS)


def test_draws_lie_within_the_bounds(drawn):
    prior, theta = drawn
    assert theta.shape == (NUM_DRAWS, len(SHELL_PARAMETERS))
    assert np.all(theta >= np.array(prior.lower) * (1 - 1e-12))
    assert np.all(theta <= np.array(prior.upper) * (1 + 1e-12))


def test_the_density_is_finite_where_draws_fall_and_zero_outside(drawn):
    prior, theta = drawn
    scaled = jnp.asarray(scaled_of(theta[:500]), dtype=jnp.float32)
    log_prob = jax.vmap(prior.log_prob)(scaled)
    assert np.all(np.isfinite(log_prob))
    for column in range(scaled.shape[1]):
        outside = scaled[0].at[column].set(prior._bounds[1, column] + 0.1)
        assert prior.log_prob(outside) == -np.inf


def uniform_pvalue(prior, theta, *, linear):
    """P-value that the luminosities are uniform in their value, or in dex."""
    column = SHELL_PARAMETERS.index("sn_luminosity")
    low, high = prior.lower[column], prior.upper[column]
    value = theta[:, column]
    if not linear:
        low, high, value = np.log10(low), np.log10(high), np.log10(value)
    return stats.kstest((value - low) / (high - low), "uniform").pvalue


@pytest.mark.parametrize(
    ("name", "linear", "right"),
    [
        ("thesis2023", False, True),
        ("thesis2023", True, False),
        ("ansari2022", True, True),
        ("ansari2022", False, False),
    ],
)
def test_luminosity_is_uniform_on_the_stated_scale(name, linear, right):
    prior = named_prior(name)
    theta = prior.sample(np.random.default_rng(5), NUM_DRAWS)
    assert bool(uniform_pvalue(prior, theta, linear=linear) > FALSE_ALARM) is right


@pytest.mark.parametrize("name", NAMES)
def test_the_density_of_luminosity_is_that_of_the_draws(name):
    """log_prob along one axis, integrated, is the distribution of the draws."""
    prior = named_prior(name)
    column = SHELL_PARAMETERS.index("sn_luminosity")
    lower, upper = prior._bounds[:, column]
    grid = np.linspace(lower, upper, 2001)
    middle = np.array(prior._bounds.mean(axis=0))
    middle[0] = prior._bounds[0, 0]
    points = np.repeat(middle[None], len(grid), axis=0)
    points[:, column] = grid
    log_prob = jax.vmap(prior.log_prob)(jnp.asarray(points, dtype=jnp.float32))
    density = np.exp(np.asarray(log_prob, dtype=float))
    edges = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    theta = prior.sample(np.random.default_rng(8), NUM_DRAWS)
    rank = np.interp(scaled_of(theta)[:, column], grid, edges / edges[-1])
    assert stats.kstest(rank, "uniform").pvalue > FALSE_ALARM
    assert stats.kstest(rank**1.1, "uniform").pvalue < FALSE_ALARM


def test_weights_of_the_density_turn_a_flat_box_into_the_draws():
    """The edge moves the mean mass; the density as a weight moves it as far."""
    prior = named_prior("thesis2023")
    mass = np.log10(prior.sample(np.random.default_rng(2), NUM_DRAWS)[:, 0])
    unit = np.random.default_rng(3).random((NUM_DRAWS, 6))
    box = prior._bounds[0] + np.diff(prior._bounds, axis=0) * unit
    log_prob = jax.vmap(prior.log_prob)(jnp.asarray(box, dtype=jnp.float32))
    weight = np.exp(np.asarray(log_prob, dtype=float))
    weighted = weight @ box[:, 0] / weight.sum()
    spread = mass.std() * np.sqrt(2 / NUM_DRAWS)
    assert abs(mass.mean() - weighted) < 5.5 * spread
    assert abs(mass.mean() - box[:, 0].mean()) > 5.5 * spread


def test_the_edge_at_large_optical_depth_is_kept(drawn):
    prior, theta = drawn
    log_depth = np.asarray(prior.log_optical_depth(scaled_of(theta)), dtype=float)
    assert np.mean(log_depth > np.log(100)) < 0.01
    assert log_depth.max() < np.log(100) + 6 * 0.05
    assert np.mean(log_depth > np.log(50)) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_the_edge_is_a_half_gaussian(name):
    prior = named_prior(name)
    base = np.array(prior._bounds.mean(axis=0))
    base[5] = prior._bounds[0, 5]
    base[0] += float((np.log(100) - prior.log_optical_depth(base)) / np.log(10))
    beyond = np.array([-0.5, 0.0, 0.05, 0.1, 0.15])
    points = np.repeat(base[None], len(beyond), axis=0)
    points[:, 0] += beyond / np.log(10)
    fall = prior._edge(points)
    expected = -0.5 * (np.maximum(beyond, 0) / 0.05) ** 2
    np.testing.assert_allclose(fall, expected, atol=2e-3)


def test_optical_depth_is_that_of_the_engine(drawn):
    prior, theta = drawn
    for row in theta[:40]:
        opacity = ShellSimulator().opacity(row)
        shell = Shell(row[3], row[4], row[0], row[5], opacity)
        expected = np.log(shell.optical_depth(0.55))
        found = float(prior.log_optical_depth(scaled_of(row)))
        assert found == pytest.approx(expected, abs=0.02)


def test_ansari_draws_pure_species_and_halves_by_number():
    theta = named_prior("ansari2022").sample(np.random.default_rng(1), 3000)
    found, counts = np.unique(theta[:, 2], return_counts=True)
    np.testing.assert_allclose(found, [0, 3.6 / (3.6 + 1.85), 1], atol=1e-4)
    assert counts.min() > 850


def test_a_seed_gives_the_same_draws_and_another_others():
    prior = named_prior("thesis2023")
    one, same, other = (
        prior.sample(np.random.default_rng(seed), 50) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.any(one == other)


def test_an_unknown_prior_is_refused():
    with pytest.raises(ParameterError, match="thesis2023, ansari2022; got 'flat'"):
        named_prior("flat")
