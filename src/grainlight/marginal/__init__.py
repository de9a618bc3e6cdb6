"""Nuisance-free densities, divergences, evidences and joint analyses of chains."""

from grainlight.marginal.chains import Chains
from grainlight.marginal.clusters import find_clusters
from grainlight.marginal.densities import Density, NormalDensity, UniformDensity
from grainlight.marginal.joint import Joint, combine
from grainlight.marginal.learn import Marginal, learn_marginal
from grainlight.marginal.likelihood import Experiment
from grainlight.marginal.measured import Measured
from grainlight.marginal.nested import (
    NestedRun,
    cube_map,
    run_blackjax,
    run_dynesty,
    run_nautilus,
)
from grainlight.marginal.objects import ObjectDraws
from grainlight.marginal.population import (
    Population,
    PopulationFit,
    fit_population,
    read_population,
)
from grainlight.marginal.power import SurveyPower, rank_surveys
from grainlight.marginal.readers import read_chains, read_ranges
from grainlight.marginal.statistics import (
    Evidence,
    MarginalStatistics,
    evidence_of_chain,
    importance_evidence,
    measure_marginal,
)

__all__ = [
    "Chains",
    "Density",
    "Evidence",
    "Experiment",
    "Joint",
    "Marginal",
    "MarginalStatistics",
    "Measured",
    "NestedRun",
    "NormalDensity",
    "ObjectDraws",
    "Population",
    "PopulationFit",
    "SurveyPower",
    "UniformDensity",
    "combine",
    "cube_map",
    "evidence_of_chain",
    "find_clusters",
    "fit_population",
    "importance_evidence",
    "learn_marginal",
    "measure_marginal",
    "rank_surveys",
    "read_chains",
    "read_population",
    "read_ranges",
    "run_blackjax",
    "run_dynesty",
    "run_nautilus",
]
