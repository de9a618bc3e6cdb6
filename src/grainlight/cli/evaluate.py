"""`grainlight evaluate`: how good a trained model is on simulations."""

from pathlib import Path
from typing import Annotated

import typer

from grainlight.cli.progress import progress_bar
from grainlight.datasets import Dataset
from grainlight.estimators.shell_model import ShellModel
from grainlight.report import EVALUATION_FILES, Evaluation, run_evaluation
from grainlight.report.folder import check_folder
from grainlight.sampling.fit import FitSettings


def evaluate(
    model: Annotated[str, typer.Argument(help="Packaged model by name, or a folder.")],
    data: Annotated[Path, typer.Argument(help="Folder made by `grainlight simulate`.")],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    objects: Annotated[
        int,
        typer.Option(min=0, help="Simulated objects to fit: 20 or more, or none."),
    ] = 0,
    clumps: Annotated[
        bool,
        typer.Option(
            "--clumps",
            help="Shells with clumps; without it they are taken for smooth ones.",
        ),
    ] = False,
    floor: Annotated[
        float, typer.Option(help="Model error of every band, fraction of its flux.")
    ] = 0.05,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 4, help="Seed of every random number.")
    ] = 7,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there.")
    ] = False,
) -> None:
    """Judge a model on the test split of a data set: errors, calibration, posteriors.

    The objects whose posteriors are judged are of the prior thesis2023.
    """
    check_folder(out, EVALUATION_FILES, overwrite=overwrite)
    settings = FitSettings(floor=floor)
    with progress_bar("reading, then sampling") as progress:
        found = run_evaluation(
            seed,
            ShellModel.load(model),
            Dataset.open(data),
            out,
            num_objects=objects,
            clumps=clumps,
            settings=settings,
            overwrite=overwrite,
            progress=progress,
        )
    for line in _lines(found):
        typer.echo(line)
    typer.echo(f"Results: {out}")


def _lines(found: Evaluation) -> list[str]:
    accuracy, losses = found.likelihood.accuracy, found.likelihood.losses
    reliability = found.likelihood.reliability["all bands with errors"]
    shells = "shells with clumps, as if smooth" if found.as_smooth else "shells"
    lines = [
        f"{len(found.pairs)} {shells}: NLL {accuracy.nll:.3f} +- "
        f"{accuracy.nll_error:.3f} nats, {losses.beyond[1]:.2%} far outliers",
        f"Reliability with errors of 0.05 mag: p = {reliability.pvalue:.2g}, largest "
        f"gap {reliability.largest_gap:+.3f}",
    ]
    posteriors = found.posteriors
    if posteriors is not None:
        ended = ", ".join(f"{n} {name}" for name, n in posteriors.status.items())
        lines += [
            f"{posteriors.num_objects} posteriors: {ended}; "
            f"{posteriors.seconds:.2g} s each",
            f"Calibration: ranks p = {posteriors.ranks.adjusted_pvalue.min():.2g}, "
            f"density ranks p = {posteriors.density.histogram().pvalue:.2g}, "
            f"random points p = {posteriors.expected.pvalue:.2g}",
        ]
    return lines
