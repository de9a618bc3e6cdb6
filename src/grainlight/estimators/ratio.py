r"""Ratios of joint to separate probabilities, by telling pairs from shuffled ones.

$$ \ln R(a, b) = \ln \frac{p(a, b)}{p(a)\, p(b)} =
   \mathrm{logit}\, P(\mathrm{matched}\, |\, a, b) . $$

The logit is the ratio of a Gaussian with the canonical correlations $\rho_i$ of the
training pairs,

$$ \sum_i -\tfrac12 \ln(1 - \rho_i^2) +
   \frac{\rho_i u_i v_i - \tfrac12 \rho_i^2 (u_i^2 + v_i^2)}{1 - \rho_i^2} , $$

times a learned factor, plus a network that starts at zero and sees the canonical
variates $u, v$ and their scaled differences. Objective: binary cross-entropy of matched
pairs and of pairs shuffled anew in every step.

References:
    Hermans, Begy & Louppe (2020), arXiv:1903.04057; Bevins et al. (2024),
    arXiv:2407.15478; Hotelling (1936), Biometrika 28, 321.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError
from grainlight.networks import AbstractConstant

#: Correlations are not taken for larger than this.
LARGEST_CORRELATION = 1 - 1e-9


class Variates(AbstractConstant):
    r"""Canonical variates of two data sets: $u = U^T (a - c_a)$, $v = V^T (b - c_b)$.

    Attributes:
        centers: Means of the two.
        first: The matrix $U$.
        second: The matrix $V$.
        correlation: Correlations of the pairs of variates.
        gap: $1 - \rho^2$, kept apart as it may be tiny.
    """

    centers: tuple[Float[Array, " a"], Float[Array, " b"]]
    first: Float[Array, "a pair"]
    second: Float[Array, "b pair"]
    correlation: Float[Array, " pair"]
    gap: Float[Array, " pair"]

    @classmethod
    def from_data(
        cls, a: Float[np.ndarray, "sim a"], b: Float[np.ndarray, "sim b"]
    ) -> "Variates":
        """Measure matched pairs, in double precision."""
        tables = [np.asarray(a, float), np.asarray(b, float)]
        centers = [np.mean(table, axis=0) for table in tables]
        inverse = []
        for table, center in zip(tables, centers, strict=True):
            # over the number of rows, as the correlations below: 1 - rho may be tiny
            covariance = (table - center).T @ (table - center) / len(table)
            value, vector = np.linalg.eigh(covariance)
            if not value[0] > 1e-12 * value[-1]:
                raise ParameterError(
                    "Expected data sets whose columns are no functions of one another; "
                    f"got variances from {value[0]:.2g} to {value[-1]:.2g}. Leave "
                    "columns out."
                )
            inverse.append(vector / np.sqrt(value))
        white = [
            (table - center) @ matrix
            for table, center, matrix in zip(tables, centers, inverse, strict=True)
        ]
        left, rho, right = np.linalg.svd(white[0].T @ white[1] / len(white[0]))
        rho = np.clip(rho, 0.0, LARGEST_CORRELATION)
        num = rho.size
        return cls(
            (jnp.asarray(centers[0], float), jnp.asarray(centers[1], float)),
            jnp.asarray(inverse[0] @ left[:, :num], float),
            jnp.asarray(inverse[1] @ right[:num].T, float),
            jnp.asarray(rho, float),
            jnp.asarray((1 - rho) * (1 + rho), float),
        )

    @property
    def distance(self) -> Float[Array, " pair"]:
        """How far the correlations are from one."""
        return self.gap / (1 + self.correlation)

    @property
    def information(self) -> float:
        """Mutual information of a Gaussian with these correlations [nat]."""
        return float(-0.5 * np.sum(np.log(np.asarray(self.gap, float))))

    def __call__(
        self, a: Float[Array, " a"], b: Float[Array, " b"]
    ) -> tuple[Float[Array, " pair"], Float[Array, " pair"]]:
        """The variates of one pair."""
        first = jnp.matmul(a - self.centers[0], self.first, precision="highest")
        second = jnp.matmul(b - self.centers[1], self.second, precision="highest")
        return first, second

    def log_ratio(
        self, u: Float[Array, " pair"], v: Float[Array, " pair"]
    ) -> Float[Array, ""]:
        r"""Log-ratio of Gaussians: $\rho u v - \rho^2 (u^2 + v^2) / 2$ over the gap.

        It is written with $u - v$, which loses no digits where the gap is small.
        """
        rho = self.correlation
        less = rho * self.distance * (u**2 + v**2) - rho * (u - v) ** 2
        return 0.5 * jnp.sum(less / self.gap - jnp.log(self.gap))


class RatioClassifier(eqx.Module):
    """An ensemble of networks that know the ratio of joint to separate probability.

    Attributes:
        variates: What the networks see.
        factor: What the Gaussian ratio is multiplied by, a member.
        weight: Matrices of the networks, with a leading axis of members.
        bias: Their biases.
    """

    variates: Variates
    factor: Float[Array, " member"]
    weight: tuple[Float[Array, "..."], ...]
    bias: tuple[Float[Array, "..."], ...]

    def __init__(
        self, key: Key[Array, ""], variates: Variates, *, width: int, num_members: int
    ) -> None:
        num = 3 * variates.correlation.size
        keys = jr.split(key, 2)
        shapes = ((num_members, num, width), (num_members, width, width))
        hidden = tuple(
            jr.normal(one, shape) / np.sqrt(shape[1])
            for one, shape in zip(keys, shapes, strict=True)
        )
        self.variates, self.factor = variates, jnp.ones(num_members)
        self.weight = (*hidden, jnp.zeros((num_members, width, 1)))
        self.bias = (
            *(jnp.zeros((num_members, width)),) * 2,
            jnp.zeros((num_members, 1)),
        )

    @classmethod
    def from_data(
        cls,
        key: Key[Array, ""],
        a: Float[np.ndarray, "sim a"],
        b: Float[np.ndarray, "sim b"],
        *,
        width: int = 32,
        num_members: int = 3,
    ) -> "RatioClassifier":
        """An untrained classifier of matched pairs."""
        variates = Variates.from_data(a, b)
        return cls(key, variates, width=width, num_members=num_members)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {
            "dims": [center.size for center in self.variates.centers],
            "width": self.weight[1].shape[-1],
            "num_members": self.factor.size,
        }

    @classmethod
    def from_config(
        cls, key: Key[Array, ""], *, dims: list[int], width: int, num_members: int
    ) -> "RatioClassifier":
        """A classifier of a saved architecture, its arrays to be filled."""
        num = min(dims)
        variates = Variates(
            (jnp.zeros(dims[0]), jnp.zeros(dims[1])),
            jnp.zeros((dims[0], num)),
            jnp.zeros((dims[1], num)),
            jnp.zeros(num),
            jnp.ones(num),
        )
        return cls(key, variates, width=width, num_members=num_members)

    def member_log_ratio(
        self, a: Float[Array, " a"], b: Float[Array, " b"]
    ) -> Float[Array, " member"]:
        """Log-ratio of one pair by every member."""
        u, v = self.variates(a, b)
        apart = (u - v) / jnp.sqrt(2 * self.variates.distance)
        seen = jnp.clip(jnp.concatenate([u, v, apart]), -10, 10)
        hidden = jnp.broadcast_to(seen, (self.factor.size, seen.size))
        for number, (weight, bias) in enumerate(
            zip(self.weight, self.bias, strict=True)
        ):
            hidden = jnp.einsum("mi,mio->mo", hidden, weight) + bias
            if number < 2:
                hidden = jax.nn.silu(hidden)
        return self.factor * self.variates.log_ratio(u, v) + hidden[:, 0]

    def log_ratio(
        self, a: Float[Array, " a"], b: Float[Array, " b"]
    ) -> Float[Array, ""]:
        """Log-ratio of one pair: the mean of the members."""
        return jnp.mean(self.member_log_ratio(a, b))

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        a: Float[Array, " a"],
        b: Float[Array, " b"],
        other: Float[Array, " b"],
    ) -> Float[Array, ""]:
        """Cross-entropy of a matched and a shuffled pair, summed over the members.

        Args:
            key: Not used: this loss is not random.
            progress: Not used: this loss is the same throughout.
            a: The first data set.
            b: The second one that belongs to it.
            other: A second one that belongs to another.
        """
        del key, progress
        matched = jax.nn.softplus(-self.member_log_ratio(a, b))
        return jnp.sum(matched + jax.nn.softplus(self.member_log_ratio(a, other)))


def shuffle_pairs(
    key: Key[Array, ""], a: Array, b: Array
) -> tuple[Array, Array, Array]:
    """A batch with a third column: the second one of another row."""
    step = jr.randint(key, (), 1, max(b.shape[0], 2))
    return a, b, jnp.roll(b, step, axis=0)
