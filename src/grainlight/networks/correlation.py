r"""A vector to the factor of a covariance whose variances are explicit.

One dense layer gives $d (d + 1) / 2$ numbers, laid out as a lower-triangular $R$. With
$R_-$ the part below the diagonal and $s_i = \mathrm{softplus}(R_{ii} + u_0)$, the rows
of the factor are

$$ L_{ij} = s_i\, \frac{(I + R_-)_{ij}}{\lVert (I + R_-)_{i\cdot} \rVert}
   \qquad (j < i), \qquad
   L_{ii}^2 = s_{\min}^2 + \frac{s_i^2}{\lVert (I + R_-)_{i\cdot} \rVert^2} . $$

So $s_i^2$ is the variance of output $i$ whatever the correlations are. A factor of the
inverse (`CholeskyHead`) says the smallest scatters best, and errors of its regressions
add up in the variances; here it is the other way round. What counts for data with
errors are the variances.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.networks.cholesky import fill_lower


class CorrelationHead(eqx.Module):
    """One dense layer from features to standard deviations and correlations.

    Attributes:
        linear: Its only layer.
        dim: Rows of the factor.
        initial_scale: Standard deviations of an untrained head.
    """

    linear: eqx.nn.Linear
    dim: int = eqx.field(static=True)
    initial_scale: float = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        in_size: int,
        dim: int,
        *,
        initial_scale: float = 0.3,
    ) -> None:
        linear = eqx.nn.Linear(in_size, dim * (dim + 1) // 2, key=key)
        self.linear = jax.tree.map(lambda leaf: 0.1 * leaf, linear)
        self.dim, self.initial_scale = dim, initial_scale

    def __call__(
        self, features: Float[Array, " inp"], floor: Float[Array, ""] | float
    ) -> Float[Array, "dim dim"]:
        """Lower-triangular factor of the covariance.

        Args:
            features: Output of a trunk.
            floor: Least conditional variance $s_{min}^2$, positive.
        """
        raw = fill_lower(self.linear(features), self.dim)
        scale = self._scale(jnp.diagonal(raw))
        below = jnp.tril(raw, -1)
        length = jnp.sqrt(1 + jnp.sum(below**2, axis=1))
        diagonal = jnp.sqrt(floor + (scale / length) ** 2)
        return (scale / length)[:, None] * below + jnp.diag(diagonal)

    def variance(
        self, features: Float[Array, " inp"], floor: Float[Array, ""] | float
    ) -> Float[Array, " dim"]:
        """The variances alone, at their cost."""
        picked = _diagonal_places(self.dim)
        raw = self.linear.weight[picked] @ features
        if self.linear.bias is not None:
            raw = raw + self.linear.bias[picked]
        return floor + self._scale(raw) ** 2

    def _scale(self, raw: Float[Array, " row"]) -> Float[Array, " row"]:
        offset = math.log(math.expm1(self.initial_scale))
        return jax.nn.softplus(raw + offset)


def _diagonal_places(dim: int) -> np.ndarray:
    """Where the numbers of the diagonal stand in what `fill_lower` is given."""
    size = dim * (dim + 1) // 2
    place = np.arange(dim) * (dim + 1)
    return np.where(place < size - dim, place + dim, 2 * size - dim - 1 - place)
