import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.networks import (
    ACTIVATIONS,
    AbstractConstant,
    CholeskyHead,
    CorrelationHead,
    Flow,
    ResidualNetwork,
    SourcesHead,
    fill_lower,
    trainable,
)


class Offset(AbstractConstant):
    value: jax.Array


class Model(eqx.Module):
    weight: jax.Array
    offset: Offset
    count: jax.Array


def test_fill_lower_uses_every_number_once():
    square = fill_lower(jnp.arange(1, 11), 4)
    assert sorted(np.asarray(square)[np.tril_indices(4)]) == list(range(1, 11))
    assert np.all(np.triu(square, 1) == 0)


@pytest.mark.parametrize("scale", [1.0, 1e4, -1e4])
def test_cholesky_head_bounds_the_conditional_variance(scale):
    head = CholeskyHead(jr.key(0), 3, 4)
    factor = head(scale * jnp.ones(3), 1e-6)
    assert np.all(np.triu(factor, 1) == 0)
    assert np.all(np.diag(factor) >= 0.999e-3)
    assert np.all(np.isfinite(factor))


def test_cholesky_head_starts_at_its_initial_scale_and_falls_below_a_thousandth():
    head = CholeskyHead(jr.key(0), 3, 2, initial_scale=0.3)
    still = jax.tree.map(jnp.zeros_like, head)
    np.testing.assert_allclose(still(jnp.zeros(3), 0.0), 0.3 * np.eye(2), rtol=1e-5)
    low = eqx.tree_at(lambda h: h.linear.bias, still, jnp.full(3, -8.0))
    assert np.all(np.diag(low(jnp.zeros(3), 1e-12)) < 1e-3)


def test_rows_of_the_cholesky_head_are_those_of_the_whole():
    head = CholeskyHead(jr.key(0), 3, 5)
    features = jr.normal(jr.key(1), (3,))
    index = jnp.array([4, 0, 2, 2])
    whole = head(features, 1e-4)
    rows = head.rows(features, 1e-4, index)
    np.testing.assert_allclose(rows, whole[index], rtol=1e-6)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(rows, whole[index[::-1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("activation", "normalization"),
    [*((a, "none") for a in ACTIVATIONS), ("silu", "layer")],
)
def test_residual_network_is_smooth_and_changes_width(activation, normalization):
    network = ResidualNetwork(
        jr.key(0), 3, (8, 8, 5), activation=activation, normalization=normalization
    )
    x = jnp.array([0.3, -1.0, 2.0])
    assert network(x).shape == (5,) == (network.out_size,)
    curvature = jax.jit(jax.hessian(lambda x: jnp.sum(network(x) ** 2)))(x)
    assert np.all(np.isfinite(curvature))
    assert np.any(curvature != 0)


@pytest.mark.parametrize(("widths", "activation"), [((), "silu"), ((4,), "relu")])
def test_residual_network_refuses(widths, activation):
    with pytest.raises(ValueError, match="Expected"):
        ResidualNetwork(jr.key(0), 3, widths, activation=activation)


def test_constants_and_integers_are_not_trained():
    model = Model(jnp.ones(2), Offset(jnp.ones(3)), jnp.arange(2))
    weights, fixed = eqx.partition(model, trainable(model))
    assert [leaf.shape for leaf in jax.tree.leaves(weights)] == [(2,)]
    assert len(jax.tree.leaves(fixed)) == 2


@pytest.mark.parametrize(("kind", "dim"), [("coupling", 1), ("autoregressive", 2)])
def test_an_untrained_flow_is_near_a_standard_normal(kind, dim):
    flow = Flow(jr.key(0), dim, kind=kind, num_layers=2, width=8)
    y = jnp.linspace(-1, 1, dim)
    expected = -0.5 * jnp.sum(y**2) - 0.5 * dim * np.log(2 * np.pi)
    assert abs(flow.log_prob(y) - expected) < 1.5
    assert flow.sample(jr.key(1), 7).shape == (7, dim)


def test_a_conditional_flow_depends_on_its_condition():
    flow = Flow(jr.key(0), 2, num_cond=1, num_layers=2, width=8)
    y = jnp.array([0.3, 0.5])
    low, high = flow.log_prob(y, jnp.array([-2.0])), flow.log_prob(y, jnp.array([2.0]))
    assert low != high


def test_whitening_is_the_inverse_of_the_factor():
    head = CholeskyHead(jr.key(0), 3, 5)
    features, residual = 3 * jr.normal(jr.key(1), (3,)), jr.normal(jr.key(2), (5,))
    factor = head(features, 1e-4)
    white = head.whiten(features, 1e-4, residual)
    np.testing.assert_allclose(factor @ white.residual, residual, atol=1e-5)
    log_det = np.log(np.diag(factor)).sum()
    np.testing.assert_allclose(white.log_det, log_det, rtol=1e-5)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(factor.T @ white.residual, residual, atol=1e-5)


def test_whitening_stays_finite_with_weights_that_no_inverse_survives():
    head = CholeskyHead(jr.key(0), 3, 38)
    wild = jax.tree.map(lambda leaf: 1e3 * leaf, head)
    features = jnp.ones(3)

    def log_density(head):
        white = head.whiten(features, 1e-6, jnp.ones(38))
        return jnp.sum(white.residual**2) + white.log_det

    gradient = jax.grad(log_density)(wild)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    assert not np.all(np.isfinite(wild(features, 1e-6)))


@pytest.mark.parametrize("dim", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [0.1, 30.0])
def test_correlation_head_has_the_variances_that_it_states(dim, size):
    head = CorrelationHead(jr.key(0), 5, dim)
    features = size * jr.normal(jr.key(1), (5,))
    factor = np.asarray(head(features, 1e-6), float)
    assert np.all(np.triu(factor, 1) == 0)
    assert np.all(np.diag(factor) >= 0.999e-3)
    variance = np.sum(factor**2, axis=1)
    np.testing.assert_allclose(head.variance(features, 1e-6), variance, rtol=1e-4)


def test_fluxes_of_sources_add():
    head = SourcesHead(jr.key(0), 3, 2, 3)
    features, spread = jnp.array([0.3, -1.0, 2.0]), jnp.array([0.5, 4.0])
    each = np.asarray(head.linear(features)).reshape(3, 2) + np.arange(3)[:, None]
    flux = np.sum(10 ** (-0.4 * each * np.asarray(spread)), axis=0)
    seen = np.asarray(spread * head(features, spread))
    np.testing.assert_allclose(seen, -2.5 * np.log10(flux), rtol=1e-5)
