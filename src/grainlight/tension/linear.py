r"""The law of the ratio of linear Gaussian data sets.

In concordance, with canonical correlations $\rho_i$ of the two data sets under the
evidence and $u, y \sim N(0, 1)$,

$$ \ln R = \sum_i -\tfrac12 \ln(1 - \rho_i^2) + \tfrac12 \rho_i (u_i^2 - y_i^2) . $$

Its mean is the mutual information, its variance $\sum_i \rho_i^2$.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError


@dataclass(frozen=True)
class LinearPair:
    r"""Two data sets that see the same parameters through noise of their own.

    $\theta \sim N(0, S)$, $a = \theta + N(0, C_a)$, $b = \theta + N(0, C_b)$.

    Attributes:
        prior: Variances of the parameters.
        noise_a: Variances of the noise of the first.
        noise_b: Variances of the noise of the second.
    """

    prior: Float[np.ndarray, " param"]
    noise_a: Float[np.ndarray, " param"]
    noise_b: Float[np.ndarray, " param"]

    def __post_init__(self) -> None:
        parts = (self.prior, self.noise_a, self.noise_b)
        if len({part.shape for part in parts}) > 1 or any(
            np.any(p <= 0) for p in parts
        ):
            raise ParameterError(
                "Expected positive variances, as many of the prior as of each noise; "
                f"got shapes {[part.shape for part in parts]}. Give one a parameter."
            )

    @property
    def correlation(self) -> Float[np.ndarray, " param"]:
        """Canonical correlations."""
        return self.prior / np.sqrt(
            (self.prior + self.noise_a) * (self.prior + self.noise_b)
        )

    @property
    def mutual_information(self) -> float:
        """Mean log-ratio in concordance [nat]."""
        return float(-0.5 * np.sum(np.log1p(-(self.correlation**2))))

    def simulate(
        self, generator: np.random.Generator, num: int
    ) -> tuple[Float[np.ndarray, "sim a"], Float[np.ndarray, "sim b"]]:
        """Matched pairs."""
        shape = (num, self.prior.size)
        theta = np.sqrt(self.prior) * generator.normal(size=shape)
        a = theta + np.sqrt(self.noise_a) * generator.normal(size=shape)
        return a, theta + np.sqrt(self.noise_b) * generator.normal(size=shape)

    def log_ratio(
        self, a: Float[np.ndarray, "*sim param"], b: Float[np.ndarray, "*sim param"]
    ) -> Float[np.ndarray, "*sim"]:
        """The exact log-ratio of pairs [nat]."""
        u = a / np.sqrt(self.prior + self.noise_a)
        v = b / np.sqrt(self.prior + self.noise_b)
        rho = self.correlation
        gap = 1 - rho**2
        bent = rho * u * v - 0.5 * rho**2 * (u**2 + v**2)
        return np.asarray(np.sum(bent / gap - 0.5 * np.log(gap), axis=-1))

    def concordance(
        self, generator: np.random.Generator, num: int
    ) -> Float[np.ndarray, " sim"]:
        """Log-ratios of matched pairs, drawn from their law [nat]."""
        u, y = generator.normal(size=(2, num, self.prior.size))
        spread = 0.5 * np.sum(self.correlation * (u**2 - y**2), axis=1)
        return self.mutual_information + spread
