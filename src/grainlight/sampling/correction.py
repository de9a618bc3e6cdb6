r"""Amortized draws corrected by the likelihood: importance weights and what they say.

$$ w_i = \frac{p(x | \theta_i)\, \pi(\theta_i)}{q(\theta_i | x)} , \quad
   \theta_i \sim q , \qquad
   \epsilon = \frac{(\sum w)^2}{N \sum w^2} , \qquad Z = \frac1N \sum w , \quad
   \sigma_{\ln Z}^2 = \frac{1/\epsilon - 1}{N} . $$

Everything is kept in logarithms. Another prior than that of the training enters by the
weights. Objects whose first draws were too few, but not hopeless, get more of them.

References:
    Dax et al. (2023), arXiv:2210.05686; Vehtari et al. (2024), JMLR 25, 72 (k-hat).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.special import logsumexp

from grainlight.core import Certificate, RangeError
from grainlight.estimators import PosteriorDraws
from grainlight.sampling.importance import LARGEST_SHAPE, pareto_shape
from grainlight.sampling.target import LOWEST, Target

#: Amortized draws that are weighed where all count alike, and the efficiency of these
#: weights that says that the network is near.
FEWEST_CHECKED, NEAR = 64, 0.1
#: Different values of a parameter, as a share of the draws, that it has at least.
LEAST_DISTINCT = 0.05


@runtime_checkable
class Proposal(Protocol):
    """An amortized posterior of scaled parameters."""

    def draw(self, key: Key[Array, ""], num_draws: int, data: Any) -> PosteriorDraws:
        """Draw from it for one object, with the exact density of the draws."""
        ...

    def log_prob(self, scaled: Float[Array, " param"], data: Any) -> Float[Array, ""]:
        """Log-density of scaled parameters of one object."""
        ...


@dataclass(frozen=True)
class CorrectionSettings:
    """How many draws are weighed, and what their weights must pass.

    Attributes:
        num_draws: Draws of the first round, of every object.
        most_rounds: Rounds that an object may get at most.
        hopeful: Efficiency below which more rounds are not tried.
        least_effective: Effective draws that are asked for.
        largest_shape: Largest Pareto k-hat.
        adapt_rounds: Rounds in which a mixture learns where these weights fail; zero
            leaves that out.
        adapt_draws: Draws of each.
        num_components: Components of the mixture.
    """

    num_draws: int = 4096
    most_rounds: int = 6
    hopeful: float = 0.01
    least_effective: float = 400.0
    largest_shape: float = LARGEST_SHAPE
    adapt_rounds: int = 10
    adapt_draws: int = 2048
    num_components: int = 16

    def __post_init__(self) -> None:
        if self.num_draws < 2 * self.least_effective or self.most_rounds < 1:
            raise RangeError(
                "Expected draws twice as many as effective ones, in one round or more; "
                f"got {self.num_draws} in {self.most_rounds} rounds. Raise them."
            )


@dataclass(frozen=True, eq=False)
class Weighed:
    """Amortized draws of one object, weighed.

    Attributes:
        theta: Scaled draws.
        log_weight: Their log-weights, minus infinity where prior or likelihood is zero.
        certificate: What the weights say; its rung is `corrected`, or `refined` where
            a mixture made the draws.
        passed: Whether they make a posterior.
    """

    theta: Float[np.ndarray, "draw param"]
    log_weight: Float[np.ndarray, " draw"]
    certificate: Certificate
    passed: bool

    @property
    def is_finite(self) -> bool:
        """Whether any draw has weight."""
        return bool(np.any(np.isfinite(self.log_weight)))


def weigh_draws(
    key: Key[Array, ""],
    target: Target,
    proposal: Proposal,
    data: Any,
    settings: CorrectionSettings | None = None,
) -> list[Weighed]:
    """Draw from an amortized posterior and weigh by likelihood and prior.

    The draws of an object depend on the key, its place and its data alone.

    Args:
        key: Random key.
        target: Prior and likelihood of one object.
        proposal: The amortized posterior.
        data: A pytree of arrays whose leading axis counts the objects.
        settings: How many draws, and what they must pass.
    """
    settings = settings or CorrectionSettings()
    number = jax.tree.leaves(data)[0].shape[0]
    keys = jax.vmap(lambda i: jr.fold_in(key, i))(jnp.arange(number))

    def one_round(members: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        return _one_round(
            keys, target, proposal, data, members, settings.num_draws, step
        )

    return gather_rounds(number, one_round, settings)


def gather_rounds(
    number: int,
    one_round: Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]],
    settings: CorrectionSettings,
    *,
    rung: str = "corrected",
    least_rounds: int = 1,
) -> list[Weighed]:
    """Weighed draws of every object, in more rounds where they help.

    Args:
        number: Objects.
        one_round: Scaled draws and log-weights of some objects, given their places and
            the number of the round.
        settings: How many rounds, and what the weights must pass.
        rung: The step of the ladder that makes them.
        least_rounds: Rounds that every object gets, if so many are allowed: who stops
            at the first that passes stops before the rare heavy weight.
    """
    found: list[Weighed | None] = [None] * number
    again = np.arange(number)
    for step in range(settings.most_rounds):
        theta, log_weight = one_round(again, step)
        for place, i in enumerate(again):
            found[i] = _joined(
                found[i], theta[place], log_weight[place], settings, rung
            )
        if step + 1 < least_rounds:
            continue
        again = np.array([i for i in again if _worth_more(found[i], settings)], int)
        if again.size == 0:
            break
    return [one for one in found if one is not None]


def draw_checked(
    key: Key[Array, ""],
    target: Target,
    proposal: Proposal,
    data: Any,
    num_draws: int,
) -> list[Weighed]:
    """Amortized draws of even weight; the first few are weighed as a check of them.

    The certificate is that of the few, of the rung `amortized`. They pass if they are
    worth a tenth of their number: the network is not far off there. It is the cheapest
    answer for many objects, and the one least vouched for.

    Args:
        key: Random key.
        target: Prior and likelihood of one object.
        proposal: The amortized posterior.
        data: A pytree of arrays whose leading axis counts the objects.
        num_draws: Draws of each object.
    """
    number = jax.tree.leaves(data)[0].shape[0]
    keys = jax.vmap(lambda i: jr.fold_in(key, i))(jnp.arange(number))
    found = _weigh(keys, target, proposal, data, num_draws, FEWEST_CHECKED)
    theta, log_weight = (np.asarray(part, float) for part in found)
    done = []
    for draws, few in zip(theta, log_weight, strict=True):
        certificate = replace(certify(few), rung="amortized")
        passed = certificate.efficiency >= NEAR
        done.append(Weighed(draws, np.zeros(len(draws)), certificate, passed))
    return done


def padded_size(number: int) -> int:
    """Objects of a batch: powers of two, so that few shapes are compiled."""
    return 2 ** int(np.ceil(np.log2(number)))


def _one_round(
    keys: Key[Array, " object"],
    target: Target,
    proposal: Proposal,
    data: Any,
    members: np.ndarray,
    num_draws: int,
    step: int,
) -> tuple[np.ndarray, np.ndarray]:
    padded = np.resize(members, padded_size(members.size))
    some = jax.tree.map(lambda leaf: leaf[padded], data)
    round_keys = jax.vmap(lambda k: jr.fold_in(k, step))(keys[padded])
    theta, log_weight = _weigh(round_keys, target, proposal, some, num_draws, num_draws)
    count = members.size
    return np.asarray(theta, float)[:count], np.asarray(log_weight, float)[:count]


@eqx.filter_jit
def _weigh(
    keys: Key[Array, " object"],
    target: Target,
    proposal: Proposal,
    data: Any,
    num_draws: int,
    num_weighed: int,
) -> tuple[Float[Array, "object draw param"], Float[Array, "object few"]]:
    """Draws of every object, and log-weights of the first of them."""

    def one_object(given):
        key, one = given
        draws = proposal.draw(key, num_draws, one)
        few = draws.theta[:num_weighed]
        prior = jax.vmap(target.log_prior)(few)
        likelihood = jax.vmap(lambda s: target.log_likelihood(s, one))(few)
        log_weight = prior + likelihood - draws.log_prob[:num_weighed]
        good = jnp.isfinite(log_weight) & (log_weight > LOWEST)
        good &= jnp.all(jnp.isfinite(few), axis=1)
        return draws.theta, jnp.where(good, log_weight, -jnp.inf)

    return jax.lax.map(one_object, (keys, data))


def _joined(
    before: Weighed | None,
    theta: np.ndarray,
    log_weight: np.ndarray,
    settings: CorrectionSettings,
    rung: str,
) -> Weighed:
    if before is not None:
        theta = np.concatenate([before.theta, theta])
        log_weight = np.concatenate([before.log_weight, log_weight])
    certificate = replace(certify(log_weight), rung=rung)
    passed = certificate.num_effective >= settings.least_effective
    passed = passed and certificate.shape < settings.largest_shape
    passed = passed and _is_spread(theta)
    return Weighed(theta, log_weight, certificate, passed)


def _is_spread(theta: Float[np.ndarray, "draw param"]) -> bool:
    """Whether every parameter has many values.

    Draws that are all at one bound weigh the same, whatever they miss.
    """
    distinct = min(np.unique(column).size for column in theta.T)
    return bool(distinct >= LEAST_DISTINCT * len(theta))


def certify(log_weight: Float[np.ndarray, " draw"]) -> Certificate:
    """Efficiency, Pareto k-hat and evidence of log-weights."""
    number = log_weight.size
    if not np.any(np.isfinite(log_weight)):
        return Certificate("corrected", 0.0, float("inf"), number)
    first, second = logsumexp(log_weight), logsumexp(2 * log_weight)
    efficiency = float(np.exp(2 * first - second) / number)
    return Certificate(
        rung="corrected",
        efficiency=efficiency,
        shape=pareto_shape(log_weight),
        num_weighed=number,
        log_evidence=float(first - np.log(number)),
        log_evidence_error=float(np.sqrt(max(1 / efficiency - 1, 0.0) / number)),
    )


def _worth_more(one: Weighed | None, settings: CorrectionSettings) -> bool:
    if one is None or one.passed:
        return False
    return one.certificate.efficiency >= settings.hopeful


def resample(
    generator: np.random.Generator, weighed: Weighed, num_draws: int
) -> Float[np.ndarray, "draw param"]:
    """Scaled draws of equal weight, in random order; heavy ones are there repeatedly.

    Without any finite weight they are those of the proposal.
    """
    log_weight = weighed.log_weight
    if not weighed.is_finite:
        log_weight = np.zeros(log_weight.size)
    share = np.cumsum(np.exp(log_weight - logsumexp(log_weight)))
    ticks = (np.arange(num_draws) + generator.random()) / num_draws
    picked = np.minimum(np.searchsorted(share, ticks), share.size - 1)
    return weighed.theta[generator.permutation(picked)]
