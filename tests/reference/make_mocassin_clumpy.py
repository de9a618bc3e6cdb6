"""Make `mocassin_clumpy.npz` from the project's own full-3-D MOCASSIN runs.

    python tests/reference/make_mocassin_clumpy.py mocassin_reference_26.jsonl GRIDS

The runs are of MOCASSIN 2.02.73 (Ercolano et al. 2003, MNRAS 340, 1136; 2005, MNRAS
362, 1038), dust only, full three-dimensional grids of 43 points an axis. Kept are the
five clumpy shells: densities relative to the densest cell, in steps of 1 / 250, and
what the tests compare with, at 0.6 to 30 um.
"""

import json
import sys
from pathlib import Path

import numpy as np

SPECIES = {"sil": "silicate_dl", "amc": "carbon_hanner"}
SHORTEST, LONGEST = 0.55, 33.0
STEPS = 250
OUT = Path(__file__).with_name("mocassin_clumpy.npz")


def main(runs: Path, grids: Path) -> None:
    """Write the file."""
    shells, arrays = [], {}
    for line in runs.read_text().splitlines():
        run = json.loads(line)
        given = run["params"]
        if not given["clumpy"]:
            continue
        with np.load(grids / f"{run['id']}.npz") as stored:
            density, axis = stored["Ndust_cm3"], stored["x_axis_cm"]
        arrays[run["id"]] = np.round(density / density.max() * STEPS).astype(np.uint8)
        wave = np.array(run["lam_um"])
        keep = (wave > SHORTEST) & (wave < LONGEST)
        arrays[f"{run['id']}_wave_um"] = wave[keep]
        light = np.array(run["L_nu_erg_s_Hz"])[keep]
        arrays[f"{run['id']}_luminosity"] = light
        shares = run["species_mass_fraction"]
        shells.append(
            {
                "name": run["id"],
                "width_cm": float(axis[1] - axis[0]),
                "dust_mass_msun": given["Mdust_Msun"],
                "luminosity_lsun": given["L_Lsun"],
                "source_temperature_k": given["Tstar_K"],
                "grain_radius_um": given["a_um"],
                "mass_fraction": {SPECIES[k]: v for k, v in shares.items()},
                "dust_temperature_k": run["Tdust_mass_weighted_K"],
            }
        )
    np.savez_compressed(OUT, shells=json.dumps(shells), **arrays)
    print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
