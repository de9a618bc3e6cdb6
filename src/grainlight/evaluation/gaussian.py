r"""Gaussian predictions of many objects, and how far the truth lies from them.

With the observed bands $o$ of an object, its mean $\mu$ and covariance $\Sigma$,

$$ \chi^2 = (x_o - \mu_o)^T \Sigma_{oo}^{-1} (x_o - \mu_o) , $$

which has as many degrees of freedom as there are observed bands if the prediction is
right. Bands that are not observed are marginalized exactly: their rows and columns go.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from grainlight.core import BandMismatchError

LOG_TWO_PI = float(np.log(2 * np.pi))
_CHUNK = 4096  # objects whose covariances are held in double precision at once


@dataclass(frozen=True, eq=False)
class Distances:
    """How far observed values lie from Gaussian predictions.

    Attributes:
        chi_squared: Squared Mahalanobis distance over the observed bands.
        log_det: Log-determinant of the covariance of the observed bands.
        num_bands: Number of observed bands, the degrees of freedom.
    """

    chi_squared: Float[np.ndarray, " object"]
    log_det: Float[np.ndarray, " object"]
    num_bands: Int[np.ndarray, " object"]

    @property
    def negative_log_prob(self) -> Float[np.ndarray, " object"]:
        r"""$\tfrac12 [d \ln 2\pi + \ln|\Sigma| + \chi^2]$ of every object [nats]."""
        return 0.5 * (self.num_bands * LOG_TWO_PI + self.log_det + self.chi_squared)


@dataclass(frozen=True, eq=False)
class GaussianPrediction:
    r"""What an estimator says of every object: a mean and a covariance.

    Attributes:
        mean: Expected value in every band.
        factor: A square root $A$ of the covariance, $\Sigma = A A^T$, as the Cholesky
            factor is.
    """

    mean: Float[Array | np.ndarray, "object band"]
    factor: Float[Array | np.ndarray, "object band dim"]

    @classmethod
    def from_covariance(
        cls,
        mean: Float[Array | np.ndarray, "object band"],
        covariance: Float[Array | np.ndarray, "object band band"],
    ) -> "GaussianPrediction":
        """The prediction of this mean and covariance."""
        return cls(mean, np.linalg.cholesky(np.asarray(covariance, dtype=float)))

    def distances(
        self,
        x: Float[Array | np.ndarray, "object band"],
        mask: Bool[Array | np.ndarray, "object band"] | None = None,
    ) -> Distances:
        """Distances of the true or observed values from the prediction.

        Args:
            x: Values in the units of the mean.
            mask: Where a band was observed; where `x` is finite if not given.
        """
        x = np.asarray(x)
        if x.shape != np.shape(self.mean):
            raise BandMismatchError(
                f"Expected values of shape {np.shape(self.mean)}, as the prediction; "
                f"got {x.shape}. Give one row an object and one column a band."
            )
        mask = np.isfinite(x) if mask is None else np.asarray(mask)
        parts = [
            self._whiten(x, mask, slice(start, start + _CHUNK))
            for start in range(0, len(x), _CHUNK)
        ]
        chi_squared, log_det = (
            np.concatenate([part[i] for part in parts]) if parts else np.zeros(0)
            for i in (0, 1)
        )
        return Distances(chi_squared, log_det, mask.sum(axis=1))

    def _whiten(
        self, x: np.ndarray, mask: np.ndarray, rows: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        some = mask[rows]
        factor = np.asarray(self.factor[rows], dtype=float) * some[:, :, None]
        absent = np.eye(some.shape[1]) * ~some[:, None, :]
        cholesky = np.linalg.cholesky(factor @ factor.swapaxes(1, 2) + absent)
        mean = np.asarray(self.mean[rows], dtype=float)
        residual = np.where(some, x[rows] - mean, 0.0)
        white = np.linalg.solve(cholesky, residual[:, :, None])[:, :, 0]
        diagonal = np.diagonal(cholesky, axis1=1, axis2=2)
        return np.sum(white**2, axis=1), 2 * np.sum(np.log(diagonal), axis=1)
