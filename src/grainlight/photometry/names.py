"""Names of filters: the canonical SVO name, and what people write instead of it."""

import difflib
import re
from collections.abc import Iterable
from functools import cache, lru_cache

from grainlight.core import UnknownFilterError

_NIRCAM = (
    "F070W F090W F115W F140M F150W F150W2 F162M F164N F182M F187N F200W F210M F212N "
    "F250M F277W F300M F322W2 F323N F335M F356W F360M F405N F410M F430M F444W F460M "
    "F466N F470N F480M"
).split()
_MIRI = "F560W F770W F1000W F1130W F1280W F1500W F1800W F2100W F2550W".split()

JWST_NAMES: tuple[str, ...] = tuple(
    [f"JWST/NIRCam.{name}" for name in _NIRCAM]
    + [f"JWST/MIRI.{name}" for name in _MIRI]
)

SEDPY_NAMES: dict[str, str] = {
    "GALEX/GALEX.FUV": "galex_FUV",
    "GALEX/GALEX.NUV": "galex_NUV",
    "SLOAN/SDSS.u": "sdss_u0",
    "SLOAN/SDSS.g": "sdss_g0",
    "SLOAN/SDSS.r": "sdss_r0",
    "SLOAN/SDSS.i": "sdss_i0",
    "SLOAN/SDSS.z": "sdss_z0",
    "2MASS/2MASS.J": "twomass_J",
    "2MASS/2MASS.H": "twomass_H",
    "2MASS/2MASS.Ks": "twomass_Ks",
    "WISE/WISE.W1": "wise_w1",
    "WISE/WISE.W2": "wise_w2",
    "WISE/WISE.W3": "wise_w3",
    "WISE/WISE.W4": "wise_w4",
    "Spitzer/IRAC.I1": "spitzer_irac_ch1",
    "Spitzer/IRAC.I2": "spitzer_irac_ch2",
    "Spitzer/IRAC.I3": "spitzer_irac_ch3",
    "Spitzer/IRAC.I4": "spitzer_irac_ch4",
    "Spitzer/MIPS.24mu": "spitzer_mips_24",
}
"""SVO names whose curves astro-sedpy holds, with its own name of each."""

SPECLITE_NAMES: dict[str, str] = {
    "Euclid/VIS.vis": "Euclid-VIS",
    "Euclid/NISP.Y": "Euclid-Y",
    "Euclid/NISP.J": "Euclid-J",
    "Euclid/NISP.H": "Euclid-H",
}
"""SVO names whose curves speclite holds, with its own name of each."""


def canonical_name(
    text: str,
    *,
    telescope: str | None = None,
    instrument: str | None = None,
    extra: Iterable[str] = (),
) -> str:
    """The SVO name of a filter, from any of its aliases.

    `F1000W`, `miri_f1000w`, `JWST_MIRI_F1000W` and `jwst.miri.F1000W` all mean
    `JWST/MIRI.F1000W`: case and punctuation do not matter. A bare name that NIRCam
    shares with another camera means NIRCam, unless the instrument says otherwise.
    Names `sedpy/...` and `speclite/...` pass unchanged: any curve of those packages.

    Args:
        text: The name as written.
        telescope: Telescope from a column beside it, if any.
        instrument: Instrument from a column beside it, if any.
        extra: Further names to know, such as those of the user's own curves.
    """
    return _resolve(text.strip(), telescope, instrument, tuple(extra))


@lru_cache(maxsize=4096)
def _resolve(
    text: str, telescope: str | None, instrument: str | None, extra: tuple[str, ...]
) -> str:
    if text in extra or text.startswith(("sedpy/", "speclite/")):
        return text
    known = {**_aliases(JWST_NAMES), **_aliases_of_extra(extra)}
    where = [part for part in (telescope, instrument) if part and part.strip("- ")]
    for spelling in _spellings(text, where):
        if (name := known.get(_squeeze(spelling))) and _agrees(name, where):
            return name
    near = nearest_names(text, (*JWST_NAMES, *SEDPY_NAMES, *SPECLITE_NAMES, *extra))
    written = " ".join([*where, text])
    raise UnknownFilterError(
        f"Expected the name of a filter, such as JWST/MIRI.F1000W; got {written!r}. "
        f"Nearest: {', '.join(near) or 'none'}. `grainlight filters` lists all."
    )


def nearest_names(text: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The known names most like a name that is not known, best first."""
    target = _squeeze(text)

    def likeness(name: str) -> float:
        shapes = {_squeeze(name), *map(_squeeze, _short_forms(name))}
        return max(_likeness(target, shape) for shape in shapes)

    scored = sorted(((likeness(name), name) for name in names), reverse=True)
    return tuple(name for score, name in scored[:count] if score >= 0.5)


def _likeness(text: str, other: str) -> float:
    """Share of common runs of letters, and a little for letters in the same place."""
    in_place = sum(a == b for a, b in zip(text, other, strict=False))
    runs = difflib.SequenceMatcher(None, text, other).ratio()
    return runs + 0.2 * in_place / max(len(text), len(other), 1)


def _squeeze(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _short_forms(name: str) -> list[str]:
    """The name without its telescope, its instrument, or both."""
    parts = re.split(r"[/.]", name)
    shorter = [" ".join(parts[i:]) for i in range(len(parts))]
    return [*shorter, f"{parts[0]} {parts[-1]}"]


def _spellings(text: str, where: list[str]) -> list[str]:
    """What to look up: the text with its columns in front first, then alone."""
    return [" ".join([*where[i:], text]) for i in range(len(where) + 1)]


def _agrees(name: str, where: list[str]) -> bool:
    squeezed = _squeeze(name)
    return all(_squeeze(part) in squeezed for part in where)


@cache
def _aliases(names: tuple[str, ...]) -> dict[str, str]:
    """Squeezed spellings of every name; the first name keeps a shared one."""
    known: dict[str, str] = {}
    for name in names:
        known.setdefault(_squeeze(name), name)
    for name in names:
        for form in _short_forms(name):
            known.setdefault(_squeeze(form), name)
    return known


@cache
def _aliases_of_extra(extra: tuple[str, ...]) -> dict[str, str]:
    known: dict[str, str] = {}
    for name in (*SEDPY_NAMES, *SPECLITE_NAMES):
        telescope, rest = name.split("/")
        known[_squeeze(name)] = name
        known.setdefault(_squeeze(rest), name)
        known.setdefault(_squeeze((SEDPY_NAMES | SPECLITE_NAMES)[name]), name)
    for name in extra:
        known[_squeeze(name)] = name
    return known
