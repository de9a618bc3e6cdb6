"""`grainlight simulate`: spectra of dusty shells, drawn from a prior or as listed."""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.ma import masked
from rich.console import Console
from rich.table import Table

from grainlight.cli.progress import progress_bar
from grainlight.core import ParameterError
from grainlight.datasets import Recipe, generate, read_rows, simulate_rows
from grainlight.dust import GrainSizes
from grainlight.photometry import jwst_filters
from grainlight.report import new_folder
from grainlight.simulators import ShellSimulator

ROWS, SPECTRA = "shells.ecsv", "spectra.ecsv"
SHOWN = 20
SHARD, CLUMPY_SHARD = 500, 25  # shells; one is finished within a minute or less


def simulate(
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    num_parents: Annotated[
        int | None, typer.Option(min=1, help="Shells to draw from the prior.")
    ] = None,
    at: Annotated[
        Path | None, typer.Option(help="Table of shells to simulate instead.")
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(help="Prior by name; NAME=SHARE, repeated, for a mixture."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random number.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; as many as processors if not given."),
    ] = None,
    inner: Annotated[float, typer.Option(help="Inner over outer radius.")] = 0.8,
    carbon: Annotated[str, typer.Option(help="Carbon species.")] = "carbon_be",
    silicate: Annotated[str, typer.Option(help="Silicate species.")] = "silicate_dl",
    size_power: Annotated[
        float | None,
        typer.Option(help="Power law of radii up to grain_radius; 3.5 is MRN's."),
    ] = None,
    smallest_radius: Annotated[
        float, typer.Option(help="Its smallest grain radius [um].")
    ] = 0.005,
    remove_sublimated: Annotated[
        bool,
        typer.Option("--remove-sublimated", help="Remove grains hotter than survive."),
    ] = False,
    clump_edge: Annotated[
        float, typer.Option(help="Edge of a clump [outer radii].")
    ] = 0.1,
    clump_contrast: Annotated[
        float, typer.Option(help="Density between clumps over that in them.")
    ] = 0.0,
    largest_filling: Annotated[
        float,
        typer.Option(help="Draw clump filling factors from 0 to this; 0: no clumps."),
    ] = 0.0,
    mirrored: Annotated[
        bool,
        typer.Option("--mirrored", help="The same clumps in all octants: cheaper."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results of --at.")
    ] = False,
) -> None:
    """Simulate shells: a data set that resumes after a kill, or the rows of a table."""
    if (num_parents is None) == (at is None):
        raise ParameterError(
            "Expected one of --num-parents and --at; got both or none. Give the number "
            "of shells to draw, or a table that lists them."
        )
    simulator = ShellSimulator(
        inner=inner,
        carbon=carbon,
        silicate=silicate,
        sizes=None if size_power is None else GrainSizes(smallest_radius, size_power),
        remove_sublimated=remove_sublimated,
        clump_edge=clump_edge,
        clump_contrast=clump_contrast,
        clumps_mirrored=mirrored,
    )
    if at is not None:
        _simulate_table(at, out, simulator, seed=seed, overwrite=overwrite)
        return
    recipe = Recipe(
        num_parents=int(num_parents or 0),
        seed=seed,
        priors=_shares(prior or ["thesis2023"]),
        simulator=simulator,
        shard_size=SHARD if largest_filling == 0 else CLUMPY_SHARD,
        largest_filling_factor=largest_filling,
    )
    with progress_bar("simulating shells") as progress:
        generate(out, recipe, workers=workers, progress=progress)
    typer.echo(f"{recipe.num_parents} shells (recipe {recipe.identity}) in {out}")


def _shares(words: list[str]) -> dict[str, float]:
    shares = {}
    for word in words:
        name, _, share = word.partition("=")
        try:
            value = float(share) if share else 1.0
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(
                f"Expected --prior NAME or NAME=SHARE; got {word!r}. Give a positive "
                "share, such as ansari2022=0.25."
            )
        if name in shares:
            raise ParameterError(
                f"Expected each prior once; got {name!r} again. Give it one share."
            )
        shares[name] = value
    return shares


def _simulate_table(
    at: Path, out: Path, simulator: ShellSimulator, *, seed: int, overwrite: bool
) -> None:
    table, theta = read_rows(at)
    with new_folder(out, (ROWS, SPECTRA), overwrite=overwrite) as folder:
        with progress_bar("simulating shells") as progress:
            shells, spectra = simulate_rows(
                table, theta, simulator, jwst_filters(), seed=seed, progress=progress
            )
        shells.write(folder / ROWS, format="ascii.ecsv")
        spectra.write(folder / SPECTRA, format="ascii.ecsv")
    shown = Table(title=f"{len(shells)} shells")
    for header in ("row", "T dust [K]", "tau 0.55 um", "energy error"):
        shown.add_column(header, justify="right")
    for i in range(min(len(shells), SHOWN)):
        row = shells[i]
        shown.add_row(
            str(i + 1),
            "-"
            if row["dust_temperature"] is masked
            else f"{row['dust_temperature']:.1f}",
            f"{row['optical_depth']:.3g}",
            f"{row['energy_error']:.1e}",
        )
    Console().print(shown)
    hot = int(np.count_nonzero(np.asarray(shells["sublimated"]) > 0))
    if hot:
        fate = "removed" if simulator.remove_sublimated else "kept"
        typer.echo(
            f"{hot} of {len(shells)} shells have grains that are hotter than they "
            f"survive (column sublimated, a share of the mass); these are {fate}."
        )
    moving = 0
    if "is_settled" in shells.colnames:
        moving = int(np.count_nonzero(~np.asarray(shells["is_settled"])))
    if moving:
        typer.echo(
            f"{moving} of {len(shells)} shells have not settled (column is_settled): "
            "their clumps hold light too long, and temperatures may be off by some "
            "per cent."
        )
    typer.echo(f"Shells: {out / ROWS}; spectra: {out / SPECTRA}")
