r"""Units of flux: whatever a table is written in becomes nJy where it comes in.

The AB zero point is exact in cgs, $m = -2.5\log_{10}f_\nu - 48.60$, hence
$m = 31.4 - 2.5\log_{10}(f_\nu/\mathrm{nJy})$ (Oke & Gunn 1983, ApJ 266, 713).
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

import astropy.units as u
import numpy as np
from jaxtyping import Float

from grainlight.core import UnitError

AB_ZERO_POINT_NJY = 31.4
"""AB magnitude of 1 nJy."""

_MAG_ERROR = 0.4 * np.log(10)  # relative flux error of 1 mag
_NJY_PER_CGS_AT_MPC = 1e32 / (4 * np.pi * (1e6 * 3.0856775814913673e18) ** 2)
_SPELLINGS = {
    "jy": "Jy",
    "mjy": "mJy",
    "ujy": "uJy",
    "microjy": "uJy",
    "njy": "nJy",
    "nanojy": "nJy",
    "maggies": "mgy",
    "maggie": "mgy",
    "nanomaggies": "nmgy",
    "nanomaggie": "nmgy",
    "nanomaggy": "nmgy",
    "ab": "mag(AB)",
    "abmag": "mag(AB)",
    "mag(ab)": "mag(AB)",
    "magab": "mag(AB)",
    "stmag": "mag(ST)",
    "cgs": "erg/(s cm2 Hz)",
    "flam": "erg/(s cm2 Angstrom)",
    "fnu": "erg/(s cm2 Hz)",
}
_EXAMPLES = "Jy, mJy, uJy, nJy, maggies, ABmag, erg/s/cm2/A, erg/s/cm2/Hz, W/m2/Hz"


@dataclass(frozen=True)
class FluxUnit:
    """A unit that fluxes may be written in.

    Attributes:
        name: As the user wrote it.
        physical: The linear unit below it.
        is_magnitude: Whether values are magnitudes of `physical`.
    """

    name: str
    physical: u.UnitBase
    is_magnitude: bool = False

    @cached_property
    def needs_pivot(self) -> bool:
        """Whether the conversion to flux per frequency needs the wavelength."""
        return not any(map(self.physical.is_equivalent, (u.mgy, u.nJy)))

    def _factor(
        self, pivot: Float[np.ndarray, "..."] | float | None
    ) -> float | np.ndarray:
        """The nJy in one linear unit."""
        if not self.needs_pivot:
            return _njy_in(self.physical)
        if pivot is None:
            raise UnitError(
                f"Expected the pivot wavelength [um] to convert {self.name}; got none. "
                "Give it, or a flux density per frequency."
            )
        pivot = np.asarray(pivot, dtype=float)
        factors = [_njy_in(self.physical, wave) for wave in pivot.ravel().tolist()]
        return np.asarray(factors).reshape(pivot.shape)

    def to_njy(
        self,
        value: Float[np.ndarray, "..."] | float,
        pivot: Float[np.ndarray, "..."] | float | None = None,
    ) -> Float[np.ndarray, "..."]:
        """Flux density [nJy] of values in this unit.

        Args:
            value: Fluxes or magnitudes.
            pivot: Pivot wavelength of their filters [um]; needed unless the unit is
                per frequency.
        """
        value = np.asarray(value, dtype=float)
        linear = 10 ** (-0.4 * value) if self.is_magnitude else value
        return np.asarray(linear * self._factor(pivot))

    def error_to_njy(
        self,
        value: Float[np.ndarray, "..."] | float,
        error: Float[np.ndarray, "..."] | float,
        pivot: Float[np.ndarray, "..."] | float | None = None,
    ) -> Float[np.ndarray, "..."]:
        r"""Error [nJy]; of a magnitude $\sigma_f = 0.4 \ln 10\, f \sigma_m$."""
        error = np.asarray(error, dtype=float)
        if self.is_magnitude:
            return np.asarray(_MAG_ERROR * self.to_njy(value, pivot) * error)
        return np.asarray(error * self._factor(pivot))

    def from_njy(
        self,
        flux: Float[np.ndarray, "..."] | float,
        pivot: Float[np.ndarray, "..."] | float | None = None,
    ) -> Float[np.ndarray, "..."]:
        """Values in this unit; a magnitude of a flux not positive is nan."""
        linear = np.asarray(flux, dtype=float) / self._factor(pivot)
        if not self.is_magnitude:
            return np.asarray(linear)
        positive = np.where(linear > 0, linear, np.nan)
        return np.asarray(-2.5 * np.log10(positive))


@lru_cache(maxsize=4096)
def _njy_in(physical: u.UnitBase, pivot: float | None = None) -> float:
    if physical.is_equivalent(u.mgy):
        return _scale(physical, u.mgy) * 10 ** (0.4 * AB_ZERO_POINT_NJY)
    if pivot is None:
        return _scale(physical, u.nJy)
    return _scale(physical, u.nJy, u.spectral_density(pivot * u.um))


def _scale(
    unit: u.UnitBase, other: u.UnitBase, equivalencies: list | None = None
) -> float:
    """How many of another unit are one of this."""
    return float(np.asarray(unit.to(other, 1.0, equivalencies), dtype=float))


@lru_cache(maxsize=256)
def flux_unit(text: str | None) -> FluxUnit:
    """The flux unit that a text names.

    Case is forgiven where one reading is left: `mjy` is mJy (a megajansky must be
    written `MJy`). `A` is the angstrom. A bare `mag` is refused, since it does not say
    whether AB or Vega is meant.
    """
    if text is None or not text.strip():
        raise UnitError(
            "Expected a unit of flux; got none. Name it in the column (`flux_mjy`), in "
            f"the ECSV header or with --unit: one of {_EXAMPLES}."
        )
    spelled = text.strip().replace("μ", "u").replace("µ", "u").replace("Å", "A")
    short = re.sub(r"[\s_\-]", "", spelled).lower()
    if short in ("mag", "mags", "magnitude", "vega", "vegamag", "mag(vega)"):
        raise UnitError(
            f"Expected a unit of flux or AB magnitudes; got {text!r}, which does not "
            "say AB. Write `ABmag` if it is; convert Vega magnitudes first."
        )
    spelled = _SPELLINGS.get(short, _one_slash(re.sub(r"\bA\b", "Angstrom", spelled)))
    if text.strip() == "MJy":
        spelled = "MJy"
    try:
        unit = u.Unit(spelled, parse_strict="raise")
    except (ValueError, TypeError) as error:
        raise _impossible(text) from error
    return _as_flux_unit(text.strip(), unit)


def _one_slash(text: str) -> str:
    """`a/b/c` as `a/(b c)`, which cannot be misread."""
    above, *below = text.split("/")
    if len(below) < 2 or "(" in text:
        return text
    return f"{above}/({' '.join(below)})"


def _as_flux_unit(text: str, unit: u.UnitBase | u.MagUnit) -> FluxUnit:
    is_magnitude = isinstance(unit, u.MagUnit)
    physical = unit.physical_unit if is_magnitude else unit
    anywhere = u.spectral_density(1 * u.um)
    if not (physical.is_equivalent(u.mgy) or physical.is_equivalent(u.nJy, anywhere)):
        raise _impossible(text)
    return FluxUnit(text, physical, is_magnitude)


def _impossible(text: str) -> UnitError:
    return UnitError(
        f"Expected a unit of flux density; got {text!r}. Use one of {_EXAMPLES}."
    )


def flux_density_from_luminosity(
    luminosity: Float[np.ndarray, "..."],
    distance: Float[np.ndarray, "..."] | float,
    redshift: Float[np.ndarray, "..."] | float = 0.0,
) -> Float[np.ndarray, "..."]:
    r"""Observed flux density of a rest-frame luminosity density.

    $$ f_\nu(\lambda) = (1 + z)\, L_\nu\big(\lambda/(1+z)\big) / (4 \pi d_L^2) $$

    Arrays of NumPy and of JAX both pass.

    Args:
        luminosity: $L_\nu$ at the rest wavelength, or its band mean [erg/s/Hz].
        distance: Luminosity distance [Mpc].
        redshift: Redshift of the source.

    Returns:
        The flux density [nJy].

    References:
        Hogg et al. (2002), arXiv:astro-ph/0210394.
    """
    return luminosity * (_NJY_PER_CGS_AT_MPC * (1 + redshift)) / distance**2
