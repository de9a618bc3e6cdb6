"""`grainlight filters`: what filters there are, as a table or a figure."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from grainlight.photometry import filter_table, jwst_filters, load_filters
from grainlight.report.figures import save_filters


def list_filters(
    names: Annotated[
        list[str] | None, typer.Argument(help="Filters; all of JWST if none is named.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a figure of the curves here.")
    ] = None,
) -> None:
    """List filters with wavelengths, 10-sigma limits in 10 ks and saturation."""
    filters = load_filters(names) if names else jwst_filters()
    if plot is not None:
        save_filters(filters, plot)
    rows = filter_table(filters)
    number = "1 filter" if len(filters) == 1 else f"{len(filters)} filters"
    shown = Table(title=number)
    headers = (
        "filter",
        "kind",
        "pivot [um]",
        "width [um]",
        "limit [nJy]",
        "sat. [mJy]",
    )
    for header in headers:
        shown.add_column(header, justify="left" if header in headers[:2] else "right")
    for row in rows:
        shown.add_row(
            str(row["filter"]),
            str(row["kind"]),
            f"{row['pivot']:.4f}",
            f"{row['width']:.4f}",
            f"{row['limit']:.4g}",
            f"{row['saturation'] / 1e6:.4g}",
        )
    Console().print(shown)
    if plot is not None:
        typer.echo(f"Figure: {plot}")
