"""How the commands on chains read and learn them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from grainlight.core import ParameterError
from grainlight.estimators import DensitySettings, Support, fit_weighted
from grainlight.estimators.weighted import DensityKind
from grainlight.marginal import Chains, Density, Marginal, learn_marginal, read_chains
from grainlight.report.evaluation_folder import plain
from grainlight.report.folder import versions


@dataclass(frozen=True)
class ChainOptions:
    """How chains are read and learned.

    Attributes:
        parameters: Those that are kept; all if none are named.
        bounds: Bounds of the prior by parameter, instead of those of the files.
        prior: Chains of the prior; it is uniform within the bounds if there are none.
        kind: Flows or kernels.
        burn_in: Fraction left out at the start of getdist chains.
    """

    parameters: tuple[str, ...] = ()
    bounds: tuple[tuple[str, float, float], ...] = ()
    prior: Path | None = None
    kind: DensityKind = "autoregressive"
    burn_in: float = 0.0

    def read(self, path: Path) -> Chains:
        """Chains of a file, with the bounds that were given."""
        chains = read_chains(path, self.parameters or None, burn_in=self.burn_in)
        lower = np.array(chains.support.lower, float)
        upper = np.array(chains.support.upper, float)
        for name, low, high in self.bounds:
            if name not in chains.names:
                raise ParameterError(
                    f"Expected bounds of {', '.join(chains.names)}; got some of "
                    f"{name!r}. Leave these out."
                )
            at = chains.names.index(name)
            lower[at], upper[at] = low, high
        turns = np.asarray(chains.support.periodic)
        return chains.within(Support.between(lower, upper, turns))

    def learn(self, key: Key[Array, ""], paths: Sequence[Path]) -> dict[str, Marginal]:
        """Marginal posteriors of several files, by name."""
        names = short_names(paths)
        read = [self.read(path) for path in paths]
        settings = DensitySettings(kind=self.kind)
        prior_key, *keys = jr.split(key, len(paths) + 1)
        prior = self._prior(prior_key, settings)
        return {
            name: learn_marginal(one, chains, prior, settings)
            for one, name, chains in zip(keys, names, read, strict=True)
        }

    def _prior(self, key: Key[Array, ""], settings: DensitySettings) -> Density | None:
        if self.prior is None:
            return None
        chains = self.read(self.prior)
        return fit_weighted(
            key,
            chains.theta,
            chains.weight,
            chains.support,
            settings,
            ordered=chains.order == "chain",
        ).density

    def words(self, seed: int, found: dict[str, Any]) -> dict[str, Any]:
        """What a file of results states: the findings, and how they came about.

        Args:
            seed: Seed of every random number.
            found: The findings.
        """
        how = {
            "parameters": list(self.parameters),
            "bounds": [list(one) for one in self.bounds],
            "prior": None if self.prior is None else str(self.prior),
            "kind": self.kind,
        }
        return plain(found | {"seed": seed, "options": how, "versions": versions()})


def short_names(paths: Sequence[Path]) -> list[str]:
    """Names of files without their endings, numbered if two are the same."""
    names = [path.name.split(".")[0] for path in paths]
    if len(set(names)) == len(names):
        return names
    return [f"{name}-{number + 1}" for number, name in enumerate(names)]
