"""`grainlight fit`: the posterior of the dust around observed objects."""

import math
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from grainlight.cli.progress import progress_bar
from grainlight.core import ParameterError, Status
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import read_observations
from grainlight.report import run_fits, tabulate_posterior, trust_of
from grainlight.report.folder import FILES, check_folder
from grainlight.report.table import STYLES, write_reasons, write_trust
from grainlight.sampling.fit import Fit, FitSettings
from grainlight.sampling.prior import PriorChoice


def fit(
    file: Annotated[Path, typer.Argument(help="Photometry: ECSV or CSV.")],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    model: Annotated[
        str, typer.Option(help="Packaged model by name, or a folder.")
    ] = "ccsn-dust",
    prior: Annotated[
        str, typer.Option(help="thesis2023, ansari2022, or a TOML file.")
    ] = "thesis2023",
    clumps: Annotated[
        bool,
        typer.Option(
            "--clumps", help="Shells with clumps, that fill up to half of them."
        ),
    ] = False,
    floor: Annotated[
        float, typer.Option(help="Model error of every band, fraction of its flux.")
    ] = 0.05,
    method: Annotated[
        Literal["ladder", "annealed", "nuts"],
        typer.Option(help="Amortized draws first, or chains of one kind alone."),
    ] = "ladder",
    num_draws: Annotated[int, typer.Option(help="Draws of each chain.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 1,
    unit: Annotated[
        str | None, typer.Option(help="Unit of flux, where the file states none.")
    ] = None,
    redshift: Annotated[float | None, typer.Option(help="Redshift.")] = None,
    distance: Annotated[
        float | None, typer.Option(help="Luminosity distance [Mpc].")
    ] = None,
    distance_err: Annotated[
        float | None, typer.Option(help="Its standard error [Mpc].")
    ] = None,
    galactic_av: Annotated[
        float | None, typer.Option(help="Galactic extinction still in the data [mag].")
    ] = None,
    limit_sigma: Annotated[
        float | None, typer.Option(help="Sigmas that upper limits stand for.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there.")
    ] = False,
) -> None:
    """Fit photometry and write posterior, summary, figures and settings.

    Exit status: 0 if every object has a posterior whose chains passed all checks, 1 if
    some have not, 2 for bad input, with nothing written.
    """
    check_folder(out, FILES, overwrite=overwrite)
    if not 0 <= seed < 2**32:
        raise ParameterError(f"Expected a seed from 0 to 2^32 - 1; got {seed}.")
    choice = PriorChoice.read(prior)
    settings = FitSettings(
        prior=choice.with_clumps() if clumps else choice,
        floor=floor,
        method=method,
        num_draws=num_draws,
    )
    reading = {
        "unit": unit,
        "redshift": redshift,
        "distance": distance,
        "distance_err": distance_err,
        "galactic_av": galactic_av,
        "limit_sigma": limit_sigma,
    }
    for option, value in reading.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(
                f"Expected a finite --{option.replace('_', '-')}; got {value}. Leave "
                "the option out if it is not known."
            )
    table = read_observations(file, **reading)
    with progress_bar("sampling (the first run compiles)") as progress:
        run = run_fits(
            seed,
            ShellModel.load(model),
            table,
            out,
            settings,
            source=file,
            reading=reading,
            overwrite=overwrite,
            progress=progress,
        )
    console = Console()
    for one in run.fits:
        _print(console, one)
    for name, why in run.failures.items():
        _say(console, f"{name}: {why}", "red")
    _say(console, f"Prior: {settings.prior.words}. Results: {out}")
    raise typer.Exit(code=0 if run.num_failed == 0 else 1)


def _print(console: Console, fit: Fit) -> None:
    name = fit.observation.name
    if fit.samples is None or bool(fit.status == Status.nonfinite):
        _say(console, f"{name}: {fit.message or Status[fit.status]}", "red")
        return
    console.print(tabulate_posterior(fit.samples, title=name))
    trust = trust_of(fit)
    _say(console, write_trust(trust), STYLES[trust.verdict])
    for reason in write_reasons(trust):
        _say(console, f"  - {reason}")


def _say(console: Console, words: str, style: str | None = None) -> None:
    """Print words as they are: names may hold what looks like markup."""
    console.print(Text(words), style=style, soft_wrap=True)
