r"""A density of weighted draws: pieces, each an ensemble of flows or of kernels.

$$ q(s) = \sum_p f_p\, q_p(s), \qquad
   q_p(s) = \frac1M \sum_m q_{pm}\big(L_p^{-1} (y(s) - c_p)\big)\, |L_p|^{-1}
   \Big| \frac{dy}{ds} \Big| , $$

with $y(s)$ unbounded (`Support`), $c_p$ and $L_p$ the mean and Cholesky factor of the
piece, $f_p$ its share of the weight. It integrates to one over the support, whatever
the flows have learned. Objective of a member: $-\sum_i w_i \ln q_{pm}(s_i)$, with the
weights of a batch divided by their sum.
"""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError
from grainlight.estimators.kernels import Kernels
from grainlight.estimators.support import Support
from grainlight.estimators.whitening import Whitening
from grainlight.networks.spline_flow import SplineFlow

DensityKind = Literal["autoregressive", "coupling", "kernel"]
KINDS: tuple[DensityKind, ...] = ("autoregressive", "coupling", "kernel")
_BATCH = 2_000


class Members(eqx.Module):
    """An ensemble of densities of the same whitened vectors.

    Attributes:
        stacked: Flows or kernels, with a leading axis of members.
    """

    stacked: SplineFlow | Kernels

    @property
    def number(self) -> int:
        """How many they are."""
        return jax.tree.leaves(eqx.filter(self.stacked, eqx.is_array))[0].shape[0]

    def log_prob(self, y: Float[Array, " dim"]) -> Float[Array, " member"]:
        """Log-density of one vector by every member."""
        return eqx.filter_vmap(lambda member: member.log_prob(y))(self.stacked)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        y: Float[Array, " dim"],
        weight: Float[Array, " member"],
    ) -> Float[Array, ""]:
        """Weighted minus log-density of one vector, summed over the members.

        Args:
            key: Not used: this loss is not random.
            progress: Not used: this loss is the same throughout.
            y: A whitened vector.
            weight: Its weight for every member; zero if it is kept from one.
        """
        del key, progress
        log_prob = self.log_prob(y)
        return -jnp.sum(jnp.where(weight > 0, weight * log_prob, 0.0))


class Piece(eqx.Module):
    """One mode: whitened, and an ensemble of densities of it."""

    whitening: Whitening
    members: Members

    def log_prob(self, y: Float[Array, " dim"]) -> Float[Array, " member"]:
        """Log-density of one unbounded vector by every member."""
        return self.members.log_prob(self.whitening(y)) + self.whitening.log_det


class WeightedDensity(eqx.Module):
    """A normalized density of parameters, learned from weighted draws.

    Attributes:
        support: Where it lives.
        log_share: Log of the share of every piece.
        pieces: The pieces.
        kind: What they are made of.
    """

    support: Support
    log_share: Float[Array, " piece"]
    pieces: tuple[Piece, ...]
    kind: DensityKind = eqx.field(static=True)

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return self.support.dim

    @property
    def num_members(self) -> int:
        """Densities of the ensemble."""
        return self.pieces[0].members.number

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        stacked = [piece.members.stacked for piece in self.pieces]
        words = {"dim": self.dim, "num_pieces": len(self.pieces), "kind": self.kind}
        words["num_members"] = self.num_members
        if isinstance(stacked[0], SplineFlow):
            layer = stacked[0].layers[0]
            shape = {"width": layer.bias[0].shape[-1], "knots": layer.knots}
            shape |= {"num_layers": len(stacked[0].layers), "interval": layer.interval}
            return words | {"settings": shape}
        centers = [part.centers.shape[1] for part in stacked]
        return words | {"settings": {"centers": centers}}

    @classmethod
    def from_config(
        cls,
        key: Key[Array, ""],
        *,
        dim: int,
        num_pieces: int,
        num_members: int,
        kind: DensityKind,
        settings: dict[str, Any],
    ) -> "WeightedDensity":
        """A density of a saved architecture, its arrays to be filled."""
        pieces = []
        for number in range(num_pieces):
            if kind == "kernel":
                shape = (num_members, settings["centers"][number], dim)
                stacked = jax.vmap(Kernels)(jnp.zeros(shape), jnp.ones(num_members))
            else:
                stacked = stack_flows(key, dim, num_members, kind, **settings)
            pieces.append(Piece(Whitening.identity(dim), Members(stacked)))
        blank = jnp.zeros(num_pieces)
        support = Support(jnp.zeros(dim), jnp.ones(dim), jnp.zeros(dim, bool))
        return cls(support, blank, tuple(pieces), kind)

    def member_log_prob(self, theta: Float[Array, " param"]) -> Float[Array, " member"]:
        """Log-density of one vector by every member; -inf outside the support."""
        y = self.support.unbound(theta)
        log_prob = self._unbounded(y) + self.support.log_det(y)
        return jnp.where(self.support.contains(theta), log_prob, -jnp.inf)

    def _unbounded(self, y: Float[Array, " dim"]) -> Float[Array, " member"]:
        parts = jnp.stack([piece.log_prob(y) for piece in self.pieces])
        return logsumexp(parts + self._log_share[:, None], axis=0)

    @property
    def _log_share(self) -> Float[Array, " piece"]:
        return jax.nn.log_softmax(self.log_share)

    def log_prob(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """Log-density of one vector; -inf outside the support, finite at its edge."""
        return logsumexp(self.member_log_prob(theta)) - np.log(self.num_members)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
    ) -> Float[Array, ""]:
        """Minus the log-density of one draw.

        Args:
            key: Not used: this loss is not random.
            progress: Not used: this loss is the same throughout.
            theta: Parameters.
        """
        del key, progress
        return -self.log_prob(theta)

    def member_log_prob_table(
        self, table: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, "draw member"]:
        """Log-density of many vectors by every member, bounds in double precision."""
        table = np.asarray(table, float)
        y = self.support.unbound_table(table)
        log_det = self.support.log_det_table(y)
        parts = [
            _evaluate(piece.members, jnp.asarray(piece.whitening.table(y), jnp.float32))
            + float(piece.whitening.log_det)
            + float(share)
            for piece, share in zip(self.pieces, self._log_share, strict=True)
        ]
        total = np.logaddexp.reduce(np.asarray(parts, float)) + log_det[:, None]
        return np.where(self._inside(table)[:, None], total, -np.inf)

    def _inside(self, table: np.ndarray) -> np.ndarray:
        low, high = np.asarray(self.support.lower), np.asarray(self.support.upper)
        slack = 1e-6 * np.where(np.isfinite(high - low), high - low, 0.0)
        inside = (table >= low - slack) & (table <= high + slack)
        return np.all(inside | np.asarray(self.support.periodic), axis=1)

    def log_prob_table(
        self, table: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, " draw"]:
        """Log-density of many vectors, bounds in double precision."""
        by_member = self.member_log_prob_table(table)
        return np.logaddexp.reduce(by_member, axis=1) - np.log(self.num_members)

    def from_cube(self, u: Float[Array, " param"]) -> Float[Array, " param"]:
        """The vector of a point of the unit cube; even points follow the density.

        The first coordinate picks the member, and is spread over the cube again.
        """
        place = u[0] * self.num_members
        pick = jnp.clip(jnp.floor(place), 0, self.num_members - 1)
        return self.member_from_cube(u.at[0].set(place - pick))[pick.astype(int)]

    def member_from_cube(
        self, u: Float[Array, " param"]
    ) -> Float[Array, "member param"]:
        """The vectors of one point of the unit cube by every member.

        The first coordinate picks the piece by their cumulative share, and is spread
        over the cube again inside it.
        """
        share = jnp.exp(self._log_share)
        ends = jnp.cumsum(share)
        pick = jnp.clip(jnp.sum(u[0] >= ends), 0, share.size - 1)
        inside = u.at[0].set((u[0] - (ends[pick] - share[pick])) / share[pick])
        inside = jnp.clip(inside, 0.0, 1.0)
        found = [
            jax.vmap(piece.whitening.inverse)(
                eqx.filter_vmap(lambda member: member.from_cube(inside))(
                    piece.members.stacked
                )
            )
            for piece in self.pieces
        ]
        return jax.vmap(self.support.bound)(jnp.stack(found)[pick])

    @eqx.filter_jit
    def member_from_cube_table(
        self, table: Float[Array, "draw param"]
    ) -> Float[Array, "draw member param"]:
        """The vectors of many points of the unit cube by every member."""
        return jax.lax.map(self.member_from_cube, table, batch_size=_BATCH)

    def sample(self, key: Key[Array, ""], num_draws: int) -> Float[Array, "draw param"]:
        """Draw parameters, in random order and as many from each member."""
        each = -(-num_draws // self.num_members)
        draws = self._sample(key, each).reshape(-1, self.dim)
        return jr.permutation(jr.fold_in(key, 1), draws)[:num_draws]

    @eqx.filter_jit
    def _sample(
        self, key: Key[Array, ""], each: int
    ) -> Float[Array, "member draw param"]:
        pick_key, *keys = jr.split(key, len(self.pieces) + 1)
        drawn = []
        for piece, piece_key in zip(self.pieces, keys, strict=True):

            def draw(member: Any, key: Array, piece: Piece = piece) -> Array:
                return jax.vmap(lambda k: piece.whitening.inverse(member.sample(k)))(
                    jr.split(key, each)
                )

            member_keys = jr.split(piece_key, self.num_members)
            drawn.append(eqx.filter_vmap(draw)(piece.members.stacked, member_keys))
        pick = jr.categorical(pick_key, self.log_share, shape=(self.num_members, each))
        chosen = jnp.take_along_axis(jnp.stack(drawn), pick[None, ..., None], axis=0)[0]
        return jax.vmap(jax.vmap(self.support.bound))(chosen)


@eqx.filter_jit
def _evaluate(members: Members, white: Float[Array, "draw dim"]) -> Array:
    return jax.lax.map(members.log_prob, white, batch_size=_BATCH)


def stack_flows(
    key: Key[Array, ""], dim: int, number: int, kind: DensityKind, **settings: Any
) -> SplineFlow:
    """Untrained flows with a leading axis of members."""
    if kind == "kernel" or kind not in KINDS:
        raise ParameterError(
            f"Expected a flow, autoregressive or coupling; got {kind!r}. Choose one."
        )
    return _build(key, dim, number, kind, settings)


@eqx.filter_jit
def _build(
    key: Key[Array, ""], dim: int, number: int, kind: Any, settings: dict[str, Any]
) -> SplineFlow:
    keys = jr.split(key, number)
    return eqx.filter_vmap(lambda one: SplineFlow(one, dim, kind=kind, **settings))(
        keys
    )
