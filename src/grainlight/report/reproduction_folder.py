"""Tables and figures of a reproduction, in its folder."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
from astropy.table import Table
from matplotlib.figure import Figure

from grainlight.estimators.thesis_rows import ThesisRows
from grainlight.evaluation.chain_quality import ChainQuality
from grainlight.report.evaluation_folder import plain
from grainlight.report.folder import versions, write_words
from grainlight.report.reproduction import Reproduction, sizes
from grainlight.report.reproduction_recipe import RANDOM
from grainlight.report.reproduction_shells import rows_path
from grainlight.report.thesis_figures import (
    draw_corners,
    draw_correlation,
    draw_covariances,
    draw_density_ranks,
    draw_errors,
    draw_losses,
    draw_parameter_errors,
    draw_redshifts,
    draw_reliability,
    draw_training,
)
from grainlight.report.thesis_tables import (
    STANDARD,
    ParameterErrors,
    compare_with_standard,
    judged_runs,
    lines_of,
    tabulate_calibration,
    tabulate_chains,
    tabulate_errors,
    tabulate_losses,
)

DPI = 110
CORNERS = 2  # runs whose posteriors are shown
SHOWN = {
    "chains": ("run", "total", "retained", "filtered_out", "seconds"),
    "calibration": ("run", "density_pvalue", "region_68", "region_95"),
    "losses": ("family", "nll", "difference", "difference_error"),
}


def write_reproduction(made: Reproduction) -> list[str]:
    """Write all tables and figures; those that are there are replaced.

    Returns:
        What the command says of them.
    """
    errors, quality = compare_with_standard(made), judged_runs(made)
    tables = {
        "chains": tabulate_chains(made.chains, made.asked),
        "calibration": tabulate_calibration(quality),
        "losses": tabulate_losses(made),
        "errors": tabulate_errors(errors),
    }
    (made.folder / "tables").mkdir(exist_ok=True)
    for name, table in tables.items():
        path = made.folder / "tables" / f"{name}.ecsv"
        table.write(path, format="ascii.ecsv", overwrite=True)
    words = sizes(made) | {
        "runs": {name: found.words() for name, found in quality.items()},
        "versions": versions(),
    }
    write_words(made.folder / "thesis.json", plain(words))
    (made.folder / "figures").mkdir(exist_ok=True)
    for name, figure in _figures(made, errors, quality):
        figure.savefig(made.folder / "figures" / f"{name}.png", dpi=DPI)
        plt.close(figure)
    return _lines(tables)


def _lines(tables: dict[str, Table]) -> list[str]:
    lines = []
    for name, columns in SHOWN.items():
        if len(tables[name]):
            lines += [f"{name}: {', '.join(columns)}"]
            lines += lines_of(tables[name], columns)
    return lines


def _figures(
    made: Reproduction,
    errors: dict[str, ParameterErrors],
    quality: dict[str, ChainQuality],
) -> Iterator[tuple[str, Figure]]:
    if any(one.record is not None for one in made.trained.values()):
        yield "training", draw_training(made.trained)
    yield "losses", draw_losses(made.judged)
    yield "errors", draw_errors(made.judged)
    yield "reliability", draw_reliability(made.judged)
    if set(made.judged) != {STANDARD}:
        yield "covariances", draw_covariances(made.judged)
        yield "correlations", draw_correlation(made.judged)
    if rows_path(made.folder, "train").exists():
        rows = ThesisRows.load(rows_path(made.folder, "train"))
        yield "redshifts", draw_redshifts(rows)
    if quality:
        yield "density-ranks", draw_density_ranks(quality)
    if errors:
        yield "parameter-errors", draw_parameter_errors(errors)
    fixed = [run.name for run in made.recipe.runs if run.bands != RANDOM]
    begun = [name for name in fixed if name in made.chains][:CORNERS]
    for name, figure in draw_corners({name: made.chains[name] for name in begun}):
        yield (
            "corner-" + name.replace("*", "-star").replace(", ", "-").replace(" ", "-"),
            figure,
        )
