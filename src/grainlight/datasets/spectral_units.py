"""Units of spectra: whatever a grid is written in becomes um and erg/s/Hz."""

import re
import warnings
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from jaxtyping import Float

from grainlight.core import UnitError

LUMINOSITY_DENSITY = u.erg / u.s / u.Hz
FLUX_DENSITY = u.erg / u.s / u.cm**2 / u.Hz
CM_PER_MPC = 3.0856775814913673e24
_SPECTRA = "Jy, mJy, erg/s/cm2/Angstrom, erg/s/Hz, Lsun/um, W/um or dex(erg/s/Hz)"


@dataclass(frozen=True)
class SpectralScale:
    r"""Turns the values of spectra into log10 luminosity densities [erg/s/Hz].

    $$ L_\nu = 4 \pi d^2 F_\nu , \qquad L_\nu = L_\lambda \lambda^2 / c $$

    Attributes:
        log_factor: log10 of what one unit is at each wavelength [erg/s/Hz].
        is_log: Whether values are log10 already.
    """

    log_factor: Float[np.ndarray, " wave"]
    is_log: bool

    def __call__(
        self, values: Float[np.ndarray, "object wave"]
    ) -> Float[np.ndarray, "object wave"]:
        """log10 luminosity densities; minus infinity of zero, nan of less."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = values if self.is_log else np.log10(values)
            return logs + self.log_factor


def wavelengths_um(values: Float[np.ndarray, " wave"], unit: str | None) -> np.ndarray:
    """Wavelengths [um] of values in a unit of length, or of frequency."""
    given = _unit(unit, "wavelength", "um, Angstrom, nm or m")
    try:
        return np.asarray(u.Quantity(values, given).to_value(u.um, u.spectral()))
    except u.UnitConversionError as error:
        raise UnitError(
            f"Expected a unit of wavelength; got {unit!r}. Use um, Angstrom, nm or m."
        ) from error


def spectral_scale(
    unit: str | None, wave: Float[np.ndarray, " wave"], distance_mpc: float | None
) -> SpectralScale:
    """The scale of spectra in a unit of luminosity or flux density.

    Args:
        unit: Per frequency or per wavelength; `dex(...)` for log10 values.
        wave: Wavelengths [um].
        distance_mpc: Where a flux density was computed for, at redshift zero [Mpc].
    """
    given = _unit(unit, "spectrum", _SPECTRA)
    is_log = isinstance(given, u.DexUnit)
    linear = given.physical_unit if isinstance(given, u.DexUnit) else given
    if not isinstance(linear, u.UnitBase):
        raise _impossible(unit)
    one = u.Quantity(np.ones(len(wave)), linear)
    there = u.spectral_density(wave * u.um)
    for wanted, is_flux in ((LUMINOSITY_DENSITY, False), (FLUX_DENSITY, True)):
        try:
            factor = np.log10(np.asarray(one.to_value(wanted, there)))
        except u.UnitConversionError:
            continue
        return SpectralScale(factor + _log_area(unit, is_flux, distance_mpc), is_log)
    raise _impossible(unit)


def _impossible(unit: str | None) -> UnitError:
    return UnitError(
        f"Expected a unit of luminosity or flux density; got {unit!r}. Use such as "
        f"{_SPECTRA}."
    )


def _log_area(unit: str | None, is_flux: bool, distance_mpc: float | None) -> float:
    """log10 of the area that a flux passes [cm2]; zero of a luminosity."""
    if is_flux and (distance_mpc is None or not 0 < distance_mpc < np.inf):
        raise UnitError(
            f"Expected the distance of spectra in {unit}, a flux density; got "
            f"{distance_mpc}. Give the distance [Mpc] that they were computed for."
        )
    if not is_flux and distance_mpc is not None:
        raise UnitError(
            f"Expected no distance of spectra in {unit}, a luminosity; got "
            f"{distance_mpc:g} Mpc. Leave it out, or correct the unit."
        )
    if distance_mpc is None:
        return 0.0
    return float(np.log10(4 * np.pi * (distance_mpc * CM_PER_MPC) ** 2))


def _unit(text: str | None, what: str, examples: str) -> Any:
    if text is None or not text.strip():
        raise UnitError(
            f"Expected the unit of the {what}; got none. Name it, as {examples}."
        )
    spelled = re.sub(r"\bA\b", "Angstrom", text.strip().replace("μ", "u"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of more than one slash
            return u.Unit(spelled.replace("µ", "u"))
    except (ValueError, TypeError) as error:
        raise UnitError(
            f"Expected the unit of the {what}; got {text!r}. Use such as {examples}."
        ) from error
