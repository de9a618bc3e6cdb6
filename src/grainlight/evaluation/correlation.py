r"""Predicted correlations, averaged over objects, beside those of the residuals.

Where a Gaussian with covariance $\Sigma$ and standard deviations $\sigma$ is right, the
standardized residuals have, on average, the correlations that were predicted,

$$ \Big\langle \frac{(x_i - \mu_i) (x_j - \mu_j)}{\sigma_i \sigma_j} \Big\rangle =
   \Big\langle \frac{\Sigma_{ij}}{\sigma_i \sigma_j} \Big\rangle , $$

also if every object has a covariance of its own. The diagonal is one if the predicted
errors are as wide as they should be.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from grainlight.core import BandMismatchError
from grainlight.evaluation.gaussian import GaussianPrediction

_CHUNK = 4096  # objects whose covariances are held in double precision at once


@dataclass(frozen=True, eq=False)
class MeanCorrelation:
    """Correlations of bands, averaged over objects.

    Attributes:
        names: Names of the bands.
        covariance: Mean of the predicted covariances.
        predicted: Mean of the predicted correlations.
        found: Mean product of the standardized residuals; nan where two bands were
            never observed together.
        chance: Standard error of `found`, from the scatter over objects.
        count: Objects in which both bands are observed.
    """

    names: tuple[str, ...]
    covariance: Float[np.ndarray, "name name"]
    predicted: Float[np.ndarray, "name name"]
    found: Float[np.ndarray, "name name"]
    chance: Float[np.ndarray, "name name"]
    count: Int[np.ndarray, "name name"]


def measure_correlation(
    prediction: GaussianPrediction,
    x: Float[Array | np.ndarray, "object band"],
    names: tuple[str, ...],
    mask: Bool[Array | np.ndarray, "object band"] | None = None,
) -> MeanCorrelation:
    """Average predicted and found correlations over many objects.

    Args:
        prediction: Means and covariances.
        x: True or observed values, in the units of the mean.
        names: Names of the bands.
        mask: Where a band was observed; where `x` is finite if not given.
    """
    x = np.asarray(x, dtype=float)
    if x.shape != np.shape(prediction.mean) or x.shape[1:] != (len(names),):
        raise BandMismatchError(
            f"Expected values of {len(names)} bands and the shape "
            f"{np.shape(prediction.mean)}, as the prediction; got {x.shape}. Give one "
            "row an object and one column a name."
        )
    mask = np.isfinite(x) if mask is None else np.asarray(mask)
    sums = np.zeros((4, x.shape[1], x.shape[1]))
    for start in range(0, len(x), _CHUNK):
        rows = slice(start, start + _CHUNK)
        sums += _sums(
            prediction.mean[rows], prediction.factor[rows], x[rows], mask[rows]
        )
    seen = mask.astype(float)
    count = seen.T @ seen
    some = np.where(count > 0, count, np.nan)
    found = sums[2] / some
    variance = np.maximum(sums[3] / some - found**2, 0.0)
    return MeanCorrelation(
        names=tuple(names),
        covariance=sums[0] / len(x),
        predicted=sums[1] / len(x),
        found=found,
        chance=np.sqrt(variance / some),
        count=count.astype(int),
    )


def _sums(
    mean: Array | np.ndarray,
    factor: Array | np.ndarray,
    x: np.ndarray,
    mask: np.ndarray,
) -> np.ndarray:
    """Sums over objects: covariance, correlation, product of residuals, its square."""
    factor = np.asarray(factor, dtype=float)
    spread = np.linalg.norm(factor, axis=2)
    unit = factor / spread[:, :, None]
    residual = np.where(mask, x - np.asarray(mean, dtype=float), 0.0) / spread
    flat, flat_unit = (
        np.moveaxis(part, 1, 0).reshape(part.shape[1], -1) for part in (factor, unit)
    )
    square = residual**2
    return np.stack(
        [
            flat @ flat.T,
            flat_unit @ flat_unit.T,
            residual.T @ residual,
            square.T @ square,
        ]
    )
