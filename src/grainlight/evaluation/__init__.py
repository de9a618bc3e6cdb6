"""Is it right? Calibration, accuracy and trust of any posterior or prediction."""

from grainlight.evaluation.accuracy import (
    Accuracy,
    Errors,
    measure_accuracy,
    measure_errors,
)
from grainlight.evaluation.coverage import (
    Coverage,
    DensityRanks,
    density_rank,
    measure_coverage,
    measure_density_ranks,
)
from grainlight.evaluation.gaussian import Distances, GaussianPrediction
from grainlight.evaluation.predictive import (
    Predictive,
    Residuals,
    SedPrediction,
    chi_squared_of_draws,
    measure_residuals,
    predict_posterior,
    predict_sed,
)
from grainlight.evaluation.ranks import (
    RankHistogram,
    Ranks,
    adjust_pvalues,
    fraction_below,
    rank_of_truth,
    sbc_ranks,
    uniformity_pvalue,
)
from grainlight.evaluation.reliability import Reliability, measure_reliability
from grainlight.evaluation.trust import Trust, judge_fit, predictive_probability

__all__ = [
    "Accuracy",
    "Coverage",
    "DensityRanks",
    "Distances",
    "Errors",
    "GaussianPrediction",
    "Predictive",
    "RankHistogram",
    "Ranks",
    "Reliability",
    "Residuals",
    "SedPrediction",
    "Trust",
    "adjust_pvalues",
    "chi_squared_of_draws",
    "density_rank",
    "fraction_below",
    "judge_fit",
    "measure_accuracy",
    "measure_coverage",
    "measure_density_ranks",
    "measure_errors",
    "measure_reliability",
    "measure_residuals",
    "predict_posterior",
    "predict_sed",
    "predictive_probability",
    "rank_of_truth",
    "sbc_ranks",
    "uniformity_pvalue",
]
