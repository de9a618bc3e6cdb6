r"""A triangular spline flow that compiles in a moment and starts as a Gaussian.

Each layer maps one coordinate at a time by a monotonic rational-quadratic spline whose
knots a masked network reads off the coordinates that come before it,

$$ z_i = S(y_i;\, h_i(y_{j : o_j < o_i})), \qquad
   \ln q(y) = \ln N(z; 0, I) + \sum_i \ln S'(y_i) . $$

With as many ranks $o$ as coordinates it is a masked autoregressive flow; with two,
exchanged from layer to layer, a coupling flow, whose inverse takes two passes at any
dimension. The last weights start at zero, so that every layer starts as the identity.

A small share of the density is a broad normal one. It costs next to nothing, and keeps
the tails, where splines see few draws and the log-density could fall without bound.

References:
    Papamakarios et al. (2017), arXiv:1705.07057; Germain et al. (2015),
    arXiv:1502.03509; Durkan et al. (2019), arXiv:1906.04032.
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Int, Key

FlowKind = Literal["autoregressive", "coupling"]

LEAST_BIN = 1e-3  # width and height of a bin, as fractions of the interval
LEAST_SLOPE = 1e-3
#: Uniform variates are kept this far from 0 and 1, at 5.4 sigma.
CUBE_EDGE = 3e-8
BROAD_SHARE, BROAD = 0.005, 2.0


class SplineLayer(eqx.Module):
    """One layer: a masked network of one hidden layer, and its splines.

    Attributes:
        weight: Matrices, from the coordinates to the knots.
        bias: Their biases; the last alone makes an unconditional spline.
        rank: A coordinate sees those of lower rank.
        knots: Bins of a spline.
        interval: Splines act on minus to plus this, and are the identity beyond.
    """

    weight: tuple[Float[Array, "..."], ...]
    bias: tuple[Float[Array, "..."], ...]
    rank: tuple[int, ...] = eqx.field(static=True)
    knots: int = eqx.field(static=True)
    interval: float = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        rank: tuple[int, ...],
        width: int,
        knots: int,
        interval: float,
    ) -> None:
        dim, num_out = len(rank), 3 * knots - 1
        first, second = jr.split(key)
        self.weight = (
            jr.normal(first, (dim, width)) / np.sqrt(dim),
            jr.normal(second, (width, width)) / np.sqrt(width),
            jnp.zeros((width, dim * num_out)),
        )
        self.bias = (jnp.zeros(width), jnp.zeros(width), jnp.zeros(dim * num_out))
        self.rank, self.knots, self.interval = rank, knots, interval

    def _masks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        width, rank = self.weight[0].shape[-1], np.asarray(self.rank)
        degree = np.arange(width) % max(int(rank.max()), 1)
        out = np.repeat(rank, 3 * self.knots - 1)
        return (
            rank[:, None] <= degree,
            degree[:, None] <= degree,
            degree[:, None] < out,
        )

    def spline_values(self, y: Float[Array, " dim"]) -> Float[Array, "dim knot"]:
        """What makes the knots of every coordinate, from those of lower rank."""
        hidden = y
        for number, mask in enumerate(self._masks()):
            hidden = hidden @ (self.weight[number] * mask) + self.bias[number]
            if number < 2:
                hidden = jax.nn.silu(hidden)
        return hidden.reshape(y.size, -1)

    def forward(
        self, y: Float[Array, " dim"]
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """Towards the base; also the log volume element."""
        z, log_slope = spline(self.spline_values(y), y, self.interval)
        return z, jnp.sum(log_slope)

    def inverse(self, z: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Away from the base: one pass a rank."""
        y = z
        for step in range(max(self.rank) + 1):
            found = inverse_spline(self.spline_values(y), z, self.interval)
            y = jnp.where(np.asarray(self.rank) == step, found, y)
        return y


class SplineFlow(eqx.Module):
    """A density over all reals for standardized vectors."""

    layers: tuple[SplineLayer, ...]

    def __init__(
        self,
        key: Key[Array, ""],
        dim: int,
        *,
        kind: FlowKind = "autoregressive",
        num_layers: int = 2,
        width: int = 32,
        knots: int = 8,
        interval: float = 5.0,
    ) -> None:
        keys = jr.split(key, num_layers)
        self.layers = tuple(
            SplineLayer(keys[n], _ranks(dim, kind, n), width, knots, interval)
            for n in range(num_layers)
        )

    def log_prob(self, y: Float[Array, " dim"]) -> Float[Array, ""]:
        """Log-density of one vector."""
        broad = jnp.sum(norm.logpdf(y, scale=BROAD)) + np.log(BROAD_SHARE)
        total = jnp.full((), np.log(1 - BROAD_SHARE))
        for layer in self.layers:
            y, log_slope = layer.forward(y)
            total += log_slope
        return jnp.logaddexp(total + jnp.sum(norm.logpdf(y)), broad)

    def from_cube(self, u: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """The vector of a point of the unit cube; even points follow the density.

        The end of the first axis belongs to the broad part.
        """
        is_broad = u[0] >= 1 - BROAD_SHARE
        last = (u[0] - (1 - BROAD_SHARE)) / BROAD_SHARE
        inside = u.at[0].set(jnp.where(is_broad, last, u[0] / (1 - BROAD_SHARE)))
        z = ndtri(jnp.clip(inside, CUBE_EDGE, 1 - 2 * CUBE_EDGE))
        return jnp.where(is_broad, BROAD * z, self._inverse(z))

    def _inverse(self, y: Float[Array, " dim"]) -> Float[Array, " dim"]:
        for layer in reversed(self.layers):
            y = layer.inverse(y)
        return y

    def sample(self, key: Key[Array, ""]) -> Float[Array, " dim"]:
        """Draw one vector."""
        normal_key, pick_key = jr.split(key)
        z = jr.normal(normal_key, (len(self.layers[0].rank),))
        is_broad = jr.uniform(pick_key) < BROAD_SHARE
        return jnp.where(is_broad, BROAD * z, self._inverse(z))


def _ranks(dim: int, kind: FlowKind, number: int) -> tuple[int, ...]:
    order = np.arange(dim)
    if number % 2:
        order = order[::-1]
    if kind == "coupling":
        order = np.roll(order, number // 2) >= (dim + 1) // 2
    return tuple(int(rank) for rank in order)


class _Bin(eqx.Module):
    """The bin of a spline that a value lies in, and where in the bin."""

    left: Float[Array, " dim"]
    width: Float[Array, " dim"]
    low: Float[Array, " dim"]
    height: Float[Array, " dim"]
    slopes: tuple[Float[Array, " dim"], Float[Array, " dim"]]


def _knots(
    values: Float[Array, "dim knot"], interval: float
) -> tuple[Array, Array, Array]:
    """Edges of the bins along both axes, and the slopes at the edges."""
    num = (values.shape[-1] + 1) // 3
    edges = []
    for part in (values[:, :num], values[:, num : 2 * num]):
        share = LEAST_BIN + (1 - LEAST_BIN * num) * jax.nn.softmax(part, axis=-1)
        inner = 2 * interval * jnp.cumsum(share, axis=-1)[:, :-1] - interval
        ends = jnp.full((len(values), 1), interval)
        edges.append(jnp.concatenate([-ends, inner, ends], axis=-1))
    unit = np.log(np.expm1(1 - LEAST_SLOPE))  # a slope of one at zero
    slope = LEAST_SLOPE + jax.nn.softplus(values[:, 2 * num :] + unit)
    ones = jnp.ones((len(values), 1))
    return edges[0], edges[1], jnp.concatenate([ones, slope, ones], axis=-1)


def _find(
    edges: Float[Array, "dim edge"], value: Float[Array, " dim"]
) -> Int[Array, "dim 1"]:
    place = jnp.sum(value[:, None] >= edges, axis=-1) - 1
    return jnp.clip(place, 0, edges.shape[-1] - 2)[:, None]


def _bin(knots: tuple[Array, Array, Array], place: Int[Array, "dim 1"]) -> _Bin:
    def at(table: Array, offset: int) -> Array:
        return jnp.take_along_axis(table, place + offset, axis=-1)[:, 0]

    x, y, slope = knots
    left, low = at(x, 0), at(y, 0)
    return _Bin(
        left, at(x, 1) - left, low, at(y, 1) - low, (at(slope, 0), at(slope, 1))
    )


def spline(
    values: Float[Array, "dim knot"], y: Float[Array, " dim"], interval: float
) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
    """Monotonic rational-quadratic splines of many coordinates, and their log-slopes.

    Args:
        values: Unconstrained widths, heights and inner slopes; zero for the identity.
        y: One value a coordinate.
        interval: Beyond minus and plus this the spline is the identity.
    """
    inside = jnp.abs(y) < interval
    safe = jnp.where(inside, y, 0.0)
    knots = _knots(values, interval)
    found = _bin(knots, _find(knots[0], safe))
    steep, (start, end) = found.height / found.width, found.slopes
    t = (safe - found.left) / found.width
    across = t * (1 - t)
    below = steep + (start + end - 2 * steep) * across
    z = found.low + found.height * (steep * t**2 + start * across) / below
    slope = end * t**2 + 2 * steep * across + start * (1 - t) ** 2
    log_slope = 2 * jnp.log(steep) + jnp.log(slope) - 2 * jnp.log(below)
    return jnp.where(inside, z, y), jnp.where(inside, log_slope, 0.0)


def inverse_spline(
    values: Float[Array, "dim knot"], z: Float[Array, " dim"], interval: float
) -> Float[Array, " dim"]:
    """Undo `spline`, by the root of its quadratic that cancels no digits."""
    inside = jnp.abs(z) < interval
    safe = jnp.where(inside, z, 0.0)
    knots = _knots(values, interval)
    found = _bin(knots, _find(knots[1], safe))
    steep, (start, end) = found.height / found.width, found.slopes
    above = safe - found.low
    bent = start + end - 2 * steep
    a = found.height * (steep - start) + above * bent
    b = found.height * start - above * bent
    c = -steep * above
    root = jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0.0))
    t = 2 * c / (-b - root)
    return jnp.where(inside, found.left + jnp.clip(t, 0, 1) * found.width, z)
