r"""Subnetworks between a trunk and the last layers of mean and covariance.

A trunk of $w$ features parts into two branches, each one residual block: that of the
mean is dense, that of the covariance is dense or convolutional. The convolutional one
takes the features as a signal of length $w$ in one channel and gives $c$ channels of
the same length,

$$ y = P \ast x + W_2 \ast a(W_1 \ast a(x) + b_1) + b_2 , $$

with kernels of 7 and zeros 3 deep at both ends, laid out as one vector of $c w$. Its
few weights look at neighboring features only; which features are neighbors is up to
the trunk to learn.
"""

from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from grainlight.networks.residual import ACTIVATIONS, ResidualBlock

BranchKind = Literal["linear", "dense", "convolutional"]
KERNEL, CHANNELS = 7, 15


class ConvolutionBlock(eqx.Module):
    """Two convolutions beside a third, from one channel to several.

    The second starts at zero, as in `ResidualBlock`.
    """

    first: eqx.nn.Conv1d
    second: eqx.nn.Conv1d
    shortcut: eqx.nn.Conv1d
    activation: str = eqx.field(static=True)

    def __init__(
        self, key: Key[Array, ""], num_channels: int, *, activation: str
    ) -> None:
        first, second, shortcut = jr.split(key, 3)

        def layer(key: Array, num_in: int, use_bias: bool) -> eqx.nn.Conv1d:
            return eqx.nn.Conv1d(
                num_in,
                num_channels,
                KERNEL,
                padding=KERNEL // 2,
                use_bias=use_bias,
                key=key,
            )

        self.first = layer(first, 1, True)
        zero = layer(second, num_channels, True)
        self.second = jax.tree.map(
            lambda leaf: jnp.zeros_like(leaf) if eqx.is_array(leaf) else leaf, zero
        )
        self.shortcut = layer(shortcut, 1, False)
        self.activation = activation

    def __call__(self, x: Float[Array, " inp"]) -> Float[Array, " out"]:
        """Pass one signal through the block; its channels come one after another."""
        activate = ACTIVATIONS[self.activation]
        signal = x[None]
        change = self.second(activate(self.first(activate(signal))))
        return (self.shortcut(signal) + change).reshape(-1)


class Split(eqx.Module):
    """Features of the mean and of the covariance."""

    mean: Float[Array, " feature"]
    covariance: Float[Array, " other"]

    def __add__(self, other: "Split") -> "Split":
        """Sum of the features of two networks."""
        return Split(self.mean + other.mean, self.covariance + other.covariance)


class Branches(eqx.Module):
    """One branch for the mean and one for the covariance; or none.

    Attributes:
        mean: Residual block before the last layer of the mean.
        covariance: Residual block before the last layer of the covariance.
        kind: What the latter is; there are no branches if `linear`.
        widths: Width of the mean; and of the covariance, or its channels.
        in_size: Features of the trunk.
    """

    mean: ResidualBlock | None
    covariance: ResidualBlock | ConvolutionBlock | None
    kind: str = eqx.field(static=True)
    widths: tuple[int, ...] = eqx.field(static=True)
    in_size: int = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        in_size: int,
        dim: int,
        kind: str,
        widths: Sequence[int] | None = None,
        *,
        activation: str,
        normalization: Literal["none", "layer"] = "none",
    ) -> None:
        """Build branches for an outcome of length `dim`.

        Without `widths` they are as in the thesis: `dim`, and as many as the covariance
        has numbers, or 15 channels.
        """
        if kind not in ("linear", "dense", "convolutional"):
            raise ValueError(
                "Expected branches that are linear, dense or convolutional; got "
                f"{kind!r}. Choose one of these."
            )
        self.kind, self.in_size = kind, in_size
        self.mean = self.covariance = None
        self.widths = ()
        if kind == "linear":
            return
        usual = CHANNELS if kind == "convolutional" else dim * (dim + 1) // 2
        self.widths = tuple(widths) if widths else (dim, usual)
        mean, covariance = jr.split(key)
        settings: dict = {"activation": activation, "normalization": normalization}
        self.mean = ResidualBlock(mean, in_size, self.widths[0], **settings)
        if kind == "dense":
            self.covariance = ResidualBlock(
                covariance, in_size, self.widths[1], **settings
            )
        else:
            self.covariance = ConvolutionBlock(
                covariance, self.widths[1], activation=activation
            )

    @property
    def mean_size(self) -> int:
        """Features before the last layer of the mean."""
        return self.widths[0] if self.widths else self.in_size

    @property
    def covariance_size(self) -> int:
        """Features before the last layer of the covariance."""
        size = self.widths[1] if self.widths else self.in_size
        return size * self.in_size if self.kind == "convolutional" else size

    def __call__(self, features: Float[Array, " inp"]) -> Split:
        """Both branches of the features of one trunk."""
        return Split(
            features if self.mean is None else self.mean(features),
            features if self.covariance is None else self.covariance(features),
        )
