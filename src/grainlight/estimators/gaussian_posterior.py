r"""A Gaussian posterior that a network reads off an outcome.

$$ q(\theta | x, z) = N\big(\theta;\, \mu(x, m, z),\, L L^T\big), \qquad
   L = L(x, m, z) $$

Objective: the mean over simulations of $-\ln q(\theta | x, z)$, least for the Gaussian
with the mean and the covariance of the posterior under the prior of the simulations.
The floor of the variance falls while training advances, as in `gaussian`.

The network sees standardized bands, with zero for a missing one, and the mask $m$
itself. It answers for missing bands as far as it was trained with them: give `train`
the `augment` of `hide_bands`. It is the `standard` model of the thesis, which has no
masks. A Gaussian knows no bounds: near one it leaks out, which a flow does not.

References:
    Papamakarios & Murray (2016), arXiv:1605.06376.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grainlight.estimators.moments import (
    Moments,
    annealed_floor,
    gaussian_log_prob,
    limited_loss,
)
from grainlight.estimators.scaling import Scaling
from grainlight.networks import Branches, BranchKind, CholeskyHead, ResidualNetwork


class GaussianPosterior(eqx.Module):
    """The distribution of parameters given an outcome: a Gaussian that a network sets.

    `theta` is in scaled coordinates throughout, `condition` may be empty.

    Attributes:
        theta_scaling: Standardization of the parameters.
        x_scaling: Standardization of the outcome.
        condition_scaling: Standardization of the conditions.
        trunk: Shared residual network.
        branches: Subnetworks of mean and covariance, if any.
        mean: Linear head of the mean.
        cholesky: Linear head of the covariance.
        floor: Least conditional variance, in standardized units.
        initial_floor: The same at the start of training.
    """

    theta_scaling: Scaling
    x_scaling: Scaling
    condition_scaling: Scaling
    trunk: ResidualNetwork
    branches: Branches
    mean: eqx.nn.Linear
    cholesky: CholeskyHead
    widths: tuple[int, ...] = eqx.field(static=True)
    normalization: Literal["none", "layer"] = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    initial_floor: float = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        theta_scaling: Scaling,
        x_scaling: Scaling,
        condition_scaling: Scaling,
        *,
        widths: Sequence[int] = (128, 128, 128),
        activation: str = "silu",
        normalization: Literal["none", "layer"] = "none",
        floor: float = 1e-6,
        initial_floor: float = 1.0,
        covariance: BranchKind = "linear",
        branch_widths: Sequence[int] | None = None,
    ) -> None:
        trunk, branches, mean, cholesky = jr.split(key, 4)
        block: dict = {"activation": activation, "normalization": normalization}
        self.theta_scaling, self.x_scaling = theta_scaling, x_scaling
        self.condition_scaling = condition_scaling
        dim = theta_scaling.center.size
        num_input = 2 * x_scaling.center.size + condition_scaling.center.size
        self.trunk = ResidualNetwork(trunk, num_input, widths, **block)
        self.branches = Branches(
            branches, self.trunk.out_size, dim, covariance, branch_widths, **block
        )
        self.mean = eqx.nn.Linear(self.branches.mean_size, dim, key=mean)
        self.cholesky = CholeskyHead(cholesky, self.branches.covariance_size, dim)
        self.widths, self.normalization = tuple(widths), normalization
        self.floor, self.initial_floor = floor, initial_floor

    @classmethod
    def from_data(
        cls,
        key: Key[Array, ""],
        theta: Float[np.ndarray, "sim param"] | Array,
        condition: Float[np.ndarray, "sim cond"] | Array,
        x: Float[np.ndarray, "sim dim"] | Array,
        **settings: Any,
    ) -> "GaussianPosterior":
        """An untrained posterior, standardized on a training set."""
        scalings = (Scaling.from_data(table) for table in (theta, x, condition))
        return cls(key, *scalings, **settings)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {
            "num_param": self.theta_scaling.center.size,
            "dim": self.x_scaling.center.size,
            "num_cond": self.condition_scaling.center.size,
            "widths": list(self.widths),
            "activation": self.trunk.activation,
            "normalization": self.normalization,
            "floor": self.floor,
            "initial_floor": self.initial_floor,
            "covariance": self.branches.kind,
            "branch_widths": list(self.branches.widths),
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
    ) -> "GaussianPosterior":
        """A posterior of a saved architecture, its arrays to be filled."""
        sizes = (num_param, dim, num_cond)
        return cls(key, *(Scaling.identity(size) for size in sizes), **settings)

    def _standardized(
        self,
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None,
        floor: Float[Array, ""] | float,
    ) -> Moments:
        there = jnp.ones(x.size, bool) if mask is None else mask
        # the center of a band is zero once it is standardized
        filled = self.x_scaling(jnp.where(there, x, self.x_scaling.center))
        seen = [filled, there.astype(filled.dtype), self.condition_scaling(condition)]
        features = self.branches(self.trunk(jnp.concatenate(seen)))
        factor = self.cholesky(features.covariance, floor)
        return Moments(self.mean(features.mean), factor)

    def moments(
        self,
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Moments:
        """Mean and covariance of the scaled parameters.

        Args:
            x: The outcome; any finite or nan value where it is missing.
            condition: Conditions, such as the redshift; may have length zero.
            mask: True where `x` is there; all of it without a mask.
        """
        standard = self._standardized(x, condition, mask, self.floor)
        spread = self.theta_scaling.spread
        return Moments(
            self.theta_scaling.inverse(standard.mean),
            spread[:, None] * standard.factor,
        )

    def log_prob(
        self,
        theta: Float[Array, " param"],
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        """Log-density per unit of the scaled parameters; arguments as of `moments`."""
        return self._log_prob(theta, x, condition, mask, self.floor)

    def _log_prob(
        self,
        theta: Float[Array, " param"],
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None,
        floor: Float[Array, ""] | float,
    ) -> Float[Array, ""]:
        standard = self._standardized(x, condition, mask, floor)
        residual = self.theta_scaling(theta) - standard.mean
        log_prob = gaussian_log_prob(residual, standard.factor)
        return log_prob + self.theta_scaling.log_det

    def sample(
        self,
        key: Key[Array, ""],
        x: Float[Array, " dim"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, " param"]:
        """Draw one vector of scaled parameters; arguments as of `moments`."""
        moments = self.moments(x, condition, mask)
        return moments.mean + moments.factor @ jr.normal(key, moments.mean.shape)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        """Minus the log-density of one pair, as the module's text says.

        Args:
            key: Not used: this loss is not random.
            progress: 0 at the start of training, 1 when all is annealed.
            theta: Scaled parameters.
            condition: Conditions.
            x: The outcome.
            mask: True where `x` is there.
        """
        del key
        floor = annealed_floor(progress, self.initial_floor, self.floor)
        return limited_loss(-self._log_prob(theta, x, condition, mask, floor))
