"""How faint and how bright each JWST filter sees a point source."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from grainlight.photometry.filters import FilterSet
from grainlight.photometry.names import canonical_name

_NJY_PER_MJY = 1e6


@dataclass(frozen=True, eq=False)
class BandLimits:
    """Detection and saturation of bands; nan where none is known.

    Attributes:
        detection: Flux found at 10 sigma in 10 ks [nJy].
        saturation: Flux that fills the central pixel in the shortest full-frame
            exposure of two frames (NIRCam, 21.5 s) or five (MIRI, 13.9 s) [nJy].
    """

    detection: Float[np.ndarray, " band"]
    saturation: Float[np.ndarray, " band"]


def band_limits(names: Iterable[str]) -> BandLimits:
    """Limits of JWST bands, by canonical name or alias.

    References:
        STScI, Pandeia verification outputs: 2025.7 (NIRCam), 5.1 (MIRI).
    """
    return _known_limits([canonical_name(name) for name in names])


def filter_table(filters: FilterSet) -> Table:
    """Wavelengths, widths, limits and saturation of filters, one row each."""
    limits = _known_limits(filters.names)
    columns = {
        "filter": [member.name for member in filters],
        "kind": [member.kind for member in filters],
        "pivot": [member.pivot for member in filters],
        "width": [member.effective_width for member in filters],
        "lower": [member.lower for member in filters],
        "upper": [member.upper for member in filters],
        "limit": limits.detection,
        "saturation": limits.saturation,
    }
    lengths, fluxes = ("pivot", "width", "lower", "upper"), ("limit", "saturation")
    units = {**dict.fromkeys(lengths, "um"), **dict.fromkeys(fluxes, "nJy")}
    table = Table(columns, units=units)
    for name in lengths:
        table[name].format = ".4f"
    for name in fluxes:
        table[name].format = ".4g"
    table.meta["limit"] = "10 sigma in 10 ks, point source"
    return table


def _known_limits(names: Iterable[str]) -> BandLimits:
    """Limits by exact name, since a set may hold curves of the user's own."""
    known = _jwst_limits()
    rows = [known.get(name, (np.nan, np.nan)) for name in names]
    detection, saturation = np.array(rows, dtype=float).reshape(-1, 2).T
    return BandLimits(detection, saturation)


@cache
def _jwst_limits() -> dict[str, tuple[float, float]]:
    """Detection and saturation [nJy] by canonical name."""
    path = resources.files("grainlight.photometry") / "data/jwst_limits.csv"
    lines = path.read_text(encoding="ascii").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {
        row["filter"]: (
            float(row["limit_njy"]),
            float(row["saturation_mjy"]) * _NJY_PER_MJY,
        )
        for row in rows
    }
