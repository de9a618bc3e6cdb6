"""The ladder on a linear Gaussian, whose posterior and evidence are known exactly."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import RangeError, Samples, Status
from grainlight.estimators import PosteriorDraws
from grainlight.sampling import Gate, Settings, ladder
from grainlight.sampling.correction import CorrectionSettings, certify, weigh_draws
from grainlight.sampling.ladder import Climb, climb
from grainlight.simulators import ConjugateGaussian, Gaussian

EXACT = ConjugateGaussian(
    Gaussian(np.array([0.5, -1.0]), np.array([[1.0, 0.3], [0.3, 0.5]])),
    np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]]),
    np.array([1.0, 2.0, 3.0]),
    np.diag([0.3, 0.5, 0.8]),
)
X = np.array([[2.0, 0.5, 4.0], [1.0, 1.5, 5.0], [0.0, 1.0, 2.0]])
QUICK = Settings(num_retries=1, num_particles=64, refine_rounds=4, archive_size=1024)
PLAN = Climb(1_000, 4, Gate(rhat=1.05), QUICK, CorrectionSettings(adapt_rounds=0))
KNOWN = np.array([1.5, 1.0]) + 0.1 * np.random.default_rng(1).normal(size=(512, 2))
SAMPLED = Samples(
    theta=jnp.zeros((8, 2)),
    log_weight=jnp.zeros(8),
    status=Status.ok,
    parameters=EXACT.parameters,
    num_chains=4,
)


def normal(gaussian):
    mean, covariance = (
        jnp.asarray(part, jnp.float32) for part in (gaussian.mean, gaussian.covariance)
    )
    return lambda v: jax.scipy.stats.multivariate_normal.logpdf(v, mean, covariance)


class Linear:
    """Prior and likelihood of the linear Gaussian."""

    parameters = EXACT.parameters

    def log_prior(self, scaled):
        return normal(EXACT.prior)(scaled)

    def log_likelihood(self, scaled, data):
        mean = jnp.asarray(EXACT.design) @ scaled + jnp.asarray(EXACT.offset)
        return normal(Gaussian(np.zeros(3), EXACT.noise))(data["x"] - mean)


class Widened(eqx.Module):
    """The exact posterior, too wide or too narrow by a factor, and moved."""

    def place(self, data):
        posterior = EXACT.posterior(X[0])  # its covariance is that of any outcome
        factor = jnp.linalg.cholesky(jnp.asarray(posterior.covariance))
        prior = jnp.asarray(EXACT.prior.mean)
        gain = jnp.asarray(EXACT.prior.covariance @ EXACT.design.T) @ jnp.linalg.inv(
            jnp.asarray(EXACT.evidence().covariance)
        )
        expected = jnp.asarray(EXACT.design @ EXACT.prior.mean + EXACT.offset)
        return prior + gain @ (data["x"] - expected) + factor @ data["shift"], factor

    def draw(self, key, num_draws, data):
        mean, factor = self.place(data)
        noise = jr.normal(key, (num_draws, 2))
        theta = mean + data["width"] * noise @ factor.T
        log_prob = jnp.sum(jax.scipy.stats.norm.logpdf(noise), axis=1)
        log_det = jnp.sum(jnp.log(jnp.diagonal(factor))) + 2 * jnp.log(data["width"])
        return PosteriorDraws(theta, log_prob - log_det)

    def log_prob(self, scaled, data):
        mean, factor = self.place(data)
        covariance = data["width"] ** 2 * factor @ factor.T
        return jax.scipy.stats.multivariate_normal.logpdf(scaled, mean, covariance)


def given(widths, shifts=(0.0, 0.0, 0.0)):
    shift = np.asarray(shifts)[:, None] * np.ones(2)
    return {
        "x": jnp.asarray(X, jnp.float32),
        "width": jnp.asarray(widths, jnp.float32),
        "shift": jnp.asarray(shift, jnp.float32),
    }


def test_weights_of_a_wide_proposal_have_the_efficiency_and_evidence_of_the_book():
    width = 1.2
    weighed = weigh_draws(jr.key(1), Linear(), Widened(), given([width] * 3))
    expected = (2 * width**2 - 1) / width**4  # of two dimensions
    for one, x in zip(weighed, X, strict=True):
        certificate = one.certificate
        assert one.passed
        assert certificate.num_weighed == 4096
        assert certificate.efficiency == pytest.approx(expected, rel=0.05)
        assert certificate.shape < 0.5
        exact = float(EXACT.evidence().log_prob(x))
        off = certificate.log_evidence - exact
        assert abs(off) < 5.3 * certificate.log_evidence_error
        weight = np.exp(one.log_weight - one.log_weight.max())
        mean = weight @ one.theta / weight.sum()
        posterior = EXACT.posterior(x)
        error = np.sqrt(np.diag(posterior.covariance) / certificate.num_effective)
        assert np.all(np.abs(mean - posterior.mean) < 5.3 * error)


@pytest.mark.parametrize(("width", "shift"), [(0.4, 0.0), (1.0, 4.0), (0.02, 0.0)])
def test_weights_of_a_wrong_proposal_do_not_pass(width, shift):
    few = CorrectionSettings(most_rounds=2)
    data = given([width] * 3, [shift] * 3)
    weighed = weigh_draws(jr.key(1), Linear(), Widened(), data, few)
    assert not any(one.passed for one in weighed)


def test_more_draws_are_made_where_they_help():
    settings = CorrectionSettings(num_draws=1024, least_effective=500.0)
    weighed = weigh_draws(
        jr.key(2), Linear(), Widened(), given([1.05, 2.0, 0.4]), settings
    )
    number = [one.certificate.num_weighed for one in weighed]
    assert number[0] == 1024
    assert 1024 < number[1] < 6 * 1024
    assert number[2] == 6 * 1024
    assert [one.passed for one in weighed] == [True, True, False]


def test_certificates_of_strange_weights():
    nothing = certify(np.full(100, -np.inf))
    assert (nothing.efficiency, nothing.num_effective) == (0.0, 0.0)
    equal = certify(np.full(100, -1e5))
    assert equal.efficiency == pytest.approx(1)
    assert equal.log_evidence == pytest.approx(-1e5)
    assert equal.log_evidence_error == pytest.approx(0, abs=1e-6)
    with pytest.raises(RangeError, match="rounds"):
        CorrectionSettings(num_draws=100)


@pytest.mark.slow
def test_a_mixture_mends_what_the_weights_could_not():
    correction = CorrectionSettings(
        num_draws=1024, adapt_rounds=3, adapt_draws=1024, num_components=4
    )
    plan = replace(PLAN, correction=correction)
    data = given([1.1, 0.4, 0.7], [0.0, 1.0, 2.0])
    samples = climb(jr.key(3), Linear(), Widened(), data, np.ones(3, bool), plan)
    rungs = [one.certificate.rung for one in samples]
    assert rungs == ["corrected", "refined", "refined"]
    for one, x in zip(samples, X, strict=True):
        posterior = EXACT.posterior(x)
        sd = np.sqrt(np.diag(posterior.covariance))
        draws = np.asarray(one.theta, float)
        assert np.all(np.abs(draws.mean(axis=0) - posterior.mean) < 5.3 * sd / 20)
        assert np.all(np.abs(draws.std(axis=0) / sd - 1) < 5.3 / np.sqrt(800))


@pytest.mark.slow
def test_each_object_is_answered_by_the_first_rung_that_can():
    seen = []
    usable = np.array([True, True, False])
    samples = climb(
        jr.key(3),
        Linear(),
        Widened(),
        given([1.1, 0.4, 1.1], [0.0, 1.0, 0.0]),
        usable,
        PLAN,
        progress=lambda done, total: seen.append((done, total)),
    )
    rungs = [one.certificate.rung for one in samples]
    assert rungs == ["corrected", "guided", "sampled"]
    assert seen == sorted(seen)
    assert seen[-1] == (3, 3)
    for one, x in zip(samples, X, strict=True):
        assert bool(one.status == Status.ok)
        assert one.theta.shape == (4_000, 2)
        posterior = EXACT.posterior(x)
        sd = np.sqrt(np.diag(posterior.covariance))
        draws = np.asarray(one.theta, float)
        # 400 effective draws or more
        assert np.all(np.abs(draws.mean(axis=0) - posterior.mean) < 5.3 * sd / 20)
        assert np.all(np.abs(draws.std(axis=0) / sd - 1) < 5.3 / np.sqrt(800))
        # and the proposal of the second object would not do
        assert not np.all(np.abs(0.4 * sd / sd - 1) < 5.3 / np.sqrt(800))


def test_a_mixture_that_fails_is_followed_by_one_of_twice_the_size(monkeypatch):
    tried = []

    def adapt(key, target, data, weighed, settings, *, proposal, explored):
        """The larger mixture mends the first object; the others stay as they are."""
        counts = {len(one) for one in (weighed, explored, *data.values())}
        assert len(counts) == 1
        tried.append((len(weighed), settings.num_components, settings.adapt_draws))
        mended = settings.num_components == 8
        return [
            replace(one, passed=mended and place == 0)
            for place, one in enumerate(weighed)
        ]

    monkeypatch.setattr(ladder, "adapt_draws", adapt)
    monkeypatch.setattr(ladder, "_chains", lambda *given: [SAMPLED] * 2)
    correction = CorrectionSettings(adapt_draws=1024, num_components=4, most_rounds=1)
    plan = replace(PLAN, correction=correction)
    data = given([0.4, 0.4, 0.4], [1.0, 1.0, 1.0])
    samples = climb(jr.key(3), Linear(), Widened(), data, np.ones(3, bool), plan)
    assert tried == [(3, 4, 1024), (3, 8, 2048)]
    assert samples[0].theta.shape == (4_000, 2)
    assert samples[1].theta is samples[2].theta is SAMPLED.theta


@pytest.mark.slow
@pytest.mark.parametrize("moved", [0.5, 50.0])
def test_a_mixture_learns_from_chains_that_failed(monkeypatch, moved):
    """From chains half a standard deviation off it does, from those at a bound not."""
    rng = np.random.default_rng(2)

    def chains(*given):
        found = []
        for x in X[:2]:
            posterior = EXACT.posterior(x)
            factor = np.linalg.cholesky(posterior.covariance)
            noise = moved + rng.normal(size=(4_000, 2))
            theta = jnp.asarray(posterior.mean + noise @ factor.T, jnp.float32)
            one = replace(SAMPLED, theta=theta, log_weight=jnp.zeros(4_000))
            found.append(replace(one, status=Status.not_converged))
        return found

    monkeypatch.setattr(ladder, "_chains", chains)
    monkeypatch.setattr(ladder, "_refined", lambda *given: {})
    monkeypatch.setattr(ladder, "_explored", lambda *given: {})
    correction = CorrectionSettings(
        num_draws=1024, adapt_rounds=1, adapt_draws=1024, num_components=4
    )
    plan = replace(PLAN, correction=correction)
    data = jax.tree.map(lambda leaf: leaf[:2], given([0.4] * 3, [1.0] * 3))
    samples = climb(jr.key(3), Linear(), Widened(), data, np.ones(2, bool), plan)
    for one, x in zip(samples, X[:2], strict=True):
        assert bool(one.status == Status.ok) == (moved < 1)
        assert one.certificate.rung == ("settled" if moved < 1 else "sampled")
        if moved < 1:
            posterior = EXACT.posterior(x)
            sd = np.sqrt(np.diag(posterior.covariance))
            draws = np.asarray(one.theta, float)
            assert np.all(np.abs(draws.mean(axis=0) - posterior.mean) < 5.3 * sd / 20)
            assert np.all(np.abs(draws.std(axis=0) / sd - 1) < 5.3 / np.sqrt(800))


class Twins:
    """A posterior of two equal modes, far apart."""

    parameters = EXACT.parameters
    apart = jnp.array([1.5, 1.0])

    def log_prior(self, scaled):
        return jnp.zeros(())

    def log_likelihood(self, scaled, data):
        away = [jnp.sum((scaled - s * self.apart) ** 2) for s in (-1, 1)]
        return jnp.logaddexp(*(-0.5 * one / data["width"] ** 2 for one in away))


class OneTwin(eqx.Module):
    """Draws near one of them, too narrow."""

    def draw(self, key, num_draws, data):
        noise = jr.normal(key, (num_draws, 2))
        width = 0.4 * data["width"]
        log_prob = jnp.sum(jax.scipy.stats.norm.logpdf(noise), axis=1)
        theta = Twins.apart + width * noise
        return PosteriorDraws(theta, log_prob - 2 * jnp.log(width))

    def log_prob(self, scaled, data):
        width = 0.4 * data["width"]
        return jnp.sum(jax.scipy.stats.norm.logpdf(scaled, Twins.apart, width))


@pytest.mark.slow
@pytest.mark.parametrize("is_blind", [False, True])
def test_a_mode_that_the_network_does_not_know_is_found(monkeypatch, is_blind):
    if is_blind:  # the control: without the annealed particles it stays unknown
        monkeypatch.setattr(
            ladder, "explore", lambda key, target, data, settings: KNOWN[None]
        )
    correction = CorrectionSettings(
        num_draws=1024, adapt_rounds=4, adapt_draws=1024, num_components=4
    )
    plan = replace(PLAN, correction=correction)
    data = {"width": jnp.array([0.1])}
    (found,) = climb(jr.key(5), Twins(), OneTwin(), data, np.ones(1, bool), plan)
    assert found.certificate.rung == "refined"
    share = float(np.mean(np.asarray(found.theta)[:, 0] > 0))
    assert share == pytest.approx(1.0 if is_blind else 0.5, abs=0.13)
