r"""How far to trust a posterior, in one noun with its reasons.

Four questions are asked: did the chains converge, does the model family fit the data
at all, does the observation look like what simulations under like conditions look like
(`estimators.belonging`), and does it lie inside the range that they cover. The second
is answered by the posterior predictive probability of $\chi^2$,

$$ p = \langle P(\chi^2_d \ge \chi^2(\theta)) \rangle_{\theta \sim \rm posterior} , $$

with $d$ detected bands: data drawn anew under each $\theta$ have just this $\chi^2_d$.

References:
    Gelman, Meng & Stern (1996), Statistica Sinica 6, 733.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from grainlight.core import (
    Certificate,
    Diagnostics,
    Parameter,
    Parameters,
    Samples,
    Status,
)
from grainlight.estimators.belonging import BelongingScore
from grainlight.simulators import FILLING

Verdict = Literal["ok", "caution", "do not trust"]

IMPROBABLE = 1e-3  # predictive probability below which the model does not fit
DOUBTFUL = 1e-2
UNUSUAL = 1e-2  # share of simulations that are as unusual, which calls for caution
UNCONSTRAINED = 0.8  # posterior over prior standard deviation
#: Mean optical depth from which simulations of clumps are not resolved, and the share
#: of draws beyond it that calls for caution (`benchmarks/clumpy_convergence.py`).
RESOLVED_DEPTH, MANY = 10.0, 0.1
_SLIVER = 0.25  # width at the edge of a range, in posterior standard deviations
_BIN = 0.5  # width of the bins in which the peak is sought, in the same
_EDGE_DENSITY = 0.5  # density at the edge over that of the peak


@dataclass(frozen=True)
class Trust:
    """What the checks of one fit found.

    Attributes:
        status: How the sampler ended.
        rhat: Largest R-hat of all parameters.
        ess_bulk: Smallest effective number of draws for the center.
        ess_tail: Smallest effective number of draws for the tails.
        ess_chain: Smallest effective number of draws of one chain.
        chi_squared: Chi-squared at the best draw, model scatter and floor included.
        num_bands: Detected bands, its degrees of freedom.
        predictive_probability: Posterior predictive probability of a chi-squared as
            large; nan without a detected band.
        floor_mag: Model-error floor [mag].
        inside_range: Whether the observation lies inside the range of the training.
        certificate: Which step of the ladder answered; none without a ladder.
        at_edge: Parameters whose draws pile up at an edge of the prior, in words.
        unconstrained: Parameters of which the data say next to nothing.
        belonging: How usual the observation is among simulations; none if it is not
            known.
        unresolved: Share of the posterior in thick shells with clumps, of which the
            simulations are rough.
    """

    status: Status
    rhat: float
    ess_bulk: float
    ess_tail: float
    ess_chain: float
    chi_squared: float
    num_bands: int
    predictive_probability: float
    floor_mag: float
    inside_range: bool
    certificate: Certificate | None = None
    at_edge: tuple[str, ...] = ()
    unconstrained: tuple[str, ...] = ()
    belonging: BelongingScore | None = None
    unresolved: float = 0.0

    @property
    def floor_percent(self) -> float:
        """Model-error floor in per cent of the flux."""
        return float(100 * np.log(10) / 2.5 * self.floor_mag)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the posterior is not to be trusted."""
        found = []
        if not bool(self.status == Status.ok):
            found.append(str(Status[self.status]))
        if self.predictive_probability < IMPROBABLE:
            found.append(
                "The model family does not fit these data: a chi-squared this large "
                f"has the probability {self.predictive_probability:.1g}."
            )
        if not self.inside_range:
            found.append("The observation lies outside the training range.")
        return tuple(found)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to keep in mind; all but the last kind calls for caution."""
        return self._cautions + tuple(
            f"The data hardly constrain {name}: its posterior is almost the prior."
            for name in self.unconstrained
        )

    @property
    def _cautions(self) -> tuple[str, ...]:
        found = [
            f"The draws of {place}: its interval depends on that edge."
            for place in self.at_edge
        ]
        if IMPROBABLE <= self.predictive_probability < DOUBTFUL:
            found.append(
                "The fit is poor: a chi-squared this large has the probability "
                f"{self.predictive_probability:.1g}."
            )
        if self.belonging is not None and self.belonging.probability < UNUSUAL:
            found.append(
                "The observation is unlike what the model makes: of simulations under "
                f"like conditions {_percent(self.belonging.fit)} fit as badly, and "
                f"{_percent(self.belonging.density)} are as improbable."
            )
        if self.unresolved > MANY:
            found.append(
                f"{self.unresolved:.0%} of the posterior lies in shells with clumps of "
                f"a mean optical depth beyond {RESOLVED_DEPTH:g}, where simulations "
                "are not resolved: temperatures may be off by tens of per cent."
            )
        if self.num_bands == 0:
            found.append("No band is detected, so that the fit cannot be checked.")
        return tuple(found)

    @property
    def verdict(self) -> Verdict:
        """The answer in a word; `faults` and `warnings` give the reasons."""
        if self.faults:
            return "do not trust"
        return "caution" if self._cautions else "ok"


def _percent(share: float) -> str:
    return "an unknown share" if np.isnan(share) else f"{100 * share:.2g} %"


def predictive_probability(
    chi_squared: Float[Array | np.ndarray, " draw"],
    num_bands: int,
    weight: Float[Array | np.ndarray, " draw"] | None = None,
) -> float:
    """Posterior predictive probability of a chi-squared as large as observed.

    Args:
        chi_squared: Chi-squared of the detected bands at posterior draws.
        num_bands: Number of detected bands.
        weight: Weights of the draws, of any sum; equal if not given.
    """
    if num_bands == 0:
        return float("nan")
    chance = stats.chi2.sf(np.asarray(chi_squared, dtype=float), num_bands)
    return float(np.average(chance, weights=weight))


def judge_fit(
    samples: Samples,
    chi_squared: Float[Array | np.ndarray, " draw"],
    num_bands: int,
    *,
    floor_mag: float,
    inside_range: bool = True,
    prior_sd: Mapping[str, float] | None = None,
) -> Trust:
    """Gather what the checks of one fit say.

    Args:
        samples: The posterior.
        chi_squared: Chi-squared of the detected bands at its draws.
        num_bands: Number of detected bands.
        floor_mag: Model-error floor that was used [mag].
        inside_range: Whether the observation lies inside the range of the training.
        prior_sd: Standard deviations of the prior on the scaled axes, by name; those
            of a uniform one where not given.
    """
    trust = judge_draws(
        samples.status,
        samples.parameters,
        np.asarray(samples.parameters.scale(samples.theta), dtype=float),
        np.asarray(chi_squared, dtype=float),
        num_bands,
        weight=np.asarray(samples.weight, dtype=float),
        diagnostics=samples.diagnostics,
        certificate=samples.certificate,
        floor_mag=floor_mag,
        inside_range=inside_range,
        prior_sd=prior_sd,
    )
    weight = np.asarray(samples.weight, dtype=float)
    return replace(trust, unresolved=_unresolved(samples, weight))


def judge_draws(
    status: Status,
    parameters: Parameters,
    scaled: Float[np.ndarray, "draw param"],
    chi_squared: Float[np.ndarray, " draw"],
    num_bands: int,
    *,
    floor_mag: float,
    weight: Float[np.ndarray, " draw"] | None = None,
    diagnostics: Diagnostics | None = None,
    certificate: Certificate | None = None,
    inside_range: bool = True,
    prior_sd: Mapping[str, float] | None = None,
) -> Trust:
    """The same of scaled draws alone, without any array of JAX: for many objects.

    Args:
        status: How the sampler ended.
        parameters: What the columns of the draws are.
        scaled: Scaled draws.
        chi_squared: Chi-squared of the detected bands at them.
        num_bands: Number of detected bands.
        floor_mag: Model-error floor that was used [mag].
        weight: Weights of the draws, of any sum; equal if not given.
        diagnostics: Of the chains, if there were any.
        certificate: Which step of the ladder answered.
        inside_range: Whether the observation lies inside the range of the training.
        prior_sd: As of `judge_fit`.
    """
    weight = np.ones(len(scaled)) if weight is None else weight
    usable = weight > 0
    return Trust(
        status=status,
        **_worst(diagnostics),
        chi_squared=float(chi_squared[usable].min()),
        num_bands=int(num_bands),
        predictive_probability=predictive_probability(
            chi_squared[usable], num_bands, weight[usable]
        ),
        floor_mag=float(floor_mag),
        inside_range=bool(inside_range),
        certificate=certificate,
        **_constraints(parameters, scaled, weight, prior_sd or {}),
    )


def _unresolved(samples: Samples, weight: np.ndarray) -> float:
    """Share of the posterior in shells with clumps that are too thick."""
    depth = samples.derived.get("optical_depth")
    if FILLING.name not in samples.parameters.names or depth is None:
        return 0.0
    return float(np.average(np.asarray(depth) > RESOLVED_DEPTH, weights=weight))


def _constraints(
    parameters: Parameters,
    scaled: np.ndarray,
    weight: np.ndarray,
    prior_sd: Mapping[str, float],
) -> dict[str, Any]:
    """Which parameters lean on an edge, and which keep their prior."""
    at_edge, unconstrained = [], []
    for member, column in zip(parameters.members, scaled.T, strict=True):
        low, high = member.scaled_bounds
        broad = prior_sd.get(member.name, (high - low) / 12**0.5)
        if _spread(column, weight) > UNCONSTRAINED * broad:
            unconstrained.append(member.name)
        else:
            at_edge += _edges(member, column, weight)
    return {"at_edge": tuple(at_edge), "unconstrained": tuple(unconstrained)}


def _worst(diagnostics: Diagnostics | None) -> dict[str, float]:
    names = ("ess_bulk", "ess_tail", "ess_chain")
    if diagnostics is None:
        return dict.fromkeys(("rhat", *names), float("nan"))
    least = {name: float(np.min(getattr(diagnostics, name))) for name in names}
    return {"rhat": float(np.max(diagnostics.rhat)), **least}


def _spread(column: np.ndarray, weight: np.ndarray) -> float:
    mean = np.average(column, weights=weight)
    return float(np.sqrt(np.average((column - mean) ** 2, weights=weight)))


def _edges(member: Parameter, column: np.ndarray, weight: np.ndarray) -> list[str]:
    """Edges of the range where the density is at least half of the peak's.

    The ends of a fraction are its own, not of the range that somebody chose.
    """
    sd = _spread(column, weight)
    low, high = member.scaled_bounds
    is_fraction = (low, high) == (0.0, 1.0) and not member.unit
    if is_fraction or not sd > 0:
        return []
    num_bins = max(1, int(np.ceil(np.ptp(column) / (_BIN * sd))))
    peak = np.histogram(column, bins=num_bins, weights=weight)[0].max()
    peak_density = peak / (np.ptp(column) / num_bins)
    found = []
    for side, bound, distance in (
        ("lower", member.lower, column - low),
        ("upper", member.upper, high - column),
    ):
        density = weight[distance < _SLIVER * sd].sum() / (_SLIVER * sd)
        if density > _EDGE_DENSITY * peak_density:
            where = f"{bound:g} {member.unit}".strip()
            found.append(f"{member.name} pile up at its {side} edge, {where}")
    return found
