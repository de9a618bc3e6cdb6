"""Photometry from files: one object or a table of them, in the habits of the field."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from grainlight.core import FileFormatError, GrainlightError, ObservationError
from grainlight.photometry.cells import Measurement, measure
from grainlight.photometry.columns import column_of
from grainlight.photometry.filters import Filter
from grainlight.photometry.layouts import raw_objects
from grainlight.photometry.library import load_filters
from grainlight.photometry.observation import Observation
from grainlight.photometry.raw import (
    PLACE,
    RawBand,
    RawObject,
    Reading,
    band_name,
    band_unit,
)
from grainlight.photometry.tables import RawTable, read_table
from grainlight.photometry.units import FluxUnit, flux_unit


@dataclass(frozen=True)
class ObservationTable(Sequence):
    """The observations of a file in its order, and why others could not be had.

    Attributes:
        observations: The objects that were understood.
        failures: What is wrong with each of the rest, by its name.
    """

    observations: tuple[Observation, ...]
    failures: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.observations)

    def __getitem__(self, index: int | slice) -> Observation | tuple[Observation, ...]:
        return self.observations[index]

    def __iter__(self) -> Iterator[Observation]:
        return iter(self.observations)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objects that were understood."""
        return tuple(observation.name for observation in self.observations)


def read_observations(
    path: str | Path,
    *,
    unit: str | None = None,
    redshift: float | None = None,
    distance: float | None = None,
    distance_err: float | None = None,
    galactic_av: float | None = None,
    name: str | None = None,
    limit_sigma: float | None = None,
    filters: Iterable[Filter] = (),
    strict: bool = False,
) -> ObservationTable:
    """Read the photometry of one object or many from ECSV or CSV.

    Long tables hold one row a band: `filter flux flux_err upper_limit`, or the columns
    of VOSA, sncosmo or dustysn, with an optional `object`. Wide ones hold one row an
    object: `JWST/MIRI.F1000W`, `JWST/MIRI.F1000W_err`, `JWST/MIRI.F1000W_limit`. The
    unit is that of the ECSV header, of the column name (`flux_mjy`), of a `# unit: mJy`
    note, or of `unit`. Redshift, distance [Mpc], their kin and the name of the object
    are columns or notes too; an argument here goes before the file. How missing values
    and limits are recognized stands in `grainlight.photometry.cells`.

    Args:
        path: The file.
        unit: Unit of flux, where the file states none.
        redshift: Redshift of the objects.
        distance: Luminosity distance of the objects [Mpc].
        distance_err: Its 1 sigma [Mpc].
        galactic_av: Extinction by the Milky Way still in the fluxes [mag].
        name: Name of a single object.
        limit_sigma: Sigmas that limits stand for; 3 if neither this nor the file says.
        filters: The user's own filters, that the table may name.
        strict: Raise at the first bad object. Otherwise one bad object of many becomes
            a failure of the table; a bad one that is alone, or all being bad, raises.
    """
    table = read_table(path)
    own = tuple(filters)
    notes = {column_of(key).role: value for key, value in table.meta.items()}
    reading = Reading(
        unit=unit or notes.get("unit"),
        name=name or notes.get("object") or Path(path).stem,
        limit_sigma=limit_sigma,
        own=tuple(member.name for member in own),
    )
    given: dict[str, float | None] = dict(
        zip(PLACE, (redshift, distance, distance_err, galactic_av), strict=True)
    )
    objects = _named(raw_objects(table, reading), name)
    return _build_all(objects, table, reading, own, given, strict)


def read_rows(
    table: RawTable,
    *,
    unit: str | None = None,
    redshift: float | None = None,
    distance: float | None = None,
    distance_err: float | None = None,
    galactic_av: float | None = None,
    limit_sigma: float | None = None,
) -> ObservationTable:
    """Understand the rows of a table that is read already; none of them stops others.

    Arguments are those of `read_observations`; a table without a column for fluxes
    still raises.
    """
    notes = {column_of(key).role: value for key, value in table.meta.items()}
    reading = Reading(unit or notes.get("unit"), "object", limit_sigma)
    place = (redshift, distance, distance_err, galactic_av)
    given: dict[str, float | None] = dict(zip(PLACE, place, strict=True))
    observations: list[Observation] = []
    failures: dict[str, str] = {}
    for raw in raw_objects(table, reading):
        try:
            observations.append(_build(raw, table, reading, (), given))
        except GrainlightError as error:
            failures[raw.name] = str(error)
    return ObservationTable(tuple(observations), failures)


def _named(objects: list[RawObject], name: str | None) -> list[RawObject]:
    if name is None:
        return objects
    if len(objects) > 1:
        raise ObservationError(
            f"Expected a single object to name {name!r}; got {len(objects)}. Leave the "
            "name to the table."
        )
    return [RawObject(name, objects[0].bands, objects[0].place)]


def _build_all(
    objects: list[RawObject],
    table: RawTable,
    reading: Reading,
    own: tuple[Filter, ...],
    given: dict[str, float | None],
    strict: bool,
) -> ObservationTable:
    observations: list[Observation] = []
    failures: dict[str, str] = {}
    errors: list[GrainlightError] = []
    for raw in objects:
        try:
            observations.append(_build(raw, table, reading, own, given))
        except GrainlightError as error:
            if strict or len(objects) == 1:
                raise
            failures[raw.name] = str(error)
            errors.append(error)
    if not observations:
        first = errors[0]
        raise type(first)(f"None of {len(objects)} objects can be used. {first}")
    return ObservationTable(tuple(observations), failures)


def _build(
    raw: RawObject,
    table: RawTable,
    reading: Reading,
    own: tuple[Filter, ...],
    given: dict[str, float | None],
) -> Observation:
    names = [band_name(band, reading.own) for band in raw.bands]
    units = [band_unit(band, reading.unit, table.default_unit) for band in raw.bands]
    measured = []
    for name, band, unit in zip(names, raw.bands, units, strict=True):
        measured.append(_measure(name, band, unit, own))
    place = {role: _place_of(raw, role, value) for role, value in given.items()}
    return Observation(
        name=raw.name,
        bands=tuple(names),
        flux=np.array([m.flux for m in measured]),
        error=np.array([m.error for m in measured]),
        is_limit=np.array([m.is_limit for m in measured]),
        **{role: value for role, value in place.items() if not np.isnan(value)},
    )


def _measure(
    name: str, band: RawBand, unit: FluxUnit, own: tuple[Filter, ...]
) -> Measurement:
    error_unit = None
    if band.error_unit and not unit.is_magnitude and band.zero_point is None:
        error_unit = flux_unit(band.error_unit)
    pivot = None
    if unit.needs_pivot or (error_unit is not None and error_unit.needs_pivot):
        pivot = _pivot_of(name, own)
    try:
        return measure(band.cell, unit, error_unit, pivot)
    except FileFormatError as error:
        raise FileFormatError(f"{name}: {error}") from error


@lru_cache(maxsize=512)
def _pivot_of(name: str, own: tuple[Filter, ...]) -> float:
    return load_filters([name], own)[0].pivot


def _place_of(raw: RawObject, role: str, given: float | None) -> float:
    if given is not None:
        return float(given)
    values = raw.place[role]
    if len(values) > 1:
        raise ObservationError(
            f"Expected one {role.replace('_', ' ')} of {raw.name}; got "
            f"{', '.join(f'{value:g}' for value in values)}. Make them equal."
        )
    return values[0] if values else np.nan
