"""`grainlight calibrate`: what observations that a model makes look like."""

from pathlib import Path
from typing import Annotated

import jax.random as jr
import typer

from grainlight.catalog import calibrate_belonging
from grainlight.cli.progress import progress_bar
from grainlight.estimators.belonging import FILE
from grainlight.estimators.shell_model import ShellModel


def calibrate(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a model with an amortized posterior.")
    ],
    objects: Annotated[
        int, typer.Option(min=1, help="Simulated objects, in thousands at best.")
    ] = 6_000,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of every random number.")
    ] = 1,
) -> None:
    """Fit simulated objects, which every other one is laid beside from then on.

    `grainlight fit` and `grainlight catalog` then say how usual an object is. The same
    command goes on where it was interrupted.
    """
    model = ShellModel.load(folder)
    with progress_bar("fitting simulated objects (the first compile)") as progress:
        found = calibrate_belonging(
            jr.key(seed), model, folder, objects, progress=progress
        )
    typer.echo(f"{len(found)} objects were answered: {folder / FILE}")
