"""Marginal posteriors: chains, the density learned from them, and their prior."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from grainlight.core import ParameterError
from grainlight.estimators import DensitySettings, WeightedFit, fit_weighted
from grainlight.estimators.weighted import WeightedDensity
from grainlight.marginal.chains import Chains
from grainlight.marginal.clusters import check_labels, find_clusters
from grainlight.marginal.densities import Density, UniformDensity


@dataclass(frozen=True)
class Marginal:
    """A posterior of a few parameters, whatever else the sampler varied.

    Attributes:
        chains: The draws of these parameters.
        fit: The density learned from them.
        prior: Their prior.
    """

    chains: Chains
    fit: WeightedFit
    prior: Density

    @property
    def density(self) -> WeightedDensity:
        """The density of the posterior."""
        return self.fit.density

    @property
    def num_modes(self) -> int:
        """Pieces of the density."""
        return len(self.density.pieces)

    def member_log_ratio(self) -> Float[np.ndarray, "draw member"]:
        """Log of posterior over prior at the draws, by every member."""
        theta = self.chains.theta
        posterior = self.density.member_log_prob_table(theta)
        return posterior - self.prior.log_prob_table(theta)[:, None]

    def log_ratio(self) -> Float[np.ndarray, " draw"]:
        """The same by the members that have not seen the draws."""
        return self.held_out(self.member_log_ratio())

    def drawn_log_ratio(
        self, points: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, "draw member"]:
        """The same at draws of every member, by that member; nan beyond the prior.

        Args:
            points: Points of the unit cube that the members turn into draws.
        """
        table = self.density.member_from_cube_table(jnp.asarray(points, jnp.float32))
        each = []
        for number, theta in enumerate(np.moveaxis(np.asarray(table, float), 1, 0)):
            posterior = self.density.member_log_prob_table(theta)[:, number]
            each.append(posterior - self.prior.log_prob_table(theta))
        ratio = np.stack(each, axis=1)
        return np.where(np.isfinite(ratio), ratio, np.nan)

    def held_out(
        self, by_member: Float[np.ndarray, "draw member"]
    ) -> Float[np.ndarray, " draw"]:
        """Of every draw the value by the member that has not seen it."""
        return by_member[np.arange(len(by_member)), self.fit.fold]


def learn_marginal(
    key: Key[Array, ""],
    chains: Chains,
    prior: Density | None = None,
    settings: DensitySettings | None = None,
    *,
    names: Sequence[str] | None = None,
    labels: Int[np.ndarray, " draw"] | list[int] | None = None,
    most_modes: int = 6,
) -> Marginal:
    """Learn the posterior density of some parameters of a chain.

    Args:
        key: Seeds everything that is random.
        chains: Weighted draws.
        prior: Prior of these parameters; uniform within the bounds of the chains if
            none is given.
        settings: What is learned, and how.
        names: The parameters; all of the chains if none are named.
        labels: Mode of every draw; modes are looked for if there are none.
        most_modes: Largest number of modes to look for.
    """
    chains = chains if names is None else chains.select(names)
    prior = UniformDensity(chains.support) if prior is None else prior
    _check_prior(chains, prior)
    support = chains.support
    if not prior.support.covers(support):
        support = prior.support.intersect(support)
    cluster_key, fit_key = jr.split(key)
    if labels is None:
        seed = int(jr.randint(cluster_key, (), 0, 2**31 - 1))
        generator = np.random.default_rng(seed)
        found = find_clusters(
            generator, chains.theta, chains.weight, support, most=most_modes
        )
    else:
        found = check_labels(labels, chains.num_draws)
    fit = fit_weighted(
        fit_key,
        chains.theta,
        chains.weight,
        support,
        settings,
        labels=found,
        ordered=chains.order == "chain",
    )
    return Marginal(chains, fit, prior)


def _check_prior(chains: Chains, prior: Density) -> None:
    if prior.support.dim != len(chains.names):
        raise ParameterError(
            f"Expected a prior of {', '.join(chains.names)}; got one of "
            f"{prior.support.dim} parameters. Give the prior of these, in their order."
        )
    held = np.isfinite(prior.log_prob_table(chains.theta)) | (chains.weight == 0)
    if not np.all(held):
        raise ParameterError(
            f"Expected draws where the prior is positive; got {int(np.sum(~held))} "
            "where it is zero. Give the prior that the chains were sampled under."
        )
