"""Counts in even bins: what is known of many values that are never held at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import chi2

from grainlight.core import ParameterError


class Evenness(NamedTuple):
    """Pearson's test of equal counts.

    Attributes:
        chi_squared: Sum of squared deviations over the expected count.
        degrees: Degrees of freedom.
        pvalue: How often even counts deviate by more; nan without counts.
    """

    chi_squared: float
    degrees: int
    pvalue: float


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of some quantities in the same even bins; adding two loses nothing.

    Attributes:
        names: The quantities.
        lower: Where the bins begin.
        upper: Where they end.
        count: Values in each bin; the outer ones hold what lies beyond them, too.
        missing: Values that were not finite.
    """

    names: tuple[str, ...]
    lower: float
    upper: float
    count: Int[np.ndarray, "quantity bin"]
    missing: Int[np.ndarray, " quantity"]

    @classmethod
    def blank(
        cls, names: Sequence[str], lower: float, upper: float, num_bins: int
    ) -> "Histogram":
        """A histogram without counts."""
        if not (lower < upper and num_bins > 0):
            raise ParameterError(
                f"Expected one bin or more from a lower to a higher value; got "
                f"{num_bins} from {lower:g} to {upper:g}. Correct them."
            )
        count = np.zeros((len(names), num_bins), dtype=np.int64)
        missing = np.zeros(len(names), dtype=np.int64)
        return cls(tuple(names), lower, upper, count, missing)

    @property
    def edges(self) -> Float[np.ndarray, " edge"]:
        """Where bins begin and end."""
        return np.linspace(self.lower, self.upper, self.count.shape[1] + 1)

    @property
    def total(self) -> Int[np.ndarray, " quantity"]:
        """Finite values of each quantity."""
        return self.count.sum(axis=1)

    def counted(
        self,
        values: Float[np.ndarray, " value"],
        quantity: Int[np.ndarray, " value"] | int = 0,
    ) -> "Histogram":
        """The same with more values.

        Args:
            values: The values.
            quantity: Position in `names` of the quantity that each is one of.
        """
        num, bins = self.count.shape
        quantity = np.broadcast_to(quantity, values.shape)
        finite = np.isfinite(values)
        place = (values[finite] - self.lower) * (bins / (self.upper - self.lower))
        place = np.clip(np.floor(place), 0, bins - 1).astype(np.int64)
        place += bins * quantity[finite]
        more = np.bincount(place, minlength=num * bins).reshape(num, bins)
        lost = np.bincount(quantity[~finite], minlength=num)
        return replace(self, count=self.count + more, missing=self.missing + lost)

    def __add__(self, other: "Histogram") -> "Histogram":
        """Counts of both."""
        ours = (self.names, self.lower, self.upper, self.count.shape)
        theirs = (other.names, other.lower, other.upper, other.count.shape)
        if ours != theirs:
            raise ParameterError(
                f"Expected histograms of the same bins; got {ours} and {theirs}. "
                "Make both in the same way."
            )
        return replace(
            self, count=self.count + other.count, missing=self.missing + other.missing
        )

    def quantiles(self, levels: Sequence[float]) -> Float[np.ndarray, "quantity level"]:
        """Quantiles of each quantity, to the width of a bin; nan without values."""
        found = np.full((len(self.names), len(levels)), np.nan)
        for row, count in enumerate(self.count):
            filled = np.flatnonzero(count)
            if filled.size == 0:
                continue
            # a straight line inside each bin that holds anything
            done = np.cumsum(count[filled])
            wanted = np.asarray(levels) * done[-1]
            which = np.minimum(np.searchsorted(done, wanted), filled.size - 1)
            share = 1 - (done[which] - wanted) / count[filled[which]]
            found[row] = filled[which] + share
        return self.lower + found * (self.upper - self.lower) / self.count.shape[1]

    def evenness(self, row: int = 0) -> Evenness:
        """Whether the counts of a quantity are the same in all bins."""
        count = self.count[row]
        degrees = count.size - 1
        if count.sum() == 0:
            return Evenness(np.nan, degrees, np.nan)
        expected = count.mean()
        value = float(((count - expected) ** 2).sum() / expected)
        return Evenness(value, degrees, float(chi2.sf(value, degrees)))
