"""A heavy-tailed proposal around weighted draws."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.stats import multivariate_t

from grainlight.estimators import Support, Whitening

FREEDOM = 5.0
WIDER = 1.2


@dataclass(frozen=True)
class Student:
    """A Student distribution on the unbounded axes of a support.

    Attributes:
        support: Where its draws lie.
        center: Its center on the unbounded axes.
        factor: Lower Cholesky factor of its shape.
    """

    support: Support
    center: Float[np.ndarray, " param"]
    factor: Float[np.ndarray, "param param"]

    @classmethod
    def around(
        cls,
        table: Float[np.ndarray, "draw param"],
        log_weight: Float[np.ndarray, " draw"],
        support: Support,
    ) -> "Student":
        """A distribution somewhat wider than weighted draws."""
        weight = np.exp(np.clip(log_weight - np.max(log_weight), -700, None))
        whitening = Whitening.from_data(support.unbound_table(table), weight)
        factor = WIDER * np.asarray(whitening.factor, float)
        return cls(support, np.asarray(whitening.center, float), factor)

    def sample(
        self, generator: np.random.Generator, num_draws: int
    ) -> Float[np.ndarray, "draw param"]:
        """Draw vectors inside the support."""
        drawn = self._law().rvs(num_draws, random_state=generator)
        drawn = jnp.asarray(np.reshape(drawn, (num_draws, -1)), jnp.float32)
        return np.asarray(jax.vmap(self.support.bound)(drawn), float)

    def log_prob_table(
        self, table: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, " draw"]:
        """Log-density of vectors inside the support."""
        y = self.support.unbound_table(table)
        return np.atleast_1d(self._law().logpdf(y)) + self.support.log_det_table(y)

    def _law(self) -> Any:
        shape: Any = self.factor @ self.factor.T
        freedom: Any = FREEDOM
        return multivariate_t(self.center, shape, df=freedom)
