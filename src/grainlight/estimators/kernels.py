r"""A density of Gaussian kernels on whitened vectors.

$$ q(y) = \frac{1 - \epsilon}{C} \sum_c N(y;\, y_c,\, h^2 I) +
   \epsilon\, N(y;\, 0,\, b^2 I) $$

The broad last term keeps the tails, in which kernels alone fall off far too fast.

The centers are some of the weighted draws, taken evenly along their cumulative weight.
The width starts from the rule of Silverman (1986), p. 85, for as many effective draws,
and is the one of a few multiples of it under which held-out draws are most probable.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp, ndtri
from jax.scipy.stats.norm import logpdf as norm_log_prob
from jaxtyping import Array, Float, Key

from grainlight.networks import AbstractConstant
from grainlight.networks.spline_flow import CUBE_EDGE

MULTIPLES = (0.5, 0.7, 1.0, 1.4, 2.0)
MOST_CENTERS = 1_000
BROAD_SHARE, BROAD = 0.02, 1.3
_MOST_HELD = 1_000


class Kernels(AbstractConstant):
    """Gaussian kernels of one width around centers of equal weight.

    Attributes:
        centers: Where they stand.
        width: Their standard deviation.
    """

    centers: Float[Array, "center dim"]
    width: Float[Array, ""]

    def log_prob(self, y: Float[Array, " dim"]) -> Float[Array, ""]:
        """Log-density of one vector."""
        square = jnp.sum(((y - self.centers) / self.width) ** 2, axis=-1)
        num, dim = self.centers.shape
        norm = np.log(num) + dim * (jnp.log(self.width) + 0.5 * np.log(2 * np.pi))
        kernels = logsumexp(-0.5 * square) - norm + np.log(1 - BROAD_SHARE)
        broad = jnp.sum(norm_log_prob(y, scale=BROAD)) + np.log(BROAD_SHARE)
        return jnp.logaddexp(kernels, broad)

    def from_cube(self, u: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """The vector of a point of the unit cube.

        The first coordinate picks the kernel, or the broad term at its end, and is
        spread over the cube again.
        """
        num = self.centers.shape[0]
        is_broad = u[0] >= 1 - BROAD_SHARE
        scaled = u[0] / (1 - BROAD_SHARE) * num
        pick = jnp.clip(jnp.floor(scaled), 0, num - 1)
        last = (u[0] - (1 - BROAD_SHARE)) / BROAD_SHARE
        inside = u.at[0].set(jnp.where(is_broad, last, scaled - pick))
        noise = ndtri(jnp.clip(inside, CUBE_EDGE, 1 - 2 * CUBE_EDGE))
        near = self.centers[pick.astype(int)] + self.width * noise
        return jnp.where(is_broad, BROAD * noise, near)

    def sample(self, key: Key[Array, ""]) -> Float[Array, " dim"]:
        """Draw one vector."""
        first, second, third = jr.split(key, 3)
        pick = jr.randint(first, (), 0, self.centers.shape[0])
        noise = jr.normal(second, self.centers.shape[1:])
        near = self.centers[pick] + self.width * noise
        return jnp.where(jr.uniform(third) < BROAD_SHARE, BROAD * noise, near)


def take_evenly(
    weight: Float[np.ndarray, " draw"], num: int, start: float = 0.5
) -> np.ndarray:
    """Rows at even steps of the cumulative weight: as many of a row as it weighs."""
    cumulative = np.cumsum(weight) / np.sum(weight)
    steps = (np.arange(num) + start) / num
    return np.minimum(np.searchsorted(cumulative, steps), weight.size - 1)


def make_kernels(
    key: Key[Array, ""],
    white: Float[np.ndarray, "draw dim"],
    trained: Float[np.ndarray, "draw member"],
    held: Float[np.ndarray, "draw member"],
) -> Kernels:
    """Kernels of every member of an ensemble, stacked.

    Args:
        key: Seeds the choice of the centers.
        white: Whitened draws.
        trained: Weights of the draws that the kernels of a member are made of.
        held: Weights of the draws by which its width is chosen.
    """
    dim, made = white.shape[1], []
    for number, (weight, other) in enumerate(zip(trained.T, held.T, strict=True)):
        effective = np.sum(weight) ** 2 / np.sum(weight**2)
        num = int(np.clip(effective, 10, MOST_CENTERS))
        start = float(jr.uniform(jr.fold_in(key, number)))
        centers = jnp.asarray(white[take_evenly(weight, num, start)], float)
        rule = (4 / (dim + 2) / num) ** (1 / (dim + 4))
        test = jnp.asarray(white[take_evenly(other, _MOST_HELD)], float)
        widths = jnp.asarray(rule * np.asarray(MULTIPLES))
        score = jnp.stack([_mean_log_prob(centers, h, test) for h in widths])
        made.append(Kernels(centers, widths[jnp.argmax(score)]))
    size = min(kernels.centers.shape[0] for kernels in made)
    even = [
        Kernels(
            k.centers[np.linspace(0, len(k.centers) - 1, size).astype(int)], k.width
        )
        for k in made
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *even)


@jax.jit
def _mean_log_prob(centers: Array, width: Array, test: Array) -> Array:
    kernels = Kernels(centers, width)
    return jnp.mean(jax.lax.map(kernels.log_prob, test, batch_size=100))
