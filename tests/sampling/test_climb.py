"""Summits that are climbed: exact for a line, and found where particles lose them."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import ndtri

from grainlight.core import Parameter, Parameters, RangeError
from grainlight.sampling import Settings, sample_posterior
from grainlight.sampling.climb import climb, draw_summits, has_residual

PARAMETERS = Parameters((Parameter("along", 0.0, 1.0), Parameter("across", 0.0, 1.0)))
QUICK = Settings(
    num_retries=0,
    num_particles=4,
    stage_sweeps=2,
    num_components=4,
    refine_rounds=4,
    refine_blocks=1,
    archive_size=512,
    num_scanned=1024,
    num_climbs=32,
)


#: Log-posterior of the needle: that of the prior alone, in unconstrained coordinates.
HIGHEST = float(-np.log(2 * np.pi) - 0.5 * ndtri(0.9) ** 2)


class Line(eqx.Module):
    """Both coordinates, unconstrained, are seen with the same noise."""

    parameters: Parameters = eqx.field(static=True, default=PARAMETERS)
    scatter: float = eqx.field(static=True, default=0.2)

    def log_prior(self, scaled):
        return jnp.zeros(())

    def residual(self, scaled, data):
        y = self.parameters.unconstrain(scaled)
        return data - jnp.array([y[0], y[0] + y[1]]), self.scatter**2 * jnp.eye(2)

    def log_likelihood(self, scaled, data):
        apart, covariance = self.residual(scaled, data)
        return -0.5 * apart @ jnp.linalg.solve(covariance, apart)


class Well(Line):
    """A needle of nearly all the mass beside a broad summit, which is 40 nats lower."""

    needle: float = eqx.field(static=True, default=0.9)
    width: float = eqx.field(static=True, default=0.0003)

    def residual(self, scaled, data):
        # far from the needle a residual of nine scatters remains
        apart = (scaled[0] - self.needle) / (10 * self.width)
        deep = 9.0 * (1 - jnp.exp(-0.5 * apart**2))
        broad = (scaled[1] - 0.5) / 0.05
        hill = (scaled[0] - 0.3) / 0.2 * jnp.tanh(apart**2)
        return jnp.stack([deep, broad, hill]) + 0 * data[0], jnp.eye(3)


def test_climbs_of_a_line_end_at_its_summit():
    data, target = np.array([0.3, -0.2]), Line()
    summits = climb(jr.key(0), target, jnp.asarray(data), QUICK)
    best = summits.y[jnp.argmax(summits.log_posterior)]
    # a flat prior of bounded coordinates is a standard normal one of unconstrained ones
    design = np.array([[1.0, 0.0], [1.0, 1.0]])
    covariance = np.linalg.inv(design.T @ design / target.scatter**2 + np.eye(2))
    exact = covariance @ design.T @ data / target.scatter**2
    assert np.allclose(best, exact, atol=0.02)
    draws = draw_summits(jr.key(1), target, jnp.asarray(data), 20_000, QUICK)
    assert np.allclose(np.cov(draws.T), covariance, atol=0.004)


class Blind(Well):
    """The same, whose likelihood is not said to be nearly Gaussian."""

    @property
    def is_gaussian(self):
        return False


def test_a_needle_is_climbed_from_afar():
    key, data = jr.key(2), jnp.zeros(2)
    top = float(np.max(climb(key, Well(), data, QUICK).log_posterior))
    left = replace(QUICK, climb_steps=0)
    start = float(np.max(climb(key, Well(), data, left).log_posterior))
    assert top == pytest.approx(HIGHEST, abs=0.3)
    assert start < HIGHEST - 2  # control: no draw of the prior is near


def test_chains_know_the_needle():
    data = jnp.zeros((2, 2))
    found = sample_posterior(jr.key(1), Well(), data, num_draws=200, settings=QUICK)
    for one in found:
        assert np.mean(np.abs(one.theta[:, 0] - Well().needle) < 0.01) > 0.95


def test_only_residuals_are_climbed():
    assert has_residual(Line())
    assert not has_residual(Blind())


@pytest.mark.parametrize(
    "wrong", [{"num_scanned": 0}, {"num_climbs": -1}, {"retry_factor": 0.5}]
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(RangeError, match=next(iter(wrong))):
        Settings(**wrong)
