"""Figures and tables: each takes a result and returns what it drew."""

from grainlight.report.card import (
    plot_coverage,
    plot_errors,
    plot_ranks,
    plot_reliability,
)
from grainlight.report.columns import OUTCOMES, Column, describe_columns
from grainlight.report.corner import plot_corner
from grainlight.report.dataset_card import (
    plot_evenness,
    plot_magnitudes,
    plot_parameters,
    plot_undetected,
    plot_variants,
)
from grainlight.report.dataset_folder import CARD_FILES, write_card
from grainlight.report.filters import plot_filters
from grainlight.report.fits import FitRun, run_fits
from grainlight.report.folder import (
    new_folder,
    predicted_sed,
    trust_of,
    versions,
    write_fit,
)
from grainlight.report.sed import plot_sed
from grainlight.report.table import tabulate_posterior, write_reasons, write_trust

__all__ = [
    "CARD_FILES",
    "OUTCOMES",
    "Column",
    "FitRun",
    "describe_columns",
    "new_folder",
    "plot_corner",
    "plot_coverage",
    "plot_errors",
    "plot_evenness",
    "plot_filters",
    "plot_magnitudes",
    "plot_parameters",
    "plot_ranks",
    "plot_reliability",
    "plot_sed",
    "plot_undetected",
    "plot_variants",
    "predicted_sed",
    "run_fits",
    "tabulate_posterior",
    "trust_of",
    "versions",
    "write_card",
    "write_fit",
    "write_reasons",
    "write_trust",
]
