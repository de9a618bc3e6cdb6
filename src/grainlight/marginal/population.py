r"""From posteriors of single objects to the population that they are drawn from.

$$ p(\{D\} | \Lambda) = \prod_i Z_i \Big\langle \frac{p(\theta | \Lambda)}{\pi(\theta)}
   \Big\rangle_{P_i} , $$

with posteriors $P_i$ under an interim prior $\pi$. Its Monte Carlo variance is that of
the logarithm, summed over the objects; beyond about one it decides the answer, and
densities must take the place of draws.

References:
    Mandel, Farr & Gair (2019), arXiv:1809.02063; Talbot & Golomb (2023),
    arXiv:2304.06138 (the variance).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key
from scipy.optimize import minimize

from grainlight.marginal.chains import Chains
from grainlight.marginal.densities import Density
from grainlight.marginal.measured import Measured
from grainlight.marginal.objects import ObjectDraws
from grainlight.marginal.statistics import evidence_of_weights
from grainlight.marginal.student import Student

#: Summed Monte Carlo variance beyond which draws of the objects are too few.
LARGEST_VARIANCE = 1.0
_STARTS = 64
_BATCH = 8


@runtime_checkable
class Population(Protocol):
    """A density of the parameters of an object, given those of the population."""

    names: tuple[str, ...]

    def log_prob(
        self,
        hyper: Float[Array, " hyper"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, ""]:
        """Log-density of one object, of known conditions such as its epoch."""
        ...


class Reading(eqx.Module):
    """A population log-likelihood and its Monte Carlo variance."""

    log_likelihood: Float[Array, ""]
    variance: Float[Array, ""]


def read_population(
    population: Population, objects: ObjectDraws, hyper: Float[Array, " hyper"]
) -> Reading:
    """Log-likelihood of a population, and its Monte Carlo variance."""

    def one(theta: Array, log_weight: Array, condition: Array) -> tuple[Array, Array]:
        log_prob = jax.vmap(lambda t: population.log_prob(hyper, t, condition))(theta)
        total = log_prob + log_weight
        num = total.size
        mean = logsumexp(total) - np.log(num)
        share = jax.nn.softmax(total)
        return mean, jnp.sum(share**2) - 1 / num

    mean, variance = jax.vmap(one)(objects.theta, objects.log_weight, objects.condition)
    return Reading(jnp.sum(mean), jnp.sum(variance))


@dataclass(frozen=True)
class PopulationFit:
    """The posterior of a population.

    Attributes:
        chains: Weighted draws of its parameters.
        log_evidence: Log-evidence of the population model, up to those of the objects.
        variance: Posterior mean of the summed Monte Carlo variance.
        efficiency: Effective fraction of the draws.
        shape: Pareto k-hat of their weights.
    """

    chains: Chains
    log_evidence: Measured
    variance: float
    efficiency: float
    shape: float

    @property
    def is_trusted(self) -> bool:
        """Whether draws suffice: of the objects, and of the population."""
        return self.variance < LARGEST_VARIANCE and self.shape < 0.7

    @property
    def trust(self) -> str:
        """What to think of it, in words."""
        words = (
            f"Monte Carlo variance {self.variance:.2g}, efficiency "
            f"{self.efficiency:.0%}, k-hat {self.shape:.2f}"
        )
        if self.variance >= LARGEST_VARIANCE:
            return f"{words}: do not trust; use more draws of the objects, or densities"
        return f"{words}: {'ok' if self.is_trusted else 'do not trust'}"


def fit_population(
    key: Key[Array, ""],
    population: Population,
    objects: ObjectDraws,
    prior: Density,
    *,
    num_draws: int = 2_000,
) -> PopulationFit:
    """Posterior of the parameters of a population.

    The mode and its curvature give a Student proposal, whose weighted draws give a
    better one; the draws of both are weighted together.

    Args:
        key: Seeds the starts and the draws.
        population: The population model.
        objects: Draws of the objects.
        prior: Prior of the parameters of the population.
        num_draws: Draws of each of the two proposals.
    """
    start_key, seed_key = jr.split(key)
    generator = np.random.default_rng(int(jr.randint(seed_key, (), 0, 2**31 - 1)))
    read = _reader(population)
    starts = prior.sample(start_key, _STARTS)
    students = [_at_mode(population, objects, prior, read, starts)]
    table = students[0].sample(generator, num_draws)
    found = [read(objects, table)]
    log_target = found[0][0] + prior.log_prob_table(table)
    log_weight = log_target - students[0].log_prob_table(table)
    students.append(Student.around(table, _finite(log_weight), prior.support))
    more = students[1].sample(generator, num_draws)
    found.append(read(objects, more))
    table = np.concatenate([table, more])
    log_like, variance = (np.concatenate(part) for part in zip(*found, strict=True))
    each = np.stack([student.log_prob_table(table) for student in students])
    log_proposal = np.logaddexp.reduce(each, axis=0) - np.log(len(students))
    log_weight = _finite(log_like + prior.log_prob_table(table) - log_proposal)
    evidence = evidence_of_weights(log_weight)
    chains = Chains(population.names, table, log_weight, prior.support)
    mean_variance = float(chains.weight @ np.where(np.isfinite(variance), variance, 0))
    return PopulationFit(
        chains,
        evidence.log_evidence,
        mean_variance,
        evidence.efficiency,
        evidence.shape,
    )


def _finite(log_weight: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(log_weight), log_weight, -np.inf)


def _reader(
    population: Population,
) -> Callable[[ObjectDraws, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    @eqx.filter_jit
    def read(objects: ObjectDraws, table: Array) -> Reading:
        return jax.lax.map(
            lambda hyper: read_population(population, objects, hyper),
            table,
            batch_size=_BATCH,
        )

    def many(objects: ObjectDraws, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = read(objects, jnp.asarray(table, jnp.float32))
        return np.asarray(found.log_likelihood, float), np.asarray(
            found.variance, float
        )

    return many


def _at_mode(
    population: Population,
    objects: ObjectDraws,
    prior: Density,
    read: Callable,
    starts: Array,
) -> Student:
    """The Student proposal at the mode, on the unbounded axes."""
    support = prior.support
    log_like = read(objects, np.asarray(starts, float))[0]
    best = starts[int(np.argmax(np.where(np.isfinite(log_like), log_like, -np.inf)))]

    def minus(y: Array, objects: ObjectDraws) -> Array:
        hyper = support.bound(y)
        found = read_population(population, objects, hyper)
        return support.log_det(y) - found.log_likelihood - prior.log_prob(hyper)

    slope = eqx.filter_jit(jax.value_and_grad(minus))

    def evaluate(y: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = slope(jnp.asarray(y, jnp.float32), objects)
        return float(value), np.asarray(gradient, float)

    start = support.unbound_table(np.asarray(best, float)[None])[0]
    found = minimize(evaluate, start, jac=True, method="L-BFGS-B")
    factor = np.linalg.cholesky(np.linalg.inv(_curvature(evaluate, found.x)))
    return Student(support, found.x, 1.2 * factor)


def _curvature(evaluate: Callable, mode: np.ndarray) -> np.ndarray:
    """Second derivatives from gradients, positive definite."""
    step, rows = 1e-2, []
    for axis in np.eye(mode.size):
        ahead, behind = (evaluate(mode + sign * step * axis)[1] for sign in (1, -1))
        rows.append((ahead - behind) / (2 * step))
    matrix = 0.5 * (np.asarray(rows) + np.asarray(rows).T)
    value, vector = np.linalg.eigh(matrix)
    return (vector * np.maximum(np.abs(value), 1e-2)) @ vector.T
