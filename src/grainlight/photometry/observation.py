"""One object as it was observed: fluxes, errors, limits, redshift and distance."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import astropy.units as u
import numpy as np
from astropy.cosmology import Planck18
from dust_extinction.parameter_averages import G23
from jaxtyping import Bool, Float
from scipy.optimize import brentq

from grainlight.core import BandMismatchError, ObservationError, RangeError
from grainlight.photometry.filters import FilterSet
from grainlight.photometry.library import load_filters
from grainlight.photometry.names import canonical_name

_REDSHIFT_RANGE = (1e-9, 20.0)  # where a redshift is sought for a distance
_LAW_RANGE = (0.0912, 32.0)  # of the extinction law [um]


@dataclass(frozen=True, eq=False)
class Observation:
    """The photometry of one object.

    Where `is_limit`, the flux is the limiting one and the error its 1 sigma (limit over
    the number of sigmas that it was quoted at). An unobserved band has a nan flux.
    Distance and redshift are separate: the nearby universe is not in the Hubble flow.
    What is not given of the two follows from the other in the Planck 2018 cosmology.

    Attributes:
        name: Name of the object.
        bands: Canonical filter names, each once.
        flux: Flux density, may be negative [nJy].
        error: 1 sigma, positive wherever the flux is finite [nJy].
        is_limit: Where the flux is an upper limit.
        redshift: Redshift; nan if not given.
        distance: Luminosity distance; nan if not given [Mpc].
        distance_err: 1 sigma of the distance; 0 if exact [Mpc].
        galactic_av: Extinction by the Milky Way that is still in the fluxes [mag].

    References:
        Planck Collaboration (2020), A&A 641, A6.
    """

    name: str
    bands: tuple[str, ...]
    flux: Float[np.ndarray, " band"]
    error: Float[np.ndarray, " band"]
    is_limit: Bool[np.ndarray, " band"] | None = None
    redshift: float = np.nan
    distance: float = np.nan
    distance_err: float = 0.0
    galactic_av: float = 0.0

    def __post_init__(self) -> None:
        bands = tuple(str(band) for band in self.bands)
        is_limit = np.zeros(len(bands)) if self.is_limit is None else self.is_limit
        arrays = {
            "flux": np.array(self.flux, dtype=float),
            "error": np.array(self.error, dtype=float),
            "is_limit": np.array(is_limit, dtype=bool),
        }
        if arrays["is_limit"].shape == arrays["flux"].shape:
            arrays["is_limit"] &= ~np.isnan(arrays["flux"])
        object.__setattr__(self, "bands", bands)
        for field, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, field, array)
        for field in ("redshift", "distance", "distance_err", "galactic_av"):
            object.__setattr__(self, field, float(getattr(self, field)))
        _check_bands(self)
        _check_place(self)

    def __repr__(self) -> str:
        return (
            f"Observation({self.name!r}: {self.num_detected} detected, "
            f"{self.num_limits} limits, {self.distance_origin})"
        )

    @cached_property
    def usable(self) -> Bool[np.ndarray, " band"]:
        """Bands with a flux or a limit."""
        return np.isfinite(self.flux)

    @property
    def detected(self) -> Bool[np.ndarray, " band"]:
        """Bands with a flux that is no limit."""
        return self.usable & ~self.is_limit

    @property
    def num_detected(self) -> int:
        """Number of bands with a flux that is no limit."""
        return int(self.detected.sum())

    @property
    def num_limits(self) -> int:
        """Number of upper limits."""
        return int((self.usable & self.is_limit).sum())

    @cached_property
    def luminosity_distance(self) -> float:
        """Luminosity distance as given, else from the redshift [Mpc]."""
        if np.isfinite(self.distance):
            return self.distance
        return _planck_distance(self.redshift)

    @cached_property
    def resolved_redshift(self) -> float:
        """Redshift as given, else from the distance."""
        if np.isfinite(self.redshift):
            return self.redshift
        return _planck_redshift(self.distance)

    @property
    def distance_origin(self) -> str:
        """What the distance rests on, in words for a report."""
        if np.isfinite(self.distance):
            return f"distance {self.distance:g} Mpc as given"
        return (
            f"distance {self.luminosity_distance:.5g} Mpc from the redshift "
            f"{self.redshift:g} (Planck 2018 cosmology)"
        )

    @property
    def redshift_origin(self) -> str:
        """What the redshift rests on, in words for a report."""
        if np.isfinite(self.redshift):
            return f"redshift {self.redshift:g} as given"
        return (
            f"redshift {self.resolved_redshift:.4g} from the distance "
            f"{self.distance:g} Mpc (Planck 2018 cosmology)"
        )

    @property
    def distance_modulus(self) -> float:
        r"""Distance modulus $5 \log_{10}(d / 10 pc)$ [mag]."""
        return float(5 * np.log10(self.luminosity_distance) + 25)

    @property
    def distance_modulus_error(self) -> float:
        r"""Error of the distance modulus, $(5/\ln 10) \sigma_d / d$ [mag]."""
        return float(5 / np.log(10) * self.distance_err / self.luminosity_distance)

    def subset(self, bands: Iterable[str]) -> "Observation":
        """The same object in these bands only, in the order given."""
        wanted = [canonical_name(band, extra=self.bands) for band in bands]
        missing = [band for band in wanted if band not in self.bands]
        if missing:
            raise BandMismatchError(
                f"Expected bands of {self.name}; got {', '.join(missing)} besides. "
                f"It was observed in {', '.join(self.bands)}."
            )
        rows = [self.bands.index(band) for band in wanted]
        return replace(
            self,
            bands=tuple(wanted),
            flux=self.flux[rows],
            error=self.error[rows],
            is_limit=self.is_limit[rows],
        )

    def dereddened(self, filters: FilterSet | None = None) -> "Observation":
        """The observation as it would be without the Milky Way's dust.

        Fluxes, errors and limits are raised by the extinction at the pivot wavelength
        (R_V = 3.1); beyond 32 um, where the law ends, it is taken as zero.

        Args:
            filters: Where the pivot wavelengths of bands not of JWST are found.

        References:
            Gordon et al. (2023), ApJ 950, 86.
        """
        if self.galactic_av == 0:
            return self
        found = load_filters(self.bands, own=filters or ())
        factor = 10 ** (0.4 * self.galactic_av * _extinction_curve(found.pivot))
        return replace(
            self, flux=self.flux * factor, error=self.error * factor, galactic_av=0.0
        )


def _extinction_curve(pivot: np.ndarray) -> np.ndarray:
    """A(wavelength) / A(V) of the Milky Way."""
    inside = (pivot >= _LAW_RANGE[0]) & (pivot <= _LAW_RANGE[1])
    if (pivot < _LAW_RANGE[0]).any():
        raise RangeError(
            f"Expected bands above {_LAW_RANGE[0]} um; got {pivot.min():g} um. Leave "
            "them out, or set the Galactic extinction to 0."
        )
    curve = np.zeros_like(pivot)
    curve[inside] = G23(Rv=3.1)(1 / (pivot[inside] * u.um))
    return curve


@lru_cache(maxsize=4096)
def _planck_distance(redshift: float) -> float:
    return float(Planck18.luminosity_distance(redshift).value)


@lru_cache(maxsize=4096)
def _planck_redshift(distance: float) -> float:
    def excess(redshift: float) -> float:
        return float(Planck18.luminosity_distance(redshift).value) - distance

    if excess(_REDSHIFT_RANGE[0]) > 0:
        return 0.0
    if excess(_REDSHIFT_RANGE[1]) < 0:
        raise RangeError(
            f"Expected a distance below redshift {_REDSHIFT_RANGE[1]:g}; got "
            f"{distance:g} Mpc. Check its unit, or give the redshift too."
        )
    root = brentq(excess, *_REDSHIFT_RANGE, xtol=1e-12)
    return float(np.asarray(root, dtype=float))


def _check_bands(observation: Observation) -> None:
    name, bands = observation.name, observation.bands
    flux, error = observation.flux, observation.error
    shapes = {array.shape for array in (flux, error, observation.is_limit)}
    if shapes != {(len(bands),)}:
        raise ObservationError(
            f"Expected a flux, an error and a limit flag of each of the {len(bands)} "
            f"bands of {name}; got shapes {sorted(shapes)}. Give one each a band."
        )
    repeated = sorted({band for band in bands if bands.count(band) > 1})
    if repeated:
        raise ObservationError(
            f"Expected each band of {name} once; got {', '.join(repeated)} more than "
            "once. Average them, or give each epoch its own object name."
        )
    _refuse(observation, np.isinf(flux), "finite fluxes", flux, "Use nan if unobserved")
    usable = np.isfinite(flux)
    if not usable.any():
        raise ObservationError(
            f"Expected a usable band of {name}; got none of {len(bands)}. Give at "
            "least one finite flux or limit."
        )
    bad = usable & ~((error > 0) & np.isfinite(error))
    mend = "Give 1 sigma, or leave the band out"
    _refuse(observation, bad, "positive errors", error, mend)
    bad = usable & observation.is_limit & ~(flux > 0)
    mend = "Give the limiting flux, or a measured flux with its error"
    _refuse(observation, bad, "positive upper limits", flux, mend)


def _refuse(
    observation: Observation, bad: np.ndarray, what: str, got: np.ndarray, mend: str
) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise ObservationError(
            f"Expected {what} of {observation.name}; got {got[first]:g} in "
            f"{observation.bands[first]}. {mend}."
        )


def _check_place(observation: Observation) -> None:
    name = observation.name
    redshift, distance = observation.redshift, observation.distance
    if np.isnan(redshift) and np.isnan(distance):
        raise ObservationError(
            f"Expected a redshift or a distance of {name}; got neither. Add "
            "`redshift` or `distance` [Mpc] to the file, or --redshift or --distance."
        )
    if not np.isnan(distance) and not 0 < distance < np.inf:
        raise RangeError(
            f"Expected a positive distance [Mpc] of {name}; got {distance:g}."
            " Correct it, or give a redshift alone."
        )
    if not np.isnan(redshift) and not -1 < redshift < np.inf:
        raise RangeError(
            f"Expected a redshift of {name} above -1; got {redshift:g}. Correct it."
        )
    if np.isnan(distance) and redshift <= 0:
        raise RangeError(
            f"Expected a positive redshift of {name}, as no distance is given; got "
            f"{redshift:g}. Give the distance [Mpc]."
        )
    for what, value in (
        ("distance error [Mpc]", observation.distance_err),
        ("Galactic A_V [mag]", observation.galactic_av),
    ):
        if not 0 <= value < np.inf:
            raise RangeError(
                f"Expected a {what} of {name} that is not negative; got {value:g}. "
                "Use 0 if it is not known."
            )
