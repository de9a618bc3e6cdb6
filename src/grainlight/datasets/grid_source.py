"""A model grid as its file has it, before units are understood."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.core import FileFormatError

#: Name of a column or data set, a file of numbers, or the wavelengths themselves.
Wave = str | Path | Sequence[float] | np.ndarray


class GridSource(NamedTuple):
    """A grid before its units are understood.

    Attributes:
        theta: Parameters, one row a model; nan where a cell is no number.
        units: Unit of each parameter; empty if not stated.
        wave: Wavelengths.
        wave_unit: Their unit, if the file states it.
        spectra: One row a model: an array, or a data set that is read by rows.
        spectrum_unit: Their unit, if the file states it.
    """

    theta: Float[np.ndarray, "model param"]
    units: tuple[str, ...]
    wave: Float[np.ndarray, " wave"]
    wave_unit: str | None
    spectra: Any
    spectrum_unit: str | None


class Column(NamedTuple):
    """Cells of one name, and their unit if it is stated."""

    values: np.ndarray
    unit: str | None


def given_wave(wave: Wave, path: Path, there: dict[str, Any]) -> np.ndarray:
    """Wavelengths that stand beside a grid: an array, or a text file of them."""
    if not isinstance(wave, str | Path):
        return np.asarray(wave, dtype=float)
    if not Path(wave).is_file():
        raise FileFormatError(
            f"Expected wavelengths in {wave}, a column or data set of {path} or a text "
            f"file; got neither: there is {some_names(there)}. Correct the name."
        )
    try:
        values = np.loadtxt(wave, dtype=float, ndmin=1)
    except (OSError, ValueError) as error:
        raise broken_file(Path(wave), error) from error
    return values if values.ndim == 1 else values[:, 0]


def numbers(values: np.ndarray) -> np.ndarray:
    """Cells as numbers; nan where one is not."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        numbers = np.full(len(values), np.nan)
    for i, cell in enumerate(values):
        try:
            numbers[i] = float(cell)
        except (TypeError, ValueError):
            continue
    return numbers


def text_of(unit: Any) -> str | None:
    """The words of a unit or an attribute; nothing if there are none."""
    words = unit.decode() if isinstance(unit, bytes) else str(unit or "")
    return words or None


def some_names(names: dict[str, Any]) -> str:
    """Names for a message, the first dozen."""
    shown = list(names)[:12]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(shown) or "nothing") + more


def broken_file(path: Path, error: Exception) -> FileFormatError:
    """The error of a file that does not read."""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return FileFormatError(
        f"Expected a readable {path.suffix.lower() or 'text'} file in {path}; got: "
        f"{reason}. Check the file, or copy it again."
    )
