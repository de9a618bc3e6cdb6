r"""A triangular polynomial map that takes the bends out of a cloud of draws.

The draws are rotated to their principal axes, widest first; from each axis the
quadratic polynomial of the wider ones that fits it best is subtracted:

$$ z_i = \frac{a_i - c_i \cdot \phi(a_1, \ldots, a_{i-1})}{r_i} , \qquad
   a = D^{-1/2} V^T \, \frac{y - m}{s} , $$

with $\phi$ all products of up to two axes, each clipped at three standard deviations,
and $r_i$ the scatter that is left. The map is exactly invertible and its Jacobian
constant.

References:
    Haario, Saksman & Tamminen (1999), Computational Statistics 14, 375 (bends in
    adaptive proposals); Marzouk et al. (2016), arXiv:1602.05023 (triangular maps).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

CLIP = 3.0  # beyond it a polynomial is not known
RIDGE = 1e-3  # on the coefficients, relative to the number of draws


class Straightening(eqx.Module):
    """An invertible map of unconstrained coordinates, of constant Jacobian.

    Attributes:
        center: Mean of the draws.
        forward: Rotation to the axes, scaled to unit variance.
        backward: Its inverse.
        coefficient: Of every product, for every axis; zero for axes not wider.
        scale: Scatter that is left.
        log_det: Log of the Jacobian, from the coordinates to the straight ones.
    """

    center: Float[Array, "*object param"]
    forward: Float[Array, "*object param param"]
    backward: Float[Array, "*object param param"]
    coefficient: Float[Array, "*object param product"]
    scale: Float[Array, "*object param"]
    log_det: Float[Array, "*object"]

    def __call__(self, y: Float[Array, " param"]) -> Float[Array, " param"]:
        """Straight coordinates."""
        axes = self.forward @ (y - self.center)
        return (axes - self.coefficient @ products(axes)) / self.scale

    def inverse(self, z: Float[Array, " param"]) -> Float[Array, " param"]:
        """Coordinates of straight ones."""
        axes = jnp.zeros_like(z)
        for i in range(z.size):
            bend = self.coefficient[i] @ products(axes)
            axes = axes.at[i].set(z[i] * self.scale[i] + bend)
        return self.center + self.backward @ axes


def products(axes: Float[Array, " param"]) -> Float[Array, " product"]:
    """One, the clipped axes, and their products by two."""
    axes = jnp.clip(axes, -CLIP, CLIP)
    first, second = np.triu_indices(axes.size)
    return jnp.concatenate([jnp.ones(1), axes, axes[first] * axes[second]])


def fit_straightening(draws: Float[Array, "draw param"]) -> Straightening:
    """The map that straightens draws best, by least squares."""
    count, dim = draws.shape
    center, spread = jnp.mean(draws, axis=0), jnp.std(draws, axis=0) + 1e-6
    unit = (draws - center) / spread
    variance, vectors = jnp.linalg.eigh(unit.T @ unit / count)
    width = jnp.sqrt(jnp.maximum(variance[::-1], 1e-8))
    vectors = vectors[:, ::-1]
    forward = (vectors / width).T / spread
    backward = spread[:, None] * vectors * width
    axes = (draws - center) @ forward.T
    features = jax.vmap(products)(axes)
    gram = features.T @ features / count
    against = features.T @ axes / count
    first, second = np.triu_indices(dim)
    newest = np.concatenate([[-1], np.arange(dim), np.maximum(first, second)])
    allowed = jnp.asarray(newest[None, :] < np.arange(dim)[:, None], float)

    def solve(allowed, against):
        both = gram * allowed[:, None] * allowed[None, :]
        both = both + jnp.diag(1 - allowed) + RIDGE * jnp.eye(allowed.size)
        return allowed * jnp.linalg.solve(both, allowed * against)

    coefficient = jax.vmap(solve)(allowed, against.T)
    scale = jnp.std(axes - features @ coefficient.T, axis=0) + 1e-6
    log_det = -jnp.sum(jnp.log(spread) + jnp.log(width) + jnp.log(scale))
    return Straightening(center, forward, backward, coefficient, scale, log_det)
