"""Dense residual networks with smooth activations."""

from collections.abc import Callable, Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

#: Activations by name; all are smooth, for gradients of the network feed samplers.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


class ResidualBlock(eqx.Module):
    r"""Two dense layers beside a shortcut, activated before each layer.

    $$ y = P x + W_2\, a(W_1\, a(\mathrm{norm}(x)) + b_1) + b_2 $$

    $P$ is the identity unless the width changes. $W_2$ and $b_2$ start at zero, so that
    a new block passes its input on and any depth trains.

    References:
        He et al. (2016), arXiv:1603.05027.
    """

    first: eqx.nn.Linear
    second: eqx.nn.Linear
    shortcut: eqx.nn.Linear | None
    norm: eqx.nn.LayerNorm | None
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        in_size: int,
        out_size: int,
        *,
        activation: str,
        normalization: Literal["none", "layer"],
    ) -> None:
        first, second, shortcut = jr.split(key, 3)
        self.first = eqx.nn.Linear(in_size, out_size, key=first)
        zero = eqx.nn.Linear(out_size, out_size, key=second)
        self.second = jax.tree.map(jnp.zeros_like, zero)
        self.shortcut = None
        if in_size != out_size:
            self.shortcut = eqx.nn.Linear(
                in_size, out_size, use_bias=False, key=shortcut
            )
        self.norm = eqx.nn.LayerNorm(in_size) if normalization == "layer" else None
        self.activation = activation

    def __call__(self, x: Float[Array, " inp"]) -> Float[Array, " out"]:
        """Pass one vector through the block."""
        activate = ACTIVATIONS[self.activation]
        hidden = activate(x if self.norm is None else self.norm(x))
        change = self.second(activate(self.first(hidden)))
        return (x if self.shortcut is None else self.shortcut(x)) + change


class ResidualNetwork(eqx.Module):
    """A trunk: one dense layer, then a residual block for each width, activated.

    Attributes:
        stem: Dense layer from the inputs to the first width.
        blocks: Residual blocks in order.
        activation: Name in `ACTIVATIONS`.
    """

    stem: eqx.nn.Linear
    blocks: tuple[ResidualBlock, ...]
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        in_size: int,
        widths: Sequence[int],
        *,
        activation: str = "silu",
        normalization: Literal["none", "layer"] = "none",
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"Expected an activation of {', '.join(ACTIVATIONS)}; got "
                f"{activation!r}. Choose a smooth one of these."
            )
        if not widths:
            raise ValueError(
                "Expected at least one width; got none. Give one width a block."
            )
        keys = jr.split(key, len(widths) + 1)
        self.stem = eqx.nn.Linear(in_size, widths[0], key=keys[0])
        sizes = (widths[0], *widths)
        self.blocks = tuple(
            ResidualBlock(
                keys[i + 1],
                sizes[i],
                sizes[i + 1],
                activation=activation,
                normalization=normalization,
            )
            for i in range(len(widths))
        )
        self.activation = activation

    @property
    def out_size(self) -> int:
        """Number of features that the trunk gives to its heads."""
        return int(self.blocks[-1].second.out_features)

    def deepened(self, key: Key[Array, ""], num_blocks: int) -> "ResidualNetwork":
        """The same trunk with more blocks of its last width, which change nothing yet.

        Args:
            key: Random key.
            num_blocks: How many are added.
        """
        last, size = self.blocks[-1], self.out_size
        added = [
            ResidualBlock(
                one,
                size,
                size,
                activation=self.activation,
                normalization="none" if last.norm is None else "layer",
            )
            for one in jr.split(key, num_blocks)
        ]
        return eqx.tree_at(lambda n: n.blocks, self, (*self.blocks, *added))

    def __call__(self, x: Float[Array, " inp"]) -> Float[Array, " out"]:
        """Features of one input vector, which should be standardized."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return ACTIVATIONS[self.activation](x)
