"""The posterior as a table on the terminal, and the trust line below it."""

from collections.abc import Iterable

import numpy as np
from rich.table import Table
from rich.text import Text

from grainlight.core import Parameter, Samples
from grainlight.evaluation import Trust
from grainlight.report.columns import OUTCOMES, check_finite, describe_columns

LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
#: Rungs of the ladder whose draws are weighed, in words.
WEIGHED = {
    "corrected": "amortized and corrected",
    "refined": "amortized, then refined by a mixture",
    "settled": "by a mixture that learned from chains",
}
STYLES = {"ok": "green", "caution": "yellow", "do not trust": "bold red"}


def tabulate_posterior(
    samples: Samples,
    *,
    title: str | None = None,
    outcomes: Iterable[Parameter] = OUTCOMES,
) -> Table:
    """Median, 68 % and 95 % interval of every column, in physical units.

    Args:
        samples: The posterior.
        title: Title of the table.
        outcomes: Unit of derived outcomes.
    """
    check_finite(samples)
    table = Table(title=None if title is None else Text(title))
    table.add_column("parameter", no_wrap=True)
    table.add_column("unit")
    for name in ("median", "68 % interval", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    quantiles = samples.quantile(LEVELS)
    for name, column in describe_columns(samples, outcomes).items():
        numbers = format_numbers(quantiles[name], column.is_log)
        low95, low68, median, high68, high95 = numbers
        table.add_row(
            name, column.unit, median, f"{low68} .. {high68}", f"{low95} .. {high95}"
        )
    return table


def format_numbers(values: np.ndarray, is_log: bool) -> list[str]:
    """Write the numbers of one row alike.

    Args:
        values: Quantiles of one column.
        is_log: Whether each number counts by its ratio to the others: three digits of
            each then, else digits for a part of the width that all span.
    """
    values = np.asarray(values, dtype=float)
    largest, width = np.abs(values).max(), np.ptp(values)
    if largest >= 1e5 or (is_log and values.min() < 1e-3):
        return [_exponential(value) for value in values]
    if is_log or width == 0:
        return [f"{value:.{_decimals(value / 10)}f}" for value in values]
    return [f"{value:.{_decimals(width / 5)}f}" for value in values]


def _decimals(step: float) -> int:
    """Decimals that write a step to two digits."""
    if step == 0:
        return 0
    return int(np.clip(1 - np.floor(np.log10(abs(step))), 0, 8))


def _exponential(value: float) -> str:
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def write_trust(trust: Trust) -> str:
    """The trust line: what the checks measured, then the verdict."""
    chains = _write_way(trust)
    floor = f"model-error floor {trust.floor_percent:.3g} %"
    fit = f"no band detected ({floor})"
    if trust.num_bands:
        bands = "band" if trust.num_bands == 1 else "bands"
        fit = (
            f"chi2 {trust.chi_squared:.3g} for {trust.num_bands} {bands} ({floor}, "
            f"p = {trust.predictive_probability:.2g})"
        )
    place = "inside" if trust.inside_range else "outside"
    return f"{chains}, {fit}, {place} the training range: {trust.verdict}"


def _write_way(trust: Trust) -> str:
    """How the draws came, and how good they are as draws."""
    certificate = trust.certificate
    if certificate is not None and certificate.rung in WEIGHED:
        return (
            f"{WEIGHED[certificate.rung]}: importance sampling efficiency "
            f"{100 * certificate.efficiency:.2g} %, k-hat {certificate.shape:.2f}, "
            f"ESS {certificate.num_effective:.0f}"
        )
    if not np.isfinite(trust.rhat):
        return "no chain diagnostics"
    guided = certificate is not None and certificate.rung == "guided"
    start = "chains from amortized draws: " if guided else ""
    return (
        f"{start}R-hat {trust.rhat:.3f}, ESS {trust.ess_bulk:.0f} (bulk) "
        f"{trust.ess_tail:.0f} (tail)"
    )


def write_reasons(trust: Trust) -> list[str]:
    """The reasons of the verdict and what else to keep in mind, a sentence each."""
    return [*trust.faults, *trust.warnings]
