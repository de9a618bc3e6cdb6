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
import re
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from grainlight.dust import mixture_opacity, species
from grainlight.transfer import Shell, ShellGeometry, solve_shell, wavelength_grid

REFERENCE = Path(__file__).parents[1] / "tests/reference/mocassin_smooth.json"
POINTS, SUBCELLS = 33, 6
FIRST, FIRST_STEPS = 150_000, 3
LAST, LAST_STEPS = 1_300_000, 2
FILES = {"silicate_dl": "sil-dlee.nk", "carbon_hanner": "amC-hann.nk"}
REPEATS = 20

INPUT = """contShape blackbody
TStellar {source_temperature_k}
LStar {luminosity}
nPhotons {packets}
maxIterateMC {steps} 100.
convLimit 0.02
Ndust file 'input/ndust.dat'
dustFile 'input/species.dat' 'input/sizes.dat'
dustMass {dust_mass_msun}
Rin {smallest}
Rout {largest}
nuMax 15.
nuMin 1.0e-5
nebComposition noGas
noPhotoelectric
output
"""


def density_grid(inner: float, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Axis, in outer radii, and cell densities; the outermost layer is empty."""
    half = POINTS // 2
    step = 1 / (half - 1)
    axis = np.arange(-half, half + 1) * step
    offset = ((np.arange(SUBCELLS) + 0.5) / SUBCELLS - 0.5) * step
    cell = np.array(np.meshgrid(axis, axis, axis, indexing="ij"))
    total = np.zeros(cell.shape[1:])
    for shift in np.array(np.meshgrid(offset, offset, offset)).reshape(3, -1).T:
        radius = np.sqrt(((cell + shift[:, None, None, None]) ** 2).sum(axis=0))
        inside = (radius >= inner) & (radius <= 1)
        total += np.where(inside, np.maximum(radius, inner) ** -power, 0)
    return axis, total / total.max()


def write_input(folder: Path, given: dict) -> None:
    """The input files of a smooth shell."""
    for name in ("input", "output"):
        (folder / name).mkdir()
    outer = given["outer_radius_cm"]
    axis, density = density_grid(given["inner"], given["density_power"])
    places = np.meshgrid(axis * outer, axis * outer, axis * outer, indexing="ij")
    columns = np.stack([place.ravel() for place in (*places, density)], axis=1)
    with (folder / "input/ndust.dat").open("w") as stream:
        stream.write(f"# {POINTS} {POINTS} {POINTS}\n")
        np.savetxt(stream, columns, fmt="%.6e")
    shares = given["mass_fraction"]
    number = {name: share / species(name).density for name, share in shares.items()}
    lines = [
        f"'dustData/{FILES[name]}' {value / sum(number.values()):.6f}\n"
        for name, value in number.items()
    ]
    (folder / "input/species.dat").write_text(f"{len(lines)}\n" + "".join(lines))
    size = f"1\n1 {given['grain_radius_um']} 1.0\n"
    (folder / "input/sizes.dat").write_text(size)
    text = INPUT.format(
        **given,
        luminosity=given["luminosity_lsun"] * 3.828e33 / 1e36,
        packets=FIRST,
        steps=FIRST_STEPS,
        smallest=0.1 * given["inner"] * outer,
        largest=1.2 * outer,
    )
    (folder / "input/input.in").write_text(text)


def edit(path: Path, pattern: str, replacement: str) -> None:
    """Replace what must be there in a file."""
    text, count = re.subn(pattern, replacement, path.read_text())
    if count == 0:
        raise SystemExit(f"Expected {pattern!r} in {path.name} of MOCASSIN; got none.")
    path.write_text(text)


def run_mocassin(given: dict) -> tuple[float, float]:
    """CPU seconds of one shell, and the luminosity it found over that of the star."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_input(folder, given)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["mocassin"], cwd=folder, check=True, capture_output=True)
        output = folder / "output"
        # the warm start goes on with more packets from the temperatures found
        edit(output / "grid3.out", r"\d+( +100\.0+ +maxIterateMC)", rf"{LAST_STEPS}\1")
        edit(output / "photoSource.out", rf" {FIRST} ", f" {LAST} ")
        subprocess.run(["mocassinWarm"], cwd=folder, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = (output / "SED.out").read_text()
    total = float(re.search(r"radiated out .*?:\s+([\d.E+]+)", text).group(1))
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, total * 1e36 / (given["luminosity_lsun"] * 3.828e33)


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
