"""What spectra cost: clumps beside MOCASSIN, throughput of workers, their memory.

    python benchmarks/simulation_speed.py [--workers 1,2] [--json FILE]

1. Shells with clumps at the same cells, 43 an axis: CPU seconds of both codes, and the
   noise of both in the bins of MOCASSIN's spectrum from 0.6 to 30 um (median; ours from
   four seeds). Rays and paths are as few as give no more noise than MOCASSIN's.
2. `grainlight simulate` with smooth and with clumpy shells: spectra an hour and memory
   of a worker, by number of workers. Wall time: run it on a quiet machine.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from grainlight.dust import mixture_opacity
from grainlight.simulators import (
    MocassinGrid,
    MocassinSettings,
    MocassinShell,
    read_record,
    read_run,
    run_shell,
)
from grainlight.transfer import (
    Clumps,
    GridSettings,
    Shell,
    shell_density,
    solve_grid,
    wavelength_grid,
)

SHARES = {"silicate_dl": 0.5, "carbon_be": 0.5}
LUMINOSITY, TEMPERATURE, RADIUS, GRAIN = 1e5, 6000.0, 1e16, 0.1
DEPTHS = (0.5, 5.0, 40.0)
FEW = GridSettings(star_rays=20_000, cell_rays=2, least_rays=1, paths=120, more=1)
REPEATS = 4
SEEN = (0.6, 30.0)  # um
SMOOTH, CLUMPY = 3_000, 50  # shells, a worker


def clumpy_row(depth: float) -> dict:
    """One clumpy shell with both codes."""
    opacity = mixture_opacity(SHARES, GRAIN, wavelength_grid())
    unit = Shell(LUMINOSITY, TEMPERATURE, 1.0, RADIUS, opacity).optical_depth(0.55)
    mass = depth / unit
    grid = shell_density(np.random.default_rng(1), mass, RADIUS, None, Clumps(0.2))
    lights = []
    solve_grid(LUMINOSITY, TEMPERATURE, opacity, grid, 0, FEW)  # compile
    started = time.process_time()
    for seed in range(REPEATS):
        answer = solve_grid(LUMINOSITY, TEMPERATURE, opacity, grid, seed, FEW)
        lights.append(answer.luminosity)
    ours = (time.process_time() - started) / REPEATS
    row = {"depth": depth, "ours_s": ours}
    if shutil.which("mocassin") is None:
        return row
    asked = MocassinShell(
        LUMINOSITY,
        TEMPERATURE,
        mass,
        RADIUS,
        GRAIN,
        SHARES,
        grid=MocassinGrid.from_density(grid),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        run_shell(folder, asked, MocassinSettings())
        run, theirs = read_run(folder), read_record(folder).cpu_seconds
    seen = (run.wave > SEEN[0]) & (run.wave < SEEN[1]) & (run.luminosity > 0)
    again = [
        np.exp(np.interp(np.log(run.wave), np.log(answer.wave), np.log(light)))
        for light in lights
    ]
    spread = np.std(again, axis=0, ddof=1) / np.mean(again, axis=0)
    return row | {
        "mocassin_s": theirs,
        "ratio": theirs / ours,
        "our_noise": float(np.median(spread[seen])),
        "mocassin_noise": float(np.median(run.noise[seen])),
    }


def throughput(workers: int, clumpy: bool) -> dict:
    """Spectra an hour and memory of the command line, starting up included."""
    num = (CLUMPY if clumpy else SMOOTH) * workers
    options = ["--num-parents", str(num), "--workers", str(workers), "--seed", "3"]
    if clumpy:
        options += ["--largest-filling", "0.5", "--mirrored"]
    with tempfile.TemporaryDirectory() as name:
        program = Path(sys.executable).with_name("grainlight")
        command = [str(program), "simulate", *options]
        started = time.perf_counter()
        subprocess.run(
            [*command, "--out", f"{name}/data"], check=True, capture_output=True
        )
        wall = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "clumpy": clumpy,
        "workers": workers,
        "wall_s": wall,
        "an_hour": 3600 * num / wall,
        "memory_mib": memory,
    }


def main() -> None:
    """Time both codes and the workers, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="1,2", help="numbers, with commas")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args()
    print("1. Clumps, filling factor 0.2: CPU seconds and noise, ours and MOCASSIN's")
    clumps = [clumpy_row(depth) for depth in DEPTHS]
    for row in clumps:
        line = f"tau {row['depth']:5g} {row['ours_s']:6.2f} s"
        if "ratio" in row:
            line += (
                f" {row['mocassin_s']:6.1f} s {row['ratio']:5.0f} times; noise "
                f"{row['our_noise']:.2%} {row['mocassin_noise']:.2%}"
            )
        print(line)
    print("\n2. Spectra an hour, by workers")
    runs = []
    for clumpy in (False, True):
        for workers in (int(word) for word in given.workers.split(",")):
            row = throughput(workers, clumpy)
            print(
                f"{'clumpy' if clumpy else 'smooth'} {workers} workers "
                f"{row['an_hour']:9.0f} an hour, {row['memory_mib']:5.0f} MiB a worker",
                flush=True,
            )
            runs.append(row)
    if given.json:
        given.json.write_text(json.dumps({"clumps": clumps, "runs": runs}, indent=1))


if __name__ == "__main__":
    main()
