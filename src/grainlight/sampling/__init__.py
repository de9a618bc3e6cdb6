"""From a log-density to `Samples`: samplers, their checks, new priors, files."""

from grainlight.sampling.diagnostics import bulk_ess, diagnose, rank_rhat, tail_ess
from grainlight.sampling.exports import to_anesthetic, to_getdist
from grainlight.sampling.family import ExactData, FamilyTarget
from grainlight.sampling.files import save_posterior, to_arviz, to_table
from grainlight.sampling.gate import Gate
from grainlight.sampling.importance import Reweighting, pareto_shape, reweight
from grainlight.sampling.run import METHODS, sample_posterior
from grainlight.sampling.settings import Settings
from grainlight.sampling.target import Target

__all__ = [
    "METHODS",
    "ExactData",
    "FamilyTarget",
    "Gate",
    "Reweighting",
    "Settings",
    "Target",
    "bulk_ess",
    "diagnose",
    "pareto_shape",
    "rank_rhat",
    "reweight",
    "sample_posterior",
    "save_posterior",
    "tail_ess",
    "to_anesthetic",
    "to_arviz",
    "to_getdist",
    "to_table",
]
