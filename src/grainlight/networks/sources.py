r"""A vector to magnitudes of several sources seen as one.

One dense layer gives the magnitudes $h_{ki}$ of $K$ sources in $d$ bands; what is seen
is their sum in flux,

$$ y_i = -\frac{1}{c_i} \ln \sum_k e^{-c_i h_{ki}} , \qquad
   c_i = 0.4 \ln 10 \; s_i , $$

for magnitudes in units of $s_i$. Each of star and dust is smooth in the parameters
where their sum has a sharp bend.
"""

import math

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key

PER_MAGNITUDE = 0.4 * math.log(10)


def add_sources(
    each: Float[Array, "source dim"], spread: Float[Array, " dim"]
) -> Float[Array, " dim"]:
    """Magnitudes of some sources seen as one.

    Args:
        each: Their magnitudes, in units of `spread`.
        spread: Unit of the magnitudes in each band [mag].
    """
    sharpness = PER_MAGNITUDE * spread
    return -logsumexp(-sharpness * each, axis=0) / sharpness


class SourcesHead(eqx.Module):
    """One dense layer to the magnitudes of some sources, and their sum in flux.

    Attributes:
        linear: Its only layer.
        num_sources: Sources that are added.
    """

    linear: eqx.nn.Linear
    num_sources: int = eqx.field(static=True)

    def __init__(
        self, key: Key[Array, ""], in_size: int, dim: int, num_sources: int
    ) -> None:
        self.linear = eqx.nn.Linear(in_size, num_sources * dim, key=key)
        self.num_sources = num_sources

    def sources(self, features: Float[Array, " inp"]) -> Float[Array, "source dim"]:
        """Magnitudes of each source, in units of the band.

        Args:
            features: Output of a trunk.
        """
        each = self.linear(features).reshape(self.num_sources, -1)
        # untrained, the second source is fainter than the first, and so on
        return each + jnp.arange(self.num_sources)[:, None]

    def __call__(
        self, features: Float[Array, " inp"], spread: Float[Array, " dim"]
    ) -> Float[Array, " dim"]:
        """Magnitudes of the sum.

        Args:
            features: Output of a trunk.
            spread: Unit of the magnitudes in each band [mag].
        """
        return add_sources(self.sources(features), spread)
