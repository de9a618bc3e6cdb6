"""Figures on disk."""

from pathlib import Path

import matplotlib.pyplot as plt

from grainlight.core import FileFormatError
from grainlight.photometry import FilterSet
from grainlight.report.filters import plot_filters

DPI = 150
SUFFIXES = (".png", ".pdf", ".svg")


def save_filters(filters: FilterSet, path: Path) -> None:
    """Draw transmission curves into a PNG, PDF or SVG file."""
    if path.suffix.lower() not in SUFFIXES:
        raise FileFormatError(
            f"Expected a figure named *{', *'.join(SUFFIXES)}; got {path.name!r}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = plot_filters(filters)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
