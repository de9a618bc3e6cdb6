"""Clumpy shells: this engine beside MOCASSIN, resolution, speed, what clumps change.

    python benchmarks/clumpy_accuracy.py [--refine 2] [--figure FILE.png] [--json FILE]
        [--patterns]

1. The five clumpy shells run in full three dimensions with MOCASSIN (shipped in
   `tests`), at exactly their clumps and cells. There light goes out where it was
   absorbed, at the temperature of the cell: ours does so with layers behind lit faces
   that share the temperature of their cell ("as MOCASSIN"). Plain cells shine all
   through.
2. The same shells with every cell split, and with four layers that have temperatures of
   their own: what is missing at three cells an edge.
3. The light of shells of 0.8 to 1 outer radii at fixed mass by filling factor, over
   that of the smooth shell, for two patterns each (mirrored, and extrapolated to fine
   cells); with a figure.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matplotlib.pyplot as plt
import numpy as np

from grainlight.dust import mixture_opacity
from grainlight.transfer import (
    Clumps,
    DensityGrid,
    GridSettings,
    Shell,
    solve_clumpy,
    solve_grid,
    solve_shell,
    wavelength_grid,
)
from grainlight.transfer.clumpy import SKIN

REFERENCE = Path(__file__).parents[1] / "tests/reference/mocassin_clumpy.npz"
EDGES = (0.6, 1, 2, 4, 8, 13, 20, 30)  # um
SUN_MASS = 1.989e33
OUTER_CM = 1e16
STARLIGHT, LAYERS = 0.45, 4  # um; layers behind lit faces
DEPTHS, FILLINGS = (0.1, 1.0, 10.0, 50.0), (0.03, 0.1, 0.2, 0.35, 0.5)
BRIGHTEST = -6.0  # mag, of the figure
NAMES = [f"{a:g}-{b:g}" for a, b in zip(EDGES[:-1], EDGES[1:], strict=True)]


def in_bands(wave: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Light in broad bands."""
    weight = np.abs(np.gradient(1 / wave))
    return np.array(
        [
            (weight * light)[(wave >= low) & (wave < high)].sum()
            for low, high in zip(EDGES[:-1], EDGES[1:], strict=True)
        ]
    )


def compare(
    given: dict, factor: int, seed: int, layers: int = 1, *, shared: bool = False
) -> dict:
    """Errors in percent against MOCASSIN, and seconds.

    Layers are `shared` if they have the temperature of their cell.
    """
    grid = given["grid"].refined(factor)
    opacity = mixture_opacity(
        given["mass_fraction"], given["grain_radius_um"], wavelength_grid()
    )
    if layers > 1:
        thick = float(np.interp(STARLIGHT, opacity.wave, opacity.extinction))
        grid = grid.layered(layers, SKIN / (thick * grid.density.max() * grid.width))
    started = time.process_time()
    answer = solve_grid(
        given["luminosity_lsun"],
        given["source_temperature_k"],
        opacity,
        grid,
        seed,
        GridSettings(cell_temperatures=shared),
    )
    seconds = time.process_time() - started
    logs = np.interp(
        np.log(given["wave"]), np.log(answer.wave), np.log(answer.luminosity)
    )
    bands = in_bands(given["wave"], np.exp(logs))
    known = in_bands(given["wave"], given["luminosity"])
    return {
        "shell": given["name"],
        "factor": factor,
        "layers": layers,
        "shared": shared,
        "cells": len(answer.index),
        "seconds": seconds,
        "temperature": 100
        * (answer.dust_temperature / given["dust_temperature_k"] - 1),
        "bands": (100 * (bands / known - 1)).tolist(),
        "energy": 100 * answer.energy_error,
        "optical_depth": answer.optical_depth,
        "effective_depth": answer.effective_depth,
    }


def read_patterns() -> list[dict]:
    """The shells of MOCASSIN with their grids."""
    with np.load(REFERENCE) as stored:
        shells = json.loads(str(stored["shells"]))
        for given in shells:
            density = stored[given["name"]].astype(float)
            mass = density.sum() * given["width_cm"] ** 3
            density *= given["dust_mass_msun"] * SUN_MASS / mass
            given["grid"] = DensityGrid(density, given["width_cm"])
            given["wave"] = stored[f"{given['name']}_wave_um"]
            given["luminosity"] = stored[f"{given['name']}_luminosity"]
    return shells


def pattern_table(factors: range) -> list[dict]:
    """Print ours against MOCASSIN at its cells, and at finer ones."""
    print("1, 2. Ours minus MOCASSIN at its cells [%], cells split by a factor; um")
    print(
        f"{'':4} {'cells':>11}  number     s   tau      T "
        + " ".join(f"{n:>6}" for n in NAMES)
    )
    rows = []
    for given in read_patterns():
        compare(given, 1, 0)  # compile, and read the memory in
        plain = [(f"1/{factor}", factor, 1, False) for factor in factors]
        both = [
            ("as MOCASSIN", 1, LAYERS, True),
            (f"{LAYERS} layers", 1, LAYERS, False),
        ]
        for name, factor, layers, shared in [*both, *plain]:
            row = compare(given, factor, 1, layers, shared=shared)
            rows.append(row)
            print(
                f"{row['shell']:4} {name:>11} {row['cells']:6d} {row['seconds']:6.1f} "
                f"{row['optical_depth']:5.1f} {row['temperature']:6.2f} "
                + " ".join(f"{value:6.1f}" for value in row["bands"]),
                flush=True,
            )
    return rows


def filling_table() -> list[dict]:
    """Print what the filling factor changes at fixed mass."""
    print("3. Light of clumpy over smooth shells [mag], mean (scatter) of two patterns")
    print(
        f"{'silicate':9} {'tau':>5} {'fill':>5} " + " ".join(f"{n:>12}" for n in NAMES)
    )
    rows = []
    for silicate in (0.0, 1.0):
        shares = {"silicate_dl": silicate, "carbon_be": 1 - silicate}
        opacity = mixture_opacity(shares, 0.1, wavelength_grid())
        for depth in DEPTHS:
            shell = Shell(1e5, 6000.0, 1.0, OUTER_CM, opacity)
            mass = depth / shell.optical_depth(0.55)
            smooth = solve_shell(Shell(1e5, 6000.0, mass, OUTER_CM, opacity))
            known = in_bands(smooth.wave, smooth.luminosity)
            for share in FILLINGS:
                change = []
                for seed in range(2):
                    answer = solve_clumpy(
                        Shell(1e5, 6000.0, mass, OUTER_CM, opacity),
                        Clumps(share, mirrored=True),
                        seed,
                    )
                    found = in_bands(answer.wave, answer.luminosity)
                    change.append(-2.5 * np.log10(found / known))
                mean, spread = np.mean(change, axis=0), np.std(change, axis=0, ddof=1)
                cells = " ".join(
                    f"{m:6.2f} ({s:.2f})" for m, s in zip(mean, spread, strict=True)
                )
                print(f"{silicate:9g} {depth:5g} {share:5g} {cells}", flush=True)
                rows.append(
                    {
                        "silicate": silicate,
                        "depth": depth,
                        "filling_factor": share,
                        "change_mag": mean.tolist(),
                        "scatter_mag": spread.tolist(),
                    }
                )
    return rows


def figure(rows: list[dict], path: Path) -> None:
    """Draw what the filling factor changes, by optical depth."""
    fig, axes = plt.subplots(
        2, len(DEPTHS), figsize=(12, 6), sharex=True, sharey="col", layout="constrained"
    )
    for line, (silicate, kind) in enumerate(((0.0, "carbon"), (1.0, "silicate"))):
        for ax, depth in zip(axes[line], DEPTHS, strict=True):
            kept = [
                r for r in rows if r["silicate"] == silicate and r["depth"] == depth
            ]
            share = [0, *(row["filling_factor"] for row in kept)]
            change = np.array([row["change_mag"] for row in kept])
            for band, name in enumerate(NAMES):
                color = plt.get_cmap("viridis")(band / (len(NAMES) - 1))
                ax.plot(
                    share, [np.nan, *change[:, band]], "o-", color=color, label=name
                )
            ax.axhline(0, color="0.7", zorder=0)
            ax.set_title(f"{kind}, mean depth {depth:g}")
    for ax in axes[-1]:
        ax.set_xlabel("clump filling factor")
    for ax in axes[:, 0]:
        ax.set_ylabel("clumpy - smooth [mag]")
    for ax in axes[0]:
        bright, faint = ax.get_ylim()
        ax.set_ylim(faint, max(bright, BRIGHTEST))
    axes[0, 0].legend(title="band [um]", fontsize="small", ncols=2)
    fig.savefig(path, dpi=130)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--refine", type=int, default=2, help="finest split of cells")
    parser.add_argument("--figure", type=Path, help="what clumps change, drawn")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--patterns", action="store_true", help="parts 1 and 2 alone")
    given = parser.parse_args()
    if given.patterns and given.figure:
        parser.error("the figure is of part 3, which --patterns leaves out")
    results: dict = {"patterns": pattern_table(range(1, given.refine + 1))}
    if not given.patterns:
        results["filling"] = filling_table()
    if given.figure:
        figure(results["filling"], given.figure)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
