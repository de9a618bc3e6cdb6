"""Figures on disk."""

import os
from contextlib import suppress
from pathlib import Path

import matplotlib.pyplot as plt

from grainlight.core import FileFormatError, OutputExistsError
from grainlight.photometry import FilterSet
from grainlight.report.filters import plot_filters

DPI = 150
SUFFIXES = (".png", ".pdf", ".svg")


def save_filters(filters: FilterSet, path: Path) -> None:
    """Draw transmission curves into a PNG, PDF or SVG file, whole or not at all.

    A figure that is already there is replaced; anything else is not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise FileFormatError(
            f"Expected a figure named *{', *'.join(SUFFIXES)}; got {path.name!r}. Give "
            "its name one of these endings."
        )
    figure = plot_filters(filters)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(partial, dpi=DPI)
        partial.replace(path)
    except OSError as error:
        raise OutputExistsError(
            f"Expected a place where a figure can be written; got {path} "
            f"({error.strerror or error}). Name another one."
        ) from error
    finally:
        plt.close(figure)
        with suppress(OSError):
            partial.unlink()
