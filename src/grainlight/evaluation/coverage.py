"""How often posterior intervals hold the truth, and density ranks of the truth.

Intervals of one parameter cannot see a wrong correlation; the density rank can: the
fraction of draws whose posterior density is lower than that of the truth is uniform
over objects if the posterior is right. One minus it is the level of the highest-density
region on whose border the truth lies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from grainlight.core import ParameterError

LEVELS = (0.5, 0.68, 0.95)


@dataclass(frozen=True, eq=False)
class Coverage:
    """Fraction of objects whose truth lies in the central interval.

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
    level = np.asarray(levels, dtype=float)
    inside = np.abs(2 * quantile - 1) <= level[:, None, None]
    number = quantile.shape[0]
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
    value = np.asarray(log_density(rows), dtype=float)
    lower = value[:-1] < value[-1]
    if weight is None:
        return float(lower.mean())
    weight = np.asarray(weight, dtype=float)
    return float(weight @ lower / weight.sum())


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
