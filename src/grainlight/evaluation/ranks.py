r"""Ranks of the truth among posterior draws: uniform if the posterior is right.

For parameters drawn from the prior and data drawn given them, the number of $L$
independent posterior draws that lie below the truth is uniform on $0 \ldots L$. Draws
of a chain must be thinned to about their effective number first.

References:
    Talts et al. (2018), arXiv:1804.06788.
    Holm (1979), Scand. J. Statist. 6, 65 (several parameters at once).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy import stats

from grainlight.core import ParameterError

FEWEST_EXPECTED = 10  # objects a bin that the chi-squared approximation asks for
MOST_BINS = 20


@dataclass(frozen=True, eq=False)
class RankHistogram:
    """How many objects have a rank in each bin.

    Attributes:
        name: The parameter.
        edges: Edges of the bins, as fractions of the draws that lie below the truth.
        count: Objects in each bin.
        expected: Number expected in each bin if the posterior is right.
        chance: Two standard deviations of the number by chance.
        pvalue: Probability of counts at least as uneven by chance.
    """

    name: str
    edges: Float[np.ndarray, " edge"]
    count: Int[np.ndarray, " bin"]
    expected: Float[np.ndarray, " bin"]
    chance: Float[np.ndarray, " bin"]
    pvalue: float

    @property
    def chi_squared(self) -> float:
        """Squared distance of the counts from those expected, over the expected."""
        return float(np.sum((self.count - self.expected) ** 2 / self.expected))


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks of the truth of many objects.

    Attributes:
        names: Names of the parameters.
        rank: Draws below the truth, 0 to `num_draws`.
        num_draws: Independent draws of each object.
    """

    names: tuple[str, ...]
    rank: Int[np.ndarray, "object param"]
    num_draws: int

    @property
    def pvalue(self) -> Float[np.ndarray, " param"]:
        """Uniformity of each parameter on its own."""
        columns = np.asarray(self.rank).T
        return np.array([uniformity_pvalue(c, self.num_draws) for c in columns])

    @property
    def adjusted_pvalue(self) -> Float[np.ndarray, " param"]:
        """Uniformity of each parameter, with regard to how many were tested (Holm).

        The smallest of them judges the posterior as a whole, whatever the correlation
        of the parameters.
        """
        return adjust_pvalues(self.pvalue)

    def histogram(self, name: str, num_bins: int | None = None) -> RankHistogram:
        """Counts of one parameter's ranks in bins of (almost) equal width.

        Args:
            name: The parameter.
            num_bins: Number of bins; as many as the number of objects bears if none.
        """
        if name not in self.names:
            raise ParameterError(
                f"Expected one of {', '.join(self.names)}; got {name!r}."
            )
        rank = self.rank[:, self.names.index(name)]
        bins = _bins(rank.size, self.num_draws, num_bins)
        share = np.diff(bins) / (self.num_draws + 1)
        return RankHistogram(
            name=name,
            edges=bins / (self.num_draws + 1),
            count=np.histogram(rank, bins - 0.5)[0],
            expected=rank.size * share,
            chance=2 * np.sqrt(rank.size * share * (1 - share)),
            pvalue=uniformity_pvalue(rank, self.num_draws),
        )


def rank_of_truth(
    draws: Float[Array | np.ndarray, "draw param"],
    truth: Float[Array | np.ndarray, " param"],
    num_draws: int,
) -> Int[np.ndarray, " param"]:
    """Number of draws below the truth, among evenly thinned ones.

    Args:
        draws: Draws of one object with equal weights, in order of time.
        truth: The parameters that the data were simulated with.
        num_draws: Draws to thin to: at most the effective number.
    """
    if not 1 <= num_draws <= len(draws):
        raise ParameterError(
            f"Expected to thin to between 1 and {len(draws)} draws; got {num_draws}. "
            "Sample more draws, or keep fewer."
        )
    kept = np.linspace(0, len(draws) - 1, num_draws).round().astype(int)
    return np.sum(np.asarray(draws)[kept] < np.asarray(truth), axis=0)


def fraction_below(
    draws: Float[Array | np.ndarray, "draw param"],
    truth: Float[Array | np.ndarray, " param"],
    weight: Float[Array | np.ndarray, " draw"] | None = None,
) -> Float[np.ndarray, " param"]:
    """Posterior probability of a value below the truth: its quantile, 0 to 1.

    Args:
        draws: Draws of one object.
        truth: The parameters that the data were simulated with.
        weight: Weights of the draws, of any sum; equal if not given.
    """
    below = np.asarray(draws) < np.asarray(truth)
    weight = np.ones(len(below)) if weight is None else np.asarray(weight, dtype=float)
    return weight @ below / weight.sum()


def uniformity_pvalue(
    ranks: Int[Array | np.ndarray, " object"], num_draws: int
) -> float:
    """Probability of ranks at least as uneven by chance (chi-squared).

    Right for discrete ranks: bins hold whole ranks, with the number expected of them.

    Args:
        ranks: Draws below the truth, of every object.
        num_draws: Draws of each object, so that ranks run from 0 to `num_draws`.
    """
    ranks = np.asarray(ranks)
    if ranks.size < 2 * FEWEST_EXPECTED:
        raise ParameterError(
            f"Expected {2 * FEWEST_EXPECTED} objects or more; got {ranks.size}. Fewer "
            "cannot tell whether ranks are uniform."
        )
    if ranks.min() < 0 or ranks.max() > num_draws:
        raise ParameterError(
            f"Expected ranks from 0 to {num_draws}; got {ranks.min()} to {ranks.max()}."
            " Give the number of draws that were ranked."
        )
    bins = _bins(ranks.size, num_draws, None)
    expected = ranks.size * np.diff(bins) / (num_draws + 1)
    count = np.histogram(ranks, bins - 0.5)[0]
    return float(stats.chisquare(count, expected).pvalue)


def _bins(num_objects: int, num_draws: int, num_bins: int | None) -> np.ndarray:
    """First rank of every bin, and one more than the last rank."""
    if num_bins is None:
        num_bins = max(2, min(MOST_BINS, num_objects // FEWEST_EXPECTED))
    num_bins = min(num_bins, num_draws + 1)
    return np.linspace(0, num_draws + 1, num_bins + 1).round().astype(int)


def adjust_pvalues(
    pvalue: Float[np.ndarray, " test"],
) -> Float[np.ndarray, " test"]:
    """P-values raised for the number of tests, so that any below 5 % is evidence.

    Holm's step-down procedure; it holds whatever the dependence of the tests.
    """
    order = np.argsort(pvalue)
    steps = np.asarray(pvalue)[order] * np.arange(len(pvalue), 0, -1)
    adjusted = np.empty(len(pvalue))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def sbc_ranks(
    key: Key[Array, ""],
    joint: Callable[[Key[Array, ""]], tuple[Any, Any]],
    posterior: Callable[[Key[Array, ""], Any], Any],
    *,
    num_sims: int,
    num_draws: int,
    names: tuple[str, ...] | None = None,
) -> Ranks:
    """Simulate objects, draw from the posterior of each, rank the truth.

    Args:
        key: Source of random numbers.
        joint: Draws one `(theta, x)` from the prior and the simulator.
        posterior: Draws one independent `theta` given `x`.
        num_sims: Number of objects.
        num_draws: Draws of each object.
        names: Names of the parameters; numbered if not given.
    """

    def one_object(object_key):
        joint_key, posterior_key = jr.split(object_key)
        theta, x = joint(joint_key)
        draw_keys = jr.split(posterior_key, num_draws)
        draws = jax.vmap(lambda k: posterior(k, x))(draw_keys)
        return (draws < theta).sum(axis=0)

    rank = jax.jit(jax.vmap(one_object))(jr.split(key, num_sims))
    rank = np.asarray(rank).reshape(num_sims, -1)
    names = names or tuple(f"parameter {i}" for i in range(rank.shape[1]))
    return Ranks(names, rank, num_draws)
