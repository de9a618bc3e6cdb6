r"""Weighted draws of anyone's sampler: what this room takes.

Nested samples know their weights only up to the unknown volumes, $w_i \propto L_i
(X_{i-1} - X_i)$ with $\ln (X_i / X_{i-1}) = \ln u_i / n_i$, $u_i$ uniform and $n_i$ the
points alive when draw $i$ died.

References:
    Skilling (2006), Bayesian Analysis 1, 833; Higson et al. (2018), arXiv:1704.03459.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError, Samples
from grainlight.estimators import Support

#: Draws of their own; neighbors in a Markov chain; deaths of a nested sampler.
Order = Literal["independent", "chain", "nested"]


@dataclass(frozen=True)
class Chains:
    """Weighted draws, with names, bounds and what the sampler knew of them.

    Attributes:
        names: Names of the parameters.
        theta: The draws.
        log_weight: Logarithms of their weights, not normalized.
        support: Bounds of the prior.
        order: What neighbors have to do with one another.
        log_likelihood: Log-likelihood of every draw, if known.
        log_birth: Log-likelihood above which a nested draw was born, if known.
    """

    names: tuple[str, ...]
    theta: Float[np.ndarray, "draw param"]
    log_weight: Float[np.ndarray, " draw"]
    support: Support
    order: Order = "independent"
    log_likelihood: Float[np.ndarray, " draw"] | None = None
    log_birth: Float[np.ndarray, " draw"] | None = None

    def __post_init__(self) -> None:
        num, dim = self.theta.shape
        if not (len(self.names) == self.support.dim == dim and num > 0):
            raise ParameterError(
                f"Expected one name and bounds for each of {dim} columns of draws; "
                f"got {len(self.names)} names, {self.support.dim} bounds, {num} draws. "
                "Give the missing ones."
            )
        if not np.any(np.isfinite(self.log_weight)):
            raise ParameterError(
                "Expected draws of positive weight; got none. Check the weights."
            )

    @classmethod
    def from_samples(cls, samples: Samples) -> "Chains":
        """Draws of this package, on the scaled axes and within their bounds."""
        parameters = samples.parameters
        scaled = np.asarray(parameters.scale(samples.theta), float)
        lower, upper = np.asarray(parameters.lower), np.asarray(parameters.upper)
        return cls(
            parameters.names,
            np.clip(scaled, lower, upper),
            np.asarray(samples.log_weight, float),
            Support.between(lower, upper),
            "chain" if samples.num_chains > 1 else "independent",
        )

    @classmethod
    def from_draws(
        cls,
        theta: Float[np.ndarray, "draw param"],
        support: Support,
        weight: Float[np.ndarray, " draw"] | None = None,
        names: Sequence[str] | None = None,
        order: Order = "independent",
    ) -> "Chains":
        """Draws in memory; equal weights and numbered names unless given."""
        theta = np.asarray(theta, float)
        with np.errstate(divide="ignore"):
            log_weight = np.zeros(len(theta)) if weight is None else np.log(weight)
        named = tuple(names or (f"p{i}" for i in range(theta.shape[1])))
        return cls(named, theta, np.asarray(log_weight, float), support, order)

    @property
    def num_draws(self) -> int:
        """Number of draws."""
        return len(self.theta)

    @property
    def weight(self) -> Float[np.ndarray, " draw"]:
        """Weights that sum to one."""
        weight = np.exp(self.log_weight - np.max(self.log_weight))
        return weight / np.sum(weight)

    @property
    def num_effective(self) -> float:
        """Kish's number of effective draws; autocorrelation is not in it."""
        return float(1 / np.sum(self.weight**2))

    def select(self, names: Sequence[str]) -> "Chains":
        """The same draws of some of the parameters: their marginal."""
        unknown = [name for name in names if name not in self.names]
        if unknown or not names:
            raise ParameterError(
                f"Expected some of {', '.join(self.names)}; got "
                f"{', '.join(unknown) or 'none'}. Name parameters of the chains."
            )
        columns = [self.names.index(name) for name in names]
        chosen = np.asarray(columns)
        support = Support(
            self.support.lower[chosen],
            self.support.upper[chosen],
            self.support.periodic[chosen],
        )
        return dataclasses.replace(
            self, names=tuple(names), theta=self.theta[:, columns], support=support
        )

    def within(self, support: Support) -> "Chains":
        """The same draws under other bounds."""
        return dataclasses.replace(self, support=support)

    def standard_error(
        self,
        values: Float[np.ndarray, " draw"],
        weight: Float[np.ndarray, " draw"] | None = None,
    ) -> float:
        r"""Standard error of a weighted mean.

        $\sqrt{\sum w_i^2 (v_i - \bar v)^2}$ for independent draws; for neighbors in a
        chain, from the means of runs of draws.
        """
        weight = self.weight if weight is None else weight
        used = weight > 0
        share, value = weight[used] / np.sum(weight[used]), values[used]
        away = share * (value - share @ value)
        if self.order == "chain":
            away = np.array([np.sum(run) for run in np.array_split(away, 50)])
            return float(np.sqrt(np.sum(away**2) * 50 / 49))
        return float(np.sqrt(np.sum(away**2)))

    def draw_weights(
        self, generator: np.random.Generator, num: int
    ) -> Float[np.ndarray, "set draw"] | None:
        """Weights of a nested run, its volumes drawn anew; none if it is not one."""
        drawn = self._draw_log_weights(generator, num)
        if drawn is None:
            return None
        weight = np.exp(drawn - np.max(drawn, axis=1, keepdims=True))
        return weight / np.sum(weight, axis=1, keepdims=True)

    def draw_log_evidence(
        self, generator: np.random.Generator, num: int
    ) -> Float[np.ndarray, " set"] | None:
        """Log-evidences of a nested run, its volumes drawn anew."""
        drawn = self._draw_log_weights(generator, num)
        return None if drawn is None else np.logaddexp.reduce(drawn, axis=1)

    def reweighted(self, generator: np.random.Generator, num: int = 100) -> "Chains":
        """A nested run with the mean of its weights over volumes drawn anew."""
        drawn = self._draw_log_weights(generator, num)
        if drawn is None:
            raise ParameterError(
                "Expected a nested run, with log-likelihoods at birth and death; got "
                "chains without. Keep the weights that they have."
            )
        log_weight = np.logaddexp.reduce(drawn, axis=0) - np.log(num)
        return dataclasses.replace(self, log_weight=log_weight)

    def _draw_log_weights(
        self, generator: np.random.Generator, num: int
    ) -> np.ndarray | None:
        if self.log_birth is None or self.log_likelihood is None:
            return None
        order = np.argsort(self.log_likelihood, kind="stable")
        death, birth = self.log_likelihood[order], np.sort(self.log_birth)
        born = np.searchsorted(birth, death, side="left")
        alive = np.maximum(born - np.arange(death.size), 1)
        shrink = np.log(generator.random((num, death.size))) / alive
        log_volume = np.cumsum(shrink, axis=1)
        before = np.concatenate([np.zeros((num, 1)), log_volume[:, :-1]], axis=1)
        log_shell = before + np.log(-np.expm1(shrink))
        placed = np.empty_like(log_shell)
        placed[:, order] = log_shell + death
        return placed
