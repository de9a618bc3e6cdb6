"""Densities of weighted draws: normalized, of their own draws, true to the weights."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import kstest, norm

from grainlight.core import ParameterError
from grainlight.estimators import (
    DensitySettings,
    Support,
    TrainingSettings,
    fit_weighted,
)
from grainlight.estimators.weighted_fit import make_folds
from grainlight.networks.spline_flow import BROAD, BROAD_SHARE, SplineFlow

FALSE_ALARM = 1e-6
SUPPORT = Support.between([-1.0, 0.0], [1.0, 2 * np.pi], [False, True])
KINDS = ("autoregressive", "kernel")


def quick(kind):
    return DensitySettings(
        kind=kind,
        num_members=2,
        num_layers=1,
        width=16,
        knots=6,
        training=TrainingSettings(
            num_epochs=12,
            batch_size=500,
            learning_rate=5e-3,
            warmup_steps=20,
            patience=5,
            anneal_fraction=0.0,
        ),
    )


@pytest.fixture(scope="module")
def draws():
    """A tilted triangle, by weights, and an angle around zero that follows it."""
    generator = np.random.default_rng(3)
    first = generator.uniform(-1, 1, 6_000)
    weight = 1 - np.abs(first)
    angle = np.mod(generator.normal(first, 0.5), 2 * np.pi)
    return np.stack([first, angle], axis=1), weight


@pytest.fixture(scope="module", params=KINDS)
def fit(request, draws):
    return fit_weighted(jr.key(1), *draws, SUPPORT, quick(request.param))


def grid(num=200):
    first = (np.arange(num) + 0.5) / num * 2 - 1
    angle = (np.arange(num) + 0.5) / num * 2 * np.pi
    points = np.stack(np.meshgrid(first, angle, indexing="ij"), axis=-1)
    return points.reshape(-1, 2)


def test_it_integrates_to_one_over_the_support(fit):
    values = np.exp(fit.density.log_prob_table(grid()))
    assert np.mean(values) * 4 * np.pi == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("power", "accepted"), [(1.0, True), (0.6, False)])
def test_draws_follow_the_density(fit, power, accepted):
    """A tempered density must fail."""
    values = np.exp(power * fit.density.log_prob_table(grid())).reshape(200, 200)
    marginal = values.sum(axis=1)
    cumulative = np.concatenate([[0.0], np.cumsum(marginal)]) / marginal.sum()
    first = np.asarray(fit.density.sample(jr.key(2), 20_000)[:, 0], float)
    edges = np.linspace(-1, 1, 201)
    test = kstest(first, lambda value: np.interp(value, edges, cumulative))
    assert bool(test.pvalue > FALSE_ALARM) is accepted


@pytest.mark.parametrize(("weighted", "accepted"), [(True, True), (False, False)])
def test_it_follows_the_weights(fit, weighted, accepted):
    """The mean of |first| is 1/3 of a triangle and 1/2 without its weights."""
    first = np.abs(np.asarray(fit.density.sample(jr.key(4), 20_000)[:, 0]))
    expected = 1 / 3 if weighted else 1 / 2
    assert bool(abs(np.mean(first) - expected) < 0.02) is accepted


def test_the_edge_is_finite_and_beyond_it_is_nothing(fit):
    density = fit.density
    assert np.isfinite(density.log_prob(jnp.array([-1.0, 1.0])))
    assert np.isfinite(density.log_prob(jnp.array([1.0, 0.0])))
    assert density.log_prob(jnp.array([1.01, 1.0])) == -np.inf
    assert density.log_prob_table(np.array([[-1.1, 1.0]]))[0] == -np.inf
    turned = density.log_prob(jnp.array([0.2, 0.3 + 2 * np.pi]))
    np.testing.assert_allclose(
        turned, density.log_prob(jnp.array([0.2, 0.3])), atol=1e-3
    )


def test_vectors_tables_and_members_agree(fit, draws):
    theta = draws[0][:50]
    table = fit.density.log_prob_table(theta)
    one = jax.vmap(fit.density.log_prob)(jnp.asarray(theta, jnp.float32))
    np.testing.assert_allclose(table, one, atol=2e-3)
    members = fit.density.member_log_prob_table(theta)
    assert members.shape == (50, 2)
    assert np.ptp(members, axis=1).max() > 0
    held = fit.held_out_log_prob(draws[0])[:50]
    np.testing.assert_allclose(held, members[np.arange(50), fit.fold[:50]], rtol=1e-4)


def test_even_points_of_the_cube_follow_the_density(fit):
    u = jr.uniform(jr.key(5), (4_000, 2))
    mapped = np.asarray(jax.jit(jax.vmap(lambda one: fit.density.from_cube(one)))(u))
    drawn = np.asarray(fit.density.sample(jr.key(6), 4_000))
    for axis in range(2):
        moved = np.mod(np.stack([mapped[:, axis], drawn[:, axis]]) + np.pi, 2 * np.pi)
        assert kstest(*moved).pvalue > FALSE_ALARM


def test_training_keeps_its_best_weights(fit):
    for record in fit.records:
        best = record.validation_loss[record.best_epoch]
        assert best == min(record.validation_loss)
    assert bool(fit.records) is (fit.density.kind != "kernel")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["autoregressive", "coupling"])
@pytest.mark.parametrize("dim", [1, 3])
def test_flows_start_as_a_normal_and_invert(kind, dim):
    flow = SplineFlow(jr.key(0), dim, kind=kind, width=8, knots=4, num_layers=3)
    y = jnp.linspace(-6, 6, 5 * dim).reshape(5, dim)
    parts = [
        norm.logpdf(y, scale=scale).sum(axis=1) + np.log(share)
        for scale, share in ((1.0, 1 - BROAD_SHARE), (BROAD, BROAD_SHARE))
    ]
    normal = np.logaddexp(*parts)
    np.testing.assert_allclose(jax.vmap(flow.log_prob)(y), normal, rtol=1e-5, atol=1e-5)
    bent = jax.tree.map(lambda leaf: leaf + 0.3, flow)
    for layer in bent.layers:
        z = jax.vmap(lambda v, layer=layer: layer.forward(v)[0])(y)
        np.testing.assert_allclose(jax.vmap(layer.inverse)(z), y, atol=1e-4)
    matrix = jax.jacfwd(bent.layers[0].forward)(y[2])[0]
    log_det = bent.layers[0].forward(y[2])[1]
    np.testing.assert_allclose(jnp.linalg.slogdet(matrix)[1], log_det, atol=1e-4)


def test_folds_are_even_and_runs_where_neighbors_agree():
    for ordered in (False, True):
        fold = make_folds(jr.key(0), 100, 4, ordered=ordered)
        assert np.bincount(fold).tolist() == [25] * 4
        assert bool(np.count_nonzero(np.diff(fold)) == 3) is ordered


BAD = {
    "beyond": (np.array([[2.0, 1.0]]), np.ones(201), "within -1 and 1"),
    "nan": (np.array([[np.nan, 1.0]]), np.ones(201), "finite"),
    "negative": (np.array([[0.0, 1.0]]), -np.ones(201), "zero or more"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_draws_are_refused(draws, name):
    row, weight, match = BAD[name]
    theta = np.concatenate([draws[0][:200], row])
    with pytest.raises(ParameterError, match=match):
        fit_weighted(jr.key(1), theta, weight, SUPPORT, quick("kernel"))


def test_too_few_or_constant_draws_are_refused(draws):
    theta = draws[0]
    lone = np.zeros(len(theta))
    lone[:20] = 1.0
    with pytest.raises(ParameterError, match="100 effective"):
        fit_weighted(jr.key(1), theta, lone, SUPPORT, quick("kernel"))
    constant = theta.copy()
    constant[:, 0] = 0.5
    with pytest.raises(ParameterError, match="Subtract a constant"):
        fit_weighted(jr.key(1), constant, draws[1], SUPPORT, quick("kernel"))
    with pytest.raises(ParameterError, match="two members"):
        DensitySettings(num_members=1)


def test_few_draws_are_passed_over_more_often():
    few, many = (DensitySettings().training_for(num) for num in (3_000, 40_000))
    assert few.num_epochs * 3_000 >= 1_600 * few.batch_size
    assert many.num_epochs == 15
    assert few.patience > many.patience
    assert quick("kernel").training_for(3_000).num_epochs == 12
