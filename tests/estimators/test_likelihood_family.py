"""Densities of the family: normalized, true to their draws, right about missing bands.

The networks are untrained, with their weights away from the start.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import kstest

from grainlight.core import BandMismatchError, ModelError
from grainlight.estimators import (
    FlowLikelihood,
    GaussianLikelihood,
    GaussianPosterior,
    LikelihoodEnsemble,
    VariationalLikelihood,
    hide_bands,
)
from grainlight.networks import trainable

FALSE_ALARM = 1e-6
RNG = np.random.default_rng(1)
THETA = RNG.normal(size=(200, 2))
CONDITION = RNG.uniform(size=(200, 1))
X = 20 + THETA @ np.array([[1.0, 0.4], [-0.5, 1.0]]) + 0.5 * RNG.normal(size=(200, 2))
AT = (jnp.array([0.4, -0.2]), jnp.array([0.3]))
SEEN = jnp.array([20.5, 19.2])

MAKERS = {
    "convolutional": lambda: GaussianLikelihood.from_data(
        jr.key(0), THETA, CONDITION, X, widths=(8,), covariance="convolutional"
    ),
    "ensemble": lambda: LikelihoodEnsemble.from_data(
        jr.key(0), THETA, CONDITION, X, widths=(8,), num_members=3
    ),
    "flow": lambda: FlowLikelihood.from_data(
        jr.key(0), THETA, CONDITION, X, widths=(8,), num_layers=2, width=8
    ),
    "variational": lambda: VariationalLikelihood.from_data(
        jr.key(0),
        *(THETA, CONDITION, X),
        widths=(8,),
        generation_widths=(8,),
        recognition_widths=(8,),
        num_latent=2,
        num_draws=512,
    ),
    "posterior": lambda: GaussianPosterior.from_data(
        jr.key(0), THETA, CONDITION, X, widths=(8,)
    ),
}


def moved(estimator, size=0.15):
    """The estimator with its weights away from the start."""
    weights, fixed = eqx.partition(estimator, trainable(estimator))
    keys = iter(jr.split(jr.key(5), 200))

    def shift(leaf):
        return leaf + size * jr.normal(next(keys), leaf.shape, leaf.dtype)

    return eqx.combine(jax.tree.map(shift, weights), fixed)


@pytest.fixture(scope="module", params=MAKERS)
def density(request):
    """Log-density and draws of one vector, and where they lie."""
    estimator = moved(MAKERS[request.param]())
    given = (SEEN, AT[1]) if request.param == "posterior" else AT
    draws = jax.jit(
        lambda keys: jax.vmap(lambda key: estimator.sample(key, *given))(keys)
    )(jr.split(jr.key(2), 20_000))
    low, high = (np.asarray(end(draws, axis=0), float) for end in (jnp.min, jnp.max))
    margin = 0.5 * (high - low)
    edges = [
        np.linspace(a, b, 122) for a, b in zip(low - margin, high + margin, strict=True)
    ]
    centers = [0.5 * (edge[1:] + edge[:-1]) for edge in edges]
    points = np.stack(np.meshgrid(*centers, indexing="ij"), -1).reshape(-1, 2)
    log_prob = jax.jit(
        lambda points: jax.lax.map(
            lambda y: estimator.log_prob(y, *given), points, batch_size=2_000
        )
    )(jnp.asarray(points, jnp.float32))
    values = np.exp(np.asarray(log_prob, float)).reshape(121, 121)
    return values, edges, np.asarray(draws, float)


@pytest.mark.parametrize(("factor", "normalized"), [(1.0, True), (0.97, False)])
def test_every_density_integrates_to_one(density, factor, normalized):
    values, edges, _ = density
    cell = (edges[0][1] - edges[0][0]) * (edges[1][1] - edges[1][0])
    total = np.sum(factor * values) * cell
    assert bool(abs(total - 1) < 0.015) is normalized


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("power", "accepted"), [(1.0, True), (0.8, False)])
def test_draws_follow_the_density(density, axis, power, accepted):
    """Each coordinate against its marginal; a tempered density must fail."""
    values, edges, draws = density
    marginal = np.sum(values**power, axis=1 - axis)
    cumulative = np.concatenate([[0.0], np.cumsum(marginal)]) / marginal.sum()
    test = kstest(draws[:, axis], lambda y: np.interp(y, edges[axis], cumulative))
    assert bool(test.pvalue > FALSE_ALARM) is accepted


def test_a_flow_refuses_masks():
    flow = MAKERS["flow"]()
    mask = jnp.array([True, False])
    with pytest.raises(BandMismatchError, match="cannot marginalize"):
        flow.log_prob(SEEN, *AT, mask)
    with pytest.raises(BandMismatchError, match="cannot marginalize"):
        flow.loss(jr.key(0), jnp.ones(()), *AT, SEEN, mask)


def test_a_flow_starts_near_the_gaussian_that_it_is_given():
    gaussian = GaussianLikelihood.from_data(
        jr.key(0), THETA, CONDITION, X, widths=(8,), initial_floor=0.5
    )
    flow = FlowLikelihood.from_gaussian(jr.key(1), gaussian, num_layers=2, width=8)
    drawn = jax.vmap(lambda key: gaussian.sample(key, *AT))(jr.split(jr.key(3), 500))

    def mean_of(likelihood):
        return float(jnp.mean(jax.vmap(lambda x: likelihood.log_prob(x, *AT))(drawn)))

    assert mean_of(flow) == pytest.approx(mean_of(gaussian), abs=0.5)
    assert mean_of(moved(flow, 0.5)) < mean_of(gaussian) - 0.5
    # no annealing: the loss at the start of training is that of the final floor
    at_start, at_end = (
        flow.loss(jr.key(2), jnp.asarray(progress), *AT, SEEN)
        for progress in (0.0, 1.0)
    )
    assert float(at_start) == pytest.approx(float(at_end))
    anew = FlowLikelihood.from_data(jr.key(1), THETA, CONDITION, X, widths=(8,))
    begun = anew.loss(jr.key(2), jnp.asarray(0.0), *AT, SEEN)
    assert abs(begun - anew.loss(jr.key(2), jnp.asarray(1.0), *AT, SEEN)) > 0.01


def test_a_flow_bends_no_blurred_likelihood():
    blurred = GaussianLikelihood.from_data(
        jr.key(0), THETA, CONDITION, X, widths=(8,), blur=(0.01, 0.1)
    )
    with pytest.raises(ModelError, match="without `blur`"):
        FlowLikelihood.from_gaussian(jr.key(1), blurred)


def test_moments_of_a_flow_are_those_of_its_draws():
    flow = moved(MAKERS["flow"]())
    draws = jax.jit(jax.vmap(flow.sample, in_axes=(0, None, None)))(
        jr.split(jr.key(4), 20_000), *AT
    )
    moments = eqx.filter_jit(flow.moments)(*AT)
    spread = np.std(draws, axis=0)
    assert np.all(np.abs(np.mean(draws, axis=0) - moments.mean) < 0.25 * spread)
    ratio = np.sqrt(np.diag(moments.covariance)) / spread
    np.testing.assert_allclose(ratio, 1, atol=0.25)


@pytest.fixture(scope="module")
def variational():
    return moved(MAKERS["variational"](), 0.3)


def with_share(variational, share):
    fields = {**variational.config(), "prior_share": share}
    blank = VariationalLikelihood.from_config(jr.key(0), **fields)
    return jax.tree.unflatten(jax.tree.structure(blank), jax.tree.leaves(variational))


@eqx.filter_jit
def importance(variational, key, x, mask, num):
    """The likelihood by some number of latent variables; compiled once."""
    return variational.importance_log_prob(key, x, *AT, mask, num_draws=num)


def brute_force(variational, x, mask=None, num=100_000):
    """The likelihood by latent variables from the prior alone."""
    return importance(with_share(variational, 1.0), jr.key(9), x, mask, num)


@pytest.mark.parametrize(("share", "error"), [(0.0, 0.2), (0.1, 0.03), (0.5, 0.03)])
@pytest.mark.parametrize("mask", [None, jnp.array([True, False])])
def test_importance_sampling_needs_no_good_proposal(variational, share, error, mask):
    """Without draws from the prior, an untrained proposal has weights without bound."""
    exact = brute_force(variational, SEEN, mask)
    hidden = SEEN if mask is None else jnp.where(mask, SEEN, jnp.nan)
    proposing = with_share(variational, share)
    found = importance(proposing, jr.key(1), hidden, mask, 20_000)
    np.testing.assert_allclose(found, exact, atol=error)
    elsewhere = brute_force(variational, SEEN + 1.0, mask)
    assert abs(elsewhere - exact) > 0.2


def test_more_draws_scatter_less(variational):
    def scatter(num):
        keys = jr.split(jr.key(3), 64)
        found = jax.vmap(
            lambda key: variational.importance_log_prob(key, SEEN, *AT, num_draws=num)
        )
        return np.std(eqx.filter_jit(found)(keys))

    assert scatter(256) < 0.5 * scatter(16)


def test_log_prob_is_deterministic_and_its_gradient_its_own(variational):
    theta, condition = AT

    @jax.jit
    @partial(jax.value_and_grad, argnums=1)
    def value(x, theta, condition):
        return variational.log_prob(x, theta, condition)

    first, slope = value(SEEN, theta, condition)
    assert first == value(SEEN, theta, condition)[0]
    step = jnp.array([1e-2, 0.0])
    high, low = (value(SEEN, theta + s, condition)[0] for s in (step, -step))
    np.testing.assert_allclose((high - low) / 2e-2, slope[0], rtol=0.02, atol=0.01)


def test_moments_hold_the_covariance_of_the_means(variational):
    draws = jax.jit(jax.vmap(variational.sample, in_axes=(0, None, None)))(
        jr.split(jr.key(4), 40_000), *AT
    )
    moments = variational.moments(*AT)
    covariance = np.cov(np.asarray(draws, float), rowvar=False)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(moments.covariance / scale, covariance / scale, atol=0.1)
    error = (moments.mean - np.mean(draws, axis=0)) / np.sqrt(np.diag(covariance))
    assert np.all(np.abs(error) < 0.15)


@pytest.mark.parametrize("name", ["variational", "posterior"])
def test_a_hidden_nan_changes_nothing(name):
    estimator = moved(MAKERS[name]())
    mask = jnp.array([True, False])
    loss = eqx.filter_jit(eqx.filter_value_and_grad(type(estimator).loss))
    answers = []
    for hidden in (7.0, np.nan):
        x = jnp.where(mask, SEEN, hidden)
        answers.append(loss(estimator, jr.key(0), jnp.ones(()), *AT, x, mask))
    assert answers[0][0] == answers[1][0]
    whole = loss(estimator, jr.key(0), jnp.ones(()), *AT, SEEN, mask | True)
    assert answers[0][0] != whole[0]
    leaves = jax.tree.leaves(answers[1][1])
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)


@pytest.mark.parametrize(
    "wrong", [{"num_draws": 0}, {"prior_share": 1.5}, {"generation_widths": (7,)}]
)
def test_settings_that_do_not_fit_are_refused(wrong):
    settings = {"widths": (8,), "generation_widths": (8,)} | wrong
    with pytest.raises(ValueError, match="Expected"):
        VariationalLikelihood.from_data(jr.key(0), THETA, CONDITION, X, **settings)


@pytest.mark.parametrize("least", [0.0, 0.6, 1.0])
def test_hidden_bands_leave_the_share_that_was_asked_for(least):
    x = jnp.ones((4_000, 29)).at[:, 5].set(jnp.nan)
    theta, condition = jnp.zeros((4_000, 2)), jnp.zeros((4_000, 1))
    mask = hide_bands(least)(jr.key(0), theta, condition, x)[3]
    assert not np.any(mask[:, 5])
    share = np.sum(mask, axis=1) / 28
    assert np.min(share) >= 1 / 28
    np.testing.assert_allclose(np.mean(share), (1 + least) / 2, atol=0.02)
    assert bool(np.std(share) > 0.05) is (least < 1)


def test_hidden_bands_keep_the_masks_of_the_data():
    x, there = jnp.ones((50, 3)), jnp.zeros((50, 3), bool).at[:, 1].set(True)
    empty = jnp.zeros((50, 0))
    mask = hide_bands()(jr.key(0), empty, empty, x, there)[3]
    np.testing.assert_array_equal(mask, there)
    with pytest.raises(ValueError, match="least share"):
        hide_bands(1.5)
