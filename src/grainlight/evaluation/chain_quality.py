"""What the chains of many objects are worth: how many are kept, and how right they are.

Counts are those of the tables 3 and 4 of the thesis. Calibration and errors are of all
objects with finite draws, also those that the gate refused: what is left out because it
is difficult makes the rest look better than it is.
"""

from dataclasses import dataclass
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Float

from grainlight.evaluation.accuracy import Errors, measure_errors
from grainlight.evaluation.chain_runs import ChainRuns
from grainlight.evaluation.coverage import (
    Coverage,
    DensityRanks,
    measure_coverage,
    measure_density_ranks,
    rank_densities,
)
from grainlight.evaluation.ranks import FEWEST_EXPECTED, Ranks
from grainlight.evaluation.tarp import ExpectedCoverage, measure_expected_coverage

RANK_DRAWS = 99
NARROWED = 0.7  # width of the posteriors of the negative control
FEWEST = 2 * FEWEST_EXPECTED


@dataclass(frozen=True, eq=False)
class ChainQuality:
    """Counts, cost, calibration and errors of the posteriors of many objects.

    Attributes:
        total: Objects that were run.
        retained: Those that passed the gate.
        filtered: Those that did not.
        seconds: Mean wall-clock time of an object [s].
        density: Density ranks of the truth.
        narrowed: Smallest adjusted p-value of ranks among draws made narrower by 0.7.
        ranks: Ranks of the truth among 99 draws.
        coverage: Coverage of central intervals of 68 and 95 %.
        expected: Coverage around random points.
        errors: Errors of the posterior means, on the scaled axes.
    """

    total: int
    retained: int
    filtered: int
    seconds: float
    density: DensityRanks
    narrowed: float
    ranks: Ranks
    coverage: Coverage
    expected: ExpectedCoverage
    errors: Errors

    def words(self) -> dict[str, Any]:
        """Plain values for a file."""
        histogram = self.density.histogram()
        region = self.density.coverage((0.68, 0.95))
        return {
            "total": self.total,
            "retained": self.retained,
            "unfinished": 0,
            "filtered_out": self.filtered,
            "seconds_an_object": self.seconds,
            "density_ranks": {
                "count": histogram.count,
                "pvalue": histogram.pvalue,
                "pvalue_unbinned": self.density.pvalue,
                "region_coverage": region.fraction[:, 0],
                "region_coverage_pvalue": region.pvalue[:, 0],
            },
            "rank_pvalue": dict(zip(self.ranks.names, self.ranks.pvalue, strict=True)),
            "rank_pvalue_adjusted": self.ranks.adjusted_pvalue.min(),
            "control_pvalue_adjusted": self.narrowed,
            "random_points_pvalue": self.expected.pvalue,
            "coverage": self.coverage,
            "mean_errors": self.errors,
        }


def judge_chains(runs: ChainRuns) -> ChainQuality:
    """Compare the posteriors of twenty objects or more with the truth."""
    usable = np.isfinite(runs.draws).all(axis=(1, 2))
    draws, truth = runs.draws[usable].astype(float), runs.truth[usable]
    middle = np.median(draws, axis=1, keepdims=True)
    narrow = middle + NARROWED * (draws - middle)
    quantile = np.mean(draws < truth[:, None], axis=1)
    return ChainQuality(
        total=len(runs),
        retained=int(runs.is_retained.sum()),
        filtered=int((~runs.is_retained).sum()),
        seconds=float(runs.seconds.mean()),
        density=measure_density_ranks(
            rank_densities(runs.log_density[usable], runs.truth_density[usable])
        ),
        narrowed=float(_ranks(runs.names, narrow, truth).adjusted_pvalue.min()),
        ranks=_ranks(runs.names, draws, truth),
        coverage=measure_coverage(quantile, runs.names, (0.68, 0.95)),
        expected=measure_expected_coverage(jr.key(0), _thinned(draws), truth),
        errors=measure_errors(draws.mean(axis=1), truth, runs.names),
    )


def _thinned(draws: np.ndarray) -> Float[np.ndarray, "object kept param"]:
    last = draws.shape[1] - 1
    return draws[:, np.linspace(0, last, min(RANK_DRAWS, last + 1)).round().astype(int)]


def _ranks(names: tuple[str, ...], draws: np.ndarray, truth: np.ndarray) -> Ranks:
    some = _thinned(draws)
    return Ranks(names, np.sum(some < truth[:, None], axis=1), some.shape[1])
