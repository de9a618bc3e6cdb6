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
import shutil
import tempfile
from pathlib import Path

import numpy as np
from transfer_speed import asked

from grainlight.dust import mixture_opacity
from grainlight.simulators.mocassin_input import MocassinSettings, write_input
from grainlight.simulators.mocassin_output import read_spectrum
from grainlight.simulators.mocassin_program import SPECTRUM, cold_start, warm_start
from grainlight.transfer import Shell, ShellGeometry, solve_shell, wavelength_grid

STEPS_BEFORE = 6
BANDS = (0.7, 1, 2, 4, 8, 13, 20, 26)  # um
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
    """Light in the bands [erg/s/Hz] and the temperature of the innermost grains [K]."""
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
    return in_bands(answer.wave, answer.luminosity), float(answer.sublimated[0])


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
    settings = MocassinSettings(first_steps=STEPS_BEFORE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_input(folder, asked(SHELL), settings)
        cold_start(folder)
        for step in range(STEPS_BEFORE + 1, STEPS_BEFORE + 1 + given.steps):
            warm_start(folder, settings.last_packets, steps=1)
            spectrum = read_spectrum(folder / "output" / SPECTRUM)
            theirs = in_bands(spectrum.wave, spectrum.luminosity)
            for what, light in (("removal", cleared), ("no removal", kept)):
                off = " ".join(f"{v:7.3f}" for v in -2.5 * np.log10(light / theirs))
                print(f"ours, {what:10} minus iteration {step:2d} {off}", flush=True)


if __name__ == "__main__":
    main()
