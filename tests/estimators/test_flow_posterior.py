"""A flow as posterior: its laws, and a problem whose answer is known exactly."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from grainlight.core import BandMismatchError, ParameterError
from grainlight.estimators import (
    FlowPosterior,
    PosteriorEnsemble,
    Support,
    TrainingSettings,
    fit_estimator,
    hide_bands,
)
from grainlight.evaluation.ranks import uniformity_pvalue
from grainlight.simulators import ConjugateGaussian, Gaussian

FALSE_ALARM = 1e-6
LOWER, UPPER = np.array([0.0, -1.0]), np.array([1.0, 3.0])
RNG = np.random.default_rng(5)
THETA = RNG.uniform(LOWER, UPPER, (60, 2))
X = RNG.normal(size=(60, 6))
NOTHING = np.zeros((60, 0))
SMALL = {"widths": (8,), "num_layers": 2, "width": 8, "num_context": 4}


def make(key=0, **settings):
    """A posterior away from its start, so that nothing is trivially right."""
    made = FlowPosterior.from_data(
        jr.key(key), THETA, NOTHING, X, lower=LOWER, upper=UPPER, **(SMALL | settings)
    )

    small = 0.05 if settings.get("encoder") != "token" else 0.002

    def shift(leaf):
        return leaf + small if eqx.is_inexact_array(leaf) else leaf

    kept = (made.support, made.theta_scaling)
    moved = jax.tree.map(shift, made)
    return eqx.tree_at(lambda one: (one.support, one.theta_scaling), moved, kept)


KINDS = {
    "masked coupling": {"num_channels": 3, "normalization": "layer"},
    "token autoregressive": {
        "encoder": "token",
        "num_channels": 2,
        "flow": "autoregressive",
    },
}
X0, NONE = jnp.asarray(X[0], jnp.float32), jnp.zeros(0)


@eqx.filter_jit
def log_probs(posterior, theta, x, mask=None):
    return jax.vmap(lambda t: posterior.log_prob(t, x, NONE, mask))(theta)


@eqx.filter_jit
def draws_of(posterior, key, num_draws, x):
    return posterior.draw(key, num_draws, x, NONE)


def grid_over(posterior, num=150):
    """Parameters even in their probits, and the volume that each stands for."""
    y = 9.4 * ((np.arange(num) + 0.5) / num - 0.5)
    y = np.stack(np.meshgrid(y, y), axis=-1).reshape(-1, 2)
    y = jnp.asarray(y, jnp.float32)
    theta = jax.jit(jax.vmap(posterior.support.bound))(y)
    volume = jnp.exp(-jax.jit(jax.vmap(posterior.support.log_det))(y))
    return theta, np.asarray(volume, float) * (9.4 / num) ** 2


@pytest.mark.parametrize(
    "kind",
    ["masked coupling", pytest.param("token autoregressive", marks=pytest.mark.slow)],
)
def test_draws_lie_within_the_bounds_and_follow_a_density_of_mass_one(kind):
    posterior = make(**KINDS[kind])
    draws = draws_of(posterior, jr.key(1), 4_000, X0)
    theta = np.asarray(draws.theta)
    assert np.all((theta >= LOWER) & (theta <= UPPER))
    again = log_probs(posterior, draws.theta, X0)
    np.testing.assert_allclose(draws.log_prob, again, atol=0.02)
    assert log_probs(posterior, jnp.array([[0.5, 3.1]]), X0)[0] == -jnp.inf
    points, volume = grid_over(posterior)
    mass = np.exp(np.asarray(log_probs(posterior, points, X0), float)) * volume
    assert mass.sum() == pytest.approx(1, abs=2e-3)
    # counts in four cells, against the density integrated over each
    middle = np.median(theta, axis=0)
    share = _cells(np.asarray(points), middle, mass)
    count = _cells(theta, middle, np.ones(len(theta)))
    share = share / share.sum()
    assert stats.chisquare(count, share * count.sum()).pvalue > FALSE_ALARM
    wrong = share[[1, 1, 2, 2]] + np.array([0.1, 0, 0, 0])
    wrong = wrong / wrong.sum()
    assert stats.chisquare(count, wrong * count.sum()).pvalue < FALSE_ALARM


def _cells(points, middle, weight):
    place = (points > middle) @ np.array([1, 2])
    return np.bincount(place, weight, minlength=4)


@pytest.mark.parametrize("encoder", ["masked", "token"])
def test_the_order_of_tokens_and_what_is_missing_do_not_matter(encoder):
    posterior = make(encoder=encoder, num_channels=2)
    x = X0.reshape(3, 2)
    mask = jnp.array([True, False, True])
    known = posterior.features(x.reshape(-1), NONE, mask)
    order = jnp.array([2, 0, 1])
    moved = posterior.features(x[order].reshape(-1), NONE, mask[order], order)
    np.testing.assert_allclose(moved, known, rtol=1e-5, atol=1e-5)
    other = x.at[1].set(jnp.nan).reshape(-1)
    np.testing.assert_allclose(
        posterior.features(other, NONE, mask), known, rtol=1e-5, atol=1e-5
    )
    # two tokens alone, out of three
    few = posterior.features(x[order[:2]].reshape(-1), NONE, mask[order[:2]], order[:2])
    np.testing.assert_allclose(few, known, rtol=1e-5, atol=1e-5)
    # but a token in the place of another does
    swapped = posterior.features(x[order].reshape(-1), NONE, mask[order])
    assert np.max(np.abs(swapped - known)) > 1e-3


def test_a_deeper_encoder_answers_as_before_and_is_asked_for_in_vain_of_tokens():
    posterior = make(num_channels=2)
    deeper = posterior.deepened(jr.key(3), 3)
    np.testing.assert_array_equal(
        deeper.features(X0, NONE), posterior.features(X0, NONE)
    )
    assert deeper.config()["widths"] == [8, 8, 8]
    assert len(deeper.encoder.trunk.blocks) == 3
    with pytest.raises(ParameterError, match="Train anew"):
        make(encoder="token", num_channels=2).deepened(jr.key(3), 3)


def test_without_any_token_features_are_finite():
    for encoder in ("masked", "token"):
        features = make(encoder=encoder).features(jnp.full(6, jnp.nan), NONE)
        assert np.isfinite(features).all()


@pytest.mark.slow
def test_an_ensemble_is_the_mixture_of_its_members():
    members = [make(key) for key in (0, 1)]
    both = PosteriorEnsemble(members)
    point = jnp.array([[0.3, 0.2]])
    each = [log_probs(one, point, X0)[0] for one in members]
    value = log_probs(both, point, X0)[0]
    assert value == pytest.approx(np.log(np.mean(np.exp(each))), abs=1e-5)
    draws = draws_of(both, jr.key(2), 500, X0)
    again = log_probs(both, draws.theta, X0)
    np.testing.assert_allclose(draws.log_prob, again, atol=1e-3)
    with pytest.raises(ParameterError, match="one data set"):
        PosteriorEnsemble([])


@pytest.mark.slow
@pytest.mark.parametrize(("num_draws", "shares"), [(1, {0, 1}), (7, {3, 4})])
def test_members_of_an_ensemble_draw_as_evenly_as_can_be(num_draws, shares):
    near = make()
    far = Support.between(LOWER + 10, UPPER + 10)
    both = PosteriorEnsemble([near, eqx.tree_at(lambda one: one.support, near, far)])
    keys = jr.split(jr.key(4), 200)
    theta = eqx.filter_jit(
        jax.vmap(lambda key: both.draw(key, num_draws, X0, NONE).theta)
    )(keys)
    is_far = np.asarray(theta[..., 0] > 5)
    counts = is_far.sum(axis=1)
    assert set(counts.tolist()) == shares
    # no place of a row belongs to a member, and no member is preferred
    for place in (*is_far.T, counts == max(shares)):
        assert stats.binomtest(int(place.sum()), 200).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"encoder": "magic"}, ParameterError, "masked, token"),
        ({"num_channels": 4}, BandMismatchError, "4 numbers a token"),
        ({"lower": LOWER + 0.5}, ParameterError, "Widen the bounds"),
        ({"lower": UPPER, "upper": LOWER}, ParameterError, "lower < upper"),
    ],
)
def test_what_cannot_work_is_refused(settings, error, match):
    whole = {"lower": LOWER, "upper": UPPER} | SMALL | settings
    with pytest.raises(error, match=match):
        FlowPosterior.from_data(jr.key(0), THETA, NOTHING, X, **whole)


def test_a_support_is_undone_and_has_its_volume():
    support = Support.between(np.array([0.0, -np.inf]), np.array([2.0, np.inf]))
    y = jnp.array([0.7, -3.0])
    theta = support.bound(y)
    np.testing.assert_allclose(support.unbound(theta), y, rtol=1e-5, atol=1e-5)
    slope = jnp.linalg.slogdet(jax.jacobian(support.unbound)(theta))[1]
    np.testing.assert_allclose(support.log_det(y), slope, atol=1e-4)


EXACT = ConjugateGaussian(
    Gaussian(np.array([0.5, -1.0]), np.array([[1.0, 0.3], [0.3, 0.5]])),
    np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]]),
    np.array([1.0, 2.0, 3.0]),
    np.diag([0.3, 0.5, 0.8]),
)


def simulated(num, seed):
    rng = np.random.default_rng(seed)
    theta = EXACT.prior.sample(rng, num)
    noise = rng.normal(size=(num, 3)) @ np.linalg.cholesky(EXACT.noise).T
    x = theta @ EXACT.design.T + EXACT.offset + noise
    return theta, np.zeros((num, 0)), x


def as_arrays(columns):
    return tuple(jnp.asarray(column, jnp.float32) for column in columns)


@pytest.fixture(scope="module")
def learned():
    """A posterior of the linear Gaussian, for any bands."""
    train, held = as_arrays(simulated(20_000, 1)), as_arrays(simulated(1_000, 2))
    blank = FlowPosterior.from_data(
        jr.key(3), *train, widths=(32, 32), num_layers=2, width=16, num_context=8
    )
    settings = TrainingSettings(num_epochs=25, learning_rate=3e-3)
    return fit_estimator(
        jr.key(4), blank, train, held, settings, augment=hide_bands()
    ).estimator


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(), (0,), (1, 2)])
def test_a_linear_gaussian_is_learned_for_any_bands(learned, hidden):
    theta, condition, x = simulated(500, 7)
    mask = np.ones(3, bool)
    mask[list(hidden)] = False
    exact = np.mean(
        [EXACT.posterior(r, mask).log_prob(t) for t, r in zip(theta, x, strict=True)]
    )
    x, theta, condition = as_arrays((x, theta, condition))
    mask = jnp.asarray(mask)

    @eqx.filter_jit
    def given(theta):
        pairs = (theta, x, condition)
        one = jax.vmap(lambda t, r, c: learned.log_prob(t, r, c, mask))
        return jnp.mean(one(*pairs))

    # nats of divergence from the exact posterior
    assert exact - float(given(theta)) < 0.05
    assert exact - float(given(theta + 0.5)) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("width", "accepted"), [(1.0, True), (0.6, False)])
def test_ranks_of_the_truth_are_uniform(learned, width, accepted):
    theta, condition, x = as_arrays(simulated(1_000, 9))
    keys = jr.split(jr.key(5), len(theta))

    @eqx.filter_jit
    def ranks(keys, theta, x):
        def one(key, truth, row):
            draws = learned.draw(key, 63, row, jnp.zeros(0)).theta
            middle = jnp.mean(draws, axis=0)
            return jnp.sum(middle + width * (draws - middle) < truth, axis=0)

        return jax.vmap(one)(keys, theta, x)

    rank = np.asarray(ranks(keys, theta, x))
    pvalue = min(uniformity_pvalue(rank[:, i], 63) for i in range(2))
    assert (pvalue > FALSE_ALARM) is accepted
