"""How far point predictions lie from the truth, and how probable it was to them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy import stats

from grainlight.core import BandMismatchError
from grainlight.evaluation.gaussian import GaussianPrediction

_SIGMA_PER_MAD = float(1 / stats.norm.ppf(0.75))


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors, predicted minus true, of every band or parameter over many objects.

    Attributes:
        names: Names of the bands or parameters.
        rmse: Root of the mean square.
        mae: Mean of the absolute value.
        bias: Median.
        scatter: Robust standard deviation, 1.4826 times the median distance from the
            median.
        count: Objects that entered.
    """

    names: tuple[str, ...]
    rmse: Float[np.ndarray, " name"]
    mae: Float[np.ndarray, " name"]
    bias: Float[np.ndarray, " name"]
    scatter: Float[np.ndarray, " name"]
    count: Int[np.ndarray, " name"]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How well a Gaussian predicts.

    Attributes:
        errors: Errors of the mean, band by band.
        nll: Mean negative log-probability of an object [nats].
        nll_error: Standard error of that mean.
        nll_per_band: Negative log-probability of all objects over the number of bands
            observed of all [nats].
    """

    errors: Errors
    nll: float
    nll_error: float
    nll_per_band: float


def measure_errors(
    predicted: Float[Array | np.ndarray, "object name"],
    truth: Float[Array | np.ndarray, "object name"],
    names: tuple[str, ...],
    mask: Bool[Array | np.ndarray, "object name"] | None = None,
) -> Errors:
    """Errors of point predictions, such as posterior means on the scaled axes.

    Args:
        predicted: Predictions.
        truth: True values, in the same units.
        names: Names of the columns.
        mask: What to count; where the truth is finite if not given. A column of which
            nothing counts has errors of nan.
    """
    predicted = np.asarray(predicted, dtype=float)
    truth = np.asarray(truth, dtype=float)
    if predicted.shape != truth.shape or predicted.shape[1:] != (len(names),):
        raise BandMismatchError(
            f"Expected predictions and truths of {len(names)} columns; got the shapes "
            f"{predicted.shape} and {truth.shape}. Give one column a name."
        )
    mask = np.isfinite(truth) if mask is None else np.asarray(mask)
    columns = [(predicted[keep, i] - truth[keep, i]) for i, keep in enumerate(mask.T)]
    rows = np.array([_describe(column) for column in columns])
    return Errors(tuple(names), *rows.T, count=mask.sum(axis=0))


def _describe(error: np.ndarray) -> tuple[float, float, float, float]:
    if error.size == 0:
        return np.nan, np.nan, np.nan, np.nan
    median = np.median(error)
    return (
        float(np.sqrt(np.mean(error**2))),
        float(np.mean(np.abs(error))),
        float(median),
        float(_SIGMA_PER_MAD * np.median(np.abs(error - median))),
    )


def measure_accuracy(
    prediction: GaussianPrediction,
    x: Float[Array | np.ndarray, "object band"],
    bands: tuple[str, ...],
    mask: Bool[Array | np.ndarray, "object band"] | None = None,
) -> Accuracy:
    """Accuracy of Gaussian predictions over many objects.

    Args:
        prediction: Means and covariances.
        x: True or observed values, in the units of the mean.
        bands: Names of the bands.
        mask: Where a band was observed; where `x` is finite if not given.
    """
    distances = prediction.distances(x, mask)
    nll = distances.negative_log_prob
    return Accuracy(
        errors=measure_errors(prediction.mean, x, bands, mask),
        nll=float(nll.mean()),
        nll_error=float(nll.std() / np.sqrt(nll.size)),
        nll_per_band=float(nll.sum() / distances.num_bands.sum()),
    )
