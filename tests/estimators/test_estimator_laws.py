"""Laws of every estimator; a new class joins by one line in MAKERS and INPUTS."""

import json
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.estimators import (
    ESTIMATORS,
    ClumpyLikelihood,
    EffectiveEmulator,
    EffectiveShell,
    Emulator,
    FlowDensity,
    FlowLikelihood,
    FlowPosterior,
    GaussianLikelihood,
    GaussianPosterior,
    Inputs,
    LikelihoodEnsemble,
    PhotometricPosterior,
    PosteriorEnsemble,
    RatioClassifier,
    Support,
    VariationalLikelihood,
    load_estimator,
    save_estimator,
)
from grainlight.estimators.band_summary import BandSummary
from grainlight.estimators.weighted import Members, Piece, WeightedDensity, stack_flows
from grainlight.estimators.whitening import Whitening

RNG = np.random.default_rng(1)
THETA = RNG.uniform(0.1, 0.9, (50, 2))
CONDITION = RNG.uniform(size=(50, 1))
X = 20 + THETA @ np.array([[1.0, 2.0, 0.0], [0.5, -1.0, 1.0]])
GAIN = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
MIXING = np.array([[1.0, -2.0, 0.0], [0.0, 1.0, 1.0]])

BLUR = (0.01, 0.1)


def smooth_likelihood(key):
    return GaussianLikelihood.from_data(
        key,
        *(THETA[:, :1], CONDITION, X),
        gain=GAIN[:, :1],
        widths=(8,),
        blur=BLUR,
        num_sources=2,
    )


def clumpy_likelihood(key):
    smooth, effective, residual = jr.split(key, 3)
    inputs = Inputs.from_data(THETA, CONDITION)
    return ClumpyLikelihood(
        EffectiveShell(effective, smooth_likelihood(smooth), inputs, widths=(6,)),
        GaussianLikelihood.from_data(
            residual, THETA, CONDITION, X - X.mean(axis=0), widths=(6,), blur=BLUR
        ),
    )


def effective_emulator(key):
    smooth, effective = jr.split(key)
    emulator = Emulator.from_data(smooth, THETA[:, :1], CONDITION, X, widths=(8,))
    inputs = Inputs.from_data(THETA, CONDITION)
    return EffectiveEmulator(effective, emulator, inputs, widths=(6,))


BOUNDS = {"lower": np.zeros(2), "upper": np.ones(2)}
SMALL = {"widths": (8,), "num_layers": 2, "width": 8, "num_context": 4}
SEEN = RNG.normal(size=(50, 7)), RNG.normal(size=(50, 12))


def flow_posterior(key, condition=CONDITION, x=X, **settings):
    return FlowPosterior.from_data(key, THETA, condition, x, **BOUNDS, **settings)


def photometric_posterior(key):
    summary = BandSummary.from_data(X, 2)
    inner = flow_posterior(key, *SEEN, num_channels=4, **SMALL)
    return PhotometricPosterior(summary, inner, "thesis2023", 0.1, 2.0)


def weighted_density(key):
    """Two pieces of two flows each, on a bounded and a periodic axis."""
    support = Support.between([0.0, 0.0], [1.0, 2.0], [False, True])
    pieces = tuple(
        Piece(
            Whitening.from_data(support.unbound_table(THETA), np.ones(50)),
            Members(stack_flows(key, 2, 2, kind="coupling", width=8, knots=4)),
        )
        for _ in range(2)
    )
    return WeightedDensity(support, jnp.log(jnp.array([0.7, 0.3])), pieces, "coupling")


MAKERS = {
    "ClumpyLikelihood": clumpy_likelihood,
    "EffectiveEmulator": effective_emulator,
    "GaussianLikelihood": lambda key: GaussianLikelihood.from_data(
        key, THETA, CONDITION, X, gain=GAIN, mixing=MIXING, widths=(8, 8)
    ),
    "Emulator": lambda key: Emulator.from_data(
        key, THETA, CONDITION, X, gain=GAIN, widths=(8, 6), normalization="layer"
    ),
    "FlowDensity": lambda key: FlowDensity.from_data(
        key, THETA, np.zeros(2), np.ones(2), num_layers=2, width=8
    ),
    "FlowLikelihood": lambda key: FlowLikelihood.from_data(
        key, THETA, CONDITION, X, gain=GAIN, widths=(8,), num_layers=2, width=8
    ),
    "FlowPosterior": lambda key: flow_posterior(key, encoder="token", **SMALL),
    "LikelihoodEnsemble": lambda key: LikelihoodEnsemble.from_data(
        key, THETA, CONDITION, X, gain=GAIN, widths=(8,), num_members=2
    ),
    "PhotometricPosterior": photometric_posterior,
    "PosteriorEnsemble": lambda key: PosteriorEnsemble(
        [
            flow_posterior(k, flow=kind, **SMALL)
            for k, kind in zip(
                jr.split(key), ("coupling", "autoregressive"), strict=True
            )
        ]
    ),
    "GaussianPosterior": lambda key: GaussianPosterior.from_data(
        key, THETA, CONDITION, X, widths=(8, 8), covariance="dense"
    ),
    "VariationalLikelihood": lambda key: VariationalLikelihood.from_data(
        key,
        *(THETA, CONDITION, X),
        gain=GAIN,
        mixing=MIXING,
        widths=(8, 6),
        generation_widths=(6,),
        recognition_widths=(8,),
        num_latent=3,
    ),
    "RatioClassifier": lambda key: RatioClassifier.from_data(
        key, THETA, X + 0.1 * RNG.normal(size=X.shape), width=8, num_members=2
    ),
    "WeightedDensity": weighted_density,
}
ROWS = {
    "ClumpyLikelihood": (THETA, CONDITION, X),
    "EffectiveEmulator": (THETA, CONDITION, X),
    "GaussianLikelihood": (THETA, CONDITION, X),
    "Emulator": (THETA, CONDITION, X),
    "FlowDensity": (THETA,),
    "FlowLikelihood": (THETA, CONDITION, X),
    "FlowPosterior": (THETA, CONDITION, X),
    "LikelihoodEnsemble": (THETA, CONDITION, X),
    "PhotometricPosterior": (THETA, *SEEN, RNG.random((50, 3)) < 0.7),
    "PosteriorEnsemble": (THETA, CONDITION, X),
    "GaussianPosterior": (THETA, CONDITION, X),
    "RatioClassifier": (THETA, X, X[::-1].copy()),
    "VariationalLikelihood": (THETA, CONDITION, X),
    "WeightedDensity": (THETA,),
}


@cache
def made(name):
    """An estimator as it starts; made once for all laws."""
    return MAKERS[name](jr.key(3))


@cache
def perturbed(name):
    """An estimator whose every trained array is away from its start."""

    def shift(leaf):
        return leaf + 0.05 if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(shift, made(name))


def loss(estimator, row):
    return estimator.loss(jr.key(0), jnp.ones(()), *row)


jitted_loss = eqx.filter_jit(loss)


def rows(name):
    return tuple(
        jnp.asarray(column, bool if column.dtype == bool else jnp.float32)
        for column in ROWS[name]
    )


def test_every_class_that_can_be_saved_is_tested():
    assert MAKERS.keys() == ROWS.keys() == ESTIMATORS.keys()


#: Flows around flows are long to compile.
LONG = {"FlowPosterior", "PhotometricPosterior", "PosteriorEnsemble", "WeightedDensity"}
SOME = [
    pytest.param(name, marks=pytest.mark.slow) if name in LONG else name
    for name in MAKERS
]


@pytest.mark.parametrize("name", SOME)
def test_jit_and_vmap_change_nothing(name):
    estimator, data = perturbed(name), rows(name)
    some = tuple(column[:8] for column in data)
    batch = eqx.filter_jit(jax.vmap(loss, in_axes=(None, 0)))(estimator, some)
    one = loss(estimator, tuple(column[7] for column in data))
    np.testing.assert_allclose(batch[7], one, rtol=2e-5, atol=2e-5)
    assert np.ptp(batch) > 0


@pytest.mark.parametrize("name", MAKERS)
def test_saving_and_loading_change_nothing(name, tmp_path):
    estimator, data = perturbed(name), rows(name)
    save_estimator(tmp_path / "model", estimator, meta={"bands": ["a", "b"]})
    saved = load_estimator(tmp_path / "model")
    assert saved.meta == {"bands": ["a", "b"]}
    assert eqx.tree_equal(
        eqx.filter(estimator, eqx.is_array), eqx.filter(saved.estimator, eqx.is_array)
    )
    row = tuple(column[3] for column in data)
    assert jitted_loss(estimator, row) == jitted_loss(saved.estimator, row)
    assert jitted_loss(estimator, row) != jitted_loss(made(name), row)


@pytest.mark.parametrize("name", MAKERS)
def test_the_architecture_is_json(name):
    config = made(name).config()
    assert json.loads(json.dumps(config)) == config


@pytest.mark.parametrize("name", SOME)
def test_gradients_are_finite_in_float32(name):
    estimator = perturbed(name)
    row = tuple(column[0] for column in rows(name))
    gradient = eqx.filter_jit(eqx.filter_grad(loss))(estimator, row)
    leaves = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
