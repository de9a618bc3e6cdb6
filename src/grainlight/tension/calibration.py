r"""What a log-ratio means: its place among those of data sets that agree.

$$ F = P(\ln R' < \ln R_\mathrm{obs}) , \qquad T = \Phi^{-1}(1 - F / 2) , \qquad
   C = \Phi^{-1}(1 - (1 - F) / 2) . $$

$T$ tells of tension in standard deviations, $C$ of more agreement than chance gives.
With $n$ simulations $F$ is not known below $1 / (n + 1)$: then there is a limit, never
infinity.

References:
    Bevins et al. (2024), arXiv:2407.15478.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import beta, norm

from grainlight.core import ParameterError

FEWEST = 100
_ONE_SIGMA = 0.158655


@dataclass(frozen=True)
class Sigmas:
    """A number of standard deviations, or a lower limit.

    Attributes:
        value: The number; the limit if it is one.
        low: Lower end of its 68 % interval.
        high: Upper end.
        is_limit: Whether no simulation was as extreme.
    """

    value: float
    low: float
    high: float
    is_limit: bool

    def __str__(self) -> str:
        if self.is_limit:
            return f"> {self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} .. {self.high:.2f})"


@dataclass(frozen=True)
class Tension:
    """A log-ratio beside those of data sets in concordance.

    Attributes:
        log_ratio: The observed one [nat].
        concordance: Those of simulated data sets that agree [nat].
        fraction: How many of these are lower.
        tension: $T$, in standard deviations.
        agreement: $C$, in standard deviations.
    """

    log_ratio: float
    concordance: Float[np.ndarray, " sim"]
    fraction: float
    tension: Sigmas
    agreement: Sigmas

    def words(self) -> dict[str, object]:
        """Plain values for a file."""
        return {
            "log_ratio": self.log_ratio,
            "num_simulations": self.concordance.size,
            "fraction": self.fraction,
            "tension": vars(self.tension),
            "agreement": vars(self.agreement),
        }


def calibrate(log_ratio: float, concordance: Float[np.ndarray, " sim"]) -> Tension:
    """Put a log-ratio in its place among those of data sets that agree.

    Args:
        log_ratio: The observed one [nat].
        concordance: Those of simulated data sets that agree, in the same way [nat].
    """
    values = np.asarray(concordance, float)
    if values.size < FEWEST or not np.all(np.isfinite(values)):
        raise ParameterError(
            f"Expected {FEWEST} finite log-ratios in concordance or more; got "
            f"{int(np.isfinite(values).sum())} of {values.size}. Simulate more, and "
            "look at those that are not finite."
        )
    if not np.isfinite(log_ratio):
        raise ParameterError(
            f"Expected a finite observed log-ratio; got {log_ratio}. Check the data."
        )
    below = int(np.sum(values < log_ratio))
    return Tension(
        float(log_ratio),
        values,
        below / values.size,
        _sigmas(below, values.size),
        _sigmas(values.size - below, values.size),
    )


def _sigmas(count: int, total: int) -> Sigmas:
    """Two-sided sigmas of a fraction, with the interval of Jeffreys."""
    if count == 0:
        limit = float(norm.isf(0.5 / (total + 1)))
        return Sigmas(limit, limit, limit, True)
    ends = beta.ppf([_ONE_SIGMA, 1 - _ONE_SIGMA], count + 0.5, total - count + 0.5)
    value = float(norm.isf(0.5 * count / total))
    low, high = (float(norm.isf(0.5 * end)) for end in ends[::-1])
    return Sigmas(value, min(low, value), max(high, value), False)
