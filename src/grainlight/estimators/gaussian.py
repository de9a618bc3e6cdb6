r"""A Gaussian likelihood with full covariance, learned from simulated pairs.

$$ p(x | \theta, z) = N(x;\, \mu(\theta, z),\, L L^T), \qquad L = L(\theta, z) $$

Objective: the mean over simulations of

$$ \tfrac12 \big[ d \ln 2\pi + \ln |L L^T| + (x - \mu)^T (L L^T)^{-1} (x - \mu) \big] $$

over the dimensions that are there. Missing ones are left out exactly: the marginal of a
Gaussian drops their rows and columns. While training advances, the variance floor falls
geometrically from `initial_floor` to `floor`; started at the final floor, float32 does
not survive the first large residuals. A pair worse than 1000 counts by the logarithm of
the excess: while scatters are learned one pair must not throw the others out.

A simulator almost without noise needs another objective: the directions in which the
outcome is known best would decide everything, and no observation sees them. With `blur`
the objective is the expectation of the same under white noise of a variance $n^2$ on
outcome and prediction,

$$ \tfrac12 \big[ d \ln 2\pi + \ln |C| + \mathrm{tr}\, C^{-1}
   \big( (x - \mu) (x - \mu)^T + n^2 I \big) \big] , \qquad C = L L^T + n^2 I , $$

with $\ln n$ drawn evenly for every pair. It is least where $L L^T$ is the covariance of
the residuals, whatever $n$ is. The density then is that of the outcome under the least
of this noise: nothing finer was learned. While it is annealed, correlations are left
out: the mean and the variances are learned first, at a third of the cost.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.estimators.likelihood import AbstractLikelihood
from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.moments import (
    LOG_TWO_PI,
    Moments,
    annealed_floor,
    expected_deviance,
    limited_loss,
    marginal_log_prob,
)
from grainlight.networks import (
    Branches,
    BranchKind,
    CholeskyHead,
    CorrelationHead,
    ResidualNetwork,
    SourcesHead,
    Split,
    White,
)


class GaussianLikelihood(AbstractLikelihood):
    """The distribution of an outcome given parameters: a Gaussian that a network sets.

    `theta` is in scaled coordinates throughout, `condition` may be empty. A floor of
    `1e-6` says that no output is predicted better than 1e-3 of its standard deviation
    over the training set, given the outputs before it.

    Attributes:
        inputs: What the network sees of parameters and conditions.
        outputs: Units of the outcome.
        trunk: Shared residual network.
        branches: Subnetworks of mean and covariance, if any.
        mean: Linear head of the mean, or of the sources whose sum it is.
        cholesky: Linear head of the covariance.
        floor: Least conditional variance, in standardized units.
        initial_floor: The same at the start of training without `blur`.
        blur: Least and largest scatter of the noise of the objective, in the unit of
            the outcome; none for the objective without noise.
    """

    inputs: Inputs
    outputs: Outputs
    trunk: ResidualNetwork
    branches: Branches
    mean: eqx.nn.Linear | SourcesHead
    cholesky: CholeskyHead | CorrelationHead
    widths: tuple[int, ...] = eqx.field(static=True)
    normalization: Literal["none", "layer"] = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    initial_floor: float = eqx.field(static=True)
    blur: tuple[float, float] | None = eqx.field(static=True)

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
        blur: Sequence[float] | None = None,
        num_sources: int = 1,
        covariance: BranchKind = "linear",
        branch_widths: Sequence[int] | None = None,
    ) -> None:
        trunk, mean, cholesky = jr.split(key, 3)
        dim = outputs.gain.shape[0]
        block: dict = {"activation": activation, "normalization": normalization}
        self.inputs, self.outputs = inputs, outputs
        self.trunk = ResidualNetwork(trunk, inputs.mixing.shape[0], widths, **block)
        size = self.trunk.out_size
        self.branches = Branches(
            jr.fold_in(key, 3), size, dim, covariance, branch_widths, **block
        )
        size = self.branches.mean_size
        if num_sources > 1:
            self.mean = SourcesHead(mean, size, dim, num_sources)
        else:
            self.mean = eqx.nn.Linear(size, dim, key=mean)
        head = CorrelationHead if blur else CholeskyHead
        self.cholesky = head(cholesky, self.branches.covariance_size, dim)
        self.blur = (float(blur[0]), float(blur[1])) if blur else None
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
        softening: Float[np.ndarray, " inp"] | None = None,
        **settings: Any,
    ) -> "GaussianLikelihood":
        """An untrained likelihood, standardized on a training set."""
        inputs = Inputs.from_data(theta, condition, mixing, softening)
        outputs = Outputs.from_data(theta, x, gain)
        return cls(key, inputs, outputs, **settings)

    @property
    def num_sources(self) -> int:
        """Sources whose magnitudes are added in flux; one for any other outcome."""
        return getattr(self.mean, "num_sources", 1)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {
            **self.inputs.config(),
            "num_param": self.num_param,
            "dim": self.dim,
            "widths": list(self.widths),
            "activation": self.trunk.activation,
            "normalization": self.normalization,
            "floor": self.floor,
            "initial_floor": self.initial_floor,
            "blur": list(self.blur) if self.blur else None,
            "num_sources": self.num_sources,
            "covariance": self.branches.kind,
            "branch_widths": list(self.branches.widths),
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
    ) -> "GaussianLikelihood":
        """A likelihood of a saved architecture, its arrays to be filled."""
        inputs = Inputs.blank(num_feature, num_input, softened=softened)
        return cls(key, inputs, Outputs.blank(dim, num_param), **settings)

    def _standardized(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        floor: Float[Array, ""] | float,
    ) -> Moments:
        features = self._features(theta, condition)
        return Moments(self._mean(features), self._factor(features, floor))

    def _features(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Split:
        return self.branches(self.trunk(self.inputs(theta, condition)))

    def _factor(
        self, features: Split, floor: Float[Array, ""] | float
    ) -> Float[Array, "dim col"]:
        """The factor of the covariance, with the least noise beside it."""
        factor = self.cholesky(features.covariance, floor)
        if self.blur is None:
            return factor
        noise = jnp.diag(self.blur[0] / self.outputs.scaling.spread)
        return jnp.concatenate([factor, noise], axis=1)

    def _mean(self, features: Split) -> Float[Array, " dim"]:
        if isinstance(self.mean, SourcesHead):
            return self.mean(features.mean, self.outputs.scaling.spread)
        return self.mean(features.mean)

    def features(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Float[Array, " feature"]:
        """What the covariance is found from."""
        return self._features(theta, condition).covariance

    def whiten(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        floor: Float[Array, ""] | float,
    ) -> tuple[White, Float[Array, " feature"]]:
        """The outcome in units of its scatter, standardized, and the features.

        Args:
            x: The outcome, all of it.
            theta: Scaled parameters.
            condition: Conditions.
            floor: Least conditional variance, in standardized units.
        """
        features = self._features(theta, condition)
        residual = self.outputs.standardize(x, theta) - self._mean(features)
        white = self.cholesky.whiten(features.covariance, floor, residual)
        return white, features.covariance

    def moments(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Moments:
        standard = self._standardized(theta, condition, self.floor)
        spread = self.outputs.scaling.spread
        return Moments(
            self.outputs.restore(standard.mean, theta),
            spread[:, None] * standard.factor,
        )

    def moments_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> tuple[Float[Array, " row"], Float[Array, "row row"]]:
        """Mean and covariance of some dimensions of the outcome, at their cost.

        Args:
            theta: Scaled parameters.
            condition: Conditions.
            index: Which dimensions, in any order. A repeated one shares all its scatter
                but the least noise.
        """
        features = self._features(theta, condition)
        mean = self.outputs.restore(self._mean(features), theta)
        if isinstance(self.cholesky, CholeskyHead):
            rows = self.cholesky.rows(features.covariance, self.floor, index)
        else:
            rows = self.cholesky(features.covariance, self.floor)[index]
        rows = self.outputs.scaling.spread[index, None] * rows
        covariance = jnp.matmul(rows, rows.T, precision="highest")
        if self.blur is not None:
            covariance = covariance + self.blur[0] ** 2 * jnp.eye(index.size)
        return mean[index], covariance

    def scatter_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> tuple[Float[Array, " row"], Float[Array, " row"]]:
        """The means and variances of `moments_at`; cheaper, if there is a `blur`."""
        if self.blur is None:
            mean, covariance = self.moments_at(theta, condition, index)
            return mean, jnp.diagonal(covariance)
        features = self._features(theta, condition)
        mean = self.outputs.restore(self._mean(features), theta)
        variance = self.cholesky.variance(features.covariance, self.floor)
        variance = self.outputs.scaling.spread**2 * variance + self.blur[0] ** 2
        return mean[index], variance[index]

    def log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
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
        if mask is None and isinstance(self.cholesky, CholeskyHead):
            white, _ = self.whiten(x, theta, condition, floor)
            squared = jnp.sum(white.residual**2) + self.dim * LOG_TWO_PI
            return -0.5 * squared - white.log_det - jnp.sum(log_spread)
        standard = self._standardized(theta, condition, floor)
        mask = jnp.ones(self.dim, bool) if mask is None else mask
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
        moments = self.moments(theta, condition)
        noise = jr.normal(key, moments.factor.shape[1:])
        return moments.mean + moments.factor @ noise

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        if self.blur is not None:
            noise = draw_noise(key, self.blur)
            value = self._blurred(noise, progress, theta, condition, x, mask)
        else:
            floor = annealed_floor(progress, self.initial_floor, self.floor)
            value = -self._log_prob(x, theta, condition, mask, floor)
        return limited_loss(value)

    def _blurred(
        self,
        noise: Float[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None,
    ) -> Float[Array, ""]:
        """Expected objective under white noise; without correlations at first."""
        features = self._features(theta, condition)
        spread = self.outputs.scaling.spread
        there = jnp.ones(self.dim, bool) if mask is None else mask
        x = jnp.where(there, x, 0.0)
        residual = spread * (self.outputs.standardize(x, theta) - self._mean(features))
        residual = jnp.where(there, residual, 0.0)

        def variances() -> Float[Array, ""]:
            variance = self.cholesky.variance(features.covariance, self.floor)
            total = spread**2 * variance + noise**2
            terms = jnp.log(total) + (residual**2 + noise**2) / total
            return jnp.sum(jnp.where(there, terms, 0.0))

        def covariance() -> Float[Array, ""]:
            factor = spread[:, None] * self.cholesky(features.covariance, self.floor)
            total = jnp.matmul(factor, factor.T) + noise**2 * jnp.eye(self.dim)
            both = there[:, None] & there[None, :]
            total = jnp.where(both, total, jnp.eye(self.dim))
            return expected_deviance(residual, total, jnp.where(there, noise, 0.0))

        value = jax.lax.cond(progress < 1, variances, covariance)
        return 0.5 * (value + jnp.sum(there) * LOG_TWO_PI)


def draw_noise(key: Key[Array, ""], blur: tuple[float, float]) -> Float[Array, ""]:
    """Scatter of the noise of the objective, its logarithm evenly between bounds."""
    return jnp.exp(jr.uniform(key, minval=np.log(blur[0]), maxval=np.log(blur[1])))
