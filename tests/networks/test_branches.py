import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.networks import Branches, ConvolutionBlock

SETTINGS = {"activation": "tanh"}


def shifted(tree):
    """Every array away from its start, so that the second layers count."""
    keys = iter(jr.split(jr.key(9), 20))

    def shift(leaf):
        return leaf + 0.1 * jr.normal(next(keys), leaf.shape)

    return jax.tree.map(shift, tree)


def convolved(layer, signal):
    """A convolution written out: channels, then a kernel of 7 with zeros beyond."""
    padded = np.pad(np.asarray(signal, float), ((0, 0), (3, 3)))
    windows = np.stack([padded[:, i : i + signal.shape[1]] for i in range(7)], -1)
    out = np.einsum("oik,ilk->ol", np.asarray(layer.weight, float), windows)
    return out if layer.bias is None else out + np.asarray(layer.bias, float)


def test_the_convolution_block_is_its_formula():
    block = shifted(ConvolutionBlock(jr.key(0), 4, **SETTINGS))
    x = np.linspace(-1, 2, 11)
    hidden = np.tanh(convolved(block.first, np.tanh(x)[None]))
    exact = convolved(block.shortcut, x[None]) + convolved(block.second, hidden)
    found = block(jnp.asarray(x))
    np.testing.assert_allclose(found, exact.reshape(-1), rtol=1e-4, atol=1e-5)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(found, exact.T.reshape(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "widths", "sizes"),
    [
        ("linear", None, (29, 29)),
        ("dense", None, (29, 435)),
        ("dense", (5, 7), (5, 7)),
        ("convolutional", None, (29, 435)),
        ("convolutional", (5, 3), (5, 87)),
    ],
)
def test_branches_have_the_sizes_that_they_state(kind, widths, sizes):
    branches = Branches(jr.key(0), 29, 29, kind, widths, **SETTINGS)
    assert (branches.mean_size, branches.covariance_size) == sizes
    split = branches(jnp.linspace(0, 1, 29))
    assert (split.mean.size, split.covariance.size) == sizes
    twice = split + split
    np.testing.assert_array_equal(twice.mean, 2 * split.mean)


def test_no_branches_change_nothing_and_have_no_weights():
    branches = Branches(jr.key(0), 3, 2, "linear", **SETTINGS)
    features = jnp.array([1.0, -2.0, 0.5])
    np.testing.assert_array_equal(branches(features).covariance, features)
    assert not jax.tree.leaves(branches)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="Expected branches"):
        Branches(jr.key(0), 3, 2, "recurrent", **SETTINGS)
