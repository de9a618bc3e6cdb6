r"""A linear summary of photometry, for any bands and errors.

Magnitudes of simulated objects have a mean $\bar m$ and principal components $P$ (each
times its standard deviation), with $\psi$ left over in each band. If they were
Gaussian, coefficients $c \sim N(0, I)$ of an observation with the errors $\sigma$, the
floor $f$ and the distance error $\sigma_\mu$ would have the posterior

$$ A = I + P^T W P , \qquad \hat c = A^{-1} P^T W (m - \bar m) , \qquad
   W = \mathrm{diag} \frac{1}{\sigma^2 + f^2 + \psi} $$

with zero weight where nothing is detected, and one component more, $\sigma_\mu$ in
every band. A network that is given $\hat c$ and the standard deviations
$(A^{-1})_{kk}^{1/2}$ need not learn to weigh bands, whichever are missing.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float

from grainlight.networks import AbstractConstant


class BandCoefficients(eqx.Module):
    """Coefficients of the components of one object.

    Attributes:
        mean: Their posterior means.
        sd: Their posterior standard deviations, one at most.
    """

    mean: Float[Array, " component"]
    sd: Float[Array, " component"]


class BandSummary(AbstractConstant):
    """Mean, components and rest of the magnitudes of simulated objects.

    Attributes:
        center: Mean of every band [mag].
        loading: Principal components, each times its standard deviation [mag].
        rest: Variance of every band beside the components [mag^2].
    """

    center: Float[Array, " band"]
    loading: Float[Array, "band component"]
    rest: Float[Array, " band"]

    @classmethod
    def from_data(
        cls, magnitude: Float[np.ndarray, "sim band"], num_components: int
    ) -> "BandSummary":
        """Measure the components of a table of magnitudes."""
        table = np.asarray(magnitude, dtype=float)
        center = table.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(table, rowvar=False))
        kept = slice(-1, -num_components - 1, -1)
        loading = vectors[:, kept] * np.sqrt(np.maximum(values[kept], 0.0))
        rest = table.var(axis=0) - np.sum(loading**2, axis=1)
        rest = np.maximum(rest, 1e-6)
        return cls(*(jnp.asarray(one) for one in (center, loading, rest)))

    @classmethod
    def blank(cls, num_bands: int, num_components: int) -> "BandSummary":
        """Components to be filled from a file."""
        return cls(
            jnp.zeros(num_bands),
            jnp.zeros((num_bands, num_components)),
            jnp.ones(num_bands),
        )

    def __call__(
        self,
        magnitude: Float[Array, " band"],
        error: Float[Array, " band"],
        detected: Bool[Array, " band"],
        floor: Float[Array, ""],
        common: Float[Array, ""],
    ) -> BandCoefficients:
        """Coefficients of one object.

        Args:
            magnitude: Magnitudes; anything finite where not detected.
            error: Their standard errors.
            detected: Which bands count.
            floor: Error of every band on its own [mag].
            common: Error shared by all bands [mag].
        """
        weight = jnp.where(detected, 1 / (error**2 + floor**2 + self.rest), 0.0)
        shared = jnp.full((self.center.size, 1), 1.0) * common
        loading = jnp.concatenate([self.loading, shared], axis=1)
        weighted = weight[:, None] * loading
        product = jnp.matmul(loading.T, weighted, precision="highest")
        factor = jnp.linalg.cholesky(product + jnp.eye(loading.shape[1]))
        residual = jnp.where(detected, magnitude - self.center, 0.0)
        pull = jnp.matmul(weighted.T, residual, precision="highest")
        half = solve_triangular(factor, pull, lower=True)
        mean = solve_triangular(factor, half, lower=True, trans=1)
        root = solve_triangular(factor, jnp.eye(loading.shape[1]), lower=True)
        sd = jnp.sqrt(jnp.sum(root**2, axis=0))
        kept = self.loading.shape[1]
        return BandCoefficients(mean[:kept], sd[:kept])
