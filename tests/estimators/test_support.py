"""Supports: every kind of axis maps to all reals and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.estimators import Support, Whitening

INF = np.inf
MIXED = Support.between(
    [-1.0, 0.0, -INF, -INF, 0.0],
    [2.0, INF, 5.0, INF, 6.0],
    [False, False, False, False, True],
)
POINTS = np.array([[0.5, 3.0, 4.0, -7.0, 1.0], [-0.9, 0.01, -30.0, 2.0, 5.5]])


def test_the_inverse_undoes_the_map_and_tables_agree_with_vectors():
    y = jax.vmap(MIXED.unbound)(jnp.asarray(POINTS, jnp.float32))
    np.testing.assert_allclose(jax.vmap(MIXED.bound)(y), POINTS, rtol=2e-4)
    np.testing.assert_allclose(MIXED.unbound_table(POINTS), y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        MIXED.log_det_table(np.asarray(y, float)),
        jax.vmap(MIXED.log_det)(y),
        rtol=1e-4,
        atol=1e-4,
    )


def test_the_volume_element_is_that_of_the_map():
    for point in jnp.asarray(POINTS, jnp.float32):
        matrix = jax.jacfwd(MIXED.unbound)(point)
        expected = jnp.linalg.slogdet(matrix)[1]
        found = MIXED.log_det(MIXED.unbound(point))
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_period_has_no_outside_and_bounds_have():
    point = jnp.asarray(POINTS[0], jnp.float32)
    assert MIXED.contains(point.at[4].set(-20.0))
    np.testing.assert_allclose(
        MIXED.unbound(point), MIXED.unbound(point.at[4].add(12.0)), rtol=1e-4
    )
    for axis, value in ((0, 2.1), (1, -0.1), (2, 5.1)):
        assert not MIXED.contains(point.at[axis].set(value))


def test_supports_are_compared():
    inner, outer = Support.between([0.1], [0.9]), Support.between([0.0], [1.0])
    assert outer.covers(inner)
    assert not inner.covers(outer)
    np.testing.assert_allclose(outer.intersect(inner).upper, [0.9], rtol=1e-6)
    with pytest.raises(ParameterError, match="lower < upper"):
        outer.intersect(Support.between([2.0], [3.0]))
    assert outer.log_volume == 0.0
    assert MIXED.log_volume == INF


@pytest.mark.parametrize(
    ("low", "high", "turns"),
    [([1.0], [0.0], None), ([0.0], [INF], [True]), ([0.0], [1.0, 2.0], None)],
)
def test_bad_bounds_are_refused(low, high, turns):
    with pytest.raises(ParameterError, match="Expected"):
        Support.between(low, high, turns)


def test_whitening_gives_unit_covariance_under_the_weights():
    generator = np.random.default_rng(1)
    table = generator.normal(size=(500, 3)) @ generator.normal(size=(3, 3)) + 5
    weight = generator.random(500)
    whitening = Whitening.from_data(table, weight)
    white = whitening.table(table)
    np.testing.assert_allclose(np.average(white, 0, weight), 0, atol=1e-4)
    found = np.cov(white, rowvar=False, aweights=weight, ddof=0)
    np.testing.assert_allclose(found, np.eye(3), atol=1e-4)
    one = jnp.asarray(table[3], jnp.float32)
    np.testing.assert_allclose(whitening(one), white[3], atol=1e-4)
    np.testing.assert_allclose(whitening.inverse(whitening(one)), one, rtol=1e-5)
