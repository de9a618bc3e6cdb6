r"""A likelihood with hidden causes: a conditional variational autoencoder.

What the parameters leave open is put into latent variables $v$,

$$ p(x | \theta, z) = \int N\big(x;\, \mu, L L^T\big)\, N(v; 0, I)\, dv , \qquad
   \mu = W_\mu \big( g_\mu(\theta, z) + h_\mu(v, z) \big) , \quad
   L = L\big( W_L ( g_L(\theta, z) + h_L(v, z) ) \big) , $$

with a *direct* network $g$, a *generation* network $h$ and one last layer $W$ for the
sum of both. A *recognition* network gives $q(v | x, \theta, z) = N(m, \mathrm{diag}\,
s^2)$. Objective: the mean over simulations of minus the evidence lower bound,

$$ \tfrac12 \sum_k (m_k^2 + s_k^2 - 1 - 2 \ln s_k)
   - \frac1S \sum_{s=1}^{S} \ln N\big(x;\, \mu(v_s), L L^T(v_s)\big) ,
   \qquad v_s \sim q , $$

whose first term counts by the progress of training, lest the latents die before they
are used. The likelihood itself is found by importance sampling,

$$ p(x | \theta, z) \approx \frac1S \sum_{s=1}^{S}
   \frac{p(x | \theta, v_s, z)\, p(v_s)}{r(v_s | x, \theta, z)} , \qquad
   r = (1 - \alpha)\, q + \alpha\, p . $$

A share $\alpha$ of the draws comes from the prior, so that no weight is above
$p(x | \theta, v, z) / \alpha$, also at parameters far from those that made `x`, where
the recognition network was never trained. The thesis has $\alpha = 0$ and 100 draws.

`log_prob` uses the same standard normal numbers in every call: it is deterministic, and
its gradient in the parameters is the exact gradient of the estimate. The estimate of
the density is without bias; its logarithm is too small by half its relative variance,
which falls as $1 / S$. `importance_log_prob` takes a key, to see how large that is.

Missing dimensions are marginalized exactly in $N(x; \mu, L L^T)$; the recognition
network sees zero in their place, and the mask.

References:
    Kingma & Welling (2014), arXiv:1312.6114; Sohn, Lee & Yan (2015), NeurIPS 28;
    Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519; Hesterberg (1995),
    Technometrics 37, 185 (mixtures as proposals).
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int, Key

from grainlight.estimators.latent_pair import LatentPair
from grainlight.estimators.likelihood import AbstractLikelihood
from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.moments import (
    Moments,
    annealed_floor,
    limited_loss,
)
from grainlight.estimators.scaling import Scaling
from grainlight.networks import (
    BranchKind,
    Decoder,
    Recognition,
)

#: Seed of the draws of `log_prob` and `moments`.
SEED = 0


class VariationalLikelihood(AbstractLikelihood):
    """The distribution of an outcome given parameters, with latent variables.

    `theta` is in scaled coordinates throughout, `condition` may be empty.

    Attributes:
        inputs: What the networks see of parameters and conditions.
        outputs: Units of the outcome.
        condition_scaling: Standardization of the conditions alone.
        recognition: Network of outcome, mask, parameters and conditions.
        decoder: Direct and generation network, with their last layer.
        num_latent: Number of latent variables.
        num_draws: Draws of `log_prob` and `moments`.
        num_loss_draws: Draws of the objective.
        prior_share: Least share of the draws of `log_prob` that come from the prior.
        floor: Least conditional variance, in standardized units.
        initial_floor: The same at the start of training.
    """

    inputs: Inputs
    outputs: Outputs
    condition_scaling: Scaling
    recognition: Recognition
    decoder: Decoder
    architecture: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    num_latent: int = eqx.field(static=True)
    num_draws: int = eqx.field(static=True)
    num_loss_draws: int = eqx.field(static=True)
    prior_share: float = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    initial_floor: float = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        inputs: Inputs,
        outputs: Outputs,
        condition_scaling: Scaling,
        *,
        num_latent: int = 8,
        widths: Sequence[int] = (128, 128, 128),
        generation_widths: Sequence[int] = (128, 128),
        recognition_widths: Sequence[int] = (128, 128),
        activation: str = "silu",
        normalization: Literal["none", "layer"] = "none",
        covariance: BranchKind = "linear",
        branch_widths: Sequence[int] | None = None,
        num_draws: int = 64,
        num_loss_draws: int = 8,
        prior_share: float = 0.1,
        floor: float = 1e-6,
        initial_floor: float = 1.0,
    ) -> None:
        _check(num_draws, num_loss_draws, prior_share)
        recognition, decoder = jr.split(key)
        block = {"activation": activation, "normalization": normalization}
        num_feature, num_cond = inputs.mixing.shape[0], condition_scaling.center.size
        dim = outputs.gain.shape[0]
        sizes = (num_feature, num_latent + num_cond, dim)
        branches = (covariance, branch_widths)
        self.inputs, self.outputs = inputs, outputs
        self.condition_scaling = condition_scaling
        self.recognition = Recognition(
            recognition, 2 * dim + num_feature, num_latent, recognition_widths, **block
        )
        self.decoder = Decoder(
            decoder, sizes, widths, generation_widths, branches, **block
        )
        self.architecture = (
            *block.items(),
            ("widths", tuple(widths)),
            ("generation_widths", tuple(generation_widths)),
            ("recognition_widths", tuple(recognition_widths)),
            ("covariance", covariance),
            ("branch_widths", self.decoder.direct_branches.widths),
        )
        self.num_latent, self.num_draws = num_latent, num_draws
        self.num_loss_draws, self.prior_share = num_loss_draws, prior_share
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
    ) -> "VariationalLikelihood":
        """An untrained likelihood, standardized on a training set."""
        inputs = Inputs.from_data(theta, condition, mixing, softening)
        outputs = Outputs.from_data(theta, x, gain)
        return cls(key, inputs, outputs, Scaling.from_data(condition), **settings)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        architecture = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.architecture
        }
        return {
            **self.inputs.config(),
            "num_param": self.outputs.gain.shape[1],
            "dim": self.outputs.gain.shape[0],
            **architecture,
            "num_latent": self.num_latent,
            "num_draws": self.num_draws,
            "num_loss_draws": self.num_loss_draws,
            "prior_share": self.prior_share,
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
        softened: bool = False,
        **settings: Any,
    ) -> "VariationalLikelihood":
        """A likelihood of a saved architecture, its arrays to be filled."""
        inputs = Inputs.blank(num_feature, num_input, softened=softened)
        scaling = Scaling.identity(num_input - num_param)
        return cls(key, inputs, Outputs.blank(dim, num_param), scaling, **settings)

    def _pair(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None,
        floor: Float[Array, ""] | float,
    ) -> LatentPair:
        there = jnp.ones(x.size, bool) if mask is None else mask
        y = self.outputs.standardize(jnp.where(there, x, 0.0), theta)
        y = jnp.where(there, y, 0.0)
        inputs = self.inputs(theta, condition)
        seen = jnp.concatenate([y, there.astype(y.dtype), inputs])
        return LatentPair(
            decoder=self.decoder,
            direct=self.decoder.begin(inputs),
            condition=self.condition_scaling(condition),
            y=y,
            mask=mask,
            floor=jnp.asarray(floor),
            proposal=self.recognition(seen),
            log_spread=jnp.sum(
                jnp.where(there, jnp.log(self.outputs.scaling.spread), 0.0)
            ),
        )

    def log_prob(
        self,
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        # by importance sampling
        return self.importance_log_prob(jr.key(SEED), x, theta, condition, mask)

    def importance_log_prob(
        self,
        key: Key[Array, ""],
        x: Float[Array, " dim"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        mask: Bool[Array, " dim"] | None = None,
        num_draws: int | None = None,
    ) -> Float[Array, ""]:
        """Log-density of the outcome with draws of one's own.

        Args:
            key: Draws the latent variables.
            x: The outcome.
            theta: Scaled parameters.
            condition: Conditions.
            mask: True where `x` is there.
            num_draws: Number of draws; the usual one if not given.
        """
        num = self.num_draws if num_draws is None else num_draws
        from_prior = int(np.ceil(self.prior_share * num))
        pair = self._pair(x, theta, condition, mask, self.floor)
        noise = jr.normal(key, (num, self.num_latent))
        moved = pair.proposal.mean + pair.proposal.scale * noise
        v = jnp.where(jnp.arange(num)[:, None] < from_prior, noise, moved)
        log_weight = jax.vmap(lambda v: pair.log_weight(v, from_prior / num))(v)
        return logsumexp(log_weight) - np.log(num) - pair.log_spread

    def moments(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Moments:
        # the mean covariance, and the covariance of the means
        direct = self.decoder.begin(self.inputs(theta, condition))
        scaled = self.condition_scaling(condition)

        def one(v: Array) -> Moments:
            split = self.decoder.finish(direct, v, scaled)
            factor = self.decoder.cholesky(split.covariance, self.floor)
            return Moments(self.decoder.mean(split.mean), factor)

        noise = jr.normal(jr.key(SEED), (self.num_draws, self.num_latent))
        every = jax.vmap(one)(noise)
        mean = jnp.mean(every.mean, axis=0)
        away = every.mean - mean
        covariance = jnp.einsum("sij,skj->ik", every.factor, every.factor)
        covariance = (covariance + away.T @ away) / self.num_draws
        spread = self.outputs.scaling.spread
        return Moments(
            self.outputs.restore(mean, theta),
            spread[:, None] * jnp.linalg.cholesky(covariance),
        )

    def moments_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> tuple[Float[Array, " row"], Float[Array, "row row"]]:
        """Mean and covariance of some dimensions of the outcome.

        Args:
            theta: Scaled parameters.
            condition: Conditions.
            index: Which dimensions, in any order.
        """
        moments = self.moments(theta, condition)
        rows = moments.factor[index]
        return moments.mean[index], jnp.matmul(rows, rows.T, precision="highest")

    def scatter_at(
        self,
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        index: Int[Array, " row"],
    ) -> tuple[Float[Array, " row"], Float[Array, " row"]]:
        """The means and variances of `moments_at`, at the same cost."""
        mean, covariance = self.moments_at(theta, condition, index)
        return mean, jnp.diagonal(covariance)

    def sample(
        self,
        key: Key[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, " dim"]:
        latent_key, noise_key = jr.split(key)
        v = jr.normal(latent_key, (self.num_latent,))
        direct = self.decoder.begin(self.inputs(theta, condition))
        split = self.decoder.finish(direct, v, self.condition_scaling(condition))
        factor = self.decoder.cholesky(split.covariance, self.floor)
        mean = self.decoder.mean(split.mean)
        y = mean + factor @ jr.normal(noise_key, mean.shape)
        return self.outputs.restore(y, theta)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
        mask: Bool[Array, " dim"] | None = None,
    ) -> Float[Array, ""]:
        floor = annealed_floor(progress, self.initial_floor, self.floor)
        pair = self._pair(x, theta, condition, mask, floor)
        noise = jr.normal(key, (self.num_loss_draws, self.num_latent))
        v = pair.proposal.mean + pair.proposal.scale * noise
        misfit = pair.log_spread - jnp.mean(jax.vmap(pair.log_prob)(v))
        return limited_loss(misfit + progress * pair.proposal.divergence)


def _check(num_draws: int, num_loss_draws: int, prior_share: float) -> None:
    if min(num_draws, num_loss_draws) < 1 or not 0 <= prior_share <= 1:
        raise ValueError(
            "Expected one draw or more, and a prior_share from 0 to 1; got num_draws "
            f"{num_draws}, num_loss_draws {num_loss_draws} and prior_share "
            f"{prior_share}. Raise the draws, or lower the share."
        )
