"""Make `mocassin_smooth.json` from the project's own full-3-D MOCASSIN runs.

    python tests/reference/make_mocassin_smooth.py mocassin_reference_26.jsonl

The runs are of MOCASSIN 2.02.73 (Ercolano et al. 2003, MNRAS 340, 1136; 2005, MNRAS
362, 1038), dust only, full three-dimensional grids of 33 points an axis. Kept are the
21 smooth shells, wavelengths 0.55 to 33 um, and what the tests compare with.
"""

import json
import sys
from pathlib import Path

SHORTEST, LONGEST = 0.55, 33.0
SPECIES = {"sil": "silicate_dl", "amc": "carbon_hanner"}
OUT = Path(__file__).with_name("mocassin_smooth.json")


def shell(run: dict, keep: list[int]) -> dict:
    given = run["params"]
    by_species = run["Tdust_mass_weighted_by_species_K"]
    noise = [run["sigma_rel_bin"][i] for i in keep]
    return {
        "name": run["id"],
        "inner": given["Rin_cm"] / given["Rout_cm"],
        "density_power": given["rho_powerlaw"],
        "outer_radius_cm": given["Rout_cm"],
        "grain_radius_um": given["a_um"],
        "dust_mass_msun": given["Mdust_Msun"],
        "luminosity_lsun": given["L_Lsun"],
        "source_temperature_k": given["Tstar_K"],
        "mass_fraction": {
            SPECIES[k]: v for k, v in run["species_mass_fraction"].items()
        },
        "dust_temperature_k": {SPECIES[k]: round(v, 2) for k, v in by_species.items()},
        "optical_depth_055": round(run["tau_axis_x"]["0.55"], 4),
        "luminosity_erg_s_hz": [float(f"{run['L_nu_erg_s_Hz'][i]:.5g}") for i in keep],
        "relative_noise": [None if s is None else float(f"{s:.3g}") for s in noise],
    }


def main(source: Path) -> None:
    runs = [json.loads(line) for line in source.read_text().splitlines()]
    smooth = [run for run in runs if not run["params"]["clumpy"]]
    wave = smooth[0]["lam_um"]
    if any(run["lam_um"] != wave for run in smooth):
        raise SystemExit("Expected one wavelength grid for all runs.")
    keep = [i for i, value in enumerate(wave) if SHORTEST < value < LONGEST]
    stored = {
        "source": "MOCASSIN 2.02.73, full 3-D, 33 points an axis; own runs",
        "wave_um": [wave[i] for i in keep],
        "shells": [shell(run, keep) for run in smooth],
    }
    OUT.write_text(json.dumps(stored) + "\n")
    print(f"{OUT.name}: {len(smooth)} shells, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
