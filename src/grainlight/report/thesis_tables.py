"""Tables of the reproduced thesis, beside the numbers that it printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from astropy.table import Table
from jaxtyping import Float

from grainlight.estimators import GaussianPosterior
from grainlight.estimators.thesis_rows import thesis_parameters
from grainlight.evaluation import PairedDifference, compare_errors, compare_losses
from grainlight.evaluation.chain_quality import FEWEST, ChainQuality, judge_chains
from grainlight.evaluation.chain_runs import ChainRuns
from grainlight.report.reproduction import Reproduction, observed_mask

STANDARD = "thesis-standard"
#: Tables 3 and 4 of the thesis: total, retained, unfinished, filtered out, minutes.
PUBLISHED: dict[str, tuple[int, int, int, int, float]] = {
    "thesis-dense, all bands": (358, 200, 13, 145, 92),
    "thesis-dense*, all bands": (461, 334, 33, 94, 86),
    "thesis-variational, all bands": (333, 133, 110, 90, 137),
    "thesis-variational*, all bands": (266, 121, 111, 34, 126),
    "thesis-dense, set F": (585, 277, 197, 111, 123),
}


def tabulate_chains(chains: Mapping[str, ChainRuns], asked: Mapping[str, int]) -> Table:
    """Tables 3 and 4: how many posteriors are kept, and what they cost.

    Unfinished are objects that were asked for and not begun; shares are of the others.
    """
    rows = []
    for name, runs in chains.items():
        kept, seconds = int(runs.is_retained.sum()), runs.seconds
        theirs = PUBLISHED.get(name)
        rows.append(
            {
                "run": name,
                "total": asked[name],
                "retained": kept,
                "unfinished": asked[name] - len(runs),
                "filtered_out": len(runs) - kept,
                "retained_share": kept / len(runs),
                "seconds": float(seconds.mean()),
                "published_total": theirs[0] if theirs else -1,
                "published_retained": theirs[1] if theirs else -1,
                "published_unfinished": theirs[2] if theirs else -1,
                "published_filtered_out": theirs[3] if theirs else -1,
                "published_minutes": theirs[4] if theirs else np.nan,
            }
        )
    return Table(rows=rows)


def tabulate_calibration(judged: Mapping[str, ChainQuality]) -> Table:
    """Density ranks, coverage and ranks of every run that was judged."""
    rows = []
    for name, found in judged.items():
        region = found.density.coverage((0.68, 0.95)).fraction[:, 0]
        mean = found.coverage.fraction.mean(axis=1)
        rows.append(
            {
                "run": name,
                "objects": found.total - found.unfinished,
                "density_pvalue": found.density.histogram().pvalue,
                "density_pvalue_unbinned": found.density.pvalue,
                "region_68": region[0],
                "region_95": region[1],
                "intervals_68": mean[0],
                "intervals_95": mean[1],
                "rank_pvalue_adjusted": found.ranks.adjusted_pvalue.min(),
                "random_points_pvalue": found.expected.pvalue,
                "control_pvalue": found.narrowed,
            }
        )
    return Table(rows=rows) if rows else Table(names=("run",), dtype=(str,))


def judged_runs(made: Reproduction) -> dict[str, ChainQuality]:
    """What every run of twenty objects or more is worth."""
    key = jr.key(made.recipe.seed)
    return {
        name: judge_chains(key, runs, asked=made.asked[name])
        for name, runs in made.chains.items()
        if len(runs) >= FEWEST
    }


def tabulate_losses(made: Reproduction) -> Table:
    """Negative log-probability of the same test objects, with paired differences.

    Differences are from the best of those that see the same parameters.
    """
    rows = []
    for starred in (False, True):
        losses = {
            name: found.loss
            for name, found in made.judged.items()
            if name != STANDARD and name.endswith("*") is starred
        }
        if not losses:
            continue
        best = min(losses, key=lambda name: float(losses[name].mean()))
        paired = _against(losses, best)
        for name, loss in losses.items():
            record = made.trained[name].record
            change, error, pvalue = paired[name]
            judged = made.judged[name]
            rows.append(
                {
                    "family": name,
                    "best": best,
                    "nll": loss.mean(),
                    "nll_error": loss.std() / np.sqrt(loss.size),
                    "median": np.median(loss),
                    "difference": change,
                    "difference_error": error,
                    "pvalue": pvalue,
                    "mae_mag": judged.errors.mae.mean(),
                    "reliability_gap": judged.reliability.largest_gap,
                    "reliability_pvalue": judged.reliability.pvalue,
                    "epochs": 0 if record is None else record.num_epochs,
                    "training_minutes": 0.0 if record is None else record.seconds / 60,
                }
            )
    return Table(rows=rows) if rows else Table(names=("family",), dtype=(str,))


def _against(
    losses: Mapping[str, Float[np.ndarray, " object"]], best: str
) -> dict[str, tuple[float, float, float]]:
    if len(losses) == 1:
        return {best: (0.0, 0.0, 1.0)}
    paired = compare_losses(losses, against=best)
    found = {
        name: (float(d), float(e), float(p))
        for name, d, e, p in zip(
            paired.names, paired.difference, paired.error, paired.pvalue, strict=True
        )
    }
    return found | {best: (0.0, 0.0, 1.0)}


@dataclass(frozen=True, eq=False)
class ParameterErrors:
    """Errors of posterior means of a run beside those of the direct posterior.

    Errors are in standard deviations of the parameters over the training set.

    Attributes:
        names: Names of the parameters.
        ours: Mean absolute error of the means of the chains.
        standard: The same of the direct posterior, on the same objects and bands.
        paired: Their difference.
    """

    names: tuple[str, ...]
    ours: Float[np.ndarray, " param"]
    standard: Float[np.ndarray, " param"]
    paired: PairedDifference


def compare_with_standard(made: Reproduction) -> dict[str, ParameterErrors]:
    """Errors of every run beside the direct posterior, if that was trained."""
    saved = made.trained.get(STANDARD)
    if saved is None or not isinstance(saved.estimator, GaussianPosterior):
        return {}
    standard = saved.estimator
    found = {}
    for run in made.recipe.runs:
        if run.name not in made.chains:
            continue
        runs = made.chains[run.name]
        mask = observed_mask(run, len(runs), made.recipe.seed)
        mean = _standard_means(standard, made, mask)
        names = thesis_parameters().names
        places = [names.index(name) for name in runs.names]
        spread = np.asarray(standard.theta_scaling.spread, float)[places]
        usable = np.isfinite(runs.draws).all(axis=(1, 2))
        parts = [
            part[usable] / spread
            for part in (
                runs.draws.mean(axis=1),
                mean[:, places],
                runs.truth,
            )
        ]
        if usable.sum() < 2:
            continue
        ours, theirs = (np.abs(p - parts[2]).mean(axis=0) for p in parts[:2])
        paired = compare_errors(*parts, runs.names)
        found[run.name] = ParameterErrors(runs.names, ours, theirs, paired)
    return found


def _standard_means(
    standard: GaussianPosterior, made: Reproduction, mask: np.ndarray
) -> Float[np.ndarray, "object param"]:
    _, condition, x = made.test.first(len(mask)).columns()
    moments = jax.jit(jax.vmap(lambda x, c, m: standard.moments(x, c, m).mean))
    return np.asarray(moments(x, condition, jnp.asarray(mask)), float)


def tabulate_errors(found: Mapping[str, ParameterErrors]) -> Table:
    """Mean absolute errors of every run and parameter, beside the direct posterior."""
    rows = [
        {
            "run": run,
            "parameter": name,
            "mae": errors.ours[i],
            "standard_mae": errors.standard[i],
            "difference": errors.paired.difference[i],
            "difference_error": errors.paired.error[i],
            "pvalue": errors.paired.pvalue[i],
        }
        for run, errors in found.items()
        for i, name in enumerate(errors.names)
    ]
    return Table(rows=rows) if rows else Table(names=("run",), dtype=(str,))


def lines_of(table: Table, columns: Sequence[str]) -> list[str]:
    """Some columns of a table as lines of text."""
    return [
        "  ".join(
            f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name])
            for name in columns
        )
        for row in table
    ]
