"""Fresh random shells: MOCASSIN and this engine on each, smooth and clumpy.

    python benchmarks/mocassin_fresh.py --runs FOLDER [--seed 31] [--figure FILE.png]

24 smooth shells and 16 with clumps are drawn from the prior `thesis2023`, evenly over
carbon, silicate and mixtures and over four ranges of optical depth (that of the smooth
shell at 0.55 um). Shells with grains hotter than they survive are left out; see
`transfer_sublimation.py`. Four of the clumpy shells are run with five patterns of
clumps each, so that means and scatter of both codes can be compared. The two codes
solve clumps on the same cells. Ours does as MOCASSIN does: light leaves a cell from
where it was absorbed, at the temperature of the cell (layers behind lit faces of thick
cells, `cell_temperatures`).

Two things are then looked at again, because they are errors of MOCASSIN's setting and
not of ours: smooth shells of more than unit depth are also solved by us on the 33 cells
an axis that MOCASSIN has (three in the thickness of the shell), as it does; and clumpy
shells in cells of more than half a depth (to starlight) are solved by us with cells
that shine all through, and with layers of their own temperatures. Clumpy shells whose
temperatures differ by more than 1.5 % are run again with ten times the packets.

The runs of MOCASSIN (full three dimensions) stay in FOLDER and are not repeated.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matplotlib.pyplot as plt
import numpy as np

from grainlight.core import Parameters
from grainlight.simulators import (
    MocassinGrid,
    MocassinRun,
    MocassinSettings,
    MocassinShell,
    ShellSimulator,
    named_prior,
    read_record,
    read_run,
    run_path,
    run_shells,
    uniform_grid,
)
from grainlight.transfer import (
    Clumps,
    DensityGrid,
    GridSettings,
    Shell,
    ShellGeometry,
    shell_density,
    solve_grid,
    solve_shell,
)
from grainlight.transfer.clumpy import divided

EDGES = (0.6, 1, 2, 4, 8, 13, 20, 30)  # um
NAMES = [f"{a:g}-{b:g}" for a, b in zip(EDGES[:-1], EDGES[1:], strict=True)]
DEPTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
KINDS = {"carbon": 0.0, "silicate": 1.0, "mixture": None}
SMOOTH_EACH, PATTERNS = 2, 5
LARGEST_NOISE = 0.02  # of a band, in MOCASSIN
FILLING = (0.05, 0.5)
SIMULATOR = ShellSimulator()
SUN_MASS = 1.989e33
FAR = 1.5  # percent
THICK_CELL = 0.5  # optical depth at `STARLIGHT`
STARLIGHT, LAYERS = 0.45, 4  # um; layers behind lit faces
AS_MOCASSIN = GridSettings(cell_temperatures=True)
PRECISE = MocassinSettings(first_packets=1_500_000, last_packets=13_000_000)


@dataclass(frozen=True)
class Case:
    """One shell of one kind of dust; `filling` is 0 if it is smooth."""

    theta: np.ndarray
    kind: str
    depth: float
    filling: float = 0.0
    pattern: int = 0
    group: int = -1

    @property
    def shell(self) -> Shell:
        """The smooth shell of these parameters."""
        mass, _, _, luminosity, temperature, radius = (float(v) for v in self.theta)
        opacity = SIMULATOR.opacity(self.theta)
        return Shell(luminosity, temperature, mass, radius, opacity)

    @property
    def grid(self) -> DensityGrid:
        """Its clumps."""
        return shell_density(
            np.random.default_rng(self.pattern),
            float(self.theta[0]),
            float(self.theta[5]),
            ShellGeometry(),
            Clumps(self.filling),
        )

    @property
    def asked(self) -> MocassinShell:
        """What MOCASSIN is asked for."""
        grid = MocassinGrid.from_density(self.grid) if self.filling else None
        return MocassinShell.from_theta(self.theta, SIMULATOR, grid=grid)


def draw(generator: np.random.Generator, kind: str, low: float, high: float) -> Case:
    """A shell of a kind and a range of optical depth, without sublimated grains."""
    prior = named_prior("thesis2023")
    names: Parameters = prior.parameters
    while True:
        for theta in prior.sample(generator, 256):
            share = KINDS[kind]
            if share is not None:
                theta[names.index("silicate_fraction")] = share
            case = Case(theta, kind, 0.0)
            depth = case.shell.optical_depth(0.55)
            if low <= depth < high and not solve_shell(case.shell).sublimated.any():
                return replace(case, depth=depth)


def draw_cases(seed: int) -> list[Case]:
    """All shells, smooth ones first."""
    generator = np.random.default_rng(seed)
    ranges = list(zip(DEPTHS[:-1], DEPTHS[1:], strict=True))
    smooth = [
        draw(generator, kind, *limits)
        for limits in ranges
        for kind in KINDS
        for _ in range(SMOOTH_EACH)
    ]
    clumpy = []
    for limits in ranges:
        for group, kind in enumerate([*KINDS, "mixture"]):
            case = draw(generator, kind, *limits)
            filling = float(generator.uniform(*FILLING))
            number = len(clumpy)
            for pattern in range(PATTERNS if group == len(KINDS) else 1):
                pick = seed * 1000 + number * PATTERNS + pattern
                clumpy.append(
                    replace(case, filling=filling, pattern=pick, group=number)
                )
    return smooth + clumpy


def in_bands(wave: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Light in broad bands."""
    weight = np.abs(np.gradient(1 / wave))
    return np.array(
        [
            (weight * light)[(wave >= low) & (wave < high)].sum()
            for low, high in zip(EDGES[:-1], EDGES[1:], strict=True)
        ]
    )


def their_cells(case: Case) -> DensityGrid:
    """The cells of a smooth shell in MOCASSIN."""
    cells = uniform_grid(ShellGeometry(), float(case.theta[5]), MocassinSettings())
    width = float(cells.axis[1] - cells.axis[0])
    mass = cells.density.sum() * width**3 / (float(case.theta[0]) * SUN_MASS)
    return DensityGrid(cells.density / mass, width)


def cell_depth(case: Case, grid: DensityGrid) -> float:
    """Optical depth of the densest cell."""
    opacity = SIMULATOR.opacity(case.theta)
    thick = float(np.interp(STARLIGHT, opacity.wave, opacity.extinction))
    return thick * float(grid.density.max()) * grid.width


def layered(case: Case, grid: DensityGrid) -> DensityGrid:
    """A grid with layers behind the lit faces of its cells, if these are thick."""
    return divided(grid, 1, LAYERS, cell_depth(case, grid))


def compare(
    case: Case,
    run: MocassinRun,
    seconds: float,
    grid: DensityGrid | None = None,
    settings: GridSettings = AS_MOCASSIN,
) -> dict:
    """This engine on the same shell: differences in percent, and what both cost.

    Args:
        case: The shell.
        run: What MOCASSIN found.
        seconds: Its CPU time.
        grid: Cells and layers; of a clumpy shell as MOCASSIN if not given.
        settings: How light leaves its cells.
    """
    started = time.process_time()
    grid = layered(case, case.grid) if case.filling and grid is None else grid
    if grid is not None:
        ours = solve_grid(
            float(case.theta[3]),
            float(case.theta[4]),
            SIMULATOR.opacity(case.theta),
            grid,
            case.pattern,
            settings,
        )
    else:
        ours = solve_shell(case.shell)
    spent = time.process_time() - started
    light = np.log(np.maximum(ours.luminosity, 1e-300))
    again = np.exp(np.interp(np.log(run.wave), np.log(ours.wave), light))
    theirs = in_bands(run.wave, run.luminosity)
    sharp = np.where(np.isfinite(run.noise), run.noise, 0.0) * run.luminosity
    weight = np.abs(np.gradient(1 / run.wave))
    noise = np.sqrt(in_bands(run.wave, weight * sharp**2)) / np.maximum(theirs, 1e-300)
    return {
        "kind": case.kind,
        "depth": case.depth,
        "filling": case.filling,
        "group": case.group,
        "temperature": 100 * (ours.dust_temperature / run.dust_temperature - 1),
        "kelvin": run.dust_temperature,
        "our_bands": in_bands(run.wave, again).tolist(),
        "their_bands": theirs.tolist(),
        "noise": (100 * noise).tolist(),
        "seconds": spent,
        "mocassin_seconds": seconds,
    }


def errors(row: dict) -> np.ndarray:
    """Bands, ours over MOCASSIN's [%]; nan where MOCASSIN is noise."""
    ours, theirs = np.array(row["our_bands"]), np.array(row["their_bands"])
    known = (theirs > 0) & (np.array(row["noise"]) < 100 * LARGEST_NOISE)
    return np.where(known, 100 * (ours / np.where(known, theirs, 1) - 1), np.nan)


OTHERWISE = {
    "shining through": lambda case: case.grid,
    "own temperatures": lambda case: layered(case, case.grid),
}


def compared_otherwise(
    cases: list[Case], folder: Path, numbers: list[int], how: str
) -> list[dict]:
    """Print shells that are solved by us in another way than MOCASSIN's."""
    rows = [
        compare(cases[i], *_found(folder, i), OTHERWISE[how](cases[i]), GridSettings())
        for i in numbers
    ]
    table(rows, f"Clumpy shells in thick cells, {how}.")
    return rows


def table(rows: list[dict], title: str) -> None:
    """Print every shell."""
    print(f"\n{title}")
    print("Ours over MOCASSIN [%]: dust temperature, bands [um]; CPU seconds of both")
    print(
        f"{'kind':9} {'tau':>6} {'fill':>5} {'T [K]':>6} {'T':>6} "
        + " ".join(f"{name:>6}" for name in NAMES)
        + "     s  MOCASSIN"
    )
    for row in rows:
        bands = " ".join(f"{value:6.1f}" for value in errors(row))
        print(
            f"{row['kind']:9} {row['depth']:6.2f} {row['filling']:5.2f} "
            f"{row['kelvin']:6.0f} {row['temperature']:6.2f} {bands} "
            f"{row['seconds']:5.2f} {row['mocassin_seconds']:9.1f}"
        )


def summary(rows: list[dict]) -> None:
    """Print the differences by optical depth."""
    print(
        "\nBy optical depth: |T| median, worst; |bands| median, 90 %, worst [%]; cost"
    )
    for clumpy in (False, True):
        for low, high in zip(DEPTHS[:-1], DEPTHS[1:], strict=True):
            kept = [
                row
                for row in rows
                if low <= row["depth"] < high and (row["filling"] > 0) == clumpy
            ]
            warm = np.abs([row["temperature"] for row in kept])
            bands = np.abs(np.concatenate([errors(row) for row in kept]))
            bands = bands[np.isfinite(bands)]
            cost = np.array([[r["mocassin_seconds"], r["seconds"]] for r in kept])
            ratio = cost[:, 0].sum() / cost[:, 1].sum()
            print(
                f"{'clumpy' if clumpy else 'smooth'} {low:5g}-{high:<5g} "
                f"{len(kept):3d} shells  T {np.median(warm):.2f} {warm.max():.2f}  "
                f"bands {np.median(bands):.2f} {np.quantile(bands, 0.9):.2f} "
                f"{bands.max():.2f}  {ratio:7.0f} times less CPU time"
            )


def ensembles(rows: list[dict]) -> None:
    """Print mean and scatter over patterns of clumps, of both codes."""
    print("\nFive patterns each: mean of ours over MOCASSIN's [%], scatter of both [%]")
    for group in sorted({row["group"] for row in rows}):
        kept = [row for row in rows if row["group"] == group]
        if group < 0 or len(kept) < PATTERNS:
            continue
        print(
            f"{kept[0]['kind']} tau {kept[0]['depth']:.2f} fill "
            f"{kept[0]['filling']:.2f}: " + " ".join(f"{n:>14}" for n in NAMES)
        )
        ours = np.array([row["our_bands"] for row in kept])
        theirs = np.array([row["their_bands"] for row in kept])
        ratio = 100 * (ours.mean(axis=0) / theirs.mean(axis=0) - 1)
        mine, other = (
            100 * np.std(light, axis=0, ddof=1) / light.mean(axis=0)
            for light in (ours, theirs)
        )
        print(
            " " * 30
            + " ".join(
                f"{r:5.1f} {a:4.1f} {b:4.1f}"
                for r, a, b in zip(ratio, mine, other, strict=True)
            )
        )


def figure(rows: list[dict], again: list[dict], path: Path) -> None:
    """Draw differences against optical depth."""
    fig, axes = plt.subplots(2, 1, figsize=(7, 7), sharex=True, layout="constrained")
    sets = (
        ("smooth", "o", [row for row in rows if not row["filling"]]),
        ("clumpy, at the cells of MOCASSIN", "s", [r for r in rows if r["filling"]]),
        ("smooth, at the cells of MOCASSIN", "^", again),
    )
    for name, mark, kept in sets:
        depth = np.array([row["depth"] for row in kept])
        warm = [row["temperature"] for row in kept]
        axes[0].plot(depth, warm, mark, mfc="none", label=name)
        bands = np.array([errors(row) for row in kept])
        (drawn,) = axes[1].plot(
            np.repeat(depth, bands.shape[1]), bands.ravel(), mark, mfc="none", alpha=0.4
        )
        axes[1].plot(depth, np.nanmedian(bands, axis=1), mark, c=drawn.get_color())
    axes[0].legend()
    axes[0].set(ylabel="dust temperature, ours - MOCASSIN [%]")
    axes[1].set(
        xscale="log",
        xlabel=r"optical depth of the smooth shell at 0.55 $\mu$m",
        ylabel="bands (filled: their median) [%]",
    )
    axes[1].set_yscale("symlog", linthresh=10)
    axes[1].set_yticks([-30, -10, -5, 0, 5, 10, 30, 70])
    axes[1].yaxis.set_major_formatter("{x:g}")
    for ax, limit in zip(axes, (1, 3), strict=True):
        ax.axhspan(-limit, limit, color="0.9", zorder=0)
    fig.savefig(path, dpi=130)


def main() -> None:
    """Run both, print tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args()
    cases = draw_cases(given.seed)
    settings = MocassinSettings()
    answer = run_shells(
        given.runs,
        [case.asked for case in cases],
        settings,
        workers=given.workers,
        progress=lambda done, total: print(f"MOCASSIN {done}/{total}", flush=True),
    )
    for number, message in answer.failures.items():
        print(f"run {number} failed: {message}")
    compare(cases[0], *_found(given.runs, 0))  # compile
    compare(cases[-1], *_found(given.runs, len(cases) - 1))
    rows = [compare(cases[i], *_found(given.runs, i)) for i in answer.finished]
    table(rows, "All shells.")
    summary(rows)
    ensembles(rows)
    again = [
        compare(
            cases[i], *_found(given.runs, i), layered(cases[i], their_cells(cases[i]))
        )
        for i, row in zip(answer.finished, rows, strict=True)
        if not row["filling"] and row["depth"] > 1
    ]
    table(again, "Thick smooth shells on the cells of MOCASSIN.")
    far = [
        cases[i]
        for i, row in zip(answer.finished, rows, strict=True)
        if row["filling"] and abs(row["temperature"]) > FAR
    ]
    precise = given.runs / "precise"
    run_shells(precise, [c.asked for c in far], PRECISE, workers=given.workers)
    sharp = [compare(case, *_found(precise, i)) for i, case in enumerate(far)]
    table(sharp, "Clumpy shells that differ, with ten times the packets.")
    thick = [
        i
        for i in answer.finished
        if cases[i].filling and cell_depth(cases[i], cases[i].grid) > THICK_CELL
    ]
    others = [compared_otherwise(cases, given.runs, thick, how) for how in OTHERWISE]
    if given.figure:
        figure(rows, again, given.figure)
    if given.json:
        results = {"rows": rows, "same_cells": again, "precise": sharp}
        results |= dict(zip(OTHERWISE, others, strict=True))
        given.json.write_text(json.dumps(results, indent=1) + "\n")


def _found(folder: Path, number: int) -> tuple[MocassinRun, float]:
    place = run_path(folder, number)
    return read_run(place), read_record(place).cpu_seconds


if __name__ == "__main__":
    main()
