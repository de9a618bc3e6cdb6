r"""Coverage of regions around random points: a test of the joint posterior from draws.

Choose a point $\theta_r$ in the space of the parameters, blind to the data of an
object. The ball around it with the truth on its surface holds a fraction

$$ f = P\big(d(\theta, \theta_r) < d(\theta_{\rm true}, \theta_r)\big)_{\theta \sim
   \rm posterior} $$

of the posterior, which is uniform over objects if the posterior is right. The fraction
of objects with $f$ below a level is the expected coverage at that level. Distances are
Euclidean, with every parameter measured from 0 to 1 over its range.

Only draws are needed, no density. Points chosen blindly are slow to see two errors. A
posterior that ignores its data and returns the prior has the right coverage around
them: choose points that follow the data (`reference`). A shift of all posteriors brings
the truth closer to some points and takes it from others: choose points on one side.

References:
    Lemos et al. (2023), arXiv:2302.03026.
"""

from dataclasses import dataclass

import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key
from scipy import stats

from grainlight.core import ParameterError

LEVELS = tuple(np.linspace(0.02, 0.98, 49).tolist())


@dataclass(frozen=True, eq=False)
class ExpectedCoverage:
    """Coverage of balls around random points, over many objects.

    Attributes:
        level: Nominal probabilities.
        coverage: Fraction of objects whose `fraction` is below.
        chance: Two standard deviations of the coverage if the posterior is right.
        fraction: Posterior probability closer to the random point than the truth, of
            every object.
        pvalue: Probability of fractions at least as uneven by chance
            (Kolmogorov-Smirnov).
    """

    level: Float[np.ndarray, " level"]
    coverage: Float[np.ndarray, " level"]
    chance: Float[np.ndarray, " level"]
    fraction: Float[np.ndarray, " object"]
    pvalue: float

    @property
    def num_objects(self) -> int:
        """Number of objects."""
        return self.fraction.size

    @property
    def largest_gap(self) -> float:
        """Largest distance of the curve from the diagonal, with its sign."""
        gap = self.coverage - self.level
        return float(gap[np.argmax(np.abs(gap))])


def measure_expected_coverage(
    key: Key[Array, ""],
    draws: Float[Array | np.ndarray, "object draw param"],
    truth: Float[Array | np.ndarray, "object param"],
    *,
    bounds: Float[Array | np.ndarray, "2 param"] | None = None,
    reference: Float[Array | np.ndarray, "object param"] | None = None,
    levels: tuple[float, ...] = LEVELS,
) -> ExpectedCoverage:
    """Coverage of balls around random points.

    Among $L$ independent draws the number closer than the truth is uniform on 0 to $L$;
    it is spread evenly over its share of 0 to 1, so that the p-value is exact.

    Args:
        key: Random key.
        draws: Independent draws with equal weights, as many of each object; those of a
            chain thinned to about their effective number.
        truth: The parameters that the data were simulated with.
        bounds: Lowest and highest value of each parameter; those of the truths if not
            given.
        reference: A point for each object, chosen without its truth; uniform inside
            the bounds if not given.
        levels: Nominal probabilities.

    Raises:
        ParameterError: The shapes do not fit, or a parameter has no range.
    """
    draws, truth = np.asarray(draws, dtype=float), np.asarray(truth, dtype=float)
    if draws.ndim != 3 or draws.shape[::2] != truth.shape or truth.shape[0] == 0:
        raise ParameterError(
            "Expected draws of shape (object, draw, param) and truths of shape (object,"
            f" param); got {draws.shape} and {truth.shape}. Give every object as many "
            "draws."
        )
    low, high = _bounds(truth, bounds)
    reference_key, spread_key = jr.split(key)
    if reference is None:
        unit = np.asarray(jr.uniform(reference_key, truth.shape), dtype=float)
        reference = low + (high - low) * unit
    fraction = _fraction_closer(
        (draws - low) / (high - low),
        (truth - low) / (high - low),
        (np.asarray(reference, dtype=float) - low) / (high - low),
        np.asarray(jr.uniform(spread_key, (len(truth),)), dtype=float),
    )
    level = np.asarray(levels, dtype=float)
    return ExpectedCoverage(
        level=level,
        coverage=np.mean(fraction[:, None] < level, axis=0),
        chance=2 * np.sqrt(level * (1 - level) / len(truth)),
        fraction=fraction,
        pvalue=float(stats.kstest(fraction, "uniform").pvalue),
    )


def _bounds(
    truth: np.ndarray, bounds: Float[Array | np.ndarray, "2 param"] | None
) -> tuple[np.ndarray, np.ndarray]:
    if bounds is None:
        low, high = truth.min(axis=0), truth.max(axis=0)
    else:
        low, high = np.asarray(bounds, dtype=float)
    if not np.all(high > low):
        raise ParameterError(
            "Expected a range of every parameter; got none of number "
            f"{int(np.argmin(high > low))}. Give its bounds, or leave it out."
        )
    return low, high


def _fraction_closer(
    draws: np.ndarray, truth: np.ndarray, reference: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    away = np.sum((draws - reference[:, None]) ** 2, axis=2)
    border = np.sum((truth - reference) ** 2, axis=1)
    rank = np.sum(away < border[:, None], axis=1)
    return (rank + spread) / (draws.shape[1] + 1)
