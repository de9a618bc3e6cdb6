"""`grainlight import`: a grid of one's own as a data set."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from grainlight.cli.progress import progress_bar
from grainlight.datasets import GridDataset, import_grid
from grainlight.photometry import jwst_filters, load_filters

SHOWN = 10


def import_own(
    grid: Annotated[
        Path, typer.Argument(help="ECSV, CSV, FITS, Parquet or HDF5, a row a model.")
    ],
    parameters: Annotated[str, typer.Option(help="Their names, apart by commas.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set.")],
    log: Annotated[
        str, typer.Option(help="Those of them that are sampled in the logarithm.")
    ] = "",
    spectrum: Annotated[
        str | None,
        typer.Option(help="Column or data set; or what stands before wavelengths."),
    ] = None,
    wave: Annotated[
        str | None,
        typer.Option(help="Wavelengths: column, data set, or a text file."),
    ] = None,
    theta: Annotated[
        str | None, typer.Option(help="HDF5: data set of all parameters.")
    ] = None,
    wave_unit: Annotated[
        str | None, typer.Option(help="Unit of the wavelengths: um, Angstrom.")
    ] = None,
    spectrum_unit: Annotated[
        str | None, typer.Option(help="Unit of the spectra: Jy, erg/s/Hz, Lsun/um.")
    ] = None,
    distance: Annotated[
        float | None, typer.Option(help="Distance of spectra that are fluxes [Mpc].")
    ] = None,
    bands: Annotated[
        str, typer.Option(help="Filters that the spectra must reach across.")
    ] = "",
) -> None:
    """Read a grid of parameters and spectra into a data set, to train on in Python."""
    with progress_bar("reading models") as progress:
        data = import_grid(
            grid,
            out,
            parameters=_names(parameters),
            log=_names(log),
            wave=wave,
            spectrum=spectrum,
            theta=theta,
            wave_unit=wave_unit,
            spectrum_unit=spectrum_unit,
            distance_mpc=distance,
            filters=load_filters(_names(bands)) if bands else None,
            progress=progress,
        )
    _show(data)
    raise typer.Exit(code=1 if data.num_left_out else 0)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _show(data: GridDataset) -> None:
    shown = Table(title=f"{data.num_models} models")
    for header in ("parameter", "from", "to", "unit", "scale"):
        shown.add_column(header)
    for one in data.parameters.members:
        shown.add_row(
            one.name, f"{one.lower:.6g}", f"{one.upper:.6g}", one.unit, one.scale
        )
    Console().print(shown)
    covered, known = data.covered(jwst_filters()), jwst_filters()
    typer.echo(
        f"{len(data.wave)} wavelengths, {data.wave[0]:.4g} to {data.wave[-1]:.4g} um: "
        f"{len(covered)} of {len(known)} JWST bands"
    )
    for reason, rows in data.left_out.items():
        some = ", ".join(map(str, rows[:SHOWN]))
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        typer.echo(
            f"left out {len(rows)} of {data.origin['rows']} rows, with {reason}: row "
            f"{some}{more}",
            err=True,
        )
    typer.echo(f"Data set {data.identity} in {data.folder}")
