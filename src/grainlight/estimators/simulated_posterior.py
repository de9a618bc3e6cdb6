r"""Amortized posteriors of anyone's simulator, in one call.

    data = gl.simulate(key, MySimulator(), num_sims=100_000)
    posterior = gl.train(key, gl.FlowPosterior, data)
    samples = posterior.sample(key, fluxes, num_draws=10_000)

The fluxes are those of the simulator, with its noise; bands are hidden at random while
it is trained, so that any of them may be missing. Parameters stay within their bounds.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import (
    BandMismatchError,
    ModelError,
    ObservationError,
    Parameters,
    Samples,
    Status,
)
from grainlight.datasets import Pairs, Simulations
from grainlight.datasets.statements import parameters_from_json, parameters_to_json
from grainlight.estimators.files import load_estimator, save_estimator
from grainlight.estimators.flow_posterior import FlowPosterior
from grainlight.estimators.learned_simulations import learn_simulations
from grainlight.estimators.masks import hide_bands
from grainlight.estimators.posterior import PosteriorDraws
from grainlight.estimators.posterior_ensemble import PosteriorEnsemble
from grainlight.estimators.settings import TrainingRecord, TrainingSettings
from grainlight.estimators.training import fit_estimator
from grainlight.photometry import luptitude

Amortized = FlowPosterior | PosteriorEnsemble
LEARNING = 1_000_000  # folded into the key of the likelihood; no member has this number


@dataclass(frozen=True, eq=False)
class SimulatedPosterior:
    """A posterior that answers for the fluxes of a simulator.

    Attributes:
        estimator: The posterior of scaled parameters given asinh magnitudes.
        parameters: The parameters.
        bands: Names of the bands.
        softening: Softening flux of the magnitudes of each band [nJy].
        record: How it was trained; none if that is not known.
    """

    estimator: Amortized
    parameters: Parameters
    bands: tuple[str, ...]
    softening: Float[np.ndarray, " band"]
    record: TrainingRecord | None = None

    def sample(
        self,
        key: Key[Array, ""],
        flux: Float[np.ndarray, " band"] | Array,
        num_draws: int = 10_000,
    ) -> Samples:
        """Draws of the parameters of one object, in physical units.

        Args:
            key: Random key.
            flux: Flux of every band, nan where it was not observed [nJy].
            num_draws: Number of draws.
        """
        seen = self._magnitudes(flux)
        draws = _draw(self.estimator, key, num_draws, seen)
        return Samples(
            theta=self.parameters.unscale(draws.theta),
            log_weight=jnp.zeros(num_draws),
            status=Status.ok,
            parameters=self.parameters,
        )

    def log_prob(
        self,
        theta: Float[np.ndarray, "draw param"] | Array,
        flux: Float[np.ndarray, " band"] | Array,
    ) -> Float[Array, " draw"]:
        """Log-density of physical parameters, per unit of the scaled ones."""
        seen = self._magnitudes(flux)
        scaled = self.parameters.scale(jnp.asarray(theta, float))
        return _log_prob(self.estimator, scaled, seen)

    def save(self, folder: Path | str) -> None:
        """Write it into a folder, made if need be."""
        meta = {
            "parameters": parameters_to_json(self.parameters),
            "bands": list(self.bands),
            "softening": np.asarray(self.softening, float).tolist(),
        }
        save_estimator(folder, self.estimator, self.record, meta)

    @classmethod
    def load(cls, folder: Path | str) -> "SimulatedPosterior":
        """Undo `save`; raises `ModelError` if something else is there."""
        saved = load_estimator(folder)
        known = {"parameters", "bands", "softening"} <= saved.meta.keys()
        if not known or not isinstance(saved.estimator, Amortized):
            raise ModelError(
                f"Expected a posterior that `gl.train` made in {folder}; got another "
                "estimator. Load that with `estimators.load_estimator`."
            )
        return cls(
            saved.estimator,
            parameters_from_json(saved.meta["parameters"]),
            tuple(saved.meta["bands"]),
            np.asarray(saved.meta["softening"], float),
            saved.record,
        )

    def _magnitudes(self, flux: Float[np.ndarray, " band"] | Array) -> Array:
        """Asinh magnitudes of fluxes, nan where there is none."""
        given = np.asarray(flux, dtype=float)
        if given.shape != (len(self.bands),):
            raise BandMismatchError(
                f"Expected the fluxes of {len(self.bands)} bands, "
                f"{', '.join(self.bands)}; got the shape {given.shape}. Give a band "
                "that was not observed a nan flux."
            )
        if not np.any(np.isfinite(given)):
            raise ObservationError(
                "Expected at least one finite flux; got none. Check the fluxes."
            )
        seen = luptitude(jnp.asarray(given), jnp.asarray(self.softening, float))
        return jnp.where(jnp.isfinite(jnp.asarray(given)), seen, jnp.nan)


@eqx.filter_jit
def _draw(
    estimator: Amortized, key: Key[Array, ""], num_draws: int, x: Float[Array, " dim"]
) -> PosteriorDraws:
    return estimator.draw(key, num_draws, x, jnp.zeros(0))


@eqx.filter_jit
def _log_prob(
    estimator: Amortized, theta: Float[Array, "draw param"], x: Float[Array, " dim"]
) -> Float[Array, " draw"]:
    return eqx.filter_vmap(lambda row: estimator.log_prob(row, x, jnp.zeros(0)))(theta)


def train_posterior(
    key: Key[Array, ""],
    kind: type[FlowPosterior],
    data: Simulations,
    settings: TrainingSettings | None = None,
    *,
    num_members: int = 1,
    num_learned: int = 0,
    folder: Path | None = None,
    progress: bool = False,
    **architecture: Any,
) -> SimulatedPosterior:
    """Train an amortized posterior on simulations.

    Args:
        key: Random key.
        kind: `FlowPosterior`.
        data: Simulations, as `simulate` gives them.
        settings: How it is trained.
        num_members: Networks whose mixture is the posterior.
        num_learned: Simulations that a likelihood, learned from `data`, adds to them in
            training: some 200,000 where `data` are few.
        folder: Checkpoints are written here, and a run found here is continued.
        progress: Whether to show a progress bar.
        architecture: As of the class.
    """
    if num_members < 1:
        raise ModelError(
            f"Expected one member or more; got {num_members}. Five make an ensemble."
        )
    train, held = (_columns(part) for part in (data.train, data.validation))
    lower, upper = np.asarray(data.parameters.lower), np.asarray(data.parameters.upper)
    inside = np.clip(np.asarray(train[0]), lower, upper)  # what rounding put outside
    rows = train
    if num_learned:
        is_even = data.prior == "bounds"
        rows = learn_simulations(
            jr.fold_in(key, LEARNING),
            train,
            held,
            num_learned,
            lower=lower if is_even else None,
            upper=upper if is_even else None,
            folder=None if folder is None else folder / "likelihood",
        ).joined(train)
    members, record = [], None
    for number in range(num_members):
        blank_key, train_key = jr.split(jr.fold_in(key, number))
        blank = kind.from_data(
            blank_key, inside, *train[1:], lower=lower, upper=upper, **architecture
        )
        trained = fit_estimator(
            train_key,
            blank,
            rows,
            held,
            settings,
            augment=hide_bands(),
            folder=None if folder is None else folder / f"member-{number}",
            progress=progress,
        )
        members.append(trained.estimator)
        record = trained.record
    estimator = members[0] if num_members == 1 else PosteriorEnsemble(members)
    return SimulatedPosterior(
        estimator, data.parameters, data.bands, np.array(data.softening), record
    )


def _columns(pairs: Pairs) -> tuple[Array, ...]:
    return tuple(
        jnp.asarray(part, jnp.float32)
        for part in (pairs.theta, pairs.condition, pairs.x)
    )
