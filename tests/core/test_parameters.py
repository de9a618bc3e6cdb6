"""Laws of the three coordinate systems of the parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainlight.core import Parameter, ParameterError, Parameters

MASS = Parameter("dust_mass", 1e-6, 1e-1, unit="Msun", scale="log10", label="M")
FRACTION = Parameter("silicate_fraction", 0.0, 1.0)
TEMPERATURE = Parameter("sn_temperature", 4000.0, 14000.0, unit="K", label="T")
RADIUS = Parameter("outer_radius", 1e15, 1e18, unit="cm", scale="log10")
BELOW_ZERO = Parameter("offset", -3.0, -1.0)

REGISTRY = {
    "log": Parameters((MASS,)),
    "linear": Parameters((FRACTION,)),
    "mixed": Parameters((MASS, FRACTION, TEMPERATURE, RADIUS, BELOW_ZERO)),
}


@pytest.fixture(params=REGISTRY, ids=str)
def parameters(request):
    return REGISTRY[request.param]


def at(parameters: Parameters, unit: float) -> np.ndarray:
    """The physical values a fraction `unit` of the way along every scaled axis."""
    values = []
    for member in parameters.members:
        low, high = member.scaled_bounds
        scaled = low + unit * (high - low)
        values.append(10.0**scaled if member.scale == "log10" else scaled)
    return np.array(values)


@pytest.mark.parametrize("unit", [0.0, 0.25, 0.5, 1.0])
def test_unscale_undoes_scale(parameters, unit):
    theta = jnp.asarray(at(parameters, unit))
    scaled = parameters.scale(theta)
    expected = parameters.lower + unit * (parameters.upper - parameters.lower)
    np.testing.assert_allclose(scaled, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(parameters.unscale(scaled), theta, rtol=1e-5)


def test_only_log10_parameters_are_logged():
    scaled = REGISTRY["mixed"].scale(jnp.array([1e-3, 0.5, 6000.0, 1e17, -2.0]))
    np.testing.assert_allclose(scaled, [-3.0, 0.5, 6000.0, 17.0, -2.0], rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(y=st.floats(-4.0, 4.0, width=32))
def test_unconstrain_undoes_constrain(y):
    parameters = REGISTRY["linear"]
    back = parameters.unconstrain(parameters.constrain(jnp.array([y])))
    # Near the upper edge one float32 step of the scaled value is 1e-7 e^(y^2/2) in y.
    np.testing.assert_allclose(back, [y], atol=3e-7 * np.exp(y**2 / 2) + 1e-5)


def test_constrain_reaches_every_bound_and_never_leaves(parameters):
    y = jnp.linspace(-30.0, 30.0, 61)[:, None] * jnp.ones(len(parameters))
    scaled = parameters.constrain(y)
    assert jnp.all(scaled >= parameters.lower)
    assert jnp.all(scaled <= parameters.upper)
    np.testing.assert_allclose(scaled[0], parameters.lower, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scaled[-1], parameters.upper, rtol=1e-6, atol=1e-6)
    middle = (parameters.lower + parameters.upper) / 2
    np.testing.assert_allclose(scaled[30], middle, rtol=1e-6)


def test_unconstrain_is_finite_on_the_bounds(parameters):
    assert jnp.all(jnp.isfinite(parameters.unconstrain(parameters.lower)))
    assert jnp.all(jnp.isfinite(parameters.unconstrain(parameters.upper)))


@pytest.mark.parametrize("y", [-5.0, -0.5, 0.0, 2.0])
def test_log_det_is_that_of_the_jacobian(parameters, y):
    point = y + 0.3 * jnp.arange(len(parameters))
    jacobian = jax.jacfwd(parameters.constrain)(point)
    _, expected = jnp.linalg.slogdet(jacobian)
    log_det = parameters.log_det_constrain(point)
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-4)
    wrong = parameters.log_det_constrain(point + 0.7)
    assert abs(wrong - expected) > 1e-3


def test_log_det_is_finite_far_out(parameters):
    for y in (-80.0, 80.0):
        far = jnp.full(len(parameters), y)
        assert jnp.isfinite(parameters.log_det_constrain(far))
        gradient = jax.grad(parameters.log_det_constrain)(far)
        assert jnp.all(jnp.isfinite(gradient))


def test_scale_has_finite_gradients_beside_negative_linear_values():
    parameters = REGISTRY["mixed"]
    theta = jnp.array([1e-3, 0.0, 6000.0, 1e17, -2.0])
    for function, point in (
        (parameters.scale, theta),
        (parameters.unscale, parameters.scale(theta)),
    ):
        assert jnp.all(jnp.isfinite(jax.jacfwd(function)(point)))
        assert jnp.all(jnp.isfinite(jax.jacrev(function)(point)))


@pytest.mark.parametrize(
    "method", ["scale", "unscale", "constrain", "unconstrain", "log_det_constrain"]
)
def test_jit_and_vmap_change_nothing(parameters, method):
    function = getattr(parameters, method)
    middle = jnp.asarray(at(parameters, 0.5))
    one = middle if method == "scale" else parameters.scale(middle)
    one = jnp.linspace(-1, 1, len(parameters)) if "_constrain" in method else one
    one = jnp.zeros(len(parameters)) if method == "constrain" else one
    batch = jnp.stack([one, one])
    expected = function(one)
    for result in (
        jax.jit(function)(one),
        jax.vmap(function)(batch)[1],
        function(batch)[1],
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6)


def test_names_find_their_members():
    parameters = REGISTRY["mixed"]
    assert len(parameters) == 5
    assert parameters.names[2] == "sn_temperature"
    assert parameters["sn_temperature"] is TEMPERATURE
    assert parameters.index("offset") == 4


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"dust_mass.*got 'dustmass'"):
        REGISTRY["mixed"].index("dustmass")
    with pytest.raises(ParameterError, match="got 'mass'"):
        REGISTRY["mixed"]["mass"]


def test_equal_parameters_are_equal_and_hash_alike():
    twin = Parameters((MASS, FRACTION))
    assert twin == Parameters((MASS, FRACTION))
    assert hash(twin) == hash(Parameters((MASS, FRACTION)))
    assert twin != Parameters((FRACTION, MASS))


@pytest.mark.parametrize(
    ("bounds", "scale", "message"),
    [
        ((2.0, 1.0), "linear", r"Expected lower < upper for 'a'; got 2.0 and 1.0"),
        ((1.0, 1.0), "linear", "Expected lower < upper"),
        ((float("nan"), 1.0), "linear", "Expected finite bounds of 'a'; got nan"),
        ((0.0, float("inf")), "linear", "Expected finite bounds of 'a'; got 0.0"),
        ((0.0, 1.0), "log10", "positive lower bound of 'a' on the log10 scale; got 0"),
    ],
)
def test_impossible_bounds_are_refused(bounds, scale, message):
    with pytest.raises(ParameterError, match=message):
        Parameter("a", *bounds, scale=scale)


def test_a_name_given_twice_is_refused():
    with pytest.raises(ParameterError, match="distinct parameter names; got offset"):
        Parameters((BELOW_ZERO, MASS, BELOW_ZERO))


@pytest.mark.parametrize(
    ("parameter", "title"),
    [
        (MASS, r"$\log_{10}\,$$M$ [Msun]"),
        (FRACTION, "silicate_fraction"),
        (TEMPERATURE, "$T$ [K]"),
    ],
)
def test_titles_name_scale_and_unit(parameter, title):
    assert parameter.title == title
