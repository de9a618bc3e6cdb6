"""`grainlight train`: the likelihood of a simulated data set."""

import math
from pathlib import Path
from typing import Annotated

import jax.random as jr
import typer

from grainlight.datasets import Dataset
from grainlight.estimators import TrainingSettings
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.shell_training import Sizes, train_shell_model


def train(
    data: Annotated[
        list[Path], typer.Argument(help="Folders made by `grainlight simulate`.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the model; a rerun resumes.")],
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of every random number.")
    ] = 1,
    epochs: Annotated[int, typer.Option(help="Most passes over the data.")] = 200,
    minutes: Annotated[
        float, typer.Option(help="Time limit of the likelihood [minutes].")
    ] = math.inf,
    batch_size: Annotated[int, typer.Option(help="Pairs a step.")] = 256,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-3,
    width: Annotated[
        int, typer.Option(min=1, help="Width of the network's blocks.")
    ] = 128,
    blocks: Annotated[int, typer.Option(min=1, help="Number of its blocks.")] = 4,
    variants: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="Redshifts of each parent; repeated, for every folder. [4]"
        ),
    ] = None,
    smooth: Annotated[
        str | None,
        typer.Option(
            help="Trained model of smooth shells, in place of a folder of such."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of the rows of a large data set; else in --out."),
    ] = None,
) -> None:
    """Train likelihood, dust temperature and joint prior on simulated parents.

    Smooth shells and such with clumps are two folders: simulate them apart, and give
    both. What clumps change is learned beside smooth shells, in ten minutes or so.
    """
    settings = TrainingSettings(
        num_epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        time_limit_s=60 * minutes,
        anneal_fraction=0.5,
    )
    model = train_shell_model(
        jr.key(seed),
        [Dataset.open(folder) for folder in data],
        out,
        settings,
        smooth=None if smooth is None else ShellModel.load(smooth),
        sizes=Sizes(widths=(width,) * blocks, variants=tuple(variants or (4,))),
        cache=cache,
        progress=True,
    )
    words = f"Trained on {model.meta['num_parents']} parents"
    if model.clumps is not None:
        words += f" and {model.clumps.meta['num_parents']} with clumps"
    typer.echo(f"{words}; the model is in {out}")
