r"""A Gaussian likelihood with full covariance, learned from simulated pairs.

$$ p(x | \theta, z) = N(x;\, \mu(\theta, z),\, L L^T), \qquad L = L(\theta, z) $$

Objective: the mean over simulations of

$$ \tfrac12 \big[ d \ln 2\pi + \ln |L L^T| + (x - \mu)^T (L L^T)^{-1} (x - \mu) \big] $$

over the dimensions that are there. Missing ones are left out exactly: the marginal of a
Gaussian drops their rows and columns. While training advances, the variance floor falls
geometrically from `initial_floor` to `floor`; started at the final floor, float32 does
not survive the first large residuals. A pair worse than 1000 counts by the logarithm of
the excess: while scatters are learned one pair must not throw the others out.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.networks import CholeskyHead, ResidualNetwork

LOG_TWO_PI = float(np.log(2 * np.pi))
#: Loss of one pair above which it grows as a logarithm only.
CEILING = 1000.0


class Moments(eqx.Module):
    """Mean and lower Cholesky factor of a Gaussian, in units of the outcome."""

    mean: Float[Array, " dim"]
    cholesky: Float[Array, "dim dim"]

    @property
    def covariance(self) -> Float[Array, "dim dim"]:
        """The covariance matrix."""
        return jnp.matmul(self.cholesky, self.cholesky.T, precision="highest")


class PartialMoments(eqx.Module):
    """Mean of some dimensions, and their rows of the Cholesky factor."""

    mean: Float[Array, " row"]
    rows: Float[Array, "row dim"]

    @property
    def covariance(self) -> Float[Array, "row row"]:
        """Covariance of these dimensions: their exact marginal."""
        return jnp.matmul(self.rows, self.rows.T, precision="highest")


def gaussian_log_prob(
    residual: Float[Array, " dim"], cholesky: Float[Array, "dim dim"]
) -> Float[Array, ""]:
    """Log-density of a Gaussian at a distance `residual` from its mean."""
    white = solve_triangular(cholesky, residual, lower=True)
    log_det = jnp.sum(jnp.log(jnp.diagonal(cholesky)))
    return -0.5 * (white @ white + residual.size * LOG_TWO_PI) - log_det


def marginal_log_prob(
    residual: Float[Array, " dim"],
    covariance: Float[Array, "dim dim"],
    mask: Bool[Array, " dim"],
) -> Float[Array, ""]:
    """Log-density of the dimensions under `mask`, the others marginalized exactly.

    Shapes stay: masked rows and columns become those of the identity, their residual
    zero.
    """
    both = mask[:, None] & mask[None, :]
    factor = jnp.linalg.cholesky(jnp.where(both, covariance, jnp.eye(residual.size)))
    full = gaussian_log_prob(jnp.where(mask, residual, 0.0), factor)
    return full + 0.5 * LOG_TWO_PI * jnp.sum(~mask)


class GaussianLikelihood(eqx.Module):
    """The distribution of an outcome given parameters: a Gaussian that a network sets.

    `theta` is in scaled coordinates throughout, `condition` may be empty. A floor of
    `1e-6` says that no output is predicted better than 1e-3 of its standard deviation
    over the training set, given the outputs before it.

    Attributes:
        inputs: What the network sees of parameters and conditions.
        outputs: Units of the outcome.
        trunk: Shared residual network.
        mean: Linear head of the mean.
        cholesky: Linear head of the covariance.
        floor: Least conditional variance, in standardized units.
        initial_floor: The same at the start of training.
    """

    inputs: Inputs
    outputs: Outputs
    trunk: ResidualNetwork
    mean: eqx.nn.Linear
    cholesky: CholeskyHead
    widths: tuple[int, ...] = eqx.field(static=True)
    normalization: Literal["none", "layer"] = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    initial_floor: float = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        inputs: Inputs,
        outputs: Outputs,
        *,
        widths: Sequence[int] = (128, 128, 128, 128),
        activation: str = "silu",
        normalization: Literal["none", "layer"] = "none",
        floor: float = 1e-6,
        initial_floor: float = 1.0,
    ) -> None:
        trunk, mean, cholesky = jr.split(key, 3)
        dim = outputs.gain.shape[0]
        self.inputs, self.outputs = inputs, outputs
        self.trunk = ResidualNetwork(
            trunk,
            inputs.mixing.shape[0],
            widths,
            activation=activation,
            normalization=normalization,
        )
        self.mean = eqx.nn.Linear(self.trunk.out_size, dim, key=mean)
        self.cholesky = CholeskyHead(cholesky, self.trunk.out_size, dim)
        self.widths, self.normalization = tuple(widths), normalization
        self.floor, self.initial_floor = floor, initial_floor

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
        **settings: Any,
    ) -> "GaussianLikelihood":
        """An untrained likelihood, standardized on a training set."""
        inputs = Inputs.from_data(theta, condition, mixing)
        outputs = Outputs.from_data(theta, x, gain)
        return cls(key, inputs, outputs, **settings)

    @property
    def dim(self) -> int:
        """Length of the outcome."""
        return self.outputs.gain.shape[0]

    @property
    def num_param(self) -> int:
        """Number of parameters."""
        return self.outputs.gain.shape[1]

    @property
    def num_cond(self) -> int:
        """Number of conditions."""
        return self.inputs.mixing.shape[1] - self.num_param

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {
            "num_feature": self.inputs.mixing.shape[0],
            "num_input": self.inputs.mixing.shape[1],
            "num_param": self.num_param,
            "dim": self.dim,
            "widths": list(self.widths),
            "activation": self.trunk.activation,
            "normalization": self.normalization,
            "floor": self.floor,
            "initial_floor": self.initial_floor,
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
        **settings: Any,
    ) -> "GaussianLikelihood":
        """A likelihood of a saved architecture, its arrays to be filled."""
        inputs = Inputs.blank(num_feature, num_input)
        return cls(key, inputs, Outputs.blank(dim, num_param), **settings)

    def _standardized(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        floor: Float[Array, ""] | float,
    ) -> Moments:
        features = self.trunk(self.inputs(theta, condition))
        return Moments(self.mean(features), self.cholesky(features, floor))

    def moments(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Moments:
        """Mean and Cholesky factor of the outcome, in its units."""
        standard = self._standardized(theta, condition, self.floor)
        spread = self.outputs.scaling.spread
        return Moments(
            self.outputs.restore(standard.mean, theta),
            spread[:, None] * standard.cholesky,
        )

    def moments_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> PartialMoments:
        """Moments of some dimensions of the outcome, at their cost.

        Args:
            theta: Scaled parameters.
            condition: Conditions.
            index: Which dimensions, in any order.
        """
        features = self.trunk(self.inputs(theta, condition))
        mean = self.outputs.restore(self.mean(features), theta)
        rows = self.cholesky.rows(features, self.floor, index)
        spread = self.outputs.scaling.spread[index]
        return PartialMoments(mean[index], spread[:, None] * rows)

    def log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        """Log-density of the outcome, marginal over the dimensions that are missing.

        Args:
            x: The outcome; any finite or nan value where it is missing.
            theta: Scaled parameters.
            condition: Conditions, such as the redshift; may have length zero.
            mask: True where `x` is there; all of it without a mask.
        """
        return self._log_prob(x, theta, condition, mask, self.floor)

    def _log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None,
        floor: Float[Array, ""] | float,
    ) -> Float[Array, ""]:
        log_spread = jnp.log(self.outputs.scaling.spread)
        if mask is None:
            features = self.trunk(self.inputs(theta, condition))
            residual = self.outputs.standardize(x, theta) - self.mean(features)
            white = self.cholesky.whiten(features, floor, residual)
            squared = jnp.sum(white.residual**2) + self.dim * LOG_TWO_PI
            return -0.5 * squared - white.log_det - jnp.sum(log_spread)
        standard = self._standardized(theta, condition, floor)
        there = jnp.where(mask, x, 0.0)
        residual = self.outputs.standardize(there, theta) - standard.mean
        part = marginal_log_prob(residual, standard.covariance, mask)
        return part - jnp.sum(jnp.where(mask, log_spread, 0.0))

    def sample(
        self,
        key: Key[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " dim"]:
        """Draw one outcome."""
        moments = self.moments(theta, condition)
        return moments.mean + moments.cholesky @ jr.normal(key, moments.mean.shape)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        """Minus the log-density of one pair, under the floor of this `progress`.

        Args:
            key: Not used: this loss is not random.
            progress: 0 at the start of training, 1 when the floor has fallen.
            theta: Scaled parameters.
            condition: Conditions.
            x: The outcome.
            mask: True where `x` is there.
        """
        del key
        log_floor = (1 - progress) * np.log(self.initial_floor)
        floor = jnp.exp(log_floor + progress * np.log(self.floor))
        value = -self._log_prob(x, theta, condition, mask, floor)
        beyond = jnp.maximum(value - CEILING, 0.0)
        return jnp.minimum(value, CEILING) + jnp.log1p(beyond)
