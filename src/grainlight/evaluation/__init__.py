"""Is it right? Calibration, accuracy and trust of any posterior or prediction."""

from grainlight.evaluation.accuracy import (
    Accuracy,
    Errors,
    measure_accuracy,
    measure_errors,
)
from grainlight.evaluation.chain_quality import ChainQuality, judge_chains
from grainlight.evaluation.chain_runs import ChainPlan, ChainRuns, run_chains
from grainlight.evaluation.comparison import (
    LossDistribution,
    PairedDifference,
    compare_errors,
    compare_losses,
    describe_losses,
)
from grainlight.evaluation.correlation import MeanCorrelation, measure_correlation
from grainlight.evaluation.coverage import (
    Coverage,
    DensityRanks,
    density_rank,
    measure_coverage,
    measure_density_ranks,
    rank_densities,
)
from grainlight.evaluation.gaussian import Distances, GaussianPrediction
from grainlight.evaluation.likelihood_quality import (
    LikelihoodQuality,
    judge_likelihood,
)
from grainlight.evaluation.member_quality import MemberQuality, judge_member
from grainlight.evaluation.mock_objects import MockObjects, make_mock_objects
from grainlight.evaluation.posterior_quality import PosteriorQuality, judge_posteriors
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
from grainlight.evaluation.tarp import ExpectedCoverage, measure_expected_coverage
from grainlight.evaluation.trust import (
    Trust,
    judge_draws,
    judge_fit,
    predictive_probability,
)
from grainlight.evaluation.two_sample import TwoSample, classify_samples

__all__ = [
    "Accuracy",
    "ChainPlan",
    "ChainQuality",
    "ChainRuns",
    "Coverage",
    "DensityRanks",
    "Distances",
    "Errors",
    "ExpectedCoverage",
    "GaussianPrediction",
    "LikelihoodQuality",
    "LossDistribution",
    "MeanCorrelation",
    "MemberQuality",
    "MockObjects",
    "PairedDifference",
    "PosteriorQuality",
    "Predictive",
    "RankHistogram",
    "Ranks",
    "Reliability",
    "Residuals",
    "SedPrediction",
    "Trust",
    "TwoSample",
    "adjust_pvalues",
    "chi_squared_of_draws",
    "classify_samples",
    "compare_errors",
    "compare_losses",
    "density_rank",
    "describe_losses",
    "fraction_below",
    "judge_chains",
    "judge_draws",
    "judge_fit",
    "judge_likelihood",
    "judge_member",
    "judge_posteriors",
    "make_mock_objects",
    "measure_accuracy",
    "measure_correlation",
    "measure_coverage",
    "measure_density_ranks",
    "measure_errors",
    "measure_expected_coverage",
    "measure_reliability",
    "measure_residuals",
    "predict_posterior",
    "predict_sed",
    "predictive_probability",
    "rank_densities",
    "rank_of_truth",
    "run_chains",
    "sbc_ranks",
    "uniformity_pvalue",
]
