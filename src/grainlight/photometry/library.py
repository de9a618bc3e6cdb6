"""Filters of other instruments, from the packages that hold their curves."""

import importlib
from collections.abc import Iterable
from types import ModuleType

import numpy as np

from grainlight.core import UnknownFilterError
from grainlight.photometry.filters import Filter, FilterSet, jwst_filters
from grainlight.photometry.names import (
    SEDPY_NAMES,
    SPECLITE_NAMES,
    canonical_name,
    nearest_names,
)

_UM_PER_ANGSTROM = 1e-4


def load_filters(names: Iterable[str], own: Iterable[Filter] = ()) -> FilterSet:
    """The filters of these names: shipped, the user's own, or from an extra.

    The 38 JWST imaging filters need nothing more. Spitzer, WISE, 2MASS, SDSS and GALEX
    curves, and any `sedpy/...`, come from astro-sedpy; Euclid and any `speclite/...`
    from speclite: `pip install grainlight[filters]` brings both.

    Args:
        names: Canonical names or aliases, in the order wanted.
        own: Filters of the user, found by their names before all others.
    """
    mine = {member.name: member for member in own}
    return FilterSet(tuple(_load_one(name, mine) for name in names))


def _load_one(name: str, mine: dict[str, Filter]) -> Filter:
    canonical = canonical_name(name, extra=mine)
    if canonical in mine:
        return mine[canonical]
    if canonical in jwst_filters():
        return jwst_filters()[canonical]
    if canonical in SEDPY_NAMES or canonical.startswith("sedpy/"):
        key = SEDPY_NAMES.get(canonical, canonical.removeprefix("sedpy/"))
        return _from_sedpy(canonical, key)
    key = SPECLITE_NAMES.get(canonical, canonical.removeprefix("speclite/"))
    return _from_speclite(canonical, key)


def _from_sedpy(name: str, key: str) -> Filter:
    observate = _extra("sedpy.observate", "astro-sedpy", name)
    known = observate.list_available_filters()
    if key not in known:
        raise _not_held("astro-sedpy", key, known)
    curve = observate.Filter(key)
    return _clean(name, curve.wavelength, curve.transmission)


def _from_speclite(name: str, key: str) -> Filter:
    speclite = _extra("speclite.filters", "speclite", name)
    try:
        curve = speclite.load_filter(key)
    except ValueError as error:
        raise _not_held("speclite", key, SPECLITE_NAMES.values()) from error
    return _clean(name, curve.wavelength, curve.response)


def _extra(module: str, package: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnknownFilterError(
            f"Expected {package} for the curve of {name}; it is not installed. Run "
            "`pip install grainlight[filters]`, or give the curve yourself."
        ) from error


def _not_held(package: str, key: str, known: Iterable[str]) -> UnknownFilterError:
    near = nearest_names(key, known)
    return UnknownFilterError(
        f"Expected a filter that {package} holds; got {key!r}. "
        f"Nearest: {', '.join(near) or 'none'}."
    )


def _clean(name: str, angstrom: np.ndarray, transmission: np.ndarray) -> Filter:
    """A curve in um, each wavelength once, without negative noise."""
    wave, first = np.unique(np.asarray(angstrom) * _UM_PER_ANGSTROM, return_index=True)
    return Filter(name, wave, np.clip(np.asarray(transmission)[first], 0, None))
