"""`grainlight marginal`, `combine` and `tension`: anyone's chains in, answers out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from grainlight.core import ParameterError
from grainlight.marginal import Joint, Measured
from grainlight.report import (
    ChainOptions,
    TensionRun,
    run_combine,
    run_marginal,
    run_tension,
)

Kind = Literal["autoregressive", "coupling", "kernel"]
Out = Annotated[Path, typer.Option(help="Folder of the results.")]
Names = Annotated[str, typer.Option(help="Parameters to keep, apart by commas.")]
Bounds = Annotated[
    list[str] | None,
    typer.Option(help="Bounds of the prior: name=low:high; inf where there is none."),
]
Prior = Annotated[
    Path | None, typer.Option(help="Chains of the prior, if it is not uniform.")
]
KindOption = Annotated[Kind, typer.Option(help="What densities are made of.")]
BurnIn = Annotated[
    float,
    typer.Option(min=0, max=0.9, help="Part left out of the start of getdist chains."),
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 4, help="Seed of every random number.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace results that are there.")
]


def marginal(
    chains: Annotated[list[Path], typer.Argument(help="Files of weighted draws.")],
    out: Out,
    parameters: Names = "",
    bounds: Bounds = None,
    prior: Prior = None,
    kind: KindOption = "autoregressive",
    burn_in: BurnIn = 0.0,
    seed: Seed = 1,
    overwrite: Overwrite = False,
) -> None:
    """Learn marginal posteriors from chains and say how much each has told."""
    options = _options(parameters, bounds, prior, kind, burn_in)
    power = run_marginal(seed, chains, out, options, overwrite=overwrite)
    for line in power.lines():
        typer.echo(line)
    typer.echo(f"Results: {out}")


def combine(
    chains: Annotated[list[Path], typer.Argument(help="Chains, one an experiment.")],
    out: Out,
    parameters: Names = "",
    bounds: Bounds = None,
    prior: Prior = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(help="Log-evidence of each, in order: value or value:error."),
    ] = None,
    kind: KindOption = "autoregressive",
    burn_in: BurnIn = 0.0,
    seed: Seed = 1,
    overwrite: Overwrite = False,
) -> None:
    """Combine experiments that share parameters, counting their prior once."""
    options = _options(parameters, bounds, prior, kind, burn_in)
    known = [_evidence(text) for text in evidence or ()]
    joint = run_combine(seed, chains, out, options, known, overwrite=overwrite)
    for line in _joint_lines(joint, known):
        typer.echo(line)
    typer.echo(f"Results: {out}")
    raise typer.Exit(code=0 if joint.is_trusted else 1)


def tension(
    first: Annotated[Path, typer.Argument(help="Chains of one data set.")],
    second: Annotated[Path, typer.Argument(help="Chains of the other.")],
    out: Out,
    parameters: Names = "",
    bounds: Bounds = None,
    prior: Prior = None,
    simulations: Annotated[
        Path | None,
        typer.Option(help="npz of a, b, observed_a, observed_b, to calibrate with."),
    ] = None,
    kind: KindOption = "autoregressive",
    burn_in: BurnIn = 0.0,
    seed: Seed = 1,
    overwrite: Overwrite = False,
) -> None:
    """Say how far two data sets agree, from their chains alone or calibrated."""
    options = _options(parameters, bounds, prior, kind, burn_in)
    run = run_tension(
        seed, (first, second), out, options, simulations, overwrite=overwrite
    )
    for line in _tension_lines(run):
        typer.echo(line)
    typer.echo(f"Results: {out}")
    raise typer.Exit(code=0 if run.chains.joint.is_trusted else 1)


def _options(
    parameters: str,
    bounds: list[str] | None,
    prior: Path | None,
    kind: Kind,
    burn_in: float,
) -> ChainOptions:
    names = tuple(name.strip() for name in parameters.split(",") if name.strip())
    read = tuple(_bound(text) for text in bounds or ())
    return ChainOptions(names, read, prior, kind, burn_in)


def _bound(text: str) -> tuple[str, float, float]:
    name, _, ends = text.partition("=")
    low, _, high = ends.partition(":")
    try:
        return name, float(low), float(high)
    except ValueError as error:
        raise ParameterError(
            f"Expected bounds as name=low:high; got {text!r}. Write mass=0:10."
        ) from error


def _evidence(text: str) -> Measured:
    value, _, error = text.partition(":")
    try:
        return Measured(float(value), float(error or 0))
    except ValueError as wrong:
        raise ParameterError(
            f"Expected a log-evidence as value or value:error; got {text!r}. Write "
            "-12.3:0.1."
        ) from wrong


def _joint_lines(joint: Joint, known: list[Measured]) -> list[str]:
    theta, weight = joint.chains.theta, joint.chains.weight
    mean = weight @ theta
    spread = (weight @ (theta - mean) ** 2) ** 0.5
    lines = [
        f"{name}: {center:.5g} +- {width:.2g}"
        for name, center, width in zip(joint.chains.names, mean, spread, strict=True)
    ]
    lines.append(f"ln R = {joint.log_ratio}")
    if known:
        lines.append(f"ln Z = {joint.log_evidence}")
    lines.append(f"information {joint.divergence} nats")
    return [*lines, joint.trust]


def _tension_lines(run: TensionRun) -> list[str]:
    found = run.chains
    low, high = found.pvalue_interval
    lines = [
        f"ln R = {found.log_ratio}, depends on the prior",
        f"ln S = {found.log_suspiciousness}, dimensionality {found.dimensionality}",
        f"p = {found.pvalue:.2g} ({low:.2g} .. {high:.2g}), {found.sigma:.2g} sigma",
        found.joint.trust,
    ]
    if run.neural is not None and run.calibrated is not None:
        calibrated = run.calibrated
        lines += [
            f"by simulations: ln R = {calibrated.log_ratio:.3f}, T = "
            f"{calibrated.tension}, C = {calibrated.agreement}",
            f"network: {run.neural.health.verdict}",
        ]
    return lines
