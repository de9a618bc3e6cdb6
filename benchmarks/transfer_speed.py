"""CPU seconds a shell: this engine against MOCASSIN, on the same shells, in one run.

    python benchmarks/transfer_speed.py [--shells S01,C01,M01] [--json FILE]

MOCASSIN (Debian packages `mocassin` and `mocassin-data`) runs each shell as the frozen
reference did: a full three-dimensional grid of 33 points an axis, densities averaged
over 6^3 points a cell, three iterations of 1.5e5 packets for the temperatures and two
of 1.3e6 for 1 % noise a wavelength bin. CPU time is that of the child processes.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from grainlight.dust import mixture_opacity
from grainlight.simulators import (
    MocassinSettings,
    MocassinShell,
    read_record,
    run_shell,
)
from grainlight.transfer import Shell, ShellGeometry, solve_shell, wavelength_grid

REFERENCE = Path(__file__).parents[1] / "tests/reference/mocassin_smooth.json"
REPEATS = 20


def run_mocassin(given: dict) -> tuple[float, float]:
    """CPU seconds of one shell, and the luminosity it found over that of the star."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        run_shell(folder, asked(given), MocassinSettings())
        record = read_record(folder)
    return record.cpu_seconds, record.energy


def asked(given: dict) -> MocassinShell:
    """A shell of the frozen reference, as MOCASSIN is asked for it."""
    return MocassinShell(
        given["luminosity_lsun"],
        given["source_temperature_k"],
        given["dust_mass_msun"],
        given["outer_radius_cm"],
        given["grain_radius_um"],
        given["mass_fraction"],
        ShellGeometry(given["inner"], given["density_power"]),
    )


def run_engine(given: dict) -> float:
    """CPU seconds of one shell, opacities included, once everything is compiled."""

    def solve() -> None:
        opacity = mixture_opacity(
            given["mass_fraction"], given["grain_radius_um"], wavelength_grid()
        )
        geometry = ShellGeometry(given["inner"], given["density_power"])
        solve_shell(
            Shell(
                given["luminosity_lsun"],
                given["source_temperature_k"],
                given["dust_mass_msun"],
                given["outer_radius_cm"],
                opacity,
                geometry,
            )
        )

    solve()
    start = time.process_time()
    for _ in range(REPEATS):
        solve()
    return (time.process_time() - start) / REPEATS


def main() -> None:
    """Time the shells and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shells", default="S01,C01,M01", help="names, with commas")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args()
    stored = json.loads(REFERENCE.read_text())["shells"]
    shells = {shell["name"]: shell for shell in stored}
    real = shutil.which("mocassin") is not None
    if not real:
        print("MOCASSIN is not installed: only this engine is timed.")
    rows = []
    print(f"{'shell':6} {'ours [ms]':>10} {'MOCASSIN [s]':>13} {'ratio':>7}")
    for name in given.shells.split(","):
        ours = run_engine(shells[name])
        theirs, total = run_mocassin(shells[name]) if real else (np.nan, np.nan)
        ratio = theirs / ours
        print(f"{name:6} {1e3 * ours:10.2f} {theirs:13.1f} {ratio:7.0f}", flush=True)
        rows.append(
            {
                "shell": name,
                "ours_s": ours,
                "mocassin_s": theirs,
                "ratio": ratio,
                "mocassin_energy": total,
            }
        )
    total = sum(row["mocassin_s"] for row in rows) / sum(row["ours_s"] for row in rows)
    print(f"all shells: {total:.0f} times less CPU time, and no noise")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
