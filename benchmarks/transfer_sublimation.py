"""Grains hotter than they survive: this engine beside MOCASSIN, iteration by iteration.

    python benchmarks/transfer_sublimation.py [--steps 4]

MOCASSIN (Debian packages `mocassin` and `mocassin-data`) leaves out, in every
iteration, the grains that were too hot in the one before. In a shell of silicate alone
that swings: without the inner grains less light comes back, so that they would survive,
and are there again. Printed are the states after six iterations and each one more, in
a full three-dimensional grid, against this engine without and with removal, in which
the innermost grains are as hot as they survive.
"""

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import transfer_speed as runs

from grainlight.dust import mixture_opacity
from grainlight.transfer import Shell, ShellGeometry, solve_shell, wavelength_grid

STEPS_BEFORE = 6
BANDS = (0.7, 1, 2, 4, 8, 13, 20, 26)  # um
PARSEC, JANSKY = 3.0857e18, 1e-23
SHELL = {
    "source_temperature_k": 4100.0,
    "luminosity_lsun": 2.03e8,
    "dust_mass_msun": 1.7e-4,
    "outer_radius_cm": 1.59e16,
    "grain_radius_um": 0.66,
    "mass_fraction": {"silicate_dl": 1.0},
    "inner": 0.8,
    "density_power": 0.0,
}


def in_bands(wave: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Mean light in broad bands; both per unit frequency."""
    weight = np.abs(np.gradient(1 / wave))
    return np.array(
        [
            np.average(light[chosen], weights=weight[chosen])
            for low, high in zip(BANDS[:-1], BANDS[1:], strict=True)
            for chosen in [(wave >= low) & (wave < high)]
        ]
    )


def ours(remove_sublimated: bool) -> tuple[np.ndarray, float]:
    """Light in the bands [Jy pc^2] and the temperature of the innermost grains [K]."""
    opacity = mixture_opacity(
        SHELL["mass_fraction"], SHELL["grain_radius_um"], wavelength_grid()
    )
    shell = Shell(
        SHELL["luminosity_lsun"],
        SHELL["source_temperature_k"],
        SHELL["dust_mass_msun"],
        SHELL["outer_radius_cm"],
        opacity,
        ShellGeometry(SHELL["inner"]),
    )
    answer = solve_shell(shell, remove_sublimated=remove_sublimated)
    light = answer.luminosity / (4 * np.pi * PARSEC**2 * JANSKY)
    return in_bands(answer.wave, light), float(answer.sublimated[0])


def read_spectrum(path: Path) -> np.ndarray:
    """Light in the bands of a finished iteration [Jy pc^2]."""
    rows = [line.split() for line in path.read_text().splitlines()]
    number = re.compile(r"[\d.]+(E[+-]\d+)?$")
    table = [row[:3] for row in rows if len(row) >= 3 and all(map(number.match, row))]
    _, wave, light = np.array(table, float).T
    return in_bands(wave, light)


def main() -> None:
    """Print the states."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4, help="iterations beyond six")
    given = parser.parse_args()
    (kept, hot), (cleared, gone) = ours(False), ours(True)
    print(f"ours: {hot:.0%} of the mass too hot if kept, {gone:.0%} gone if removed")
    print("ours with removal minus ours without [mag], bands of")
    names = [f"{a:g}-{b:g}" for a, b in zip(BANDS[:-1], BANDS[1:], strict=True)]
    print(f"{'':32}" + " ".join(f"{name:>7}" for name in names) + " um")
    change = -2.5 * np.log10(cleared / kept)
    print(f"{'':32}" + " ".join(f"{value:7.3f}" for value in change))
    if shutil.which("mocassin") is None:
        print("MOCASSIN is not installed: only this engine has run.")
        return
    runs.FIRST_STEPS = STEPS_BEFORE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        output = folder / "output"
        runs.write_input(folder, SHELL)
        subprocess.run(["mocassin"], cwd=folder, check=True, capture_output=True)
        first, last = f" {runs.FIRST} ", f" {runs.LAST} "
        for step in range(STEPS_BEFORE + 1, STEPS_BEFORE + 1 + given.steps):
            runs.edit(output / "grid3.out", r"\d+( +100\.0+ +maxIterateMC)", r"1\1")
            runs.edit(output / "photoSource.out", f"{first}|{last}", last)
            subprocess.run(
                ["mocassinWarm"], cwd=folder, check=True, capture_output=True
            )
            theirs = read_spectrum(output / "SED.out")
            for what, light in (("removal", cleared), ("no removal", kept)):
                off = " ".join(f"{v:7.3f}" for v in -2.5 * np.log10(light / theirs))
                print(f"ours, {what:10} minus iteration {step:2d} {off}", flush=True)


if __name__ == "__main__":
    main()
