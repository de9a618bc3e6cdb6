r"""Are predicted covariances as wide as they should be?

If a Gaussian prediction is right, its $\chi^2$ (see `evaluation.gaussian`) lies below
the quantile $P$ of the chi-squared distribution in a fraction $P$ of all objects. A
fraction above $P$ tells of errors that are too large, one below of errors too small.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Bool, Float
from scipy import stats

from grainlight.core import ObservationError
from grainlight.evaluation.gaussian import GaussianPrediction

LEVELS = tuple(np.linspace(0.02, 0.98, 49).tolist())


@dataclass(frozen=True, eq=False)
class Reliability:
    """The reliability curve of Gaussian predictions.

    Attributes:
        level: Nominal probabilities $P$.
        fraction: Fraction of objects below the quantile $P$.
        chance: Two standard deviations of that fraction if the prediction is right.
        pvalue: Probability of a curve at least as far from the diagonal by chance
            (Kolmogorov-Smirnov).
        num_objects: Objects with an observed band.
    """

    level: Float[np.ndarray, " level"]
    fraction: Float[np.ndarray, " level"]
    chance: Float[np.ndarray, " level"]
    pvalue: float
    num_objects: int

    @property
    def largest_gap(self) -> float:
        """Largest distance of the curve from the diagonal, with its sign.

        Positive if the predicted errors are too large.
        """
        gap = self.fraction - self.level
        return float(gap[np.argmax(np.abs(gap))])


def measure_reliability(
    prediction: GaussianPrediction,
    x: Float[Array | np.ndarray, "object band"],
    mask: Bool[Array | np.ndarray, "object band"] | None = None,
    levels: tuple[float, ...] = LEVELS,
) -> Reliability:
    """Compare predicted Gaussians with what came, over many objects.

    Args:
        prediction: Means and covariances.
        x: True or observed values, in the units of the mean.
        mask: Where a band was observed; where `x` is finite if not given.
        levels: Nominal probabilities.
    """
    distances = prediction.distances(x, mask)
    used = distances.num_bands > 0
    if not used.any():
        raise ObservationError(
            "Expected objects with an observed band; got none. Check the mask."
        )
    degrees = distances.num_bands[used]
    probability = stats.chi2.cdf(distances.chi_squared[used], degrees)
    level = np.asarray(levels, dtype=float)
    number = int(used.sum())
    return Reliability(
        level=level,
        fraction=np.mean(probability[:, None] <= level, axis=0),
        chance=2 * np.sqrt(level * (1 - level) / number),
        pvalue=float(stats.kstest(probability, "uniform").pvalue),
        num_objects=number,
    )
