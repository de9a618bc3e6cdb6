"""Make the grain efficiency tables that the package ships.

    python scripts/make_efficiencies.py NK_FOLDER DRAINE_FILE

NK_FOLDER holds the optical constants of the Debian package `mocassin-data`
(`/usr/share/mocassin/dustData`), DRAINE_FILE is `callindex.out_silD03` (the silicate of
Draine 2003, on the page of its author). Those files are not shipped; the efficiencies
derived from them by Mie theory are. The script is deterministic: the same files give
the same table, byte for byte.

n and k are linear in frequency between the entries of a file and constant beyond
them, as MOCASSIN reads them. Each entry of the table is the mean over five
wavelengths across its 2.9 % bin, so that the narrow Mie ripples of large grains do
not alias. log10 Q is stored in steps of 2.5e-4 and the asymmetry in steps of 1/32000.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("MIEPYTHON_USE_JIT", "1")

import miepython
import numpy as np

SOURCES = {
    "carbon_be": "amC-zb1.nk",
    "carbon_acar": "amC-zb2.nk",
    "carbon_ach2": "amC-zb3.nk",
    "carbon_hanner": "amC-hann.nk",
    "silicate_dl": "sil-dlee.nk",
    "silicate_laor": "sil-dlaor.nk",
}
WAVE = np.geomspace(0.05, 1000.0, 342)
RADIUS = np.geomspace(0.005, 5.0, 121)
SUBSAMPLES = 5
LOG_STEP = 2.5e-4
COSINE_STEP = 1 / 32000
OUT = Path(__file__).parents[1] / "src/grainlight/dust/data/efficiencies.npz"


def read_constants(path: Path) -> np.ndarray:
    """Read wavelength [um], n, k: after two header lines, until notes begin."""
    rows = []
    for line in path.read_text().splitlines()[2:]:
        try:
            rows.append([float(word) for word in line.split()[:3]])
        except ValueError:
            break
    table = np.array([row for row in rows if len(row) == 3])
    return table[np.argsort(table[:, 0])]


def read_draine(path: Path) -> np.ndarray:
    """Read wavelength [um], n, k: after five header lines, n less one."""
    rows = [line.split() for line in path.read_text().splitlines()[5:]]
    table = np.array([row for row in rows if len(row) == 5], float)[:, [0, 3, 4]]
    table[:, 1] += 1
    return table[np.argsort(table[:, 0])]


def refractive_index(table: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """Complex index n - ik, linear in frequency, constant beyond the table."""
    frequency = 1 / table[::-1, 0]
    n = np.interp(1 / wave, frequency, table[::-1, 1])
    k = np.interp(1 / wave, frequency, table[::-1, 2])
    return n - 1j * np.maximum(k, 1e-12)


def efficiencies(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Absorption, scattering and asymmetry on the grid (radius, wave)."""
    step = np.log(WAVE[1] / WAVE[0])
    offset = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5
    fine = (WAVE[:, None] * np.exp(step * offset)).ravel()
    index = refractive_index(table, fine)
    shape = (len(WAVE), SUBSAMPLES)
    rows = []
    for radius in RADIUS:
        size = 2 * np.pi * radius / fine
        extinct, scatter, _, cosine = miepython.efficiencies_mx(index, size)
        absorb = np.maximum(extinct - scatter, 1e-30)
        absorb, scatter, forward = (
            value.reshape(shape).mean(axis=1)
            for value in (absorb, scatter, cosine * scatter)
        )
        rows.append((absorb, scatter, forward / np.maximum(scatter, 1e-300)))
    absorb, scatter, cosine = (np.array(column) for column in zip(*rows, strict=True))
    return absorb, scatter, cosine


def main(folder: Path, draine: Path) -> None:
    """Make the tables of all species and write them."""
    arrays = {"wave_um": WAVE, "radius_um": RADIUS}
    tables = {name: read_constants(folder / path) for name, path in SOURCES.items()}
    tables["silicate_d03"] = read_draine(draine)
    for name, table in tables.items():
        absorb, scatter, cosine = efficiencies(table)
        for kind, value in (("abs", absorb), ("sca", scatter)):
            logs = np.clip(np.log10(value), -15, 1)
            arrays[f"{name}_{kind}"] = np.round((logs + 7) / LOG_STEP).astype("<i2")
        arrays[f"{name}_cos"] = np.round(cosine / COSINE_STEP).astype("<i2")
        print(name, absorb.min(), absorb.max(), scatter.min(), scatter.max())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(OUT, **arrays)
    print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
