"""What a column is, from the names that people give it."""

import re
from dataclasses import dataclass

from grainlight.core import UnknownFilterError
from grainlight.photometry.names import canonical_name
from grainlight.photometry.tables import plain_key

_ROLES: dict[str, str] = {
    "object": "object object_name name source source_name target obj id objid "
    "object_id objectid source_id sourceid",
    "filter": "filter band bandpass passband filt filter_name",
    "flux": "flux flux_density fluxdensity fnu f_nu flam f_lambda flux_nu "
    "mag magnitude abmag mag_ab ab_mag magab",
    "error": "flux_err fluxerr flux_error err_flux error err e_flux eflux dflux "
    "flux_unc unc uncertainty sigma flux_sigma flux_uncertainty flux_density_err "
    "fnu_err flam_err mag_err magerr mag_error e_mag abmag_err mag_ab_err ab_mag_err",
    "limit": "upper_limit upperlimit ul uplim is_limit limit is_upper_limit censored "
    "nondetection limit_flag",
    "flag": "flag flags valid",
    "options": "pntopts",
    "unit": "unit units flux_unit",
    "telescope": "telescope",
    "instrument": "instrument camera",
    "zp": "zp zeropoint zero_point",
    "zpsys": "zpsys zp_sys magsys",
    "limit_sigma": "limit_sigma n_sigma nsigma",
    "redshift": "redshift z z_spec zspec z_helio",
    "distance": "distance dist dis luminosity_distance d_l",
    "distance_err": "distance_err distance_error dist_err e_distance distance_unc "
    "dis_err",
    "galactic_av": "galactic_av av a_v mw_av av_mw av_gal galactic_a_v",
}
_ROLE_OF = {name: role for role, names in _ROLES.items() for name in names.split()}
_UNIT_WORDS = {
    **{word: word for word in ("jy", "mjy", "ujy", "njy", "maggies", "nanomaggies")},
    **{"mpc": "Mpc", "kpc": "kpc", "pc": "pc"},
}
_WIDE_UNIT_WORDS = _UNIT_WORDS | {"abmag": "ABmag", "mag": "mag"}
_MAGNITUDES = {"abmag", "mag_ab", "ab_mag", "magab"}
_WIDE = re.compile(
    r"(?P<base>.+?)(?:[_ ](?P<part>err|error|unc|e|limit|ul|uplim|upper_limit|flag))?",
    re.IGNORECASE,
)
_PART_ROLE = {"err": "error", "error": "error", "unc": "error", "e": "error"}
_PART_ROLE |= {name: "limit" for name in ("limit", "ul", "uplim", "upper_limit")}
_PART_ROLE["flag"] = "flag"


@dataclass(frozen=True)
class Column:
    """A column understood.

    Attributes:
        name: As it stands in the table.
        role: What it holds; empty if nothing that matters here.
        unit: Unit that its name states, if any.
    """

    name: str
    role: str
    unit: str | None = None


@dataclass(frozen=True)
class BandColumn:
    """A column of a wide table: the flux, error, limit or flag of one filter."""

    name: str
    base: str
    role: str
    unit: str | None = None


def column_of(name: str) -> Column:
    """The role of a column of a long table, or of a note."""
    key = plain_key(name)
    if key in _ROLE_OF:
        unit = None
        if _ROLE_OF[key] == "flux" and "mag" in key:
            unit = "ABmag" if key in _MAGNITUDES else "mag"
        return Column(name, _ROLE_OF[key], unit)
    words = key.split("_")
    units = [word for word in words if word in _UNIT_WORDS]
    rest = "_".join(word for word in words if word not in _UNIT_WORDS)
    if len(units) == 1 and rest in _ROLE_OF:
        return Column(name, _ROLE_OF[rest], _UNIT_WORDS[units[0]])
    return Column(name, "")


def roles_of(names: list[str]) -> dict[str, Column]:
    """The columns that matter, by role; of two alike the more usual name wins."""
    found: dict[str, Column] = {}
    for column in map(column_of, names):
        if not column.role:
            continue
        usual = _ROLES[column.role].split()
        rank = {name: place for place, name in enumerate(usual)}
        rival = found.get(column.role)
        if rival is None or rank.get(plain_key(column.name), 99) < rank.get(
            plain_key(rival.name), 99
        ):
            found[column.role] = column
    return found


def band_column_of(name: str) -> BandColumn:
    """The parts of a wide column: `JWST/MIRI.F1000W_err`, `flux_F1000W_mjy`."""
    words = re.split(r"[_ ]", name.strip())
    units = [word for word in words if word.lower() in _WIDE_UNIT_WORDS]
    kept = [word for word in words if word.lower() not in {*_WIDE_UNIT_WORDS, "flux"}]
    match = _WIDE.fullmatch("_".join(kept) or name)
    base, part = match.group("base"), match.group("part")
    role = _PART_ROLE[part.lower()] if part else "flux"
    unit = _WIDE_UNIT_WORDS[units[0].lower()] if len(units) == 1 else None
    return BandColumn(name, base, role, unit)


def is_filter(text: str, extra: tuple[str, ...] = ()) -> bool:
    """Whether a text names a known filter."""
    try:
        canonical_name(text, extra=extra)
    except UnknownFilterError:
        return False
    return True
