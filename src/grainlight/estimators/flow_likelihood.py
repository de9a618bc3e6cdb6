r"""A likelihood of any shape: a Gaussian whose noise a conditional flow bends.

$$ x = \mu(\theta, z) + L(\theta, z)\, u, \qquad u \sim q(u | h(\theta, z)) , $$
$$ \ln p(x | \theta, z) = \ln q\big( L^{-1} (x - \mu) \,|\, h \big) - \ln |L| . $$

$q$ is a flow of rational-quadratic splines, normalized exactly; it starts near a
standard normal, which makes the whole a Gaussian likelihood. Mean and factor follow
narrow scatters wherever they lie, and the flow has only their shape to learn.

Objective: the mean over simulations of $-\ln p(x | \theta, z)$. The floor of the
variance falls while training advances, as in `gaussian`.

A flow cannot leave out a missing dimension: the marginal would be an integral. Masks
are refused. For missing bands use `GaussianLikelihood`, or train a flow on the bands
that are there.

References:
    Papamakarios, Sterratt & Murray (2019), arXiv:1805.07226; Durkan et al. (2019),
    arXiv:1906.04032.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grainlight.core import BandMismatchError
from grainlight.estimators.likelihood import AbstractLikelihood
from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.moments import Moments, annealed_floor, limited_loss
from grainlight.networks import CholeskyHead, Flow, ResidualNetwork

#: Seed of the draws from which the moments are found.
SEED = 0


class FlowLikelihood(AbstractLikelihood):
    """The distribution of an outcome given parameters: a conditional flow.

    `theta` is in scaled coordinates throughout, `condition` may be empty.

    Attributes:
        inputs: What the network sees of parameters and conditions.
        outputs: Units of the outcome.
        trunk: Shared residual network.
        mean: Linear head of the center.
        cholesky: Linear head of the factor.
        context: Linear head of what the flow sees.
        flow: Density of the whitened residual.
        floor: Least diagonal of the factor, squared, in standardized units.
        initial_floor: The same at the start of training.
        num_draws: Draws from which the moments are found.
    """

    inputs: Inputs
    outputs: Outputs
    trunk: ResidualNetwork
    mean: eqx.nn.Linear
    cholesky: CholeskyHead
    context: eqx.nn.Linear
    flow: Flow
    widths: tuple[int, ...] = eqx.field(static=True)
    normalization: Literal["none", "layer"] = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    initial_floor: float = eqx.field(static=True)
    num_draws: int = eqx.field(static=True)
    flow_settings: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        inputs: Inputs,
        outputs: Outputs,
        *,
        widths: Sequence[int] = (128, 128, 128),
        activation: str = "silu",
        normalization: Literal["none", "layer"] = "none",
        floor: float = 1e-6,
        initial_floor: float = 1.0,
        num_context: int = 16,
        num_draws: int = 256,
        **flow_settings: Any,
    ) -> None:
        trunk, mean, cholesky, context, flow = jr.split(key, 5)
        dim = outputs.gain.shape[0]
        block: dict = {"activation": activation, "normalization": normalization}
        self.inputs, self.outputs = inputs, outputs
        self.trunk = ResidualNetwork(trunk, inputs.mixing.shape[0], widths, **block)
        size = self.trunk.out_size
        self.mean = eqx.nn.Linear(size, dim, key=mean)
        self.cholesky = CholeskyHead(cholesky, size, dim)
        self.context = eqx.nn.Linear(size, num_context, key=context)
        self.flow = Flow(flow, dim, num_cond=num_context, **flow_settings)
        self.flow_settings = tuple(sorted(flow_settings.items()))
        self.widths, self.normalization = tuple(widths), normalization
        self.floor, self.initial_floor = floor, initial_floor
        self.num_draws = num_draws

    @classmethod
    def from_data(
        cls,
        key: Key[Array, ""],
        theta: Float[np.ndarray, "sim param"] | Array,
        condition: Float[np.ndarray, "sim cond"] | Array,
        x: Float[np.ndarray, "sim dim"] | Array,
        *,
        mixing: Float[np.ndarray, "feature inp"] | None = None,
        gain: Float[np.ndarray, "dim param"] | None = None,
        softening: Float[np.ndarray, " inp"] | None = None,
        **settings: Any,
    ) -> "FlowLikelihood":
        """An untrained likelihood; settings of the flow are those of `Flow`."""
        inputs = Inputs.from_data(theta, condition, mixing, softening)
        return cls(key, inputs, Outputs.from_data(theta, x, gain), **settings)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {
            **self.inputs.config(),
            "num_param": self.outputs.gain.shape[1],
            "dim": self.outputs.gain.shape[0],
            "widths": list(self.widths),
            "activation": self.trunk.activation,
            "normalization": self.normalization,
            "floor": self.floor,
            "initial_floor": self.initial_floor,
            "num_context": self.context.out_features,
            "num_draws": self.num_draws,
            **dict(self.flow_settings),
        }

    @classmethod
    def from_config(
        cls,
        key: Key[Array, ""],
        *,
        num_feature: int,
        num_input: int,
        num_param: int,
        dim: int,
        softened: bool = False,
        **settings: Any,
    ) -> "FlowLikelihood":
        """A likelihood of a saved architecture, its arrays to be filled."""
        inputs = Inputs.blank(num_feature, num_input, softened=softened)
        return cls(key, inputs, Outputs.blank(dim, num_param), **settings)

    def _features(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Float[Array, " feature"]:
        return self.trunk(self.inputs(theta, condition))

    def log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        _refuse(mask)
        return self._log_prob(x, theta, condition, self.floor)

    def _log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        floor: Float[Array, ""] | float,
    ) -> Float[Array, ""]:
        features = self._features(theta, condition)
        residual = self.outputs.standardize(x, theta) - self.mean(features)
        white = self.cholesky.whiten(features, floor, residual)
        log_prob = self.flow.log_prob(white.residual, self.context(features))
        return log_prob - white.log_det + self.outputs.scaling.log_det

    def sample(
        self,
        key: Key[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " dim"]:
        features = self._features(theta, condition)
        noise = self.flow.sample(key, 1, self.context(features))[0]
        y = self.mean(features) + self.cholesky(features, self.floor) @ noise
        return self.outputs.restore(y, theta)

    def moments(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Moments:
        # found from the same draws every time
        features = self._features(theta, condition)
        noise = self.flow.sample(jr.key(SEED), self.num_draws, self.context(features))
        covariance = jnp.atleast_2d(jnp.cov(noise, rowvar=False))
        factor = self.cholesky(features, self.floor)
        y = self.mean(features) + factor @ jnp.mean(noise, axis=0)
        within = jnp.matmul(factor, jnp.linalg.cholesky(covariance))
        spread = self.outputs.scaling.spread
        return Moments(self.outputs.restore(y, theta), spread[:, None] * within)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        del key
        _refuse(mask)
        floor = annealed_floor(progress, self.initial_floor, self.floor)
        return limited_loss(-self._log_prob(x, theta, condition, floor))


def _refuse(mask: Bool[Array, " dim"] | None) -> None:
    if mask is not None:
        raise BandMismatchError(
            "Expected an outcome without missing dimensions; got a mask. A flow cannot "
            "marginalize: use a GaussianLikelihood, or train a flow on the bands that "
            "are there."
        )
