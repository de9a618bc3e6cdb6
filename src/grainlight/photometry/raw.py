"""Objects and bands as a table writes them, before units and names are settled."""

from dataclasses import dataclass

import astropy.units as u

from grainlight.core import UnitError, UnknownFilterError
from grainlight.photometry.cells import Cell
from grainlight.photometry.names import canonical_name
from grainlight.photometry.units import FluxUnit, flux_unit

PLACE = ("redshift", "distance", "distance_err", "galactic_av")
"""What is told once an object."""


@dataclass(frozen=True)
class RawBand:
    """One band of one object as written."""

    filter: str
    cell: Cell
    unit: str | None = None
    error_unit: str | None = None
    telescope: str | None = None
    instrument: str | None = None
    zero_point: float | None = None
    zero_point_system: str = "ab"


@dataclass(frozen=True)
class RawObject:
    """One object as written: its bands, and what is told once [Mpc, mag]."""

    name: str
    bands: tuple[RawBand, ...]
    place: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Reading:
    """How to read a table where it does not say itself.

    Attributes:
        unit: Unit of flux, if the user states one.
        name: Name of the object where no column names it.
        limit_sigma: Sigmas that limits stand for, if the user states it.
        own: Names of the user's own filters.
    """

    unit: str | None
    name: str
    limit_sigma: float | None
    own: tuple[str, ...] = ()


def band_name(band: RawBand, own: tuple[str, ...]) -> str:
    """The canonical name of a band as written."""
    if not band.filter:
        raise UnknownFilterError(
            "Expected a filter in every row; got an empty cell. Name it, such as "
            "JWST/MIRI.F1000W."
        )
    return canonical_name(
        band.filter, telescope=band.telescope, instrument=band.instrument, extra=own
    )


def band_unit(band: RawBand, stated: str | None, implied: str | None) -> FluxUnit:
    """The unit of a band: of its zero point, of the table, or the one stated."""
    if band.zero_point is not None:
        if band.zero_point_system != "ab":
            raise UnitError(
                "Expected zero points of the AB system; got "
                f"{band.zero_point_system!r}. Convert the fluxes first."
            )
        scale = 10 ** (-0.4 * band.zero_point)
        return FluxUnit(f"zero point {band.zero_point:g}", u.Unit(scale * u.mgy))
    if stated is None:
        return flux_unit(band.unit or implied)
    asked = flux_unit(stated)
    if not band.unit:
        return asked
    if _only_mag(band.unit) and asked.is_magnitude:
        return asked
    written = flux_unit(band.unit)
    if (written.physical, written.is_magnitude) != (asked.physical, asked.is_magnitude):
        raise UnitError(
            f"Expected one unit of flux; the table says {band.unit!r}, and {stated!r} "
            "was asked for. Leave one of them out."
        )
    return written


def _only_mag(text: str) -> bool:
    return text.strip().lower() in ("mag", "mags", "magnitude")
