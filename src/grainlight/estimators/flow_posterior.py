r"""A posterior that a normalizing flow gives for any outcome: amortized inference.

$$ \ln q(\theta | x, m, z) = \ln q_z(w | h) - \ln |L(h)|
   + \ln \Big| \frac{dy}{d\theta} \Big| , \qquad
   w = L(h)^{-1} \big( y(\theta) - \mu(h) \big) , \quad h = h(x, m, z) . $$

An encoder reads the outcome $x$, what is missing of it $m$ and the conditions $z$ into
features $h$. These set a Gaussian, as wide and as tilted as the posterior is; a
rational-quadratic flow, which sees the features as well, makes the rest of it: bends,
tails, separate modes. $y(\theta)$ is the standardized probit of the parameters within
their bounds (`Support`): no draw leaves them, and the density is normalized over them.

Objective: the mean over simulations of $-\ln q(\theta | x, m, z)$, least for the
posterior under the prior of the simulations. The least variance of the Gaussian falls
while training advances, as in `gaussian`.

References:
    Greenberg, Nonnenmacher & Macke (2019), arXiv:1905.07488 (amortized posteriors);
    Durkan et al. (2019), arXiv:1906.04032 (the flow).
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.core import BandMismatchError, ParameterError
from grainlight.estimators.moments import annealed_floor, limited_loss
from grainlight.estimators.posterior import AbstractPosterior, PosteriorDraws
from grainlight.estimators.scaling import Scaling
from grainlight.estimators.support import Support
from grainlight.networks import (
    ENCODERS,
    CholeskyHead,
    Flow,
    MaskedEncoder,
    TokenEncoder,
)


class FlowPosterior(AbstractPosterior):
    """The distribution of parameters given an outcome: a flow that a network sets.

    `theta` is in scaled coordinates throughout, `condition` may be empty. The outcome
    is a vector; with several channels it holds those of the first token, then those of
    the second, and a mask has one entry a token.

    Attributes:
        support: Bounds of the parameters.
        theta_scaling: Standardization of their probits.
        x_scaling: Standardization of the outcome.
        condition_scaling: Standardization of the conditions.
        encoder: What reads outcome, mask and conditions.
        mean: Linear head of the mean of the Gaussian.
        cholesky: Linear head of its covariance.
        context: Linear layer from the features to what the flow sees.
        flow: Density of the whitened parameters.
        settings: What else the architecture is made from.
    """

    support: Support
    theta_scaling: Scaling
    x_scaling: Scaling
    condition_scaling: Scaling
    encoder: MaskedEncoder | TokenEncoder
    mean: eqx.nn.Linear
    cholesky: CholeskyHead
    context: eqx.nn.Linear
    flow: Flow
    num_channels: int = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    initial_floor: float = eqx.field(static=True)
    settings: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        support: Support,
        theta_scaling: Scaling,
        x_scaling: Scaling,
        condition_scaling: Scaling,
        *,
        num_channels: int = 1,
        encoder: str = "masked",
        widths: Sequence[int] = (64, 64),
        normalization: Literal["none", "layer"] = "none",
        floor: float = 1e-6,
        initial_floor: float = 1.0,
        num_context: int = 32,
        flow: Literal["coupling", "autoregressive"] = "coupling",
        num_layers: int = 6,
        width: int = 64,
        depth: int = 1,
        knots: int = 8,
    ) -> None:
        _check_encoder(encoder)
        keys = jr.split(key, 5)
        dim, size = theta_scaling.center.size, x_scaling.center.size
        if size % num_channels:
            raise BandMismatchError(
                f"Expected an outcome of {num_channels} numbers a token; got {size} "
                "numbers. Give every token all channels."
            )
        sizes = (size // num_channels, num_channels, condition_scaling.center.size)
        if encoder == "masked":
            self.encoder = MaskedEncoder(
                keys[0], *sizes, widths=widths, normalization=normalization
            )
        else:
            self.encoder = TokenEncoder(keys[0], *sizes, widths=widths)
        self.support, self.theta_scaling = support, theta_scaling
        self.x_scaling, self.condition_scaling = x_scaling, condition_scaling
        features = self.encoder.out_size
        self.mean = eqx.nn.Linear(features, dim, key=keys[1])
        self.cholesky = CholeskyHead(keys[2], features, dim, initial_scale=0.9)
        self.context = eqx.nn.Linear(features, num_context, key=keys[3])
        shape: dict[str, Any] = {"num_layers": num_layers, "width": width}
        shape |= {"depth": depth, "knots": knots}
        self.flow = Flow(keys[4], dim, num_cond=num_context, kind=flow, **shape)
        self.num_channels, self.floor = num_channels, floor
        self.initial_floor = initial_floor
        words = {"encoder": encoder, "widths": tuple(widths), "flow": flow}
        words |= {"normalization": normalization, "num_context": num_context, **shape}
        self.settings = tuple(sorted(words.items()))

    @classmethod
    def from_data(
        cls,
        key: Key[Array, ""],
        theta: Float[np.ndarray, "sim param"] | Array,
        condition: Float[np.ndarray, "sim cond"] | Array,
        x: Float[np.ndarray, "sim dim"] | Array,
        *,
        lower: Float[np.ndarray, " param"] | Array | None = None,
        upper: Float[np.ndarray, " param"] | Array | None = None,
        **settings: Any,
    ) -> "FlowPosterior":
        """An untrained posterior, standardized on a training set.

        Args:
            key: Random key.
            theta: Scaled parameters.
            condition: Conditions.
            x: Outcomes; what is not finite counts as missing.
            lower: Lower bounds of the parameters; none without.
            upper: Upper bounds.
            settings: As of the constructor.
        """
        table = jnp.asarray(theta, float)
        endless = np.full(table.shape[1], np.inf)
        support = Support.between(
            -endless if lower is None else lower, endless if upper is None else upper
        )
        outside = int(jnp.sum(~jax.vmap(support.contains)(table)))
        if outside:
            raise ParameterError(
                f"Expected parameters within the bounds; got {outside} outside. Widen "
                "the bounds, or drop those simulations."
            )
        scaling = Scaling.from_data(jax.vmap(support.unbound)(table))
        others = (Scaling.from_data(one) for one in (x, condition))
        return cls(key, support, scaling, *others, **settings)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        words = {name: _plain(value) for name, value in self.settings}
        return words | {
            "num_param": self.theta_scaling.center.size,
            "dim": self.x_scaling.center.size,
            "num_cond": self.condition_scaling.center.size,
            "num_channels": self.num_channels,
            "floor": self.floor,
            "initial_floor": self.initial_floor,
        }

    @classmethod
    def from_config(
        cls,
        key: Key[Array, ""],
        *,
        num_param: int,
        dim: int,
        num_cond: int,
        **settings: Any,
    ) -> "FlowPosterior":
        """A posterior of a saved architecture, its arrays to be filled."""
        sizes = (num_param, dim, num_cond)
        scalings = (Scaling.identity(size) for size in sizes)
        return cls(key, Support.blank(num_param), *scalings, **settings)

    def deepened(self, key: Key[Array, ""], num_blocks: int) -> "FlowPosterior":
        """The same posterior, with blocks in its encoder that are still to learn.

        Trained further, it needs no wide floor at first, unlike a blank one.

        Args:
            key: Random key.
            num_blocks: Blocks of the masked encoder, those that it has included.
        """
        words = dict(self.settings)
        more = num_blocks - len(words["widths"])
        if words["encoder"] != "masked" or more < 0:
            raise ParameterError(
                f"Expected a masked encoder of at most {num_blocks} blocks; got a "
                f"{words['encoder']} one of {len(words['widths'])}. Train anew."
            )
        widths = (*words["widths"], *more * words["widths"][-1:])
        config = self.config() | {"widths": widths, "initial_floor": self.floor}
        # all that is drawn with the key here is overwritten below
        blank = FlowPosterior.from_config(key, **config)
        trunk = self.encoder.trunk.deepened(key, more)
        return eqx.tree_at(
            lambda one: (*_parts(one), one.encoder.trunk),
            blank,
            (*_parts(self), trunk),
        )

    @property
    def num_tokens(self) -> int:
        """Tokens of an outcome that misses none."""
        return self.x_scaling.center.size // self.num_channels

    def features(
        self,
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " token"] | None = None,
        index: Int[Array, " token"] | None = None,
    ) -> Float[Array, " feature"]:
        """What the encoder makes of an outcome.

        Args:
            x: The outcome, all channels of a token together; anything where it is
                missing.
            condition: Conditions, such as the redshift; may have length zero.
            mask: True where a token is there; where all its numbers are finite without.
            index: Position of each token, if they do not all come in order.
        """
        values = x.reshape(-1, self.num_channels)
        there = jnp.all(jnp.isfinite(values), axis=1) if mask is None else mask
        place = jnp.arange(values.shape[0]) if index is None else index
        center = self.x_scaling.center.reshape(-1, self.num_channels)[place]
        spread = self.x_scaling.spread.reshape(-1, self.num_channels)[place]
        values = jnp.where(there[:, None], values, center)
        known = self.condition_scaling(condition)
        return self.encoder(place, (values - center) / spread, there, known)

    def log_prob(
        self,
        theta: Float[Array, " param"],
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " token"] | None = None,
    ) -> Float[Array, ""]:
        features = self.features(x, condition, mask)
        return self.log_prob_given(theta, features, self.floor)

    def log_prob_given(
        self,
        theta: Float[Array, " param"],
        features: Float[Array, " feature"],
        floor: Float[Array, ""] | float,
    ) -> Float[Array, ""]:
        """What `log_prob` does, given the features and a least variance."""
        real = self.support.unbound(theta)
        residual = self.theta_scaling(real) - self.mean(features)
        white = self.cholesky.whiten(features, floor, residual)
        log_prob = self.flow.log_prob(white.residual, self.context(features))
        log_prob = log_prob - white.log_det + self.theta_scaling.log_det
        log_prob = log_prob + self.support.log_det(real)
        return jnp.where(self.support.contains(theta), log_prob, -jnp.inf)

    def draw(
        self,
        key: Key[Array, ""],
        num_draws: int,
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " token"] | None = None,
    ) -> PosteriorDraws:
        features = self.features(x, condition, mask)
        return self.draw_given(key, num_draws, features)

    def draw_given(
        self, key: Key[Array, ""], num_draws: int, features: Float[Array, " feature"]
    ) -> PosteriorDraws:
        """What `draw` does, given the features."""
        context, mean = self.context(features), self.mean(features)
        factor = self.cholesky(features, self.floor)
        volume = jnp.sum(jnp.log(jnp.diagonal(factor)))

        def one(key: Array) -> tuple[Array, Array]:
            white, log_prob = self.flow.sample_with_log_prob(key, context)
            real = self.theta_scaling.inverse(mean + factor @ white)
            log_prob = log_prob - volume + self.theta_scaling.log_det
            log_prob = log_prob + self.support.log_det(real)
            return self.support.bound(real), log_prob

        return PosteriorDraws(*jax.vmap(one)(jr.split(key, num_draws)))

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " token"] | None = None,
    ) -> Float[Array, ""]:
        del key
        floor = annealed_floor(progress, self.initial_floor, self.floor)
        features = self.features(x, condition, mask)
        return limited_loss(-self.log_prob_given(theta, features, floor))


def _check_encoder(name: str) -> None:
    if name not in ENCODERS:
        raise ParameterError(
            f"Expected an encoder among {', '.join(ENCODERS)}; got {name!r}."
        )


def _parts(one: FlowPosterior) -> tuple[Any, ...]:
    """All but the encoder."""
    scalings = (one.support, one.theta_scaling, one.x_scaling, one.condition_scaling)
    return (*scalings, one.mean, one.cholesky, one.context, one.flow)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
