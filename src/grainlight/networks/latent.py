"""Networks with latent variables: what finds them, and what makes light of them."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from grainlight.networks.branches import Branches, BranchKind, Split
from grainlight.networks.cholesky import CholeskyHead
from grainlight.networks.residual import ResidualNetwork

#: Least scatter of a proposal.
NARROWEST = 1e-4


class Proposal(eqx.Module):
    """What the recognition network makes of a pair: a Gaussian without correlations."""

    mean: Float[Array, " latent"]
    scale: Float[Array, " latent"]

    def log_prob(self, v: Float[Array, " latent"]) -> Float[Array, ""]:
        """Log-density of latent variables."""
        return normal_log_prob((v - self.mean) / self.scale) - jnp.sum(
            jnp.log(self.scale)
        )

    @property
    def divergence(self) -> Float[Array, ""]:
        """Kullback-Leibler divergence from a standard normal [nat]."""
        squares = self.mean**2 + self.scale**2 - 1
        return 0.5 * jnp.sum(squares - 2 * jnp.log(self.scale))


def normal_log_prob(v: Float[Array, " latent"]) -> Float[Array, ""]:
    """Log-density of a standard normal."""
    return -0.5 * (jnp.sum(v**2) + v.size * math.log(2 * math.pi))


class Recognition(eqx.Module):
    """From a pair to the latent variables that may have been its cause.

    Attributes:
        trunk: Residual network.
        head: Linear layer to means and scatters; untrained, nearly a standard normal.
    """

    trunk: ResidualNetwork
    head: eqx.nn.Linear

    def __init__(
        self,
        key: Key[Array, ""],
        num_input: int,
        num_latent: int,
        widths: Sequence[int],
        **block: Any,
    ) -> None:
        trunk, head = jr.split(key)
        self.trunk = ResidualNetwork(trunk, num_input, widths, **block)
        linear = eqx.nn.Linear(self.trunk.out_size, 2 * num_latent, key=head)
        self.head = jax.tree.map(lambda leaf: 0.1 * leaf, linear)

    def __call__(self, inputs: Float[Array, " inp"]) -> Proposal:
        """The proposal for one vector of outcome, mask, parameters and conditions."""
        mean, raw = jnp.split(self.head(self.trunk(inputs)), 2)
        scale = jax.nn.softplus(raw + math.log(math.e - 1))
        return Proposal(mean, NARROWEST + scale)


class Decoder(eqx.Module):
    """Direct and generation network, with the last layer that they share.

    Attributes:
        direct: Network of parameters and conditions.
        generation: Network of latent variables and conditions.
        direct_branches: Subnetworks of the first, if any.
        generation_branches: Subnetworks of the second, if any.
        mean: Last layer of the mean.
        cholesky: Last layer of the covariance.
    """

    direct: ResidualNetwork
    generation: ResidualNetwork
    direct_branches: Branches
    generation_branches: Branches
    mean: eqx.nn.Linear
    cholesky: CholeskyHead

    def __init__(
        self,
        key: Key[Array, ""],
        sizes: tuple[int, int, int],
        widths: Sequence[int],
        generation_widths: Sequence[int],
        branches: tuple[BranchKind, Sequence[int] | None],
        **block: Any,
    ) -> None:
        """Build it for `sizes`: inputs of the two networks, length of the outcome."""
        keys = jr.split(key, 6)
        num_direct, num_generation, dim = sizes
        self.direct = ResidualNetwork(keys[0], num_direct, widths, **block)
        self.generation = ResidualNetwork(
            keys[1], num_generation, generation_widths, **block
        )
        self.direct_branches, self.generation_branches = (
            Branches(key, network.out_size, dim, *branches, **block)
            for key, network in zip(
                keys[2:4], (self.direct, self.generation), strict=True
            )
        )
        first, second = self.direct_branches, self.generation_branches
        got = [(one.mean_size, one.covariance_size) for one in (first, second)]
        if got[0] != got[1]:
            raise ValueError(
                "Expected direct and generation networks that end in the same widths; "
                f"got {got[0]} and {got[1]}. Make their last widths the same, or give "
                "both dense branches."
            )
        self.mean = eqx.nn.Linear(first.mean_size, dim, key=keys[4])
        self.cholesky = CholeskyHead(keys[5], first.covariance_size, dim)

    def begin(self, inputs: Float[Array, " inp"]) -> Split:
        """What parameters and conditions contribute, once for all draws."""
        return self.direct_branches(self.direct(inputs))

    def finish(
        self,
        direct: Split,
        v: Float[Array, " latent"],
        condition: Float[Array, " cond"],
    ) -> Split:
        """The same with latent variables added."""
        joined = jnp.concatenate([v, condition])
        return direct + self.generation_branches(self.generation(joined))
