"""From a table to the measurements of each object, one row a band or one an object."""

from collections import Counter

import astropy.units as u
import numpy as np

from grainlight.core import FileFormatError, ObservationError, UnitError
from grainlight.photometry.cells import Cell, number_of
from grainlight.photometry.columns import (
    BandColumn,
    Column,
    band_column_of,
    column_of,
    is_filter,
    roles_of,
)
from grainlight.photometry.names import canonical_name
from grainlight.photometry.raw import PLACE, RawBand, RawObject, Reading
from grainlight.photometry.tables import RawTable


def raw_objects(table: RawTable, reading: Reading) -> list[RawObject]:
    """The objects of a table in order, whichever way it is laid out."""
    roles = roles_of(list(table.columns))
    if "filter" in roles and "flux" in roles:
        return _long_objects(table, roles, reading)
    bands = _wide_bands(table, reading.own)
    if bands:
        return _wide_objects(table, roles, bands, reading)
    raise FileFormatError(
        "Expected columns `filter` and `flux`, or one column a filter such as "
        f"JWST/MIRI.F1000W; got {', '.join(table.columns)}. Rename the columns."
    )


def _long_objects(
    table: RawTable, roles: dict[str, Column], reading: Reading
) -> list[RawObject]:
    names = _object_names(table, roles, reading)
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(row)
    return [
        RawObject(
            name,
            tuple(_long_band(table, roles, reading, row) for row in rows),
            _place(table, roles, rows),
        )
        for name, rows in rows_of.items()
    ]


def _object_names(
    table: RawTable, roles: dict[str, Column], reading: Reading
) -> list[str]:
    if "object" not in roles:
        return [reading.name] * table.num_rows
    return [cell or reading.name for cell in table.columns[roles["object"].name]]


def _long_band(
    table: RawTable, roles: dict[str, Column], reading: Reading, row: int
) -> RawBand:
    def cell(role: str) -> str | None:
        return table.columns[roles[role].name][row] if role in roles else None

    options = cell("options")
    unit = _option_unit(options) or cell("unit") or _unit_of(table, roles["flux"])
    zero_point = number_of(cell("zp"), "zero point")
    return RawBand(
        filter=cell("filter") or "",
        cell=Cell(
            flux=cell("flux") or "",
            error=cell("error"),
            limit=cell("limit"),
            flag=cell("flag"),
            options=options,
            limit_sigma=_limit_sigma(table, reading, cell("limit_sigma")),
        ),
        unit=unit,
        error_unit=_unit_of(table, roles["error"]) if "error" in roles else None,
        telescope=cell("telescope"),
        instrument=cell("instrument"),
        zero_point=None if np.isnan(zero_point) else zero_point,
        zero_point_system=(cell("zpsys") or "ab").lower(),
    )


def _option_unit(options: str | None) -> str | None:
    """The unit that a VOSA point option states."""
    words = set((options or "").lower().split(","))
    named = words & {"mag", "jy", "erg"}
    return {"erg": "erg/s/cm2/A"}.get(word := named.pop(), word) if named else None


def _unit_of(table: RawTable, column: Column | BandColumn) -> str | None:
    return table.units.get(column.name) or column.unit


def _limit_sigma(table: RawTable, reading: Reading, cell: str | None = None) -> float:
    notes = {column_of(key).role: value for key, value in table.meta.items()}
    for text in (reading.limit_sigma, cell, notes.get("limit_sigma")):
        value = number_of(None if text is None else str(text), "sigmas of a limit")
        if not np.isnan(value):
            break
    else:
        value = 3.0
    if not value > 0:
        raise ObservationError(
            f"Expected the sigmas of a limit above 0; got {value:g}. Limits are mostly "
            "quoted at 3 or 5."
        )
    return value


def _wide_bands(
    table: RawTable, own: tuple[str, ...]
) -> dict[str, dict[str, BandColumn]]:
    """Columns by filter text and role; a misspelt filter with an error is refused."""
    groups: dict[str, dict[str, BandColumn]] = {}
    for name in table.columns:
        exact = is_filter(name, own)
        column = BandColumn(name, name, "flux") if exact else band_column_of(name)
        if not column_of(name).role:
            groups.setdefault(column.base, {}).setdefault(column.role, column)
    for base, columns in groups.items():
        if "flux" in columns and "error" in columns and not is_filter(base, own):
            canonical_name(base, extra=own)
    return {
        base: columns
        for base, columns in groups.items()
        if "flux" in columns and is_filter(base, own)
    }


def _wide_objects(
    table: RawTable,
    roles: dict[str, Column],
    bands: dict[str, dict[str, BandColumn]],
    reading: Reading,
) -> list[RawObject]:
    names = _object_names(table, roles, reading)
    if "object" not in roles and table.num_rows > 1:
        names = [f"{reading.name}-{row + 1}" for row in range(table.num_rows)]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise FileFormatError(
            f"Expected one row an object; got {', '.join(sorted(repeated)[:3])} more "
            "than once. Give each row its own name."
        )
    return [
        RawObject(
            name,
            tuple(
                _wide_band(table, reading, base, columns, row)
                for base, columns in bands.items()
            ),
            _place(table, roles, [row]),
        )
        for row, name in enumerate(names)
    ]


def _wide_band(
    table: RawTable,
    reading: Reading,
    base: str,
    columns: dict[str, BandColumn],
    row: int,
) -> RawBand:
    def cell(role: str) -> str | None:
        return table.columns[columns[role].name][row] if role in columns else None

    return RawBand(
        filter=base,
        cell=Cell(
            flux=cell("flux") or "",
            error=cell("error"),
            limit=cell("limit"),
            flag=cell("flag"),
            limit_sigma=_limit_sigma(table, reading),
        ),
        unit=_unit_of(table, columns["flux"]),
        error_unit=_unit_of(table, columns["error"]) if "error" in columns else None,
    )


def _place(
    table: RawTable, roles: dict[str, Column], rows: list[int]
) -> dict[str, tuple[float, ...]]:
    """Redshift and the like: the distinct values in the rows, else the note."""
    found = {}
    for role in PLACE:
        values: list[float] = []
        if role in roles:
            column = roles[role]
            unit = _unit_of(table, column)
            cells = [table.columns[column.name][row] for row in rows]
            values = [_place_value(role, text, unit) for text in cells]
        values = [value for value in values if not np.isnan(value)]
        found[role] = tuple(dict.fromkeys(values)) or _noted(table, role)
    return found


def _noted(table: RawTable, role: str) -> tuple[float, ...]:
    for key, text in table.meta.items():
        column = column_of(key)
        if column.role == role:
            number, _, unit = text.strip().partition(" ")
            value = _place_value(role, number, unit.strip() or column.unit)
            return () if np.isnan(value) else (value,)
    return ()


def _place_value(role: str, text: str, unit: str | None) -> float:
    value = number_of(text, role.replace("_", " "))
    if value in (-99.0, -90.0, -999.0, -9999.0):
        return np.nan
    if not role.startswith("distance") or not unit:
        return value
    try:
        megaparsecs = (value * u.Unit(unit)).to_value(u.Mpc)
        return float(np.asarray(megaparsecs, dtype=float))
    except (ValueError, TypeError, u.UnitConversionError) as error:
        raise UnitError(
            f"Expected a unit of length for the {role.replace('_', ' ')}; got {unit!r}."
            " Use Mpc."
        ) from error
