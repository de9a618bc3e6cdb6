"""Filters: transmission curves with the wavelengths that describe them."""

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from grainlight.core import FileFormatError, ObservationError, UnknownFilterError
from grainlight.photometry.names import canonical_name, nearest_names
from grainlight.photometry.quadrature import Quadrature, filter_quadrature

Kind = Literal["broad", "medium", "narrow", "wide", "other"]
_KIND_OF_SUFFIX: dict[str, Kind] = {
    "W": "broad",
    "M": "medium",
    "N": "narrow",
    "W2": "wide",
}
_EDGE = 0.01  # share of the peak at which a curve begins, as the SVO has it


@dataclass(frozen=True, eq=False)
class Filter:
    """One filter: the electrons counted per photon, against wavelength.

    The scale of the transmission does not matter: band fluxes are means.

    Attributes:
        name: Canonical name, `telescope/instrument.filter` as at the SVO.
        wave: Wavelength, increasing [um].
        transmission: Photons counted per photon received, not negative.
    """

    name: str
    wave: Float[np.ndarray, " wave"]
    transmission: Float[np.ndarray, " wave"]

    def __post_init__(self) -> None:
        wave = np.array(self.wave, dtype=float)
        transmission = np.array(self.transmission, dtype=float)
        _check_curve(self.name, wave, transmission)
        for array in (wave, transmission):
            array.setflags(write=False)
        object.__setattr__(self, "wave", wave)
        object.__setattr__(self, "transmission", transmission)

    def __repr__(self) -> str:
        return f"Filter({self.name!r}, pivot={self.pivot:.4g} um)"

    @property
    def kind(self) -> Kind:
        """Broad, medium, narrow or wide, as JWST names its filters; else other."""
        match = re.search(r"\.F\d+(W2|W|M|N)$", self.name)
        if match is None or not self.name.startswith("JWST/"):
            return "other"
        return _KIND_OF_SUFFIX[match.group(1)]

    @cached_property
    def pivot(self) -> float:
        r"""Pivot [um], $\sqrt{\int T \lambda \, d\lambda / \int T \, d\ln\lambda}$."""
        nodes = np.exp(self.quadrature.ln_wave)
        return float(np.sqrt(self.quadrature.weight @ nodes**2))

    @cached_property
    def mean_wavelength(self) -> float:
        r"""Mean wavelength $\int T\lambda\,d\lambda / \int T\,d\lambda$ [um]."""
        nodes, weight = np.exp(self.quadrature.ln_wave), self.quadrature.weight
        return float(weight @ nodes**2 / (weight @ nodes))

    @cached_property
    def effective_width(self) -> float:
        r"""Width of a box of equal area and peak [um], $\int T d\lambda/T_{max}$."""
        area = np.trapezoid(self.transmission, self.wave)
        return float(area / self.transmission.max())

    @property
    def lower(self) -> float:
        """Shortest wavelength at 1 % of the peak or more [um]."""
        return float(self.wave[self._open][0])

    @property
    def upper(self) -> float:
        """Longest wavelength at 1 % of the peak or more [um]."""
        return float(self.wave[self._open][-1])

    @property
    def _open(self) -> np.ndarray:
        return self.transmission >= _EDGE * self.transmission.max()

    @cached_property
    def quadrature(self) -> Quadrature:
        """The few nodes and weights that stand for the curve in band integrals."""
        return filter_quadrature(self.wave, self.transmission)


def _check_curve(name: str, wave: np.ndarray, transmission: np.ndarray) -> None:
    if wave.ndim != 1 or wave.shape != transmission.shape or wave.size < 2:
        raise FileFormatError(
            f"Expected wavelengths and transmissions of {name!r} of one length, two or "
            f"more; got shapes {wave.shape} and {transmission.shape}. Give one "
            "transmission a wavelength."
        )
    if not (np.isfinite(wave).all() and np.isfinite(transmission).all()):
        raise FileFormatError(
            f"Expected finite numbers in the curve of {name!r}; got nan or infinity. "
            "Remove those rows."
        )
    if wave[0] <= 0 or (np.diff(wave) <= 0).any():
        raise FileFormatError(
            f"Expected positive, increasing wavelengths [um] of {name!r}; got "
            f"{wave[0]:g} to {wave[-1]:g} out of order. Sort the rows, once each."
        )
    if transmission.min() < 0 or transmission.max() <= 0:
        raise FileFormatError(
            f"Expected transmissions of {name!r} that are not negative and not all "
            f"zero; got {transmission.min():g} to {transmission.max():g}. Set negative "
            "ones to zero."
        )


@dataclass(frozen=True, eq=False)
class FilterSet:
    """An ordered set of filters; the band axis of every array follows it."""

    members: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))
        if len(set(self.names)) != len(self.members):
            raise ObservationError(
                f"Expected every filter once; got {', '.join(self.names)}. Remove the "
                "repeated one."
            )

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Filter]:
        return iter(self.members)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str | int) -> Filter:
        if isinstance(name, int):
            return self.members[name]
        return self.members[self.index(name)]

    def index(self, name: str) -> int:
        """Position of a filter, by its canonical name or an alias of it."""
        position = self._positions.get(name)
        if position is None:
            position = self._positions.get(canonical_name(name, extra=self.names))
        if position is None:
            near = nearest_names(name, self.names)
            raise UnknownFilterError(
                f"Expected one of the {len(self)} filters of this set; got {name!r}. "
                f"Nearest: {', '.join(near) or 'none'}."
            )
        return position

    def subset(self, names: Iterable[str]) -> "FilterSet":
        """The filters of these names or aliases, in the order given."""
        return FilterSet(tuple(self[name] for name in names))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Canonical names in order."""
        return tuple(member.name for member in self.members)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.names)}

    @cached_property
    def pivot(self) -> Float[np.ndarray, " band"]:
        """Pivot wavelengths [um]."""
        return np.array([member.pivot for member in self.members])


@cache
def jwst_filters() -> FilterSet:
    """The 38 imaging filters of NIRCam (29) and MIRI (9), by pivot wavelength.

    References:
        NIRCam: webbpsf-ext 2.0.1, in-flight total system, mean over the detectors.
        MIRI: Glasse et al. (2015), PASP 127, 686, as in astro-sedpy 0.4.1.
    """
    packed = resources.files("grainlight.photometry") / "data/jwst_throughputs.csv.gz"
    text = gzip.decompress(packed.read_bytes()).decode("ascii")
    curves: dict[str, list[tuple[float, float]]] = {}
    rows = csv.reader(line for line in io.StringIO(text) if not line.startswith("#"))
    next(rows)
    for name, wave, transmission in rows:
        curves.setdefault(name, []).append((float(wave), float(transmission)))
    members = [Filter(name, *np.array(curve).T) for name, curve in curves.items()]
    return FilterSet(tuple(sorted(members, key=lambda member: member.pivot)))


def jwst_names(*kinds: Kind) -> tuple[str, ...]:
    """Names of the JWST filters of these kinds, by wavelength; all if none is given.

    `jwst_names("broad", "medium")` are the 29 bands of the packaged models.
    """
    members = jwst_filters().members
    return tuple(m.name for m in members if not kinds or m.kind in kinds)


def read_filter(path: str | Path, name: str) -> Filter:
    """Read a transmission curve of one's own.

    Args:
        path: Text of two columns, wavelength [um] and photons counted per photon,
            apart by commas or blanks; lines of words or after `#` are passed over.
        name: The name to give it, best as `telescope/instrument.filter`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(
            f"Expected a file with a transmission curve; got {str(path)!r}, which is "
            "not one. Check the path."
        )
    pairs = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = re.split(r"[,;\s]+", line.split("#")[0].strip())
        try:
            pairs.append((float(fields[0]), float(fields[1])))
        except (ValueError, IndexError):
            continue
    if len(pairs) < 2:
        raise FileFormatError(
            f"Expected two columns, wavelength [um] and transmission, in {str(path)!r};"
            f" got {len(pairs)} such rows. Write one pair of numbers a row."
        )
    return Filter(name, *np.array(pairs).T)
