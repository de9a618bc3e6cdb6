"""`grainlight mocassin`: the real MOCASSIN on a table of shells, beside our answer."""

from pathlib import Path
from typing import Annotated

import typer
from astropy.table import Table as Results
from numpy.ma import masked
from rich.console import Console
from rich.table import Table

from grainlight.cli.progress import progress_bar
from grainlight.core import ParameterError
from grainlight.datasets import compare_runs, import_runs, read_rows
from grainlight.photometry import jwst_filters
from grainlight.report import new_folder
from grainlight.simulators import (
    MocassinRuns,
    MocassinSettings,
    MocassinShell,
    ShellSimulator,
    named_prior,
    run_shells,
)

COMPARISON, DATASET = "comparison.ecsv", "dataset.json"
SHOWN = 20


def mocassin(
    out: Annotated[Path, typer.Option(help="Folder of the runs; a rerun resumes.")],
    at: Annotated[
        Path | None, typer.Option(help="Table of shells, as of `simulate --at`.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Also make a data set of the finished runs.")
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="Prior that the shells were drawn from, if so.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time; as many as processors if not given."),
    ] = None,
    points: Annotated[int, typer.Option(help="Cells an axis, odd.")] = 33,
    packets: Annotated[
        int, typer.Option(min=1, help="Energy packets of the spectrum.")
    ] = 1_300_000,
    first_packets: Annotated[
        int, typer.Option(min=1, help="Energy packets of the first temperatures.")
    ] = 150_000,
    inner: Annotated[float, typer.Option(help="Inner over outer radius.")] = 0.8,
    carbon: Annotated[str, typer.Option(help="Carbon species.")] = "carbon_be",
    silicate: Annotated[str, typer.Option(help="Silicate species.")] = "silicate_dl",
) -> None:
    """Run MOCASSIN on the shells of a table, and compare; import the runs."""
    if at is None and dataset is None:
        raise ParameterError(
            "Expected --at, --dataset, or both; got neither. Give a table of shells "
            "to run, or a folder for the data set of the finished runs."
        )
    if prior is not None:
        named_prior(prior)
    settings = MocassinSettings(
        points=points, first_packets=first_packets, last_packets=packets
    )
    simulator = ShellSimulator(inner=inner, carbon=carbon, silicate=silicate)
    failures = {}
    if at is not None:
        failures = _run(at, out, simulator, settings, workers).failures
    if dataset is not None:
        _import(out, dataset, prior)
    raise typer.Exit(code=1 if failures else 0)


def _run(
    at: Path,
    out: Path,
    simulator: ShellSimulator,
    settings: MocassinSettings,
    workers: int | None,
) -> MocassinRuns:
    _, theta = read_rows(at)
    shells = [MocassinShell.from_theta(row, simulator) for row in theta]
    with progress_bar("running MOCASSIN") as progress:
        runs = run_shells(out, shells, settings, workers=workers, progress=progress)
    if runs.finished:
        compared = compare_runs(out, jwst_filters())
        compared.write(out / COMPARISON, format="ascii.ecsv", overwrite=True)
        Console().print(_table(compared))
        typer.echo(f"Runs: {out}; table: {out / COMPARISON}")
    for number, message in runs.failures.items():
        typer.echo(f"row {number + 1} failed: {message}", err=True)
    return runs


def _table(compared: Results) -> Table:
    shown = Table(title=f"{len(compared)} runs of MOCASSIN, and this engine minus them")
    columns = (
        ("row", "row", "d"),
        ("T dust [K]", "dust_temperature", ".1f"),
        ("tau 0.55 um", "optical_depth", ".3g"),
        ("CPU [s]", "cpu_seconds", ".1f"),
        ("energy", "energy", ".4f"),
        ("dT [%]", "temperature_difference", "+.2f"),
        ("median |dm| [mag]", "magnitude_difference", ".3f"),
        ("bands", "num_bands", "d"),
    )
    for header, _, _ in columns:
        shown.add_column(header, justify="right")
    for row in compared[:SHOWN]:
        cells = [row[name] for _, name, _ in columns]
        forms = [form for _, _, form in columns]
        shown.add_row(
            *(
                "-" if cell is masked else format(cell, form)
                for cell, form in zip(cells, forms, strict=True)
            )
        )
    return shown


def _import(out: Path, dataset: Path, prior: str | None) -> None:
    with new_folder(dataset, (DATASET,), overwrite=False) as folder:
        known = {} if prior is None else {"prior": prior}
        recipe = import_runs(out, folder, **known).recipe
    typer.echo(f"{recipe.num_parents} shells (recipe {recipe.identity}) in {dataset}")
