r"""Estimators compared on the same objects, and how their losses are distributed.

Objects differ more than estimators do: what is hard for one is hard for the other. So
differences are taken object by object, and the standard error is that of their mean,

$$ \Delta = \frac1n \sum_i d_i , \qquad
   \sigma_\Delta^2 = \frac{1}{n (n - 1)} \sum_i (d_i - \Delta)^2 , $$

with $d_i$ the difference of the losses or of the absolute errors $|e_i|$. Roots of mean
squares $r$ differ by $\Delta = r_1 - r_2$, to first order with
$d_i = e_{1i}^2 / 2 r_1 - e_{2i}^2 / 2 r_2$. Objects must be independent: one row a
parent, not its redshifts one by one.

References:
    Student (1908), Biometrika 6, 1 (paired differences).
    Tukey (1977), Exploratory Data Analysis (fences of outliers).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy import stats

from grainlight.core import BandMismatchError, ParameterError
from grainlight.evaluation.ranks import adjust_pvalues

LEVELS = (0.01, 0.05, 0.16, 0.25, 0.5, 0.75, 0.84, 0.95, 0.99)
FENCES = (1.5, 3.0)  # interquartile ranges above the third quartile
MOST_SIGMAS = 1e6  # reported of a difference without scatter


@dataclass(frozen=True, eq=False)
class PairedDifference:
    """Differences between two estimators, or of several from one, on the same objects.

    Attributes:
        names: Names of what differs: bands, parameters or estimators.
        difference: Mean over objects; negative where the first is better.
        error: Its standard error.
        pvalue: Probability of a difference at least as large by chance, two-sided.
        count: Objects that entered.
    """

    names: tuple[str, ...]
    difference: Float[np.ndarray, " name"]
    error: Float[np.ndarray, " name"]
    pvalue: Float[np.ndarray, " name"]
    count: Int[np.ndarray, " name"]

    @property
    def adjusted_pvalue(self) -> Float[np.ndarray, " name"]:
        """The same with regard to how many were tested (Holm)."""
        return adjust_pvalues(self.pvalue)


def compare_losses(
    losses: Mapping[str, Float[Array | np.ndarray, " object"]], *, against: str
) -> PairedDifference:
    """Mean losses of several estimators minus that of one, on the same objects.

    Args:
        losses: Loss of every object, such as its negative log-probability [nats], by
            name of the estimator; objects in the same order.
        against: Name of the estimator that the others are compared with.
    """
    table = {name: np.asarray(loss, dtype=float) for name, loss in losses.items()}
    others = tuple(name for name in table if name != against)
    if against not in table or not others:
        raise ParameterError(
            f"Expected the losses of {against!r} and of others; got "
            f"{', '.join(table) or 'none'}. Give one array for every estimator."
        )
    for name, loss in table.items():
        if loss.shape != table[against].shape or not np.isfinite(loss).all():
            raise ParameterError(
                f"Expected a finite loss of each of {table[against].size} objects; got "
                f"the shape {loss.shape} of {name!r}, or one that is not finite. "
                "Compare on the objects that all can judge."
            )
    change = np.stack([table[name] - table[against] for name in others], axis=1)
    return _paired(others, change, np.ones_like(change, dtype=bool))


def compare_errors(
    first: Float[Array | np.ndarray, "object name"],
    second: Float[Array | np.ndarray, "object name"],
    truth: Float[Array | np.ndarray, "object name"],
    names: tuple[str, ...],
    mask: Bool[Array | np.ndarray, "object name"] | None = None,
    *,
    statistic: Literal["mae", "rmse"] = "mae",
) -> PairedDifference:
    """Errors of one estimator's predictions minus those of another's.

    Args:
        first: Predictions of one estimator.
        second: Predictions of the other, of the same objects.
        truth: True values, in the same units.
        names: Names of the columns: bands or parameters.
        mask: What to count; where the truth is finite if not given.
        statistic: Mean absolute error, or root of the mean square.
    """
    first, second, truth = (
        np.asarray(part, dtype=float) for part in (first, second, truth)
    )
    shapes = {part.shape for part in (first, second, truth)}
    if len(shapes) != 1 or truth.shape[1:] != (len(names),):
        raise BandMismatchError(
            f"Expected predictions and truths of the same objects and {len(names)} "
            f"columns; got the shapes {sorted(shapes)}. Give one column a name."
        )
    mask = np.isfinite(truth) if mask is None else np.asarray(mask)
    wrong = [np.abs(np.where(mask, part - truth, 0.0)) for part in (first, second)]
    if statistic == "mae":
        return _paired(names, wrong[0] - wrong[1], mask)
    count = np.maximum(mask.sum(axis=0), 1)
    root = [np.sqrt(np.sum(part**2, axis=0) / count) for part in wrong]
    halves = [
        np.divide(part**2, 2 * r, out=np.zeros_like(part), where=r > 0)
        for part, r in zip(wrong, root, strict=True)
    ]
    return _paired(names, halves[0] - halves[1], mask, root[0] - root[1])


def _paired(
    names: tuple[str, ...],
    change: np.ndarray,
    mask: np.ndarray,
    difference: np.ndarray | None = None,
) -> PairedDifference:
    """Mean change of every column; `difference` is given where it is no mean."""
    count = mask.sum(axis=0)
    if np.any(count < 2):
        raise ParameterError(
            f"Expected two objects or more to compare on; got {count.min()} of "
            f"{names[int(np.argmin(count))]}. Leave it out."
        )
    mean = np.sum(np.where(mask, change, 0.0), axis=0) / count
    square = np.sum(np.where(mask, (change - mean) ** 2, 0.0), axis=0)
    error = np.sqrt(square / (count - 1) / count)
    shown = mean if difference is None else difference
    sigmas = np.minimum(np.abs(shown) / np.maximum(error, 1e-300), MOST_SIGMAS)
    return PairedDifference(
        names=tuple(names),
        difference=shown,
        error=error,
        pvalue=2 * stats.t.sf(sigmas, count - 1),
        count=count,
    )


@dataclass(frozen=True, eq=False)
class LossDistribution:
    """How the losses of many objects are distributed, outliers told apart.

    Attributes:
        loss: Loss of every object.
        level: Probabilities of the quantiles.
        quantile: Quantiles of the loss.
        mean: Mean.
        error: Its standard error.
        fence: Losses above which an object is an outlier: 1.5 and 3 interquartile
            ranges above the third quartile.
        beyond: Fraction of objects above each fence; of a Gaussian distribution 0.35 %
            and 1e-6.
        mean_within: Mean of those below each fence.
    """

    loss: Float[np.ndarray, " object"]
    level: Float[np.ndarray, " level"]
    quantile: Float[np.ndarray, " level"]
    mean: float
    error: float
    fence: Float[np.ndarray, " fence"]
    beyond: Float[np.ndarray, " fence"]
    mean_within: Float[np.ndarray, " fence"]


def describe_losses(
    loss: Float[Array | np.ndarray, " object"], levels: tuple[float, ...] = LEVELS
) -> LossDistribution:
    """Quantiles and outliers of the losses of many objects.

    Args:
        loss: Loss of every object, such as its negative log-probability [nats], or its
            root-mean-square error over bands.
        levels: Probabilities of the quantiles.
    """
    loss = np.asarray(loss, dtype=float)
    if loss.size == 0 or not np.isfinite(loss).all():
        raise ParameterError(
            f"Expected finite losses of one object or more; got {loss.size}, of which "
            f"{int(np.isfinite(loss).sum())} are finite. Leave out what has none."
        )
    quartile = np.quantile(loss, (0.25, 0.75))
    fence = quartile[1] + np.asarray(FENCES) * np.ptp(quartile)
    within = loss[:, None] <= fence
    return LossDistribution(
        loss=loss,
        level=np.asarray(levels, dtype=float),
        quantile=np.quantile(loss, levels),
        mean=float(loss.mean()),
        error=float(loss.std() / np.sqrt(loss.size)),
        fence=fence,
        beyond=1 - within.mean(axis=0),
        mean_within=np.sum(within * loss[:, None], axis=0) / within.sum(axis=0),
    )
