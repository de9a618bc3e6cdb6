"""The sampler gives the right answers, object by object.

Posteriors of two parameters, whose moments a fine grid gives, are sampled in one
batch.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import Parameter, ParameterError, Parameters, Status
from grainlight.sampling import Gate, Settings, sample_posterior

SETTINGS = Settings(num_retries=1, retry_factor=1.0, refine_rounds=6, refine_blocks=2)
QUICK = Settings(
    num_retries=1,
    retry_factor=1.0,
    num_particles=32,
    num_components=2,
    refine_rounds=1,
    refine_blocks=1,
    archive_size=256,
)
SIGMAS = 5.0  # two-sided false alarm below 1e-6
PARAMETERS = Parameters(
    (
        Parameter("shift", -2.0, 3.0, unit="mag"),
        Parameter("mass", 0.01, 100.0, unit="Msun", scale="log10"),
    )
)
KINDS = ("truncated", "banana", "bimodal", "flat", "nowhere")
HEAVY, LIGHT = 0.7, 0.3


def truncated(s):
    """A correlated Gaussian centered on a corner of the box."""
    u, v = (s[0] - 2.8) / 0.6, (s[1] - 1.7) / 0.4
    return -0.5 * (u**2 - 1.8 * u * v + v**2) / (1 - 0.9**2)


def banana(s):
    """A thin bend across the box."""
    return (
        -0.5 * ((s[0] - 0.3) / 0.7) ** 2 - 0.5 * ((s[1] - s[0] ** 2 + 0.8) / 0.05) ** 2
    )


def bimodal(s):
    """Two far modes of known weights and different widths."""

    def mode(weight, center, width):
        distance = jnp.sum((s - jnp.array(center)) ** 2) / width**2
        return jnp.log(weight) - 2 * jnp.log(width) - 0.5 * distance

    return jnp.logaddexp(mode(HEAVY, (-1.0, 1.0), 0.05), mode(LIGHT, (2.0, -1.0), 0.1))


def flat(s):
    """Nothing known of the second parameter."""
    return -0.5 * ((s[0] - 0.5) / 0.1) ** 2


class Problems(eqx.Module):
    """One target for all kinds: `data` is the index of the kind."""

    parameters: Parameters = eqx.field(static=True, default=PARAMETERS)

    def log_prior(self, scaled):
        return -jnp.sum(jnp.log(self.parameters.upper - self.parameters.lower))

    def log_likelihood(self, scaled, data):
        kinds = [truncated(scaled), banana(scaled), bimodal(scaled), flat(scaled)]
        return jnp.stack([*kinds, jnp.asarray(jnp.nan)])[data]


def grid_moments(log_density, size=1500):
    """Means and covariance of the scaled values inside the box, by a fine grid."""
    lower, upper = np.asarray(PARAMETERS.lower), np.asarray(PARAMETERS.upper)
    middle = (np.arange(size) + 0.5) / size
    axes = [lo + (hi - lo) * middle for lo, hi in zip(lower, upper, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    logs = np.asarray(jax.jit(jax.vmap(log_density))(jnp.asarray(points)), float)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    mean = weight @ points
    centered = points - mean
    return mean, (weight[:, None] * centered).T @ centered


@pytest.fixture(scope="module")
def batch():
    """Draws of every problem by name."""
    data = jnp.arange(len(KINDS))
    results = sample_posterior(jr.key(0), Problems(), data, settings=SETTINGS)
    return dict(zip(KINDS, results, strict=True))


def scaled_draws(samples):
    return np.asarray(PARAMETERS.scale(samples.theta), dtype=float)


@pytest.mark.parametrize("log_density", [truncated, banana])
def test_moments_are_those_of_the_grid(batch, log_density):
    samples = batch[log_density.__name__]
    mean, covariance = grid_moments(log_density)
    draws = scaled_draws(samples)
    error = np.sqrt(np.diag(covariance) / np.asarray(samples.diagnostics.ess_bulk))
    assert bool(samples.status == Status.ok)
    assert np.all(np.abs(draws.mean(axis=0) - mean) < SIGMAS * error)
    # A covariance 15 % off in any entry would fail.
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 0.15 * scale)


def test_both_modes_are_found_in_proportion(batch):
    samples = batch["bimodal"]
    heavy = scaled_draws(samples)[:, 0] < 0.5
    error = np.sqrt(0.21 / float(jnp.min(samples.diagnostics.ess_bulk)))
    assert bool(samples.status == Status.ok)
    assert abs(heavy.mean() - HEAVY) < SIGMAS * error < 0.12
    by_chain = heavy.reshape(samples.num_chains, -1).mean(axis=1)
    assert np.all((by_chain > 0.3) & (by_chain < 0.95))


def test_a_flat_direction_is_uniform_up_to_the_bounds(batch):
    samples = batch["flat"]
    lower, upper = float(PARAMETERS.lower[1]), float(PARAMETERS.upper[1])
    unit = np.sort((scaled_draws(samples)[:, 1] - lower) / (upper - lower))
    distance = np.abs(unit - (np.arange(unit.size) + 0.5) / unit.size).max()
    effective = float(samples.diagnostics.ess_bulk[1])
    assert 0 <= unit[0] < 0.01 < 0.99 < unit[-1] <= 1
    assert distance < 2.7 / np.sqrt(effective)  # Kolmogorov, false alarm 1e-6


def test_an_object_without_density_disturbs_no_other(batch):
    assert bool(batch["nowhere"].status == Status.nonfinite)
    assert bool(jnp.all(jnp.isnan(batch["nowhere"].theta)))
    for name in KINDS[:-1]:
        assert bool(jnp.all(jnp.isfinite(batch[name].theta)))


class Drafted(Problems):
    """The same with a draft that is beside the truth, and finite everywhere."""

    def log_draft(self, scaled, data):
        moved = scaled + jnp.array([0.2, -0.1])
        found = 0.5 * super().log_likelihood(moved, data)
        return jnp.where(jnp.isfinite(found), found, 0.0)


@pytest.mark.slow
def test_a_draft_shows_the_way_and_changes_nothing():
    kinds = ("banana", "nowhere")
    data = jnp.array([KINDS.index(kind) for kind in kinds])
    found, nowhere = sample_posterior(jr.key(6), Drafted(), data, settings=SETTINGS)
    mean, covariance = grid_moments(banana)
    error = np.sqrt(np.diag(covariance) / np.asarray(found.diagnostics.ess_bulk))
    assert bool(found.status == Status.ok)
    assert np.all(np.abs(scaled_draws(found).mean(axis=0) - mean) < SIGMAS * error)
    assert bool(nowhere.status == Status.nonfinite)


@pytest.mark.slow
def test_a_gate_that_cannot_be_passed_is_reported():
    seen = []
    results = sample_posterior(
        jr.key(1),
        Problems(),
        jnp.array([3, 0, 4, 3, 3, 0, 0, 0]),
        gate=Gate(ess=1e9),
        settings=QUICK,
        progress=lambda done, total: seen.append((done, total)),
    )
    low = [bool(one.status == Status.low_ess) for one in results]
    assert low == [True, True, False, True, True, True, True, True]
    assert seen[0] == (1, 8)
    assert seen[-1] == (8, 8)


@pytest.mark.slow
def test_nuts_by_name_agrees_with_the_grid():
    settings = Settings(num_retries=0, nuts_warmup=300)
    good, bad = sample_posterior(
        jr.key(2),
        Problems(),
        jnp.array([0, 4]),
        method="nuts",
        num_draws=500,
        settings=settings,
    )
    assert np.all(np.asarray(good.diagnostics.rhat) < 1.05)
    mean, covariance = grid_moments(truncated)
    error = np.sqrt(np.diag(covariance) / np.asarray(good.diagnostics.ess_bulk))
    assert np.all(np.abs(scaled_draws(good).mean(axis=0) - mean) < SIGMAS * error)
    assert bool(bad.status == Status.nonfinite)


@pytest.mark.parametrize(
    "options", [{"method": "gibbs"}, {"num_chains": 2}, {"num_draws": 3}]
)
def test_impossible_requests_are_refused(options):
    with pytest.raises(ParameterError, match="Expected"):
        sample_posterior(jr.key(0), Problems(), jnp.array([0]), **options)


def test_data_need_an_object_axis():
    with pytest.raises(ParameterError, match="object axis"):
        sample_posterior(jr.key(0), Problems(), jnp.array(0))
