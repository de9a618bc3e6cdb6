"""A mixture that learns a linear Gaussian and a ring, whose answers are known."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import Certificate, Parameter, Parameters
from grainlight.estimators import PosteriorDraws
from grainlight.sampling.adaptive import adapt_draws
from grainlight.sampling.correction import CorrectionSettings, Weighed, weigh_draws

SETTINGS = CorrectionSettings(
    num_draws=1024, most_rounds=1, adapt_rounds=4, adapt_draws=1024, num_components=8
)
RADIUS, WIDTH = 2.0, 0.05


class Ring(eqx.Module):
    """A thin ring in a box: bent, and flat along the bend."""

    parameters: Parameters = eqx.field(static=True)

    def log_prior(self, scaled):
        return jnp.full((), -jnp.log(100.0))

    def log_likelihood(self, scaled, data):
        off = jnp.hypot(*(scaled - data)) - RADIUS
        return -0.5 * (off / WIDTH) ** 2


class Blob(eqx.Module):
    """A round proposal, far too wide for the ring."""

    width: float = 2.0

    def draw(self, key, num_draws, data):
        noise = jr.normal(key, (num_draws, 2))
        log_prob = jnp.sum(jax.scipy.stats.norm.logpdf(noise), axis=1)
        return PosteriorDraws(
            data + self.width * noise, log_prob - 2 * jnp.log(self.width)
        )

    def log_prob(self, scaled, data):
        return jnp.sum(jax.scipy.stats.norm.logpdf(scaled, data, self.width))


BOX = Ring(Parameters((Parameter("a", -5.0, 5.0), Parameter("b", -5.0, 5.0))))
CENTERS = jnp.array([[0.0, 0.0], [1.0, -0.5]])
#: Integral of the ring over the box, times the density of the prior there.
EVIDENCE = np.log(2 * np.pi * RADIUS * WIDTH * np.sqrt(2 * np.pi) / 100)


@pytest.fixture(scope="module")
def first():
    return weigh_draws(jr.key(1), BOX, Blob(), CENTERS, SETTINGS)


@pytest.mark.parametrize("guard", [None, Blob()])
def test_a_mixture_learns_a_ring_that_its_first_draws_hardly_met(first, guard):
    assert not any(one.passed for one in first)
    found = adapt_draws(jr.key(2), BOX, CENTERS, first, SETTINGS, proposal=guard)
    for one, before, center in zip(found, first, np.asarray(CENTERS), strict=True):
        certificate = one.certificate
        assert certificate.rung == "refined"
        assert certificate.num_weighed == 1024
        assert certificate.efficiency > 2 * before.certificate.efficiency
        off = certificate.log_evidence - EVIDENCE
        assert abs(off) < 5.3 * certificate.log_evidence_error
        # all around the ring, and as thin as it is
        weight = np.exp(one.log_weight - one.log_weight.max())
        weight /= weight.sum()
        x, y = (one.theta - center).T
        effective = certificate.num_effective
        for wave in (np.cos, np.sin):
            around = weight @ wave(np.arctan2(y, x))
            assert abs(around) < 5.3 * np.sqrt(0.5 / effective)
        spread = np.sqrt(weight @ (np.hypot(x, y) - RADIUS) ** 2)
        assert abs(spread / WIDTH - 1) < 5.3 / np.sqrt(effective)


@pytest.mark.slow
def test_weights_of_a_mixture_that_cannot_learn_do_not_pass(first):
    # nothing weighs anything: the mixture stays as wide as the proposal
    nowhere = [replace(one, log_weight=np.full(1024, -np.inf)) for one in first]
    short = replace(SETTINGS, adapt_rounds=0)
    found = adapt_draws(jr.key(2), BOX, CENTERS, nowhere, short)
    assert not any(one.passed for one in found)


class Pair(eqx.Module):
    """Two Gaussians in the box."""

    parameters: Parameters = eqx.field(static=True)
    apart: float = 1.5
    width: float = 0.3

    def log_prior(self, scaled):
        return jnp.zeros(())

    def log_likelihood(self, scaled, data):
        away = [jnp.sum((scaled - data - s * self.apart) ** 2) for s in (-1, 1)]
        return jnp.logaddexp(*(-0.5 * one / self.width**2 for one in away))


@pytest.mark.parametrize("guard", [None, Blob()])
def test_what_the_mixtures_never_met_does_not_pass_unseen(guard):
    """The draws they learn from know one of two modes; the amortized posterior both."""
    pair, data = Pair(BOX.parameters), jnp.zeros((1, 2))
    noise = np.random.default_rng(4).normal(size=(1024, 2))
    known = Weighed(
        -pair.apart + 1.2 * pair.width * noise,
        -0.5 * (1.2**2 - 1) * np.sum(noise**2, axis=1),
        Certificate("corrected", efficiency=0.9),
        passed=False,
    )
    settings = replace(SETTINGS, num_draws=4096)
    (one,) = adapt_draws(jr.key(3), pair, data, [known], settings, proposal=guard)
    weight = np.exp(one.log_weight - one.log_weight.max())
    share = weight[one.theta[:, 0] > 0].sum() / weight.sum()
    if guard is None:  # the control
        assert one.passed
        assert share < 1e-3
    else:
        assert share == pytest.approx(0.5, abs=0.2)
