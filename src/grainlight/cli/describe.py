"""`grainlight describe`: the card of a data set, in numbers and figures."""

from pathlib import Path
from typing import Annotated

import typer

from grainlight.cli.progress import progress_bar
from grainlight.datasets import Dataset, describe_dataset
from grainlight.photometry import jwst_filters
from grainlight.report import CARD_FILES, new_folder, write_card


def describe(
    data: Annotated[Path, typer.Argument(help="Folder made by `grainlight simulate`.")],
    out: Annotated[Path, typer.Option(help="Folder of the card.")],
    variants: Annotated[
        int, typer.Option(min=1, help="Redshifts drawn for each parent.")
    ] = 20,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a card that is there.")
    ] = False,
) -> None:
    """Describe a data set: magnitudes, parameters, what is undetected, variants."""
    dataset = Dataset.open(data)
    with new_folder(out, CARD_FILES, overwrite=overwrite) as folder:
        with progress_bar("reading parents") as progress:
            card = describe_dataset(
                dataset, jwst_filters(), variants=variants, progress=progress
            )
        write_card(card, folder)
    even = card.luminosity.evenness()
    typer.echo(
        f"{card.num_parents} parents, {card.num_rows} rows; even in log luminosity "
        f"with p = {even.pvalue:.2g}. The card is in {out}"
    )
