"""One measurement as written, and what it says: a flux, a limit, or nothing.

Missing are nan, masked or empty cells, `---` and its like; an error of 9e99 or more; a
magnitude of 90 or more, or of -90 or less; and a flux of exactly -99, -90, 99, -999 or
-9999 whose error is missing, zero or such a number too. A flux of -99 with an ordinary
positive error is a real negative flux.

Limits are written in four ways, and in a fifth that explains itself, `<5.2`:

- a boolean beside the flux: the flux is the limit, a positive error its 1 sigma;
- a negative error (CIGALE), in tables without a limit or flag column: the flux is the
  limit, the size of the error its 1 sigma;
- a flag 3 (sedfitter): the error is the confidence of the limit, between 0 and 1;
- a flux of exactly 0 with a positive error, in tables that do not say otherwise (VOSA,
  Prospector): the error is the limit.

Where no 1 sigma is given, it is the limit over `limit_sigma`.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from grainlight.core import FileFormatError, ObservationError, RangeError
from grainlight.photometry.units import FluxUnit

_MISSING = {"", "-", "--", "---", "nan", "none", "null", "na", "n/a", "masked", "..."}
_SENTINELS = {-99.0, -90.0, 99.0, -999.0, -9999.0}
_HUGE = 9e99
_FAINTEST = 90.0  # no magnitude is so large
_TRUE = {"true", "t", "yes", "y", "1", "1.0", "ul", "<", "uplim"}
_FALSE = {"false", "f", "no", "n", "0", "0.0", "det"} | _MISSING
_MOST_SIGMA = 5.0  # of a limit with the confidence 1
_UNUSED_OPTIONS = {"nofit", "bad", "ignored", "delete"}


@dataclass(frozen=True)
class Cell:
    """What a table says about one band; None where it has no such column."""

    flux: str
    error: str | None = None
    limit: str | None = None
    flag: str | None = None
    options: str | None = None
    limit_sigma: float = 3.0


@dataclass(frozen=True)
class Measurement:
    """A flux with its error [nJy]; nan if missing; the limiting flux of a limit."""

    flux: float
    error: float
    is_limit: bool = False


_NOTHING = Measurement(math.nan, math.nan)


def number_of(text: str | None, what: str) -> float:
    """The number in a cell; nan if missing."""
    bare = "" if text is None else text.strip().lstrip("<").strip()
    if bare.lower() in _MISSING:
        return math.nan
    try:
        return float(bare)
    except ValueError as error:
        raise FileFormatError(
            f"Expected a number for the {what}; got {text!r}. Write nan where it is "
            "missing."
        ) from error


def measure(
    cell: Cell,
    unit: FluxUnit,
    error_unit: FluxUnit | None = None,
    pivot: float | None = None,
) -> Measurement:
    """Understand one cell and convert it to nJy.

    Args:
        cell: As written.
        unit: Unit of the flux.
        error_unit: Unit of the error, if it is not that of the flux.
        pivot: Pivot wavelength of the filter [um].
    """
    flux, error = number_of(cell.flux, "flux"), number_of(cell.error, "error")
    flag = _flag_of(cell)
    unused = set((cell.options or "").lower().split(",")) & _UNUSED_OPTIONS
    if unused or flag == 0 or _is_missing(flux, error, unit.is_magnitude):
        return _NOTHING
    if error in _SENTINELS - {99.0} or (unit.is_magnitude and abs(error) >= _FAINTEST):
        error = math.nan
    njy = float(unit.to_njy(flux, pivot))
    if flag == 3:
        return _confidence_limit(njy, error)
    if unit.is_magnitude or error_unit is None:
        sigma = float(unit.error_to_njy(flux, error, pivot))
    else:
        sigma = float(error_unit.error_to_njy(flux, error, pivot))
    if _is_limit(cell, flux, error, unit.is_magnitude):
        has_sigma = not unit.is_magnitude
        return _limit(njy, sigma if has_sigma else math.nan, cell)
    return Measurement(njy, sigma)


def _is_missing(flux: float, error: float, is_magnitude: bool) -> bool:
    if math.isnan(flux) or error >= _HUGE:
        return True
    if is_magnitude:
        return abs(flux) >= _FAINTEST
    odd_error = math.isnan(error) or error == 0 or error in _SENTINELS
    return flux in _SENTINELS and odd_error


def _flag_of(cell: Cell) -> int | None:
    """The sedfitter flag, or None if the table has none."""
    if cell.flag is None:
        return None
    value = number_of(cell.flag, "flag")
    if math.isnan(value):
        return 0
    if value not in (0, 1, 2, 3, 4):
        raise FileFormatError(
            f"Expected a flag 0 (unused), 1 (measured) or 3 (upper limit); got "
            f"{cell.flag!r}. Rename the column if it holds something else."
        )
    if value in (2, 4):
        what = "a lower limit" if value == 2 else "a flux given as log10"
        raise ObservationError(
            f"Expected a measured flux or an upper limit; got flag {value:g}, {what}. "
            "Convert it, or set its flag to 0 to leave it out."
        )
    return int(value)


def _is_limit(cell: Cell, flux: float, error: float, is_magnitude: bool) -> bool:
    if cell.flux.strip().startswith("<"):
        return True
    if "uplim" in (cell.options or "").lower():
        return True
    if cell.limit is not None:
        return truth_of(cell.limit)
    if cell.flag is not None:
        return False
    if is_magnitude:
        return error < 0
    return (error < 0 and flux > 0) or (flux == 0 and error > 0)


def truth_of(text: str) -> bool:
    """Whether a cell of a limit column says yes."""
    bare = text.strip().lower()
    if bare in _TRUE:
        return True
    if bare in _FALSE:
        return False
    raise FileFormatError(
        f"Expected true or false in the limit column; got {text!r}. Write 1 for "
        "a limit."
    )


def _limit(flux: float, sigma: float, cell: Cell) -> Measurement:
    """A limit with its 1 sigma, from whichever of the two is given."""
    if flux == 0 and sigma > 0:
        return Measurement(sigma, sigma / cell.limit_sigma, True)
    if cell.limit is None and sigma < 0:
        return Measurement(flux, -sigma, True)
    if sigma > 0:
        return Measurement(flux, sigma, True)
    return Measurement(flux, flux / cell.limit_sigma, True)


def _confidence_limit(flux: float, confidence: float) -> Measurement:
    """A limit at a confidence, one-sided; below 0.5 it says nothing."""
    if not 0 <= confidence <= 1:
        raise RangeError(
            "Expected the confidence of a limit, between 0 and 1, as the error of a "
            f"flag 3; got {confidence:g}. Use a limit column for other errors."
        )
    if confidence <= 0.5:
        return _NOTHING
    top = NormalDist().cdf(_MOST_SIGMA)
    num_sigma = NormalDist().inv_cdf(min(confidence, top))
    return Measurement(flux, flux / num_sigma, True)
