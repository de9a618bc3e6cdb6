"""Figures and tables: each takes a result and returns what it drew."""

from grainlight.report.card import (
    plot_coverage,
    plot_errors,
    plot_ranks,
    plot_reliability,
)
from grainlight.report.chain_options import ChainOptions
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
from grainlight.report.evaluation import Evaluation, run_evaluation
from grainlight.report.evaluation_folder import EVALUATION_FILES, write_judged
from grainlight.report.filters import plot_filters
from grainlight.report.fits import FitRun, run_fits
from grainlight.report.folder import (
    new_folder,
    predicted_sed,
    trust_of,
    versions,
    write_fit,
)
from grainlight.report.marginal import (
    plot_chains,
    plot_marginal,
    plot_sigmas,
    plot_survey_power,
    plot_tension,
)
from grainlight.report.marginal_runs import run_combine, run_marginal
from grainlight.report.quality import (
    plot_correlation,
    plot_density_ranks,
    plot_difference,
    plot_expected_coverage,
    plot_losses,
    plot_regions,
    plot_training,
)
from grainlight.report.reproduction import Reproduction, reproduce
from grainlight.report.reproduction_folder import write_reproduction
from grainlight.report.reproduction_recipe import ReproductionRecipe
from grainlight.report.sed import plot_sed
from grainlight.report.table import tabulate_posterior, write_reasons, write_trust
from grainlight.report.tension_runs import TensionRun, run_tension

__all__ = [
    "CARD_FILES",
    "ChainOptions",
    "EVALUATION_FILES",
    "OUTCOMES",
    "Column",
    "Evaluation",
    "FitRun",
    "Reproduction",
    "ReproductionRecipe",
    "TensionRun",
    "describe_columns",
    "new_folder",
    "plot_chains",
    "plot_corner",
    "plot_correlation",
    "plot_coverage",
    "plot_density_ranks",
    "plot_difference",
    "plot_errors",
    "plot_evenness",
    "plot_expected_coverage",
    "plot_filters",
    "plot_losses",
    "plot_magnitudes",
    "plot_marginal",
    "plot_parameters",
    "plot_ranks",
    "plot_regions",
    "plot_reliability",
    "plot_sed",
    "plot_sigmas",
    "plot_survey_power",
    "plot_tension",
    "plot_training",
    "plot_undetected",
    "plot_variants",
    "predicted_sed",
    "reproduce",
    "run_combine",
    "run_evaluation",
    "run_fits",
    "run_marginal",
    "run_tension",
    "tabulate_posterior",
    "trust_of",
    "versions",
    "write_card",
    "write_fit",
    "write_judged",
    "write_reasons",
    "write_reproduction",
    "write_trust",
]
