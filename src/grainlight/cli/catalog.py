"""`grainlight catalog`: a posterior for every row of a table."""

from pathlib import Path
from typing import Annotated

import typer

from grainlight.catalog import (
    CatalogSettings,
    Method,
    open_source,
    run_catalog,
)
from grainlight.cli.progress import progress_bar
from grainlight.estimators.shell_model import ShellModel
from grainlight.sampling.fit import FitSettings
from grainlight.sampling.prior import PriorChoice


def catalog(
    file: Annotated[
        Path,
        typer.Argument(help="One row an object: Parquet, FITS, ECSV, CSV or HATS."),
    ],
    out: Annotated[Path, typer.Argument(help="Folder of the rows; a rerun resumes.")],
    model: Annotated[
        str, typer.Option(help="Packaged model by name, or a folder.")
    ] = "ccsn-dust",
    prior: Annotated[
        str, typer.Option(help="thesis2023, ansari2022, or a TOML file.")
    ] = "thesis2023",
    floor: Annotated[
        float, typer.Option(help="Model error of every band, fraction of its flux.")
    ] = 0.05,
    num_draws: Annotated[
        int, typer.Option(help="Amortized draws of an object.")
    ] = 2048,
    rows: Annotated[int, typer.Option(help="Rows that are worked on together.")] = 512,
    method: Annotated[
        Method,
        typer.Option(help="Draws as they come, weighed, refined, or chains at need."),
    ] = "corrected",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of every random number.")
    ] = 1,
    unit: Annotated[
        str | None, typer.Option(help="Unit of flux, where the table states none.")
    ] = None,
    redshift: Annotated[float | None, typer.Option(help="Redshift of all.")] = None,
    distance: Annotated[
        float | None, typer.Option(help="Luminosity distance of all [Mpc].")
    ] = None,
    limit_sigma: Annotated[
        float | None, typer.Option(help="Sigmas that upper limits stand for.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Pieces at a time, each in a process of its own.")
    ] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, whose workers do it; or `local`: as "
            "many processes as --workers."
        ),
    ] = None,
) -> None:
    """Fit a table of any length, piece by piece.

    Every row gets quantiles, covariance, dust temperature, evidence, a status and a
    verdict; a bad row has its reason. The results are the same, however many processes
    make them. Exit status: 0 if every row is vouched for, 1 if some are not, 2 for bad
    input.
    """
    fit = FitSettings(prior=PriorChoice.read(prior), floor=floor)
    settings = CatalogSettings(fit, num_draws, rows, method)
    reading = {
        "unit": unit,
        "redshift": redshift,
        "distance": distance,
        "limit_sigma": limit_sigma,
    }
    source = open_source(file)
    with progress_bar("fitting rows (the first piece compiles)") as progress:
        run = run_catalog(
            seed,
            ShellModel.load(model),
            source,
            out,
            settings,
            reading=reading,
            progress=progress,
            workers=workers,
            dask=dask,
        )
    typer.echo(run)
    raise typer.Exit(code=0 if run.num_failed == 0 else 1)
