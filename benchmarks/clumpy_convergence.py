"""Clumpy shells at rising resolution: how far what is shipped is from the limit.

    python benchmarks/clumpy_convergence.py [--rows 40] [--seed 12] [--figure FILE.png]
        [--json FILE] [--deeper DEPTH | --noise]

The whole takes hours of one core. With `--json` finished shells are kept in that
file, and the same command goes on from it.

1. The same clumps with cells split in one to four parts, with and without layers behind
   lit faces, and extrapolated: dust temperature and bands over the finest answer, and
   CPU seconds.
2. Random shells of the prior `thesis2023`, filling factors from 0 to 0.5: the shipped
   answer (`solve_clumpy`) over one of finer cells, more layers and more rays. The share
   of shells within 1 % in temperature and 5 % in a band, by optical depth; with as many
   rays as clumps at will have, and with those that mirrored ones have in data sets.
3. The noise of the shipped answer: the same clumps, five seeds of the paths, mirrored
   clumps and clumps at will.

In 1 and 2 clumps are mirrored, which makes a shell cheaper.
Bands are those of JWST in which a shell at 10 Mpc is brighter than 42.5 mag for a
source of 1e5 Lsun.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matplotlib.pyplot as plt
import numpy as np

from grainlight.datasets import magnitudes
from grainlight.photometry import jwst_filters
from grainlight.simulators import ShellSimulator, named_prior
from grainlight.transfer import (
    Clumps,
    DensityGrid,
    GridSettings,
    GridSolution,
    Shell,
    shell_density,
    solve_clumpy,
    solve_grid,
)
from grainlight.transfer.clumpy import MIRRORED

RISING = ((1.0, 0.2), (5.0, 0.2), (30.0, 0.2))  # depths and filling factors of part 1
DEPTHS = (0.0, 0.1, 1.0, 10.0, 1000.0)
LARGEST_FILLING = 0.5
FAINT = 42.5  # mag at 10 Mpc, for a source of 1e5 Lsun
VISIBLE = 32.0  # mag at 10 Mpc: three beyond the limits of JWST
#: More rays than any of those below, also where `more` multiplies them.
FINER = {
    "splits": (2, 3),
    "layers": 6,
    "settings": GridSettings(
        star_rays=60_000, cell_rays=24, least_rays=120_000, paths=8_000, more=16
    ),
}
#: Rays of clumps at will, and of mirrored ones.
RAYS = {"at will": GridSettings(), "mirrored": MIRRORED}
SIMULATOR, FILTERS = ShellSimulator(), jwst_filters()
POGSON = 2.5 / np.log(10)


@dataclass(frozen=True)
class Solved:
    """What is compared of one answer."""

    temperature: float
    magnitude: np.ndarray
    seconds: float


class Kept:
    """Rows of finished shells, in a file if one is given."""

    def __init__(self, path: Path | None, stated: dict) -> None:
        self._path, self._stated = path, stated
        self.results: dict[str, dict[str, list[dict]]] = {}
        if path is not None and path.exists():
            found = json.loads(path.read_text())
            if found["stated"] != stated:
                raise SystemExit(
                    f"Expected results of the same settings in {path}; got those of "
                    f"{found['stated']}. Name another file."
                )
            self.results = found["results"]

    def rows(self, part: str, number: int, make: Callable[[], list[dict]]) -> list:
        """The rows of one shell, made if they are not there."""
        shells = self.results.setdefault(part, {})
        if str(number) not in shells:
            shells[str(number)] = make()
            if self._path is not None:
                aside = self._path.with_suffix(".part")
                kept = {"stated": self._stated, "results": self.results}
                aside.write_text(json.dumps(kept, indent=1) + "\n")
                aside.replace(self._path)
        return shells[str(number)]


def shell_of(theta: np.ndarray) -> Shell:
    """The shell of a row of parameters."""
    mass, _, _, luminosity, temperature, radius = (float(v) for v in theta)
    return Shell(luminosity, temperature, mass, radius, SIMULATOR.opacity(theta))


def measure(solve: Callable[..., GridSolution], *given, **options) -> Solved:
    """Magnitudes at 10 Mpc of what a solver finds, and its CPU time."""
    started = time.process_time()
    answer = solve(*given, **options)
    spent = time.process_time() - started
    logs = np.log10(np.maximum(answer.luminosity, 1e-60))
    found = magnitudes(FILTERS, logs[None], np.zeros(1))[0]
    return Solved(answer.dust_temperature, found, spent)


def at_cells(
    shell: Shell, grid: DensityGrid, seed: int, settings: GridSettings
) -> GridSolution:
    """A shell at the cells of a grid."""
    return solve_grid(
        shell.luminosity, shell.source_temperature, shell.opacity, grid, seed, settings
    )


def seen(theta: np.ndarray, answer: Solved) -> np.ndarray:
    """Bands in which a shell is bright enough to count."""
    return answer.magnitude < FAINT - 2.5 * (np.log10(theta[3]) - 5)


def off(answer: Solved, limit: Solved, bands: np.ndarray) -> tuple[float, np.ndarray]:
    """Differences [%] in temperature, and in some bands."""
    change = (limit.magnitude - answer.magnitude)[bands] / POGSON
    warmer = 100 * (answer.temperature / limit.temperature - 1)
    return warmer, 100 * np.expm1(np.clip(change, -3, 3))


def resolution_table(generator: np.random.Generator, kept: Kept) -> list[dict]:
    """Print three shells at rising resolution."""
    print("1. Over the finest answer [%]: temperature, bands (median, worst); seconds")
    rows = []
    for number, (depth, filling) in enumerate(RISING):
        rise = partial(rising, depth, filling, int(generator.integers(1000)))
        found = kept.rows("resolution", number, rise)
        for row in found:
            print(
                f"tau {depth:5g} {row['name']:18} {row['temperature']:6.2f} "
                f"{row['median']:6.2f} {row['worst']:6.1f} {row['seconds']:6.2f} s",
                flush=True,
            )
        rows += found
    return rows


def rising(depth: float, filling: float, seed: int) -> list[dict]:
    """One shell at rising resolution."""
    theta = np.array([1e-4, 0.1, 0.5, 1e5, 6000.0, 1e16])
    theta[0] *= depth / shell_of(theta).optical_depth(0.55)
    shell, clumps = shell_of(theta), Clumps(filling, mirrored=True)
    limit = measure(solve_clumpy, shell, clumps, seed, **FINER)
    places, _ = np.random.SeedSequence(seed).spawn(2)
    grid = shell_density(
        np.random.default_rng(places),
        shell.dust_mass,
        shell.outer_radius,
        clumps=clumps,
    )
    column = grid.density.max() * grid.width
    thick = float(np.interp(0.4, shell.opacity.wave, shell.opacity.extinction))
    rows = []
    for layers in (1, 4, 6):
        for split in (1, 2, 3, 4) if layers == 1 else (1, 2, 3):
            fine = grid.refined(split)
            if layers > 1:
                fine = fine.layered(layers, 0.3 * split / (thick * column))
            rays = replace(MIRRORED, star_rays=MIRRORED.star_rays * split**2)
            found = measure(at_cells, shell, fine, seed, rays)
            rows.append(_row(f"{layers} layers, 1/{split}", depth, found, limit))
    for layers in (1, 4):
        found = measure(solve_clumpy, shell, clumps, seed, layers=layers)
        rows.append(_row(f"{layers} layers, limit", depth, found, limit))
    return rows


def _row(name: str, depth: float, found: Solved, limit: Solved) -> dict:
    bands = limit.magnitude < FAINT
    warmer, change = off(found, limit, bands)
    return {
        "depth": depth,
        "name": name,
        "temperature": warmer,
        "median": float(np.median(np.abs(change))),
        "worst": float(np.abs(change).max()),
        "seconds": found.seconds,
    }


def draw_random(
    generator: np.random.Generator, num: int
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and filling factors of the shells of part 2."""
    draws = named_prior("thesis2023").sample(generator, num)
    return draws, generator.uniform(0, LARGEST_FILLING, num)


def random_table(
    generator: np.random.Generator, num: int, kept: Kept, deeper: float = 0.0
) -> None:
    """Print how far random shells, of a depth or more, are from finer answers."""
    print("\n2. Random shells: shipped over finer [%], seconds of both")
    rows = []
    draws, shares = draw_random(generator, num)
    for number, (theta, share) in enumerate(zip(draws, shares, strict=True)):
        if shell_of(theta).optical_depth(0.55) < deeper:
            continue
        against = partial(against_finer, theta, float(share), number)
        found = kept.rows("random", number, against)
        for row in found:
            print(
                f"{row['rays']:9} tau {row['depth']:8.3f} fill {row['filling']:.3f} T "
                f"{row['temperature']:6.2f} bands {row['median']:6.2f} "
                f"{row['worst']:7.2f} {row['seconds']:6.2f} "
                f"{row['finer_seconds']:6.1f}",
                flush=True,
            )
        rows += found
    for rays in RAYS:
        print(f"with the rays of clumps {rays}")
        summary([row for row in rows if row["rays"] == rays])
        summary([row for row in rows if row["rays"] == rays], VISIBLE)


def against_finer(theta: np.ndarray, share: float, number: int) -> list[dict]:
    """What is shipped for one shell, beside a solution with finer cells."""
    shell, clumps = shell_of(theta), Clumps(share, mirrored=True)
    limit = measure(solve_clumpy, shell, clumps, number, **FINER)
    rows = []
    for rays, settings in RAYS.items():
        found = measure(solve_clumpy, shell, clumps, number, settings=settings)
        rows.append(
            {
                "rays": rays,
                "depth": shell.optical_depth(0.55),
                "filling": share,
                "finer_seconds": limit.seconds,
                **compared(found, limit, seen(theta, limit)),
            }
        )
    return rows


def compared(found: Solved, limit: Solved, chosen: np.ndarray) -> dict:
    """What an answer is off by in some bands, for a table."""
    warmer, change = off(found, limit, chosen)
    change = np.abs(change)
    return {
        "temperature": warmer,
        "median": float(np.median(change)) if change.size else 0.0,
        "worst": float(change.max(initial=0)),
        "bands": change.tolist(),
        "magnitudes": limit.magnitude[chosen].tolist(),
        "seconds": found.seconds,
    }


def summary(rows: list[dict], faintest: float = np.inf) -> None:
    """Print shares within the tolerances, by optical depth; of bright bands alone."""
    words = "" if np.isinf(faintest) else f" brighter than {faintest:g} mag at 10 Mpc"
    print(f"shells within 1 % in T; bands{words} within 5 %; shells with all of them")
    for low, high in [*zip(DEPTHS[:-1], DEPTHS[1:], strict=True), (0.0, 1000.0)]:
        kept = [row for row in rows if low <= row["depth"] < high]
        if not kept:
            continue
        warm = np.mean([abs(row["temperature"]) < 1 for row in kept])
        each = [
            np.array(row["bands"])[np.array(row["magnitudes"]) < faintest]
            for row in kept
        ]
        bands = np.concatenate(each)
        worst = np.mean([np.all(some < 5) for some in each])
        seconds = np.mean([row["seconds"] for row in kept])
        print(
            f"tau {low:5g}-{high:<5g} {len(kept):3d} shells {warm:6.1%} "
            f"{np.mean(bands < 5):6.1%} {worst:6.1%} {seconds:6.2f} s a shell"
        )


def noise_table(generator: np.random.Generator, num: int, kept: Kept) -> None:
    """Print the noise of the shipped answers."""
    print("\n3. Noise of the shipped answers: T [%], bands (median, worst) [mag],")
    print(f"   worst of those brighter than {VISIBLE:g} mag at 10 Mpc; seconds of one")
    draws = named_prior("thesis2023").sample(generator, num)
    shares = generator.uniform(0.05, LARGEST_FILLING, num)
    places = generator.integers(1000, size=num)
    for number, one in enumerate(zip(draws, shares, places, strict=True)):
        for row in kept.rows("noise", number, partial(noise, *one)):
            print(
                f"{row['rays']:9} tau {row['depth']:8.3f} T {row['temperature']:5.2f} "
                f"bands {row['median']:.4f} {row['worst']:.4f} {row['visible']:.4f} "
                f"{row['seconds']:6.2f}",
                flush=True,
            )


def noise(theta: np.ndarray, share: float, places: int) -> list[dict]:
    """The scatter of one shell over five seeds of the paths, with both sets of rays."""
    return [scatter_of(theta, share, places, rays) for rays in RAYS]


def scatter_of(theta: np.ndarray, share: float, places: int, rays: str) -> dict:
    """The scatter of one shell over five seeds of the paths."""
    shell = shell_of(theta)
    grid = shell_density(
        np.random.default_rng(places),
        shell.dust_mass,
        shell.outer_radius,
        clumps=Clumps(share, mirrored=rays == "mirrored"),
    )
    found = [measure(at_cells, shell, grid, seed, RAYS[rays]) for seed in range(5)]
    bands = seen(theta, found[0])
    every = np.std([one.magnitude for one in found], axis=0, ddof=1)
    spread = every[bands] if bands.any() else np.zeros(1)
    warm = [one.temperature for one in found]
    return {
        "rays": rays,
        "depth": shell.optical_depth(0.55),
        "temperature": 100 * float(np.std(warm, ddof=1) / np.mean(warm)),
        "median": float(np.median(spread)),
        "worst": float(spread.max()),
        "visible": float(every[found[0].magnitude < VISIBLE].max(initial=0)),
        "seconds": found[-1].seconds,
    }


def figure(rows: list[dict], path: Path) -> None:
    """Draw differences against cost, for the shells at rising resolution."""
    depths = sorted({row["depth"] for row in rows})
    fig, axes = plt.subplots(
        2, len(depths), figsize=(10, 6), sharex=True, sharey="row", layout="constrained"
    )
    kinds = ["1 layers", "4 layers", "6 layers"]
    for column, depth in enumerate(depths):
        for kind in kinds:
            kept = [r for r in rows if r["depth"] == depth and kind in r["name"]]
            cells = [r for r in kept if "limit" not in r["name"]]
            for ax, key in zip(axes[:, column], ("temperature", "worst"), strict=True):
                label = kind.replace("1 layers", "no layers")
                (line,) = ax.loglog(
                    [r["seconds"] for r in cells],
                    [abs(r[key]) for r in cells],
                    "o-",
                    label=label,
                )
                for one in kept:
                    if "limit" in one["name"]:
                        ax.plot(
                            one["seconds"],
                            abs(one[key]),
                            "*",
                            ms=13,
                            c=line.get_color(),
                        )
        axes[0, column].set_title(f"mean depth {depth:g}, filling factor 0.2")
        axes[0, column].axhline(1, color="0.7", zorder=0)
        axes[1, column].axhline(5, color="0.7", zorder=0)
        axes[1, column].set_xlabel("CPU seconds")
        axes[1, column].set_xticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
        axes[1, column].minorticks_off()
    axes[0, 0].set_ylabel("dust temperature off by [%]")
    axes[1, 0].set_ylabel("worst band off by [%]")
    axes[0, 0].legend(title="star: extrapolated")
    fig.savefig(path, dpi=130)


def main() -> None:
    """Print the tables, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--noise-rows", type=int, default=10)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument(
        "--deeper", type=float, help="part 2 alone, for shells of this depth or more"
    )
    parser.add_argument("--noise", action="store_true", help="part 3 alone")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path, help="file for the results, to go on from")
    given = parser.parse_args()
    is_part = given.noise or given.deeper is not None
    if is_part and given.figure:
        parser.error("the figure is of part 1, which --deeper and --noise leave out")
    generator = np.random.default_rng(given.seed)
    stated = {
        "seed": given.seed,
        "rows": given.rows,
        "noise_rows": given.noise_rows,
        "rays": str((RAYS, FINER)),
    }
    kept = Kept(given.json, stated)
    if is_part:
        for _ in RISING:  # the seeds of part 1
            generator.integers(1000)
    if given.noise:
        draw_random(generator, given.rows)  # the shells of part 2
        noise_table(generator, given.noise_rows, kept)
    elif given.deeper is not None:
        random_table(generator, given.rows, kept, given.deeper)
    else:
        rows = resolution_table(generator, kept)
        if given.figure:
            figure(rows, given.figure)
        random_table(generator, given.rows, kept)
        noise_table(generator, given.noise_rows, kept)


if __name__ == "__main__":
    main()
