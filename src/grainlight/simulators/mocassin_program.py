"""The programs of MOCASSIN: found, started, gone on with, and stopped together."""

import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from grainlight.core import SimulatorError, SimulatorMissingError

COLD, WARM = "mocassin", "mocassinWarm"
LOG, SPECTRUM = "log.txt", "SED.out"
WORDS = 300


class Children:
    """The programs that run now, so that all can be stopped together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._stopped = False

    def run(self, program: str, folder: Path) -> float:
        """Run a program of MOCASSIN in a folder to its end; gives its CPU seconds.

        Raises:
            SimulatorError: It ended with an error, or was stopped.
        """
        with (folder / LOG).open("ab") as log, self._lock:
            if self._stopped:
                raise SimulatorError("Expected to go on; got the sign to stop.")
            process = subprocess.Popen(
                [program],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            self._running.add(process.pid)
        # it is not reaped outside the lock, so that no other process gets its number
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            _, status, usage = os.wait4(process.pid, 0)
            self._running.discard(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SimulatorError(
                f"Expected {program} to end well; got exit status "
                f"{process.returncode}, and last words: {last_words(folder)}"
            )
        return usage.ru_utime + usage.ru_stime

    @property
    def stopped(self) -> bool:
        """Whether all were told to stop."""
        return self._stopped

    def stop(self) -> None:
        """Kill all that run, and start no more."""
        with self._lock:
            self._stopped = True
            for pid in self._running:
                os.kill(pid, signal.SIGKILL)


def require_mocassin() -> None:
    """Raise `SimulatorMissingError` where MOCASSIN is not installed."""
    missing = [name for name in (COLD, WARM) if shutil.which(name) is None]
    if missing:
        raise SimulatorMissingError(
            f"Expected the program {' and '.join(missing)}; got none on the search "
            "path. Install MOCASSIN: apt-get install mocassin mocassin-data"
        )


def cold_start(folder: Path, children: Children | None = None) -> float:
    """Run `mocassin` on the input files of a folder; gives its CPU seconds."""
    seconds = (children or Children()).run(COLD, folder)
    for name in ("grid3.out", "photoSource.out", SPECTRUM):
        if not (folder / "output" / name).exists():
            raise SimulatorError(
                f"Expected {name} from {COLD}; got none. Its last words: "
                f"{last_words(folder)}"
            )
    return seconds


def warm_start(
    folder: Path, packets: int, steps: int, children: Children | None = None
) -> float:
    """Go on from the temperatures of the run in a folder; gives its CPU seconds.

    Args:
        folder: Where a run has ended.
        packets: Energy packets of each iteration.
        steps: Number of iterations.
        children: The programs that run now.
    """
    output = folder / "output"
    _edit(output / "grid3.out", r"\d+( +[\d.]+ +maxIterateMC)", rf"{steps}\1")
    source = r"(?m)^( *'[^']*' +\S+ +\S+ +)\d+"
    _edit(output / "photoSource.out", source, rf"\g<1>{packets}")
    return (children or Children()).run(WARM, folder)


def _edit(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text())
    if count != 1:
        raise SimulatorError(
            f"Expected {pattern!r} once in {path.name} of MOCASSIN; got it {count} "
            "times. Install MOCASSIN 2.02."
        )
    path.write_text(text)


def last_words(folder: Path) -> str:
    """The end of what MOCASSIN said in a folder."""
    try:
        text = (folder / LOG).read_text(errors="replace")
    except OSError:
        return "none"
    return " ".join(text.split())[-WORDS:] or "none"
