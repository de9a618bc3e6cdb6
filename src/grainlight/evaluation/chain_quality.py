"""What the chains of many objects are worth: how many are kept, and how right they are.

Counts are those of the tables 3 and 4 of the thesis. Calibration and errors are of all
objects with finite draws, also those that the gate refused: what is left out because it
is difficult makes the rest look better than it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from grainlight.evaluation.accuracy import Errors, measure_errors
from grainlight.evaluation.chain_runs import ChainRuns
from grainlight.evaluation.coverage import (
    Coverage,
    DensityRanks,
    measure_coverage,
    measure_density_ranks,
    rank_densities,
)
from grainlight.evaluation.draws import (
    RANK_DRAWS,
    narrow_draws,
    rank_truth,
    thin_draws,
)
from grainlight.evaluation.ranks import FEWEST_EXPECTED, Ranks
from grainlight.evaluation.tarp import ExpectedCoverage, measure_expected_coverage

FEWEST = 2 * FEWEST_EXPECTED


@dataclass(frozen=True, eq=False)
class ChainQuality:
    """Counts, cost, calibration and errors of the posteriors of many objects.

    Attributes:
        total: Objects that were asked for.
        retained: Those that passed the gate.
        filtered: Those that did not.
        unfinished: Those that were not begun.
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
    unfinished: int
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
            "unfinished": self.unfinished,
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


def judge_chains(
    key: Key[Array, ""], runs: ChainRuns, *, asked: int | None = None
) -> ChainQuality:
    """Compare the posteriors of twenty objects or more with the truth.

    Args:
        key: Random key of the points that coverage is measured around.
        runs: The posteriors.
        asked: Objects that were asked for, those that were not begun included.
    """
    usable = np.isfinite(runs.draws).all(axis=(1, 2))
    draws, truth = runs.draws[usable].astype(float), runs.truth[usable]
    total = len(runs) if asked is None else asked
    control = rank_truth(runs.names, narrow_draws(draws), truth)
    quantile = np.mean(draws < truth[:, None], axis=1)
    return ChainQuality(
        total=total,
        retained=int(runs.is_retained.sum()),
        filtered=int((~runs.is_retained).sum()),
        unfinished=total - len(runs),
        seconds=float(runs.seconds.mean()),
        density=measure_density_ranks(
            rank_densities(runs.log_density[usable], runs.truth_density[usable])
        ),
        narrowed=float(control.adjusted_pvalue.min()),
        ranks=rank_truth(runs.names, draws, truth),
        coverage=measure_coverage(quantile, runs.names, (0.68, 0.95)),
        expected=measure_expected_coverage(key, thin_draws(draws, RANK_DRAWS), truth),
        errors=measure_errors(draws.mean(axis=1), truth, runs.names),
    )
