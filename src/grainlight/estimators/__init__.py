"""Estimators of densities and outcomes, trained by one loop."""

from grainlight.estimators.chosen_bands import ChosenBands
from grainlight.estimators.clumpy import ClumpyLikelihood
from grainlight.estimators.density import Box, FlowDensity
from grainlight.estimators.density_settings import DensitySettings
from grainlight.estimators.effective import EffectiveEmulator, EffectiveShell
from grainlight.estimators.emulator import Emulator
from grainlight.estimators.epochs import BlockFeed, BlockSource, WholeFeed, make_feed
from grainlight.estimators.errors import absolute_error
from grainlight.estimators.files import (
    ESTIMATORS,
    SavedEstimator,
    find_model,
    load_estimator,
    packaged_models,
    save_estimator,
)
from grainlight.estimators.flow_likelihood import FlowLikelihood
from grainlight.estimators.flow_posterior import FlowPosterior
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.gaussian_posterior import GaussianPosterior
from grainlight.estimators.learned_simulations import (
    LearnedSimulations,
    learn_simulations,
)
from grainlight.estimators.likelihood import AbstractLikelihood
from grainlight.estimators.likelihood_ensemble import LikelihoodEnsemble
from grainlight.estimators.masks import hide_bands
from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.estimators.moments import Moments
from grainlight.estimators.observed import Kind, observed_log_prob
from grainlight.estimators.photometric import FIVE_PER_CENT, PhotometricLikelihood
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.estimators.photometric_posterior import PhotometricPosterior
from grainlight.estimators.posterior import AbstractPosterior, PosteriorDraws
from grainlight.estimators.posterior_ensemble import PosteriorEnsemble
from grainlight.estimators.presets import (
    OWN,
    PRESETS,
    Preset,
    mixing_without,
    named_preset,
)
from grainlight.estimators.ratio import RatioClassifier
from grainlight.estimators.scaling import Scaling
from grainlight.estimators.settings import TrainingRecord, TrainingSettings
from grainlight.estimators.support import Support
from grainlight.estimators.training import Training, fit_estimator, train
from grainlight.estimators.variational import VariationalLikelihood
from grainlight.estimators.weighted import WeightedDensity
from grainlight.estimators.weighted_fit import WeightedFit, fit_weighted
from grainlight.estimators.whitening import Whitening

__all__ = [
    "AbstractLikelihood",
    "AbstractPosterior",
    "ESTIMATORS",
    "BlockFeed",
    "BlockSource",
    "Box",
    "ChosenBands",
    "ClumpyLikelihood",
    "EffectiveEmulator",
    "EffectiveShell",
    "DensitySettings",
    "Emulator",
    "FIVE_PER_CENT",
    "FlowDensity",
    "FlowLikelihood",
    "FlowPosterior",
    "GaussianLikelihood",
    "GaussianPosterior",
    "Inputs",
    "Kind",
    "LearnedSimulations",
    "LikelihoodEnsemble",
    "Moments",
    "Outputs",
    "OWN",
    "PRESETS",
    "PhotometricData",
    "PhotometricLikelihood",
    "PhotometricPosterior",
    "PosteriorDraws",
    "PosteriorEnsemble",
    "Preset",
    "RatioClassifier",
    "SavedEstimator",
    "Scaling",
    "Support",
    "Training",
    "TrainingRecord",
    "TrainingSettings",
    "VariationalLikelihood",
    "WeightedDensity",
    "WeightedFit",
    "Whitening",
    "WholeFeed",
    "absolute_error",
    "find_model",
    "fit_estimator",
    "fit_weighted",
    "hide_bands",
    "learn_simulations",
    "load_estimator",
    "make_feed",
    "mixing_without",
    "named_preset",
    "observed_log_prob",
    "packaged_models",
    "save_estimator",
    "train",
]
