r"""A vector to the lower-triangular factor of a covariance.

One dense layer gives $d (d + 1) / 2$ numbers, laid out as a lower-triangular $R$. With
$u_i = R_{ii} + u_0$, each row of the factor is scaled by its own scatter,

$$ L_{ii} = \sqrt{s_{\min}^2 + \mathrm{softplus}(u_i; \beta)^2}, \qquad
   L_{ij} = L_{ii} R_{ij} \; (j < i), \qquad
   \mathrm{softplus}(u; \beta) = \ln(1 + e^{\beta u}) / \beta . $$

$L_{ii}^2$ is the variance of output $i$ given those before it, so the floor
$s_{\min}^2$ bounds every conditional variance and the determinant, as $L L^T +
s_{\min}^2 I$ does, but without a second factorization. Far below zero softplus is an
exponential: the logarithm of a scatter is what the layer learns, and a scatter of 1e-3
is as near as one of 1. The same row scale keeps gradients with respect to $R$ of order
one when the scatter is tiny, which is what keeps float32 finite.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Shaped


def fill_lower(packed: Shaped[Array, " packed"], dim: int) -> Shaped[Array, "dim dim"]:
    """Lay out `dim (dim + 1) / 2` numbers as a lower-triangular matrix.

    Concatenation and reversal only: gathers and scatters are slow on a CPU.
    """
    square = jnp.concatenate([packed[dim:], packed[::-1]]).reshape(dim, dim)
    return jnp.tril(square)


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
        raw = fill_lower(self.linear(features), self.dim)
        eye = jnp.eye(self.dim)
        diagonal = self._diagonal(jnp.sum(raw * eye, axis=1), floor)
        return diagonal[:, None] * (jnp.tril(raw, -1) + eye)

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
        packed = self.linear(features)
        place = fill_lower(jnp.arange(packed.size), self.dim)[index]
        below = jnp.arange(self.dim) < index[:, None]
        raw = jnp.where(below, packed[place], 0.0)
        on = jnp.arange(self.dim) == index[:, None]
        place = jnp.sum(jnp.where(on, place, 0), axis=1)
        diagonal = self._diagonal(packed[place], floor)
        return diagonal[:, None] * jnp.where(on, 1.0, raw)

    def _diagonal(
        self, raw: Float[Array, " row"], floor: Float[Array, ""] | float
    ) -> Float[Array, " row"]:
        offset = math.log(math.expm1(self.beta * self.initial_scale))
        softplus = jax.nn.softplus(self.beta * raw + offset) / self.beta
        return jnp.sqrt(floor + softplus**2)
