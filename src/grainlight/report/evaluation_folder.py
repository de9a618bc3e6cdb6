"""The folder of an evaluation: its numbers, tables and figures."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grainlight.estimators import TrainingRecord
from grainlight.evaluation import LikelihoodQuality, PosteriorQuality
from grainlight.photometry import load_filters
from grainlight.report.card import (
    plot_coverage,
    plot_errors,
    plot_ranks,
    plot_reliability,
)
from grainlight.report.folder import DPI, write_words
from grainlight.report.quality import (
    plot_correlation,
    plot_density_ranks,
    plot_expected_coverage,
    plot_losses,
    plot_regions,
    plot_training,
)

#: What such a folder holds; the first file marks it. `training.png` is there if the
#: model has a record, the last four if posteriors were judged.
EVALUATION_FILES = (
    "evaluation.json",
    "bands.ecsv",
    "reliability.png",
    "errors.png",
    "losses.png",
    "correlation.png",
    "training.png",
    "parameters.ecsv",
    "ranks.png",
    "coverage.png",
    "density_ranks.png",
)
_UNIT = "mag"


def write_judged(
    folder: Path,
    words: dict[str, Any],
    likelihood: LikelihoodQuality,
    posteriors: PosteriorQuality | None = None,
    record: TrainingRecord | None = None,
) -> None:
    """Write numbers, tables and figures into a folder that is there.

    Args:
        folder: The folder.
        words: What `evaluation.json` states.
        likelihood: What the likelihood is worth.
        posteriors: What the posteriors are worth, if they were judged.
        record: How the likelihood was trained, if that was kept.
    """
    write_words(folder / EVALUATION_FILES[0], words)
    tabulate_bands(likelihood).write(folder / "bands.ecsv", format="ascii.ecsv")
    if posteriors is not None:
        table = tabulate_parameters(posteriors)
        table.write(folder / "parameters.ecsv", format="ascii.ecsv")
    for name, figure in _figures(likelihood, posteriors, record):
        figure.savefig(folder / name, dpi=DPI)
        plt.close(figure)


def tabulate_bands(likelihood: LikelihoodQuality) -> Table:
    """Errors of every band, in the order of the model."""
    errors = likelihood.errors
    pivot = load_filters(errors.names).pivot
    table = Table(
        {
            "band": list(errors.names),
            "pivot_um": np.asarray(pivot),
            "objects": errors.count,
            "bias_mag": errors.bias,
            "mae_mag": errors.mae,
            "rmse_mag": errors.rmse,
            "scatter_mag": errors.scatter,
        }
    )
    table.meta["errors"] = "predicted minus true, where brighter than 32 mag at 10 Mpc"
    return table


def tabulate_parameters(posteriors: PosteriorQuality) -> Table:
    """Errors of posterior means, coverage and uniformity of ranks, by parameter.

    Errors are on the scaled axes: in dex where a parameter is logarithmic. The dust
    temperature has calibration alone.
    """
    names, errors = posteriors.ranks.names, posteriors.errors
    nothing = np.full(len(names) - len(errors.names), np.nan)
    coverage = posteriors.coverage
    return Table(
        {
            "parameter": list(names),
            **{
                name: np.append(getattr(errors, name), nothing)
                for name in ("bias", "mae", "rmse", "scatter")
            },
            **{
                f"coverage_{100 * level:.0f}": fraction
                for level, fraction in zip(
                    coverage.level, coverage.fraction, strict=True
                )
            },
            "rank_pvalue": posteriors.ranks.pvalue,
            "rank_pvalue_adjusted": posteriors.ranks.adjusted_pvalue,
        }
    )


def _figures(
    likelihood: LikelihoodQuality,
    posteriors: PosteriorQuality | None,
    record: TrainingRecord | None,
) -> Iterator[tuple[str, Figure]]:
    yield "reliability.png", _draw_reliability(likelihood)
    yield "errors.png", _figure_of(plot_errors(likelihood.errors, unit=_UNIT))
    yield "losses.png", _draw_losses(likelihood)
    yield "correlation.png", _figure_of(plot_correlation(likelihood.correlation))
    if record is not None and record.num_epochs:
        yield "training.png", _figure_of(plot_training(record))
    if posteriors is not None:
        yield "ranks.png", _draw_ranks(posteriors)
        yield "coverage.png", _draw_coverage(posteriors)
        yield "density_ranks.png", _figure_of(plot_density_ranks(posteriors.density))


def _figure_of(ax: Axes) -> Figure:
    assert isinstance(ax.figure, Figure)
    return ax.figure


def _draw_reliability(likelihood: LikelihoodQuality) -> Figure:
    figure, panels = plt.subplots(2, 2, figsize=(8.4, 8.8), layout="constrained")
    for ax, (name, found) in zip(
        panels.flat, likelihood.reliability.items(), strict=True
    ):
        plot_reliability(found, ax=ax)
        ax.set_title(f"{name}: {ax.get_title()}", fontsize="small")
    return figure


def _draw_losses(likelihood: LikelihoodQuality) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    plot_losses(
        likelihood.losses, ax=panels[0], label="negative log-probability [nats]"
    )
    plot_losses(
        likelihood.deviations, ax=panels[1], label="RMS error of an object [mag]"
    )
    return figure


def _draw_ranks(posteriors: PosteriorQuality) -> Figure:
    names = posteriors.ranks.names
    rows = -(-len(names) // 2)
    figure, panels = plt.subplots(
        rows, 2, figsize=(8.4, 2.9 * rows), layout="constrained", squeeze=False
    )
    for ax, name in zip(panels.flat, names, strict=False):
        plot_ranks(posteriors.ranks.histogram(name, 10), ax=ax)
    for ax in panels.flat[len(names) :]:
        ax.remove()
    return figure


def _draw_coverage(posteriors: PosteriorQuality) -> Figure:
    figure, panels = plt.subplots(1, 3, figsize=(12.6, 4.4), layout="constrained")
    plot_coverage(posteriors.coverage, ax=panels[0])
    plot_regions(posteriors.density, ax=panels[1])
    plot_expected_coverage(posteriors.expected, ax=panels[2])
    return figure


def plain(value: Any) -> Any:
    """Nouns, arrays and mappings as what JSON knows; what is not finite is null."""
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(part) for part in value]
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    with suppress(AttributeError):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
