r"""A vector to the lower-triangular factor of a covariance.

One dense layer gives $d (d + 1) / 2$ numbers, laid out as a lower-triangular $R$. With
$u_i = R_{ii} + u_0$, the factor and its inverse are

$$ L = D\,(I + R_-)^{-1}, \qquad L^{-1} = (I + R_-)\, D^{-1}, \qquad
   D_{ii} = \sqrt{s_{\min}^2 + \mathrm{softplus}(u_i; \beta)^2} , $$

with $R_-$ the part of $R$ below the diagonal and $\mathrm{softplus}(u; \beta) =
\ln(1 + e^{\beta u}) / \beta$.

$D_{ii}^2$ is the variance of output $i$ given those before it, so the floor
$s_{\min}^2$ bounds every conditional variance and the determinant, as $L L^T +
s_{\min}^2 I$ does, but without a second factorization. $-R_{ij}$ is the regression of
output $i$ on output $j$, both in units of their $D$. A density needs $L^{-1}$ alone: a
product, no inverse, whose gradients stay finite in float32 whatever the network gives
while it learns. The inverse of a learned *factor* grows exponentially with the number
of outputs, and does not. Far below zero softplus is an exponential: the logarithm of a
scatter is what the layer learns, and a scatter of 1e-3 is as near as one of 1.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int, Key, Shaped


def fill_lower(packed: Shaped[Array, " packed"], dim: int) -> Shaped[Array, "dim dim"]:
    """Lay out `dim (dim + 1) / 2` numbers as a lower-triangular matrix.

    Concatenation and reversal only: gathers and scatters are slow on a CPU.
    """
    square = jnp.concatenate([packed[dim:], packed[::-1]]).reshape(dim, dim)
    return jnp.tril(square)


class White(eqx.Module):
    """A residual in units of its scatter, and the logarithm of that volume.

    Attributes:
        residual: Independent standard normal numbers, if the covariance is right.
        log_det: Sum of the logarithms of the diagonal of the factor.
    """

    residual: Float[Array, " dim"]
    log_det: Float[Array, ""]


class CholeskyHead(eqx.Module):
    """One dense layer from features to the Cholesky factor of a covariance.

    Attributes:
        linear: Its only layer.
        dim: Rows of the factor.
        beta: Sharpness of the softplus of the diagonal.
        initial_scale: Diagonal of an untrained factor (without floor).
    """

    linear: eqx.nn.Linear
    dim: int = eqx.field(static=True)
    beta: float = eqx.field(static=True)
    initial_scale: float = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        in_size: int,
        dim: int,
        *,
        beta: float = 1.0,
        initial_scale: float = 0.3,
    ) -> None:
        linear = eqx.nn.Linear(in_size, dim * (dim + 1) // 2, key=key)
        self.linear = jax.tree.map(lambda leaf: 0.1 * leaf, linear)
        self.dim, self.beta, self.initial_scale = dim, beta, initial_scale

    def __call__(
        self, features: Float[Array, " inp"], floor: Float[Array, ""] | float
    ) -> Float[Array, "dim dim"]:
        """Lower-triangular factor of the covariance.

        Args:
            features: Output of a trunk.
            floor: Least conditional variance $s_{min}^2$, positive.
        """
        index = jnp.arange(self.dim)
        return self.rows(features, floor, index)

    def whiten(
        self,
        features: Float[Array, " inp"],
        floor: Float[Array, ""] | float,
        residual: Float[Array, " dim"],
    ) -> White:
        """The residual in units of its scatter, $L^{-1} r$, without the factor.

        Args:
            features: Output of a trunk.
            floor: Least conditional variance $s_{min}^2$, positive.
            residual: Distance from the mean.
        """
        raw = fill_lower(self.linear(features), self.dim)
        diagonal = self._diagonal(jnp.diagonal(raw), floor)
        scaled = residual / diagonal
        below = jnp.matmul(jnp.tril(raw, -1), scaled, precision="highest")
        return White(scaled + below, jnp.sum(jnp.log(diagonal)))

    def rows(
        self,
        features: Float[Array, " inp"],
        floor: Float[Array, ""] | float,
        index: Int[Array, " row"],
    ) -> Float[Array, "row dim"]:
        """Some rows of the factor, at the cost of those rows.

        Args:
            features: Output of a trunk.
            floor: Least conditional variance $s_{min}^2$, positive.
            index: Which rows, in any order.
        """
        raw = fill_lower(self.linear(features), self.dim)
        diagonal = self._diagonal(jnp.diagonal(raw), floor)
        unit = jnp.tril(raw, -1) + jnp.eye(self.dim)
        picked = jnp.eye(self.dim)[index]
        # rows of the inverse are columns of the inverse of the transpose
        inverse = solve_triangular(unit, picked.T, trans=1, lower=True).T
        return diagonal[index][:, None] * inverse

    def _diagonal(
        self, raw: Float[Array, " row"], floor: Float[Array, ""] | float
    ) -> Float[Array, " row"]:
        offset = math.log(math.expm1(self.beta * self.initial_scale))
        softplus = jax.nn.softplus(self.beta * raw + offset) / self.beta
        return jnp.sqrt(floor + softplus**2)
