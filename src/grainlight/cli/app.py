"""The command `grainlight` and how its errors end."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import jax
import typer

from grainlight.cli.amortize import amortize
from grainlight.cli.calibrate import calibrate
from grainlight.cli.catalog import catalog
from grainlight.cli.chains import combine, marginal, tension
from grainlight.cli.describe import describe
from grainlight.cli.evaluate import evaluate
from grainlight.cli.filters import list_filters
from grainlight.cli.fit import fit
from grainlight.cli.import_grid import import_own
from grainlight.cli.mocassin import mocassin
from grainlight.cli.reproduce import reproduce
from grainlight.cli.simulate import simulate
from grainlight.cli.train import train
from grainlight.core import GrainlightError

INTERRUPTED = (
    "interrupted. Nothing half-written is left; `simulate`, `train`, `amortize`, "
    "`calibrate`, `catalog`, `reproduce` and `mocassin` go on when the same command is "
    "given again."
)

#: Callback of JAX on garbage collection, in which an exception is lost.
LOSES_EXCEPTIONS = "_xla_gc_callback"

app = typer.Typer(
    help="Posteriors of dust from broadband photometry.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(fit)
app.command()(simulate)
app.command()(describe)
app.command()(train)
app.command()(amortize)
app.command()(calibrate)
app.command()(catalog)
app.command()(evaluate)
app.command()(reproduce)
app.command()(mocassin)
app.command()(marginal)
app.command()(combine)
app.command()(tension)
app.command("import")(import_own)
app.command("filters")(list_filters)


def _keep_programs() -> None:
    """Keep compiled programs between runs, where the user keeps caches."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "grainlight" / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _multiply_in_full() -> None:
    """Let a GPU multiply matrices in all 32 bits; by itself it takes 19 of them."""
    if "JAX_DEFAULT_MATMUL_PRECISION" not in os.environ:
        jax.config.update("jax_default_matmul_precision", "highest")


def main() -> None:
    """Run the command line; bad input ends with one message and exit status 2."""
    _keep_programs()
    _multiply_in_full()
    _watch_signals()
    try:
        app()
    except GrainlightError as error:
        _end(str(error), 2)
    except OSError as error:
        place = f" at {error.filename}" if error.filename else ""
        reason = error.strerror or str(error)
        _end(
            f"Expected files that can be read and written; got: {reason}{place}. Check "
            "the path, its permissions and the free space.",
            2,
        )
    except KeyboardInterrupt:
        _end(INTERRUPTED, 130)
    except SystemExit as end:
        if end.code in (130, 143):
            print(f"grainlight: {INTERRUPTED}", file=sys.stderr)
        raise


def _end(message: str, status: int) -> NoReturn:
    print(f"grainlight: {message}", file=sys.stderr)
    raise SystemExit(status) from None


def _watch_signals() -> None:
    """Let Ctrl-C and a kill end the run by an exception, so that it tidies up."""
    asked = {"number": signal.SIGINT}

    def stop(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGALRM:
            asked["number"] = signal.Signals(number)
        if frame is not None and frame.f_code.co_name == LOSES_EXCEPTIONS:
            signal.setitimer(signal.ITIMER_REAL, 0.05)  # ask again
            return
        if asked["number"] == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, stop)
