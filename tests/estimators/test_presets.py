"""Thesis-size networks: their sizes, and what they do not see."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ModelError, Parameter, ParameterError, Parameters
from grainlight.estimators import PRESETS, mixing_without, named_preset
from grainlight.networks import trainable

NAMES = ("dust_mass", "sn_luminosity", "grain_radius", "sn_temperature")
NAMES += ("silicate_fraction", "dust_temperature", "clump_filling_factor")
PARAMETERS = Parameters(tuple(Parameter(name, 0.0, 1.0) for name in NAMES))
RNG = np.random.default_rng(0)
THETA, CONDITION = RNG.uniform(size=(20, 7)), RNG.uniform(size=(20, 1))
X = 20 + RNG.normal(size=(20, 29))
HIDDEN = [1, 3]


def built(name):
    return named_preset(name).build(jr.key(0), PARAMETERS, THETA, CONDITION, X)


def num_weights(estimator):
    weights = eqx.filter(estimator, trainable(estimator))
    return sum(leaf.size for leaf in jax.tree.leaves(weights))


@pytest.mark.parametrize(
    ("name", "published"),
    [("thesis-dense", 411_858), ("thesis-convolutional", 195_828)],
)
def test_networks_are_as_large_as_those_of_the_thesis(name, published):
    assert abs(num_weights(built(name)) / published - 1) < 0.01


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("thesis-dense", 5e-6),
        ("thesis-convolutional", 1e-4),
        ("thesis-variational", 1e-4),
        ("thesis-standard", 1e-3),
    ],
)
def test_they_are_trained_as_in_the_thesis(name, rate):
    training = named_preset(name).training
    assert (training.learning_rate, training.batch_size) == (rate, 256)
    assert (training.final_rate, training.weight_decay) == (1.0, 0.0)


@pytest.mark.parametrize("name", ["thesis-dense", "thesis-dense*"])
def test_a_star_hides_the_supernova_and_nothing_else(name):
    likelihood = built(name)

    @jax.jit
    def slope(theta):
        return jax.grad(likelihood.log_prob, argnums=1)(
            jnp.asarray(X[0]), theta, jnp.asarray(CONDITION[0])
        )

    gradient = np.asarray(slope(jnp.asarray(THETA[0])))
    assert np.all(np.delete(gradient, HIDDEN) != 0)
    assert bool(np.all(gradient[HIDDEN] == 0)) is name.endswith("*")


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_gives_a_finite_loss(name):
    estimator = built(name)
    row = (jnp.asarray(table[0]) for table in (THETA, CONDITION, X))
    value = eqx.filter_jit(type(estimator).loss)(
        estimator, jr.key(1), jnp.ones(()), *row
    )
    assert np.isfinite(value)


def test_mixing_without_drops_rows_and_keeps_columns():
    mixing = mixing_without(PARAMETERS, ("sn_luminosity", "sn_temperature"), 1)
    np.testing.assert_array_equal(mixing @ np.arange(8), [0, 2, 4, 5, 6, 7])


def test_unknown_names_are_refused():
    with pytest.raises(ModelError, match="thesis-dense"):
        named_preset("thesis-deep")
    with pytest.raises(ParameterError, match="Expected one of"):
        mixing_without(PARAMETERS, ("sn_mass",), 1)
