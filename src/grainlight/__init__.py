"""Grainlight reads the light of dust grains.

It gives the posterior of the physical parameters of a supernova dust shell from
broadband photometry with errors, upper limits and missing bands.
"""

from importlib.metadata import PackageNotFoundError, version

from grainlight.core import GrainlightError, Parameter, Parameters, Samples, Status
from grainlight.datasets import (
    Dataset,
    GridDataset,
    Recipe,
    Simulations,
    generate,
    import_grid,
    simulate,
)
from grainlight.estimators import FlowPosterior
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.simulated_posterior import train_posterior as train
from grainlight.photometry import FilterSet, Observation, read_observations
from grainlight.sampling.fit import Fit, FitSettings, fit_observations
from grainlight.simulators import ShellSimulator, Simulator

try:
    __version__ = version("grainlight")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

__all__ = [
    "Dataset",
    "FilterSet",
    "Fit",
    "FitSettings",
    "FlowPosterior",
    "GrainlightError",
    "GridDataset",
    "Observation",
    "Parameter",
    "Parameters",
    "Recipe",
    "Samples",
    "ShellModel",
    "ShellSimulator",
    "Simulations",
    "Simulator",
    "Status",
    "__version__",
    "fit_observations",
    "generate",
    "import_grid",
    "read_observations",
    "simulate",
    "train",
]
