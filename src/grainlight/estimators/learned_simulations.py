r"""More simulations than were run: a likelihood learned from them makes the rest.

Ten thousand simulations are few for a network that gives posteriors: it soon learns the
pairs by heart. The likelihood $p(x | \theta)$ is often far simpler than the posterior.
A flow learns it from the same pairs, and makes as many new ones as training can take,

$$ \theta \sim p(\theta), \qquad x \sim q(x | \theta) . $$

The posterior then learns from all, and is judged on simulations that are real: what is
wrong with the likelihood shows in the validation loss. Where the simulations are plenty
or the likelihood is the harder part, that loss is lower without any of this.

Objective: that of `flow_likelihood`.

References:
    Wiqvist, Frellsen & Picchini (2021), arXiv:2102.06522 (posteriors from simulations
    of a learned likelihood).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError
from grainlight.estimators.flow_likelihood import FlowLikelihood
from grainlight.estimators.settings import TrainingRecord, TrainingSettings
from grainlight.estimators.training import fit_estimator

#: Architecture of the likelihood: small, for few simulations.
ARCHITECTURE = {"widths": (64, 64), "num_layers": 2, "width": 32}
SETTINGS = TrainingSettings(num_epochs=40, learning_rate=2e-3, patience=15)
AT_ONCE = 1_000  # rows made in one go


@dataclass(frozen=True, eq=False)
class LearnedSimulations:
    """Simulations that a learned likelihood has made.

    Attributes:
        theta: Scaled parameters.
        condition: Conditions.
        x: Outcomes, all finite.
        likelihood: What made them.
        record: How that was trained.
    """

    theta: Float[Array, "sim param"]
    condition: Float[Array, "sim cond"]
    x: Float[Array, "sim dim"]
    likelihood: FlowLikelihood
    record: TrainingRecord

    def __len__(self) -> int:
        return len(self.theta)

    def joined(self, rows: tuple[Array, ...]) -> tuple[Array, ...]:
        """Real rows of parameters, conditions and outcomes, and after them these."""
        own = (self.theta, self.condition, self.x)
        return tuple(jnp.concatenate(pair) for pair in zip(rows, own, strict=True))


def learn_simulations(
    key: Key[Array, ""],
    train: tuple[Array, ...],
    held: tuple[Array, ...],
    num_sims: int,
    *,
    lower: Float[np.ndarray, " param"] | Array | None = None,
    upper: Float[np.ndarray, " param"] | Array | None = None,
    settings: TrainingSettings = SETTINGS,
    folder: Path | None = None,
    **architecture: Any,
) -> LearnedSimulations:
    """Learn a likelihood from simulations and let it make more.

    Args:
        key: Random key.
        train: Scaled parameters, conditions and outcomes of simulations.
        held: The same of others, which decide when the likelihood is learned.
        num_sims: How many are made.
        lower: Lower bounds of the parameters, if the prior is even between bounds.
            Without, parameters are drawn from those of `train`, with repetition.
        upper: Upper bounds.
        settings: How the likelihood is trained.
        folder: Checkpoints are written here, and a run found here is continued.
        architecture: As of `FlowLikelihood`.
    """
    _check(train, num_sims, lower, upper)
    keys = jr.split(key, 4)
    words = ARCHITECTURE | architecture
    blank = FlowLikelihood.from_data(keys[0], *train, **words)
    trained = fit_estimator(keys[1], blank, train, held, settings, folder=folder)
    if trained.record.stopped == "interrupted":
        raise KeyboardInterrupt
    rows = jr.randint(keys[2], (num_sims,), 0, len(train[0]))
    theta, condition = train[0][rows], train[1][rows]
    if lower is not None and upper is not None:
        low, high = jnp.asarray(lower, float), jnp.asarray(upper, float)
        theta = jr.uniform(keys[2], theta.shape, minval=low, maxval=high)
    x = _outcomes(trained.estimator, jr.split(keys[3], num_sims), theta, condition)
    good = np.asarray(jnp.all(jnp.isfinite(x), axis=1))
    made = (column[good] for column in (theta, condition, x))
    return LearnedSimulations(*made, trained.estimator, trained.record)


@eqx.filter_jit
def _outcomes(
    likelihood: FlowLikelihood,
    keys: Key[Array, " sim"],
    theta: Float[Array, "sim param"],
    condition: Float[Array, "sim cond"],
) -> Float[Array, "sim dim"]:
    return jax.lax.map(
        lambda row: likelihood.sample(*row),
        (keys, theta, condition),
        batch_size=AT_ONCE,
    )


def _check(
    train: tuple[Array, ...],
    num_sims: int,
    lower: Float[np.ndarray, " param"] | Array | None,
    upper: Float[np.ndarray, " param"] | Array | None,
) -> None:
    if num_sims < 1:
        raise ParameterError(
            f"Expected one learned simulation or more; got {num_sims}. Ten or twenty "
            "times as many as there are real ones serve well."
        )
    if not bool(jnp.all(jnp.isfinite(train[2]))):
        raise ParameterError(
            "Expected finite outcomes; got some that are missing, which a flow cannot "
            "learn from. Leave these simulations out, or learn without more of them."
        )
    bounds = [np.asarray(one) for one in (lower, upper) if one is not None]
    if len(bounds) == 1 or not np.all(np.isfinite(bounds)):
        raise ParameterError(
            "Expected a finite lower and upper bound of every parameter, or none at "
            f"all; got {lower} and {upper}. Without bounds parameters are drawn again."
        )
