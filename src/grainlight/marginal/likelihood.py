r"""Likelihoods without nuisance parameters.

$$ L(\theta) = \frac{P(\theta)\, Z}{\pi(\theta)} , $$

with the marginal posterior $P$ and the marginal prior $\pi$ of a finished run: what an
integral over its nuisance parameters would give.

References:
    Bevins et al. (2023), arXiv:2207.11457.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.core import ParameterError
from grainlight.marginal.chains import Chains
from grainlight.marginal.densities import Density
from grainlight.marginal.learn import Marginal
from grainlight.marginal.measured import Measured


@dataclass(frozen=True)
class Experiment:
    """A finished analysis, seen through the parameters it shares with others.

    Attributes:
        name: What it is called.
        names: The shared parameters, in order.
        posterior: Their marginal posterior.
        prior: Their marginal prior in that analysis.
        log_evidence: Its log-evidence; zero, with an infinite error, if unknown.
        chains: The draws that the posterior was learned from; none if it is exact.
    """

    name: str
    names: tuple[str, ...]
    posterior: Density
    prior: Density
    log_evidence: Measured = Measured(0.0, float("inf"))
    chains: Chains | None = None

    def __post_init__(self) -> None:
        dims = {self.posterior.support.dim, self.prior.support.dim, len(self.names)}
        if len(dims) != 1:
            raise ParameterError(
                f"Expected posterior and prior of {', '.join(self.names)} in "
                f"{self.name!r}; got {sorted(dims)} parameters. Give both the same."
            )

    @classmethod
    def of(
        cls, name: str, marginal: Marginal, log_evidence: Measured | None = None
    ) -> "Experiment":
        """The experiment of a learned marginal."""
        unknown = Measured(0.0, float("inf"))
        return cls(
            name,
            marginal.chains.names,
            marginal.density,
            marginal.prior,
            unknown if log_evidence is None else log_evidence,
            marginal.chains,
        )

    @property
    def knows_evidence(self) -> bool:
        """Whether its evidence was given."""
        return bool(np.isfinite(self.log_evidence.error))

    def log_likelihood(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """Nuisance-free log-likelihood; -inf where the prior was zero.

        Without an evidence it is known up to a constant.
        """
        prior = self.prior.log_prob(theta)
        ratio = self.posterior.log_prob(theta) - prior + self.log_evidence.value
        return jnp.where(jnp.isfinite(prior), ratio, -jnp.inf)
