"""`grainlight reproduce`: a published study, remade from data to figures."""

from pathlib import Path
from typing import Annotated

import typer

from grainlight.cli.progress import progress_bar
from grainlight.report import ReproductionRecipe, write_reproduction
from grainlight.report import reproduce as remake


def reproduce(
    study: Annotated[str, typer.Argument(help="Name of the study: thesis.")],
    out: Annotated[Path, typer.Option(help="Folder of the results; a rerun resumes.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder made by `grainlight simulate`; else simulated here."),
    ] = None,
    parents: Annotated[
        int | None, typer.Option(min=100, help="Simulated shells to use.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Time limit of a network [minutes].")
    ] = None,
    objects: Annotated[
        int | None, typer.Option(min=1, help="Test objects of the largest run.")
    ] = None,
    chain_minutes: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Minutes after which a run begins no batch; 0: none at all."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=8, help="Rows of a training step.")
    ] = None,
    together: Annotated[
        int | None, typer.Option(min=1, help="Objects that are sampled together.")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Only this family; may be repeated.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes of the simulation.")
    ] = None,
) -> None:
    """Remake the tables and figures of a study; what is done is not done again."""
    recipe = ReproductionRecipe.named(study).sized(
        parents=parents,
        minutes=minutes,
        objects=objects,
        chain_minutes=chain_minutes,
        batch_size=batch_size,
        together=together,
        only=tuple(family or ()),
    )
    made = remake(recipe, out, data, progress_bar, workers=workers)
    for line in write_reproduction(made):
        typer.echo(line)
    typer.echo(f"Results: {out}")
