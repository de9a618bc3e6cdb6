"""Which data set constrains the shared parameters most?"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax.random as jr
from jaxtyping import Array, Key

from grainlight.core import ParameterError
from grainlight.marginal.learn import Marginal
from grainlight.marginal.statistics import MarginalStatistics, measure_marginal


@dataclass(frozen=True)
class SurveyPower:
    """What data sets have told of the same parameters, the most telling first.

    Attributes:
        surveys: Names of the data sets.
        statistics: What each has learned.
    """

    surveys: tuple[str, ...]
    statistics: tuple[MarginalStatistics, ...]

    def lines(self) -> list[str]:
        """A line a data set: divergence, dimensionality, effective draws."""
        width = max(map(len, self.surveys))
        return [
            f"{name:<{width}}  {found.divergence} nats, dimensionality "
            f"{found.dimensionality}, {found.num_effective:.0f} effective draws"
            for name, found in zip(self.surveys, self.statistics, strict=True)
        ]


def rank_surveys(
    key: Key[Array, ""], marginals: Mapping[str, Marginal], *, num_draws: int = 32_768
) -> SurveyPower:
    """Rank data sets by the divergence of their marginal posteriors from the prior.

    Args:
        key: Seeds the draws of the densities.
        marginals: Posteriors of the same parameters, by data set.
        num_draws: Draws of every density.
    """
    if not marginals:
        raise ParameterError("Expected one data set or more; got none. Give some.")
    shared = {marginal.chains.names for marginal in marginals.values()}
    if len(shared) > 1:
        listed = "; ".join(", ".join(names) for names in sorted(shared))
        raise ParameterError(
            f"Expected posteriors of the same parameters; got {listed}. Select the "
            "shared ones, in the same order."
        )
    keys = jr.split(key, len(marginals))
    found = [
        (name, measure_marginal(one, marginal, num_draws=num_draws))
        for one, (name, marginal) in zip(keys, marginals.items(), strict=True)
    ]
    found.sort(key=lambda pair: -pair[1].divergence.value)
    return SurveyPower(*map(tuple, zip(*found, strict=True)))
