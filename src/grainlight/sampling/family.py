"""The posterior of exact magnitudes under any learned likelihood, as the thesis had it.

The prior is the learned joint density of the parameters that the likelihood sees; what
it does not see is not sampled.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from grainlight.core import ParameterError, Parameters
from grainlight.estimators.chosen_bands import ChosenBands
from grainlight.estimators.density import FlowDensity
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.likelihood_ensemble import LikelihoodEnsemble


class ExactData(NamedTuple):
    """Magnitudes of one object in all bands, its conditions, and what is there.

    Without a mask all chosen bands of the target are there.
    """

    x: Float[Array, "*object band"]
    condition: Float[Array, "*object cond"]
    mask: Bool[Array, "*object band"] | None = None


class FamilyTarget(eqx.Module):
    """Prior and likelihood of the parameters that a likelihood sees.

    Attributes:
        likelihood: Density of the magnitudes.
        draft: One of the members of an ensemble, at their share of the cost; any other
            likelihood itself.
        prior: Joint density of the parameters.
        parameters: Those that are sampled.
        places: Where they stand among all parameters of the likelihood.
        num_param: How many parameters the likelihood takes.
    """

    likelihood: ChosenBands
    draft: ChosenBands
    prior: FlowDensity
    parameters: Parameters = eqx.field(static=True)
    places: tuple[int, ...] = eqx.field(static=True)
    num_param: int = eqx.field(static=True)

    def __init__(
        self,
        likelihood: ChosenBands,
        prior: FlowDensity,
        all_parameters: Parameters,
        visible: tuple[str, ...],
    ) -> None:
        if prior.box.lower.size != len(visible):
            raise ParameterError(
                f"Expected a prior of the {len(visible)} parameters "
                f"{', '.join(visible)}; got one of {prior.box.lower.size}. Learn one "
                "of just these."
            )
        self.likelihood, self.prior = likelihood, prior
        self.draft = _one_member(likelihood)
        self.parameters = Parameters(tuple(all_parameters[name] for name in visible))
        self.places = tuple(all_parameters.index(name) for name in visible)
        self.num_param = len(all_parameters)

    def log_prior(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Log-density of the prior per unit of the scaled values."""
        return self.prior.log_prob(scaled)

    def sample_prior(
        self, key: Key[Array, ""], num_draws: int
    ) -> Float[Array, "draw param"]:
        """Scaled draws from the prior."""
        return self.prior.sample(key, num_draws)

    def log_likelihood(
        self, scaled: Float[Array, " param"], data: ExactData
    ) -> Float[Array, ""]:
        """Log-density of the magnitudes."""
        return self._log_prob(self.likelihood, scaled, data)

    def log_draft(
        self, scaled: Float[Array, " param"], data: ExactData
    ) -> Float[Array, ""]:
        """The same by the draft."""
        return self._log_prob(self.draft, scaled, data)

    @property
    def is_gaussian(self) -> bool:
        """Whether the draft is a Gaussian, of which `residual` tells."""
        return isinstance(self.draft.likelihood, GaussianLikelihood)

    def residual(
        self, scaled: Float[Array, " param"], data: ExactData
    ) -> tuple[Float[Array, " dim"], Float[Array, "dim dim"]]:
        """Magnitudes minus the mean of the draft, and their covariance."""
        theta = self._all(scaled)
        return self.draft.residual(data.x, theta, data.condition, data.mask)

    def _log_prob(
        self, likelihood: ChosenBands, scaled: Float[Array, " param"], data: ExactData
    ) -> Float[Array, ""]:
        theta = self._all(scaled)
        return likelihood.log_prob(data.x, theta, data.condition, data.mask)

    def _all(self, scaled: Float[Array, " param"]) -> Float[Array, " every"]:
        """What is sampled among all parameters; the others are not looked at."""
        return jnp.zeros(self.num_param).at[jnp.asarray(self.places)].set(scaled)


def _one_member(likelihood: ChosenBands) -> ChosenBands:
    """The first member of an ensemble, in the same bands."""
    if isinstance(likelihood.likelihood, LikelihoodEnsemble):
        return ChosenBands(likelihood.likelihood.members[0], likelihood.chosen)
    return likelihood
