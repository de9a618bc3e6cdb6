"""Do two data sets agree? Ratios, their calibration, and suspiciousness."""

from grainlight.tension.calibration import Sigmas, Tension, calibrate
from grainlight.tension.chains import (
    ChainTension,
    compare_chains,
    ratio_from_evidences,
    sigmas,
)
from grainlight.tension.health import RatioHealth, check_ratio
from grainlight.tension.linear import LinearPair
from grainlight.tension.neural import NeuralRatio, log_ratios, train_ratio

__all__ = [
    "ChainTension",
    "LinearPair",
    "NeuralRatio",
    "RatioHealth",
    "Sigmas",
    "Tension",
    "calibrate",
    "check_ratio",
    "compare_chains",
    "log_ratios",
    "ratio_from_evidences",
    "sigmas",
    "train_ratio",
]
