r"""Nested samplers that take a learned density as their prior: any prior you like.

With the posterior of experiment A as the prior of a run on the data of B, the evidence
of that run is $Z_{AB} / Z_A$. A density is handed over as its map from the unit cube;
mixtures pick their part by the first coordinate, which is measure-preserving.

References:
    Alsing & Handley (2021), arXiv:2102.12478; Yallup et al. (2026), arXiv:2601.23252.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError, SimulatorMissingError
from grainlight.marginal.chains import Chains
from grainlight.marginal.densities import Density
from grainlight.marginal.measured import Measured

FEWEST_NAUTILUS = 2  # parameters
LogLikelihood = Callable[[Float[Array, " param"]], Float[Array, ""]]


@dataclass(frozen=True)
class NestedRun:
    """What a nested sampler found.

    Attributes:
        chains: Its weighted draws.
        log_evidence: Its log-evidence.
        num_calls: Likelihoods that it asked for.
    """

    chains: Chains
    log_evidence: Measured
    num_calls: int


def cube_map(
    density: Density,
) -> Callable[[Float[np.ndarray, "*draw param"]], Float[np.ndarray, "*draw param"]]:
    """The map from the unit cube of one point or many, compiled once.

    dynesty takes it as `prior_transform`, nautilus as `prior`.
    """

    def transform(u: np.ndarray) -> np.ndarray:
        call = _map_one if np.ndim(u) == 1 else _map_many
        return np.asarray(call(density, jnp.asarray(u, jnp.float32)), float)

    return transform


@eqx.filter_jit
def _map_one(density: Density, u: Array) -> Array:
    return density.from_cube(u)


@eqx.filter_jit
def _map_many(density: Density, u: Array) -> Array:
    return jax.vmap(density.from_cube)(u)


def _compiled(log_likelihood: LogLikelihood, *, batch: bool) -> Callable:
    def single(theta: Array) -> Array:
        return log_likelihood(theta)

    call = jax.jit(jax.vmap(single) if batch else single)

    def evaluate(theta: np.ndarray) -> Any:
        value = np.asarray(call(jnp.asarray(theta, jnp.float32)), float)
        value = np.maximum(value, -1e30)  # samplers dislike infinities
        return value if batch else float(value)

    return evaluate


def run_dynesty(
    key: Key[Array, ""],
    log_likelihood: LogLikelihood,
    prior: Density,
    names: tuple[str, ...],
    *,
    num_live: int = 500,
    **settings: Any,
) -> NestedRun:
    """Sample by dynesty, random walks unless told otherwise.

    Args:
        key: Seeds the sampler.
        log_likelihood: Log-likelihood of one vector.
        prior: The prior, any density of this room.
        names: Names of the parameters.
        num_live: Live points.
        settings: Further settings of `dynesty.NestedSampler`.
    """
    dynesty = _extra("dynesty")
    sampler = dynesty.NestedSampler(
        _compiled(log_likelihood, batch=False),
        cube_map(prior),
        len(names),
        nlive=num_live,
        rstate=np.random.default_rng(_seed(key)),
        **({"sample": "rwalk"} | settings),
    )
    sampler.run_nested(print_progress=False)
    found = sampler.results
    chains = Chains(
        names,
        np.asarray(found.samples, float),
        np.asarray(found.logwt, float),
        prior.support,
        "nested",
        np.asarray(found.logl, float),
    )
    evidence = Measured(float(found.logz[-1]), weights=float(found.logzerr[-1]))
    return NestedRun(chains, evidence, int(np.sum(found.ncall)))


def run_nautilus(
    key: Key[Array, ""],
    log_likelihood: LogLikelihood,
    prior: Density,
    names: tuple[str, ...],
    *,
    num_live: int = 1_000,
    **settings: Any,
) -> NestedRun:
    """Sample by nautilus, in batches; arguments as of `run_dynesty`.

    Raises `ParameterError` for one parameter alone, which nautilus does not take.
    """
    if len(names) < FEWEST_NAUTILUS:
        raise ParameterError(
            f"Expected {FEWEST_NAUTILUS} parameters or more for nautilus; got "
            f"{', '.join(names)}. Use `run_dynesty` or `run_blackjax`."
        )
    nautilus = _extra("nautilus")
    sampler = nautilus.Sampler(
        cube_map(prior),
        _compiled(log_likelihood, batch=True),
        n_dim=len(names),
        n_live=num_live,
        vectorized=True,
        seed=_seed(key),
        **settings,
    )
    sampler.run(verbose=False)
    theta, log_weight, log_like = sampler.posterior()
    chains = Chains(
        names,
        np.asarray(theta, float),
        np.asarray(log_weight, float),
        prior.support,
        "independent",
        np.asarray(log_like, float),
    )
    error = 1 / np.sqrt(max(float(sampler.n_eff), 1.0))
    return NestedRun(chains, Measured(float(sampler.log_z), error), int(sampler.n_like))


def run_blackjax(
    key: Key[Array, ""],
    log_likelihood: LogLikelihood,
    prior: Density,
    names: tuple[str, ...],
    *,
    num_live: int = 500,
    num_delete: int = 50,
    num_steps: int | None = None,
    precision: float = 3.0,
) -> NestedRun:
    r"""Sample by the nested slice sampler of BlackJAX, which comes with this package.

    Args:
        key: Seeds the sampler.
        log_likelihood: Log-likelihood of one vector.
        prior: The prior.
        names: Names of the parameters.
        num_live: Live points.
        num_delete: Points that are replaced together.
        num_steps: Slices from a point to its replacement; five a parameter if none.
        precision: It ends when the live points hold less than $e^{-\mathrm{this}}$ of
            the evidence.
    """
    blackjax = importlib.import_module("blackjax")
    start_key, run_key, seed_key = jr.split(key, 3)
    sampler = blackjax.nss(
        logprior_fn=lambda theta: prior.log_prob(theta),
        loglikelihood_fn=lambda theta: log_likelihood(theta),
        num_delete=num_delete,
        num_inner_steps=5 * len(names) if num_steps is None else num_steps,
    )
    state = jax.jit(sampler.init)(prior.sample(start_key, num_live))
    step = jax.jit(sampler.step)
    dead = []
    while not _is_done(state, precision):
        run_key, step_key = jr.split(run_key)
        state, info = step(step_key, state)
        dead.append(jax.tree.map(np.asarray, info.particles))
    dead.append(jax.tree.map(np.asarray, state.particles))
    chains = _dead_chains(dead, prior, names, seed_key)
    draws = np.asarray(
        chains.draw_log_evidence(np.random.default_rng(_seed(seed_key)), 200)
    )
    evidence = Measured(float(np.mean(draws)), weights=float(np.std(draws)))
    num_calls = num_delete * (len(dead) - 1)
    return NestedRun(chains, evidence, num_calls)


def _is_done(state: Any, precision: float) -> bool:
    integrator = state.integrator
    return bool(integrator.logZ_live - integrator.logZ < -precision)


def _dead_chains(
    dead: list[Any], prior: Density, names: tuple[str, ...], key: Key[Array, ""]
) -> Chains:
    theta = np.concatenate([part.position for part in dead]).astype(float)
    death = np.concatenate([part.loglikelihood for part in dead]).astype(float)
    birth = np.concatenate([part.loglikelihood_birth for part in dead]).astype(float)
    birth = np.where(np.isnan(birth), -np.inf, birth)
    bare = Chains(
        names,
        theta.reshape(len(death), -1),
        np.zeros(len(death)),
        prior.support,
        "nested",
        death,
        birth,
    )
    return bare.reweighted(np.random.default_rng(_seed(key)))


def _seed(key: Key[Array, ""]) -> int:
    return int(jr.randint(key, (), 0, 2**31 - 1))


def _extra(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SimulatorMissingError(
            f"Expected {module} for this nested sampler; it is not installed. Run "
            "`pip install grainlight[nested]`, or use `run_blackjax`."
        ) from error
