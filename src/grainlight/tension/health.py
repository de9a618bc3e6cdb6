r"""Bounds that any true ratio obeys: a network that does not is refused.

With $R = p(a, b) / p(a) p(b)$, by Markov's inequality,

$$ P(R \le r \,|\, \mathrm{matched}) \le r , \qquad
   P(R \ge r \,|\, \mathrm{shuffled}) \le 1 / r , $$

and the mean of $R$ over shuffled pairs is one. A classifier that never sees a shuffled
pair as good as a matched one cannot know the ratio: when the mutual information nears
the log of the number of shuffled pairs, it saturates. What it says of that information
is then too low; that of a Gaussian with the canonical correlations of the pairs is not.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import binom

from grainlight.core import UntrustedError

#: Log-ratios at which the bounds are tested.
THRESHOLDS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
#: How often a perfect network may be refused.
FALSE_ALARM = 1e-6
#: Nats that the mutual information should stay below the log of the pairs.
MARGIN = 3.0


@dataclass(frozen=True)
class RatioHealth:
    """What held-out pairs say of a network.

    Attributes:
        information: Mean log-ratio of matched pairs [nat].
        gaussian_information: That of a Gaussian with the canonical correlations of the
            pairs, zero if it is not known [nat].
        largest_information: What so many pairs can show [nat].
        worst_matched: Least p-value of the bound on matched pairs.
        worst_shuffled: Least p-value of the bound on shuffled pairs.
        num_pairs: Held-out pairs.
        is_finite: Whether all log-ratios are numbers.
    """

    information: float
    gaussian_information: float
    largest_information: float
    worst_matched: float
    worst_shuffled: float
    num_pairs: int
    is_finite: bool

    @property
    def is_saturated(self) -> bool:
        """Whether the mutual information is near the most that can be seen."""
        found = max(self.information, self.gaussian_information)
        return found > self.largest_information - MARGIN

    @property
    def is_refused(self) -> bool:
        """Whether a bound is broken that any true ratio obeys."""
        least = min(self.worst_matched, self.worst_shuffled)
        tests = 2 * len(THRESHOLDS)
        return not self.is_finite or least < FALSE_ALARM / tests

    @property
    def verdict(self) -> str:
        """What to think of the network, in words."""
        if not self.is_finite:
            return "refused: some log-ratios are not finite"
        if self.is_refused:
            side = "matched" if self.worst_matched < self.worst_shuffled else "shuffled"
            return (
                f"refused: log-ratios of {side} pairs break a bound of any true ratio"
            )
        if self.is_saturated:
            found = max(self.information, self.gaussian_information)
            return (
                f"saturated: {found:.1f} nats of mutual information, and "
                f"{self.largest_information:.1f} are the most that can be told; the "
                "log-ratios rest on the Gaussian ratio that training started from"
            )
        return "ok"

    def require(self) -> None:
        """Raise `UntrustedError` if the network is refused."""
        if self.is_refused:
            raise UntrustedError(
                "Expected log-ratios within the bounds of any true ratio; got a "
                f"network that is {self.verdict} (p = "
                f"{min(self.worst_matched, self.worst_shuffled):.2g}). Train longer, "
                "on more pairs, or with a wider network."
            )


def check_ratio(
    matched: Float[np.ndarray, " sim"],
    shuffled: Float[np.ndarray, " sim"],
    num_train: int,
    gaussian_information: float = 0.0,
) -> RatioHealth:
    """Test log-ratios of held-out pairs against the bounds of any true ratio.

    Args:
        matched: Log-ratios of matched pairs [nat].
        shuffled: Log-ratios of shuffled pairs [nat].
        num_train: Matched pairs that the network was trained on.
        gaussian_information: Mutual information of a Gaussian with the canonical
            correlations of the pairs [nat].
    """
    finite = bool(np.all(np.isfinite(matched)) and np.all(np.isfinite(shuffled)))
    level = np.asarray(THRESHOLDS)
    low = np.sum(matched[:, None] <= -level, axis=0)
    high = np.sum(shuffled[:, None] >= level, axis=0)
    chance = np.exp(-level)
    return RatioHealth(
        float(np.mean(matched)),
        gaussian_information,
        float(np.log(num_train)),
        float(np.min(binom.sf(low - 1, matched.size, chance))),
        float(np.min(binom.sf(high - 1, shuffled.size, chance))),
        matched.size,
        finite,
    )
