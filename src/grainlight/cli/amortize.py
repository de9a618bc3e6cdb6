"""`grainlight amortize`: the posterior of a trained model in one pass."""

from pathlib import Path
from typing import Annotated

import jax.random as jr
import typer

from grainlight.core import ModelError
from grainlight.estimators import TrainingSettings
from grainlight.estimators.amortized_training import (
    AmortizedSizes,
    train_shell_posterior,
)
from grainlight.estimators.shell_model import POSTERIOR, ShellModel


def amortize(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a model, as `grainlight train` makes it.")
    ],
    minutes: Annotated[float, typer.Option(help="Time limit [minutes].")] = 45.0,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of every random number.")
    ] = 1,
    prior: Annotated[
        str, typer.Option(help="Prior of the shells: thesis2023 or ansari2022.")
    ] = "thesis2023",
    draws: Annotated[
        int, typer.Option(min=1, help="Draws from the prior, each seen many times.")
    ] = 1_000_000,
    batch_size: Annotated[int, typer.Option(help="Objects a step.")] = 512,
    onward: Annotated[
        bool, typer.Option("--onward", help="Start from the posterior that is there.")
    ] = False,
) -> None:
    """Train the amortized posterior of smooth shells under a trained model.

    Observations are drawn afresh in every step. `grainlight fit` then starts from it.
    The same command goes on where it was interrupted.
    """
    model = ShellModel.load(folder)
    if onward and model.posterior is None:
        raise ModelError(
            f"Expected a model with an amortized posterior in {folder}; it has none. "
            "Leave out --onward."
        )
    settings = TrainingSettings(
        num_epochs=1000,
        batch_size=batch_size,
        learning_rate=8e-4 if onward else 1e-3,
        time_limit_s=60 * minutes,
        anneal_fraction=0.1,
    )
    trained = train_shell_posterior(
        jr.key(seed),
        model,
        folder,
        settings,
        prior=prior,
        sizes=AmortizedSizes(num_draws=draws),
        start=model.posterior if onward else None,
        progress=True,
    )
    record = trained.record
    if record.stopped == "interrupted":
        raise KeyboardInterrupt
    typer.echo(
        f"Trained for {record.num_steps} steps to a loss of {record.best_loss:.3f}; "
        f"the posterior is in {folder / POSTERIOR}"
    )
