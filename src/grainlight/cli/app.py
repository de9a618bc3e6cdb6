"""The command `grainlight` and how its errors end."""

import os
import sys
from pathlib import Path

import jax
import typer

from grainlight.cli.filters import list_filters
from grainlight.cli.fit import fit
from grainlight.cli.simulate import simulate
from grainlight.cli.train import train
from grainlight.core import GrainlightError

app = typer.Typer(
    help="Posteriors of dust from broadband photometry.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(fit)
app.command()(simulate)
app.command()(train)
app.command("filters")(list_filters)


def _keep_programs() -> None:
    """Keep compiled programs between runs, where the user keeps caches."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = base / "grainlight" / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def main() -> None:
    """Run the command line; bad input ends with one message and exit status 2."""
    _keep_programs()
    try:
        app()
    except GrainlightError as error:
        print(f"grainlight: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("grainlight: interrupted; nothing half-written is left.", file=sys.stderr)
        raise SystemExit(130) from None
