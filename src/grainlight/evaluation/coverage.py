"""How often posterior intervals hold the truth, and density ranks of the truth.

Intervals of one parameter cannot see a wrong correlation; the density rank can: the
fraction of draws whose posterior density is lower than that of the truth is uniform
over objects if the posterior is right. One minus it is the level of the highest-density
region on whose border the truth lies: a region of level $P$ should hold the truths of a
fraction $P$ of all objects.

References:
    Hyndman (1996), American Statistician 50, 120 (highest-density regions).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from grainlight.core import ParameterError
from grainlight.evaluation.ranks import RankHistogram

DENSITY = "posterior density"  # what density ranks are ranks of
LEVELS = (0.5, 0.68, 0.95)


@dataclass(frozen=True, eq=False)
class Coverage:
    """Fraction of objects whose truth lies in a region of the posterior.

    The central interval of a parameter, or the highest-density region of all.

    Attributes:
        names: Names of the parameters.
        level: Nominal probability of the interval.
        fraction: Fraction of objects inside.
        chance: Two standard deviations of the fraction if the posterior is right.
        pvalue: Probability of a fraction at least as far off by chance (binomial).
        num_objects: Number of objects.
    """

    names: tuple[str, ...]
    level: Float[np.ndarray, " level"]
    fraction: Float[np.ndarray, "level param"]
    chance: Float[np.ndarray, " level"]
    pvalue: Float[np.ndarray, "level param"]
    num_objects: int


def measure_coverage(
    quantile: Float[Array | np.ndarray, "object param"],
    names: tuple[str, ...],
    levels: tuple[float, ...] = LEVELS,
) -> Coverage:
    """Coverage of central intervals.

    Args:
        quantile: Posterior probability below the truth, as `fraction_below` gives it.
        names: Names of the parameters.
        levels: Nominal probabilities.
    """
    quantile = np.asarray(quantile, dtype=float)
    if quantile.shape[1] != len(names) or quantile.shape[0] == 0:
        raise ParameterError(
            f"Expected objects with {len(names)} parameters; got the shape "
            f"{quantile.shape}. Give one row an object and one column a name."
        )
    return _coverage(np.abs(2 * quantile - 1), names, levels)


def _coverage(
    depth: Float[np.ndarray, "object param"],
    names: tuple[str, ...],
    levels: tuple[float, ...],
) -> Coverage:
    """Coverage by the level of the region on whose border each truth lies."""
    level = np.asarray(levels, dtype=float)
    inside = depth <= level[:, None, None]
    number = len(depth)
    pvalue = [
        [stats.binomtest(int(count), number, p).pvalue for count in row]
        for row, p in zip(inside.sum(axis=1), levels, strict=True)
    ]
    return Coverage(
        names=tuple(names),
        level=level,
        fraction=inside.mean(axis=1),
        chance=2 * np.sqrt(level * (1 - level) / number),
        pvalue=np.array(pvalue, dtype=float),
        num_objects=number,
    )


@dataclass(frozen=True, eq=False)
class DensityRanks:
    """Density ranks of the truth of many objects.

    Attributes:
        fraction: Fraction of draws of lower density than the truth, of every object.
        pvalue: Probability of fractions at least as uneven by chance
            (Kolmogorov-Smirnov).
    """

    fraction: Float[np.ndarray, " object"]
    pvalue: float

    def histogram(self, num_bins: int = 10) -> RankHistogram:
        r"""Counts in bins of equal width, and the $\chi^2$ test of their evenness.

        $$ \chi^2 = \sum_k (n_k - n / K)^2 / (n / K) $$

        with one degree of freedom less than the $K$ bins. Too many objects in the
        lowest bins tell of a posterior that is too narrow, or wrong.
        """
        count = np.histogram(self.fraction, num_bins, (0.0, 1.0))[0]
        number, share = self.fraction.size, 1 / num_bins
        return RankHistogram(
            name=DENSITY,
            edges=np.linspace(0.0, 1.0, num_bins + 1),
            count=count,
            expected=np.full(num_bins, number * share),
            chance=np.full(num_bins, 2 * np.sqrt(number * share * (1 - share))),
            pvalue=float(stats.chisquare(count).pvalue),
        )

    def coverage(self, levels: tuple[float, ...] = LEVELS) -> Coverage:
        """Coverage of highest-density regions of these levels."""
        return _coverage(1 - self.fraction[:, None], (DENSITY,), levels)


def density_rank(
    log_density: Callable[[np.ndarray], Float[Array | np.ndarray, " draw"]],
    draws: Float[Array | np.ndarray, "draw param"],
    truth: Float[Array | np.ndarray, " param"],
    weight: Float[Array | np.ndarray, " draw"] | None = None,
) -> float:
    """Fraction of one object's draws that have a lower density than the truth.

    Args:
        log_density: Log posterior density of every row of an array of parameters, up
            to a constant; per unit of the same coordinates for draws and truth.
        draws: Draws of one object.
        truth: The parameters that the data were simulated with.
        weight: Weights of the draws, of any sum; equal if not given.
    """
    rows = np.concatenate([np.asarray(draws), np.asarray(truth)[None]])
    value = np.asarray(log_density(rows), dtype=float)[None]
    weight = None if weight is None else np.asarray(weight)[None]
    return float(rank_densities(value[:, :-1], value[:, -1], weight)[0])


def rank_densities(
    draws: Float[Array | np.ndarray, "object draw"],
    truth: Float[Array | np.ndarray, " object"],
    weight: Float[Array | np.ndarray, "object draw"] | None = None,
) -> Float[np.ndarray, " object"]:
    """Density ranks of many objects whose densities are known.

    Args:
        draws: Log posterior density of every draw, up to a constant of each object.
        truth: The same of the parameters that the data were simulated with.
        weight: Weights of the draws, of any sum; equal if not given.
    """
    lower = np.asarray(draws, dtype=float) < np.asarray(truth, dtype=float)[:, None]
    if weight is None:
        return lower.mean(axis=1)
    weight = np.asarray(weight, dtype=float)
    return np.sum(weight * lower, axis=1) / weight.sum(axis=1)


def measure_density_ranks(
    fraction: Float[Array | np.ndarray, " object"],
) -> DensityRanks:
    """Judge the density ranks of many objects; they should be uniform on 0 to 1.

    Args:
        fraction: One `density_rank` an object, each of many more draws than there are
            objects' parts to tell apart: 400 or more.
    """
    fraction = np.asarray(fraction, dtype=float)
    pvalue = float(stats.kstest(fraction, "uniform").pvalue)
    return DensityRanks(fraction, pvalue)
