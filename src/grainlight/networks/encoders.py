r"""Networks that read a set of measurements, some of which may be missing.

A measurement is a *token*: a position among all that the network knows (a band, say)
and some numbers, its channels (brightness, error, limit flag). Both encoders answer the
same whatever the order of the tokens, and however many of them are missing.

The *masked* one lays all tokens out by position, zero where one is missing, beside the
mask itself, and is a dense residual network from there on: the fast one. The *token*
one is a transformer without an order,

$$ t_i = e_{p_i} + \sum_c \mathrm{MLP}_c(x_{ic}) , $$

with attention among the tokens that are there, then attention of one learned query to
all of them.

References:
    Lee et al. (2019), arXiv:1810.00825 (set transformer).
"""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.networks.residual import ResidualNetwork

#: Encoders by the name in a file.
ENCODERS = ("masked", "token")


@runtime_checkable
class Encoder(Protocol):
    """Reads tokens and conditions into features."""

    @property
    def out_size(self) -> int:
        """Number of features."""
        ...

    def __call__(
        self,
        index: Int[Array, " token"],
        values: Float[Array, "token channel"],
        mask: Bool[Array, " token"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " feature"]:
        """Features of one object.

        Args:
            index: Position of each token, each at most once among those that are there.
            values: Standardized numbers of each token; zero where it is missing.
            mask: True where a token is there.
            condition: What is known beside the tokens, standardized.
        """
        ...


class MaskedEncoder(eqx.Module):
    """A dense residual network on all positions and their mask.

    Attributes:
        trunk: The network.
        num_positions: Positions that a token may have.
    """

    trunk: ResidualNetwork
    num_positions: int = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        num_positions: int,
        num_channels: int,
        num_cond: int,
        *,
        widths: Sequence[int],
        normalization: Literal["none", "layer"] = "none",
    ) -> None:
        size = num_positions * (num_channels + 1) + num_cond
        self.trunk = ResidualNetwork(key, size, widths, normalization=normalization)
        self.num_positions = num_positions

    @property
    def out_size(self) -> int:
        return self.trunk.out_size

    def __call__(
        self,
        index: Int[Array, " token"],
        values: Float[Array, "token channel"],
        mask: Bool[Array, " token"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " feature"]:
        there = mask.astype(values.dtype)
        rows = jnp.concatenate([values, there[:, None]], axis=1) * there[:, None]
        table = jnp.zeros((self.num_positions, rows.shape[1]), values.dtype)
        table = table.at[index].add(rows)
        return self.trunk(jnp.concatenate([table.reshape(-1), condition]))


class Attention(eqx.Module):
    """Attention to the tokens that are there, then dense layers, beside shortcuts.

    Attributes:
        attention: Multi-head attention.
        before: Normalization of the tokens.
        between: Normalization before the dense layers.
        dense: Two dense layers.
    """

    attention: eqx.nn.MultiheadAttention
    before: eqx.nn.LayerNorm
    between: eqx.nn.LayerNorm
    dense: eqx.nn.MLP

    def __init__(self, key: Key[Array, ""], width: int, num_heads: int) -> None:
        first, second = jr.split(key)
        self.attention = eqx.nn.MultiheadAttention(num_heads, width, key=first)
        self.before, self.between = eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)
        self.dense = eqx.nn.MLP(width, width, 2 * width, 1, jax.nn.gelu, key=second)

    def __call__(
        self,
        query: Float[Array, "query width"],
        tokens: Float[Array, "token width"],
        mask: Bool[Array, " token"],
    ) -> Float[Array, "query width"]:
        """Queries that have looked at the tokens."""
        seen = jax.vmap(self.before)(tokens)
        asked = jax.vmap(self.before)(query)
        allowed = jnp.broadcast_to(mask, (query.shape[0], mask.size))
        # without any token there is nothing to attend to, and softmax has no answer
        allowed = allowed | ~jnp.any(mask)
        looked = self.attention(asked, seen, seen, mask=allowed)
        query = query + jnp.where(jnp.any(mask), looked, 0.0)
        return query + jax.vmap(lambda row: self.dense(self.between(row)))(query)


class TokenEncoder(eqx.Module):
    """A transformer without an order, read by one query.

    Attributes:
        embedding: A vector for each position.
        channels: A network for each channel.
        known: What the query starts from, out of the conditions.
        blocks: Attention among the tokens.
        pool: Attention of the query to the tokens.
        trunk: Dense network from there to the features.
    """

    embedding: Float[Array, "position width"]
    channels: tuple[eqx.nn.MLP, ...]
    known: eqx.nn.Linear
    blocks: tuple[Attention, ...]
    pool: Attention
    trunk: ResidualNetwork

    def __init__(
        self,
        key: Key[Array, ""],
        num_positions: int,
        num_channels: int,
        num_cond: int,
        *,
        widths: Sequence[int],
        num_blocks: int = 2,
        token_width: int = 64,
        num_heads: int = 4,
    ) -> None:
        keys = jr.split(key, 5)
        self.embedding = jr.normal(keys[0], (num_positions, token_width))
        self.channels = tuple(
            eqx.nn.MLP(1, token_width, token_width, 1, jax.nn.gelu, key=each)
            for each in jr.split(keys[1], num_channels)
        )
        self.known = eqx.nn.Linear(num_cond + 1, token_width, key=keys[2])
        *blocks, pool = jr.split(keys[3], num_blocks + 1)
        self.blocks = tuple(Attention(k, token_width, num_heads) for k in blocks)
        self.pool = Attention(pool, token_width, num_heads)
        self.trunk = ResidualNetwork(keys[4], token_width + num_cond, widths)

    @property
    def out_size(self) -> int:
        return self.trunk.out_size

    def __call__(
        self,
        index: Int[Array, " token"],
        values: Float[Array, "token channel"],
        mask: Bool[Array, " token"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " feature"]:
        tokens = self.embedding[index]
        for number, network in enumerate(self.channels):
            tokens = tokens + jax.vmap(network)(values[:, number, None])
        for block in self.blocks:
            tokens = block(tokens, tokens, mask)
        share = jnp.sum(mask)[None] / self.embedding.shape[0]
        query = self.known(jnp.concatenate([condition, share]))[None]
        pooled = self.pool(query, tokens, mask)[0]
        return self.trunk(jnp.concatenate([pooled, condition]))
