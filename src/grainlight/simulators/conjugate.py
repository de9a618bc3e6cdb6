r"""A simulator whose likelihood, posterior and evidence are known exactly.

$$ \theta \sim N(m, S), \qquad x = A \theta + b + \epsilon, \qquad
   \epsilon \sim N(0, C) . $$

Then, with $K = S A^T (A S A^T + C)^{-1}$,

$$ p(x | \theta) = N(x;\, A \theta + b,\, C), \qquad
   p(x) = N(x;\, A m + b,\, A S A^T + C), $$
$$ p(\theta | x) = N\big(\theta;\, m + K (x - A m - b),\, S - K A S \big) . $$

What an estimator makes of it can be compared with the truth, number by number. Missing
bands are left out exactly, as rows of $A$, $b$ and $C$. The exact answers are in double
precision.

References:
    Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.3.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from grainlight.core import Parameter, ParameterError, Parameters

#: Bounds of a parameter that has none, in its standard deviations.
FAR = 10.0


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian in double precision.

    Attributes:
        mean: Its mean.
        covariance: Its covariance, positive definite.
    """

    mean: Float[np.ndarray, " dim"]
    covariance: Float[np.ndarray, "dim dim"]

    def log_prob(
        self, value: Float[np.ndarray, "*batch dim"]
    ) -> Float[np.ndarray, "*batch"] | np.float64:
        """Log-density of one vector or of many."""
        factor = np.linalg.cholesky(self.covariance)
        residual = np.asarray(value, float) - self.mean
        white = np.linalg.solve(factor, residual[..., None])[..., 0]
        log_det = 2 * np.sum(np.log(np.diag(factor)))
        size = self.mean.size * np.log(2 * np.pi)
        return -0.5 * (np.sum(white**2, axis=-1) + log_det + size)

    def sample(
        self, generator: np.random.Generator, num_draws: int
    ) -> Float[np.ndarray, "draw dim"]:
        """Draw vectors."""
        noise = generator.normal(size=(num_draws, self.mean.size))
        return self.mean + noise @ np.linalg.cholesky(self.covariance).T

    @property
    def entropy(self) -> float:
        """Mean of minus the log-density over its own draws [nat]."""
        log_det = float(np.linalg.slogdet(self.covariance)[1])
        return 0.5 * (log_det + self.mean.size * np.log(2 * np.pi * np.e))


@dataclass(frozen=True)
class ConjugateGaussian:
    """The linear Gaussian simulator, with its exact answers.

    It is a `Simulator`: what it draws stands in place of the fluxes of its bands, and
    all its parameters are linear, so that scaled and physical values are the same.

    Attributes:
        prior: Distribution of the parameters.
        design: The matrix $A$.
        offset: The vector $b$.
        noise: The covariance $C$ of the noise, positive definite.
    """

    prior: Gaussian
    design: Float[np.ndarray, "band param"]
    offset: Float[np.ndarray, " dim"]
    noise: Float[np.ndarray, "dim dim"]

    def __post_init__(self) -> None:
        num_band, num_param = self.design.shape
        got = [self.prior.mean.shape, self.prior.covariance.shape]
        got += [self.offset.shape, self.noise.shape]
        expected = [(num_param,), (num_param, num_param)]
        expected += [(num_band,), (num_band, num_band)]
        if got != expected:
            raise ParameterError(
                "Expected prior mean, prior covariance, offset and noise of shapes "
                f"{expected} for a design of shape {self.design.shape}; got {got}. "
                "Give the design one row a band and one column a parameter."
            )

    @property
    def parameters(self) -> Parameters:
        """The parameters; their bounds are too far out to matter."""
        far = FAR * np.sqrt(np.diag(self.prior.covariance))
        members = zip(self.prior.mean - far, self.prior.mean + far, strict=True)
        return Parameters(
            tuple(
                Parameter(f"parameter_{i}", float(low), float(high))
                for i, (low, high) in enumerate(members)
            )
        )

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the dimensions of the outcome."""
        return tuple(f"band_{i}" for i in range(self.offset.size))

    def __call__(
        self, key: Key[Array, ""], theta: Float[Array, " param"]
    ) -> Float[Array, " band"]:
        """Draw one outcome."""
        factor = jnp.asarray(np.linalg.cholesky(self.noise))
        mean = jnp.asarray(self.design) @ theta + jnp.asarray(self.offset)
        return mean + factor @ jr.normal(key, (self.offset.size,))

    def likelihood(self, theta: Float[np.ndarray, " param"]) -> Gaussian:
        """The exact distribution of the outcome at parameters `theta`."""
        return Gaussian(self.design @ np.asarray(theta) + self.offset, self.noise)

    def evidence(self, mask: Bool[np.ndarray, " band"] | None = None) -> Gaussian:
        """The exact distribution of the bands under `mask`, whatever the parameters."""
        design, offset, noise = self._there(mask)
        covariance = design @ self.prior.covariance @ design.T + noise
        return Gaussian(design @ self.prior.mean + offset, covariance)

    def posterior(
        self,
        x: Float[np.ndarray, " band"],
        mask: Bool[np.ndarray, " band"] | None = None,
    ) -> Gaussian:
        """The exact distribution of the parameters given an outcome.

        Args:
            x: The outcome; anything where it is missing.
            mask: True where it is there; everywhere without a mask.
        """
        design = self._there(mask)[0]
        total = self.evidence(mask)
        crossed = design @ self.prior.covariance
        gain = np.linalg.solve(total.covariance, crossed).T
        kept = np.asarray(x, float) if mask is None else np.asarray(x, float)[mask]
        covariance = self.prior.covariance - gain @ crossed
        return Gaussian(
            self.prior.mean + gain @ (kept - total.mean),
            0.5 * (covariance + covariance.T),
        )

    def _there(
        self, mask: Bool[np.ndarray, " band"] | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        kept = np.ones(self.offset.size, bool) if mask is None else np.asarray(mask)
        return self.design[kept], self.offset[kept], self.noise[np.ix_(kept, kept)]
