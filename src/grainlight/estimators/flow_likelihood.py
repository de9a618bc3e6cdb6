r"""A likelihood of any shape: a Gaussian whose noise a conditional flow bends.

$$ x = \mu(\theta, z) + L(\theta, z)\, u, \qquad u \sim q(u | h(\theta, z)) , $$
$$ \ln p(x | \theta, z) = \ln q\big( L^{-1} (x - \mu) \,|\, h \big) - \ln |L| . $$

$q$ is a flow of rational-quadratic splines, normalized exactly; it starts near a
standard normal, which makes the whole a Gaussian likelihood. Mean and factor follow
narrow scatters wherever they lie, and the flow has only their shape to learn. It may
start from a Gaussian likelihood that is trained already (`from_gaussian`): a step costs
many times one of the Gaussian, and most of the way needs no flow.

Objective: the mean over simulations of $-\ln p(x | \theta, z)$. The floor of the
variance falls while training advances, as in `gaussian`; not from a trained start.

A flow cannot leave out a missing dimension: the marginal would be an integral. Masks
are refused. For missing bands use `GaussianLikelihood`, or train a flow on the bands
that are there.

References:
    Papamakarios, Sterratt & Murray (2019), arXiv:1805.07226; Durkan et al. (2019),
    arXiv:1906.04032.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grainlight.core import BandMismatchError, ModelError
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.likelihood import AbstractLikelihood
from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.moments import Moments, annealed_floor, limited_loss
from grainlight.networks import CholeskyHead, Flow

#: Seed of the draws from which the moments are found.
SEED = 0
#: Settings of the flow; all others are those of the Gaussian.
FLOW_SETTINGS = ("kind", "num_layers", "width", "depth", "knots", "interval")


class FlowLikelihood(AbstractLikelihood):
    """The distribution of an outcome given parameters: a conditional flow.

    `theta` is in scaled coordinates throughout, `condition` may be empty.

    Attributes:
        gaussian: Center and factor.
        context: Linear head of what the flow sees.
        flow: Density of the whitened residual.
        initial_floor: Least conditional variance of the Gaussian at the start of
            training, in standardized units.
        num_draws: Draws from which the moments are found.
    """

    gaussian: GaussianLikelihood
    context: eqx.nn.Linear
    flow: Flow
    initial_floor: float = eqx.field(static=True)
    num_draws: int = eqx.field(static=True)
    flow_settings: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        gaussian: GaussianLikelihood,
        *,
        initial_floor: float | None = None,
        num_context: int = 16,
        num_draws: int = 256,
        **flow_settings: Any,
    ) -> None:
        if not isinstance(gaussian.cholesky, CholeskyHead):
            raise ModelError(
                "Expected a Gaussian likelihood without `blur`, whose noise a flow can "
                "bend; got one with. Leave `blur` out."
            )
        context, flow = jr.split(key)
        self.gaussian = gaussian
        given = initial_floor is not None
        self.initial_floor = initial_floor if given else gaussian.initial_floor
        size = gaussian.branches.covariance_size
        self.context = eqx.nn.Linear(size, num_context, key=context)
        self.flow = Flow(flow, gaussian.dim, num_cond=num_context, **flow_settings)
        self.flow_settings = tuple(sorted(flow_settings.items()))
        self.num_draws = num_draws

    @classmethod
    def from_data(
        cls,
        key: Key[Array, ""],
        theta: Float[np.ndarray, "sim param"] | Array,
        condition: Float[np.ndarray, "sim cond"] | Array,
        x: Float[np.ndarray, "sim dim"] | Array,
        *,
        num_context: int = 16,
        num_draws: int = 256,
        **settings: Any,
    ) -> "FlowLikelihood":
        """An untrained likelihood.

        Settings are those of `GaussianLikelihood.from_data`, and of `Flow`: `kind`,
        `num_layers`, `width`, `depth`, `knots`, `interval`.
        """
        gaussian_key, key = jr.split(key)
        flow = {name: settings.pop(name) for name in FLOW_SETTINGS if name in settings}
        settings = {"widths": (128, 128, 128)} | settings
        gaussian = GaussianLikelihood.from_data(
            gaussian_key, theta, condition, x, **settings
        )
        return cls(key, gaussian, num_context=num_context, num_draws=num_draws, **flow)

    @classmethod
    def from_gaussian(
        cls, key: Key[Array, ""], gaussian: GaussianLikelihood, **settings: Any
    ) -> "FlowLikelihood":
        """A flow around a trained likelihood, whose density it starts near.

        Args:
            key: Draws the first weights of the flow.
            gaussian: The likelihood; all of it is trained further.
            **settings: `num_context`, `num_draws`, and those of `Flow`.
        """
        return cls(key, gaussian, initial_floor=gaussian.floor, **settings)

    @property
    def inputs(self) -> Inputs:
        """What the network sees of parameters and conditions."""
        return self.gaussian.inputs

    @property
    def outputs(self) -> Outputs:
        """Units of the outcome."""
        return self.gaussian.outputs

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {
            "gaussian": self.gaussian.config(),
            "initial_floor": self.initial_floor,
            "num_context": self.context.out_features,
            "num_draws": self.num_draws,
            **dict(self.flow_settings),
        }

    @classmethod
    def from_config(
        cls, key: Key[Array, ""], *, gaussian: dict[str, Any], **settings: Any
    ) -> "FlowLikelihood":
        """A likelihood of a saved architecture, its arrays to be filled."""
        return cls(key, GaussianLikelihood.from_config(key, **gaussian), **settings)

    def log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        _refuse(mask)
        return self._log_prob(x, theta, condition, self.gaussian.floor)

    def _log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        floor: Float[Array, ""] | float,
    ) -> Float[Array, ""]:
        white, features = self.gaussian.whiten(x, theta, condition, floor)
        log_prob = self.flow.log_prob(white.residual, self.context(features))
        return log_prob - white.log_det + self.outputs.scaling.log_det

    def sample(
        self,
        key: Key[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " dim"]:
        seen = self.context(self.gaussian.features(theta, condition))
        noise = self.flow.sample(key, 1, seen)[0]
        standard = self.gaussian.moments(theta, condition)
        return standard.mean + standard.factor @ noise

    def moments(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Moments:
        # found from the same draws every time
        seen = self.context(self.gaussian.features(theta, condition))
        noise = self.flow.sample(jr.key(SEED), self.num_draws, seen)
        covariance = jnp.atleast_2d(jnp.cov(noise, rowvar=False))
        standard = self.gaussian.moments(theta, condition)
        mean = standard.mean + standard.factor @ jnp.mean(noise, axis=0)
        return Moments(mean, standard.factor @ jnp.linalg.cholesky(covariance))

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
        floor = annealed_floor(progress, self.initial_floor, self.gaussian.floor)
        return limited_loss(-self._log_prob(x, theta, condition, floor))


def _refuse(mask: Bool[Array, " dim"] | None) -> None:
    if mask is not None:
        raise BandMismatchError(
            "Expected an outcome without missing dimensions; got a mask. A flow cannot "
            "marginalize: use a GaussianLikelihood, or train a flow on the bands that "
            "are there."
        )
