"""Simulate exactly the rows of a table: spectra, temperatures, band magnitudes."""

import warnings
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, Table
from jaxtyping import Float
from yaml import YAMLError

from grainlight.core import FileFormatError, Parameter, ParameterError, UnitError
from grainlight.datasets.dataset import FAINTEST, magnitudes
from grainlight.photometry import FilterSet
from grainlight.simulators import (
    SHELL_PARAMETERS,
    Progress,
    ShellSimulator,
    ShellSpectra,
)
from grainlight.transfer import wavelength_grid

UNITS = {"Msun": u.M_sun, "um": u.um, "Lsun": u.L_sun, "K": u.K, "cm": u.cm}
LARGEST_REDSHIFT = 0.2
#: Columns that may be left out, and what then holds for all rows.
OPTIONAL = {"redshift": 0.0, "distance": 10.0, "clump_filling_factor": 0.0}
#: What each of these must be.
RANGES = {
    "redshift": f"from 0 to {LARGEST_REDSHIFT}",
    "distance": "above 0 Mpc",
    "clump_filling_factor": "from 0 to 1",
}


def read_rows(path: Path) -> tuple[Table, Float[np.ndarray, "object param"]]:
    """Read parameters from ECSV or CSV; columns are named as the parameters.

    Columns without unit are in the units of the parameters. The silicate fraction is
    by mass.

    Raises:
        FileFormatError: The file is empty or of another kind.
        ParameterError: A column is missing, or a value is not in the range of the
            simulator; the message names the row.
        UnitError: A unit does not fit its column.
    """
    table = _table(Path(path))
    missing = [name for name in SHELL_PARAMETERS.names if name not in table.colnames]
    if missing:
        raise ParameterError(
            f"Expected the columns {', '.join(SHELL_PARAMETERS.names)} in {path}; got "
            f"none named {', '.join(missing)}. Add or rename them."
        )
    if len(table) == 0:
        raise FileFormatError(
            f"Expected one row or more in {path}; got a header alone. Give each shell "
            "a row."
        )
    columns = [_values(table, member) for member in SHELL_PARAMETERS.members]
    for name in OPTIONAL:
        _optional(table, name)
    return table, np.stack(columns, axis=1)


def _table(path: Path) -> Table:
    kind = "ascii.ecsv" if path.suffix == ".ecsv" else "ascii.csv"
    try:
        text = path.read_text(encoding="utf-8-sig")
        if not text.strip():
            raise ValueError("an empty file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Table.read(text.splitlines(), format=kind)
    except OSError as error:
        got = error.strerror or str(error)
    except UnicodeDecodeError:
        got = "a file that is no text"
    except (ValueError, KeyError, TypeError, YAMLError) as error:
        got = str(error).strip().partition("\n")[0]
    raise FileFormatError(
        f"Expected a text table, ECSV or CSV, of shells in {path}; got: {got}. Check "
        "the path and the file."
    )


def _values(table: Table, member: Parameter) -> np.ndarray:
    column = table[member.name]
    unit = UNITS.get(member.unit, u.dimensionless_unscaled)
    values = _numbers(table, member.name)
    if column.unit is not None:
        try:
            given = u.Quantity(values, column.unit)
            values = np.asarray(given.to_value(unit))
        except (u.UnitConversionError, TypeError, ValueError) as error:
            raise UnitError(
                f"Expected {member.name} in {member.unit or 'no unit'}, or a unit that "
                f"turns into it; got {column.unit}. Correct the header."
            ) from error
    low, high = _bounds(member)
    bad = np.flatnonzero(~((values >= low) & (values <= high)))
    if bad.size:
        raise ParameterError(
            f"Expected {member.name} from {low:.4g} to {high:.4g} {member.unit}; got "
            f"{values[bad[0]]:g} in row {bad[0] + 1}. Correct or remove the row."
        )
    return values


def _numbers(table: Table, name: str) -> np.ndarray:
    """A column as numbers; blank cells are nan."""
    values = np.full(len(table), np.nan)
    cells: Any = table[name]
    for row, cell in enumerate(cells):
        try:
            if cell is not np.ma.masked:
                values[row] = float(cell)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"Expected numbers in the column {name}; got {str(cell)!r} in row "
                f"{row + 1}. Correct or remove the row."
            ) from error
    return values


def _bounds(member: Parameter) -> tuple[float, float]:
    """What the engine answers for: wider than the priors but for the tables."""
    slack = 1e-9
    if member.name in ("grain_radius", "silicate_fraction"):
        return member.lower * (1 - slack) - slack, member.upper * (1 + slack)
    if member.name == "sn_temperature":
        return 1000.0, 50000.0
    return member.lower * 1e-3, member.upper * 1e3


def _optional(table: Table, name: str) -> np.ndarray:
    if name not in table.colnames:
        return np.full(len(table), OPTIONAL[name])
    values = _numbers(table, name)
    bad = ~np.isfinite(values) | (values < 0)
    if name == "distance":
        bad |= values == 0
    else:
        bad |= values > (LARGEST_REDSHIFT if name == "redshift" else 1)
    if bad.any():
        raise ParameterError(
            f"Expected a {name} {RANGES[name]}; got {values[bad][0]:g} in row "
            f"{np.flatnonzero(bad)[0] + 1}. Correct it, or leave the column out."
        )
    return values


def simulate_rows(
    table: Table,
    theta: Float[np.ndarray, "object param"],
    simulator: ShellSimulator,
    filters: FilterSet,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Table, Table]:
    """Simulate every row.

    Args:
        table: The rows as read; `redshift` (0 if absent) and `distance` [Mpc] (10 if
            absent) are used for the magnitudes, `clump_filling_factor` (0 if absent)
            for the clumps.
        theta: Its parameters.
        simulator: What to simulate with.
        filters: Bands of the magnitudes.
        seed: Seed of the places of clumps.
        progress: Called with the rows done and their number.

    Returns:
        The rows with temperatures, the share of the mass that is hotter than its
        grains survive, optical depth, energy balance and AB magnitudes;
        and the spectra: wavelength, then one column a row, `row_1` and on.
    """
    redshift = _optional(table, "redshift")
    distance = _optional(table, "distance")
    filling = _optional(table, "clump_filling_factor")
    spectra = simulator.simulate(theta, filling, seed=seed, progress=progress)
    x = magnitudes(filters, spectra.log_luminosity, redshift)
    x = x + 5 * np.log10(distance / 10.0)[:, None]
    answer = _answer(table, spectra)
    for i, name in enumerate(filters.names):
        dark = x[:, i] > FAINTEST - 1
        answer[name] = MaskedColumn(x[:, i], mask=dark, unit=u.ABmag)
    columns = {"wave": wavelength_grid() * u.um}
    unit = u.erg / u.s / u.Hz
    for i, row in enumerate(spectra.log_luminosity, start=1):
        columns[f"row_{i}"] = 10.0 ** row.astype(float) * unit
    return answer, Table(columns)


def _answer(table: Table, spectra: ShellSpectra) -> Table:
    answer = table.copy()
    for name in ("dust_temperature", "carbon_temperature", "silicate_temperature"):
        values = getattr(spectra, name)
        answer[name] = MaskedColumn(values, mask=~np.isfinite(values), unit=u.K)
    answer["sublimated"] = spectra.sublimated
    answer["optical_depth"] = spectra.optical_depth
    answer["energy_error"] = spectra.energy_error
    if np.any(spectra.resolution != 0) or not spectra.is_settled.all():
        answer["resolution"] = spectra.resolution
        answer["is_settled"] = spectra.is_settled
    answer.meta["magnitudes"] = (
        "AB, at the distance [Mpc] and redshift of the row, else at 10 Mpc and 0"
    )
    return answer
