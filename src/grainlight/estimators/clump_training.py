"""Training of what a shell model says of clumps, beside what it says of smooth shells.

Shells with clumps cost hundreds of times what smooth ones do, so there are few, and a
network that fits a few thousand shells well says little of the next one. Its errors are
therefore measured where it has not been: the parents are parted in folds; for each fold
the mean is learned from the others, and leaves *residuals* on this one. The covariance
is learned from all of these; the mean that is kept is learned from all parents, and is
no worse. The validation set tells when to stop, the test set is never seen.

References:
    Stone (1974), J. R. Stat. Soc. B 36, 111 (cross-validation).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from grainlight.core import ParameterError
from grainlight.datasets import Pairs
from grainlight.estimators.clumpy import ClumpyLikelihood
from grainlight.estimators.density import FlowDensity
from grainlight.estimators.effective import EffectiveEmulator, EffectiveShell
from grainlight.estimators.emulator import Emulator
from grainlight.estimators.files import save_estimator
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.mixing import Inputs
from grainlight.estimators.settings import TrainingRecord, TrainingSettings
from grainlight.estimators.shell_model import (
    CLUMPS,
    DENSITY,
    OUTCOMES,
    TEMPERATURE,
    density_bounds,
    thesis_parameters,
)
from grainlight.estimators.shell_rows import ShellRows, likelihood_data
from grainlight.estimators.training import finish_estimator
from grainlight.simulators import (
    CLUMPY_PARAMETERS,
    clump_softening,
    named_prior,
    scale_free_mixing,
)

NUM_FOLDS = 5
RESIDUAL_WIDTHS = (32,)


@dataclass(frozen=True)
class Step:
    """How one part is trained: few rows want a short schedule that ends in time.

    Attributes:
        share: Its part of the time limit.
        changes: Settings that it has of its own.
    """

    share: float
    changes: dict[str, Any]


FOLD_STEP = Step(0.1, {"num_epochs": 300, "learning_rate": 2e-3, "weight_decay": 0.01})
MEAN_STEP = replace(FOLD_STEP, share=0.15)
SCATTER_STEP = Step(
    0.2,
    {
        "num_epochs": 60,
        "learning_rate": 3e-3,
        "weight_decay": 0.3,
        "anneal_fraction": 0.3,
    },
)
OUTCOMES_STEP = Step(
    0.075, {"num_epochs": 400, "learning_rate": 2e-3, "weight_decay": 0.01}
)
DENSITY_STEP = Step(0.075, {"num_epochs": 100, "batch_size": 512})
#: Draws from the prior that the joint density is learned from, and those that it is
#: validated on.
DENSITY_DRAWS = (100_000, 5_000)


@dataclass(frozen=True)
class ClumpTraining:
    """What all parts of this training share.

    Attributes:
        likelihood: Trained likelihood of smooth shells.
        emulator: Trained emulator of their dust temperature.
        prior: Name of the prior of the joint density.
        rows: Rows of shells with clumps.
        folder: Folder of the whole model.
        settings: Settings of the training; its parts share the time limit.
        progress: Whether to show progress bars.
    """

    likelihood: GaussianLikelihood
    emulator: Emulator
    prior: str
    rows: ShellRows
    folder: Path
    settings: TrainingSettings
    progress: bool

    @property
    def place(self) -> Path:
        """Folder of the part that knows clumps."""
        return self.folder / CLUMPS

    def settings_of(self, step: Step) -> TrainingSettings:
        """Settings of one part; those of the whole training limit its epochs."""
        epochs = min(self.settings.num_epochs, step.changes["num_epochs"])
        own = {**step.changes, "num_epochs": epochs, "patience": epochs}
        limit = step.share * self.settings.time_limit_s
        return replace(self.settings, time_limit_s=limit, **own)

    def checkpoints(self, name: str) -> Path:
        """Where one of the trainings is kept."""
        return self.folder / "checkpoints" / CLUMPS / name


def train_clumps(
    key: Key[Array, ""], training: ClumpTraining, meta: dict[str, object]
) -> None:
    """Train all estimators of shells with clumps and save them.

    Args:
        key: Random key.
        training: What to train on, and how.
        meta: What is written in the model file beside the architecture.
    """
    keys = jr.split(key, 4)
    effective, record, residuals = _train_mean(keys[0], training)
    residual = _train_scatter(keys[1], training, effective, residuals)
    likelihood = ClumpyLikelihood(effective, residual)
    save_estimator(training.place, likelihood, record, meta)
    outcomes = _train_outcomes(keys[2], training)
    _train_density(keys[3], training, outcomes)


def fold_of(pairs: Sequence[Pairs]) -> Int[np.ndarray, " sim"]:
    """Fold of every row: all rows of a parent are in one."""
    parts = []
    for some in pairs:
        _, place = np.unique(some.parent, return_inverse=True)
        parts.append(place % NUM_FOLDS)
    return np.concatenate(parts)


def _own_inputs(
    theta: Float[Array, "sim param"],
    condition: Float[Array, "sim cond"],
) -> Inputs:
    """Features of shells with clumps, without conditions where there are none."""
    mixing, softening = scale_free_mixing(clumpy=True), clump_softening()
    num = theta.shape[1] + condition.shape[1]
    rows = np.abs(mixing[:, num:]).sum(axis=1) == 0
    return Inputs.from_data(theta, condition, mixing[rows][:, :num], softening[:num])


def _train_mean(
    key: Key[Array, ""], training: ClumpTraining
) -> tuple[EffectiveShell, TrainingRecord, Float[Array, "sim band"]]:
    """The mean, and the residuals of each fold from the mean that never saw it."""
    data = likelihood_data(*training.rows.train)
    held = likelihood_data(*training.rows.held)
    fold = fold_of(training.rows.train)
    if len(np.unique(fold)) < NUM_FOLDS:
        raise ParameterError(
            f"Expected at least {NUM_FOLDS} parents with clumps to train on; got "
            f"{len(np.unique(fold))}. Simulate more: a thousand at least."
        )
    keys = jr.split(key, NUM_FOLDS + 1)
    untrained = EffectiveShell(keys[-1], training.likelihood, _own_inputs(*data[:2]))
    predict = jax.jit(lambda net, theta, condition: jax.vmap(net)(theta, condition))
    residuals = np.empty(data[2].shape)
    for k in range(NUM_FOLDS):
        out = fold == k
        others = tuple(column[~out] for column in data)
        trained = finish_estimator(
            keys[k],
            untrained,
            others,
            held,
            training.settings_of(FOLD_STEP),
            folder=training.checkpoints(f"mean-{k}"),
            progress=training.progress,
        )
        mean = predict(trained.estimator, data[0][out], data[1][out])
        residuals[out] = np.asarray(data[2][out] - mean)
    trained = finish_estimator(
        keys[-1],
        untrained,
        data,
        held,
        training.settings_of(MEAN_STEP),
        folder=training.checkpoints("mean"),
        progress=training.progress,
    )
    return trained.estimator, trained.record, jnp.asarray(residuals, jnp.float32)


def _train_scatter(
    key: Key[Array, ""],
    training: ClumpTraining,
    effective: EffectiveShell,
    residuals: Float[Array, "sim band"],
) -> GaussianLikelihood:
    theta, condition, _ = likelihood_data(*training.rows.train)
    start, steps = jr.split(key)
    untrained = GaussianLikelihood.from_data(
        start,
        theta,
        condition,
        residuals,
        mixing=scale_free_mixing(clumpy=True),
        softening=clump_softening(),
        widths=RESIDUAL_WIDTHS,
        blur=effective.blur,
    )
    held_theta, held_condition, x = likelihood_data(*training.rows.held)
    left = x - jax.jit(jax.vmap(effective))(held_theta, held_condition)
    trained = finish_estimator(
        steps,
        untrained,
        (theta, condition, residuals),
        (held_theta, held_condition, left),
        training.settings_of(SCATTER_STEP),
        folder=training.checkpoints("scatter"),
        progress=training.progress,
    )
    return trained.estimator


def _train_outcomes(key: Key[Array, ""], training: ClumpTraining) -> EffectiveEmulator:
    start, steps = jr.split(key)
    data = training.rows.outcomes(training.rows.train)
    untrained = EffectiveEmulator(start, training.emulator, _own_inputs(*data[:2]))
    trained = finish_estimator(
        steps,
        untrained,
        data,
        training.rows.outcomes(training.rows.held),
        training.settings_of(OUTCOMES_STEP),
        folder=training.checkpoints(OUTCOMES),
        progress=training.progress,
    )
    save_estimator(training.place / OUTCOMES, trained.estimator, trained.record)
    return trained.estimator


def _train_density(
    key: Key[Array, ""], training: ClumpTraining, outcomes: EffectiveEmulator
) -> None:
    """The joint density of the parameters of the thesis, filling factor included."""
    largest = training.rows.largest_filling_factor
    data, held = (
        _thesis_draws(outcomes, training.prior, largest, num, seed)
        for seed, num in enumerate(DENSITY_DRAWS)
    )
    start, steps = jr.split(key)
    bounds = density_bounds(clumpy=True, largest=largest)
    trained = finish_estimator(
        steps,
        FlowDensity.from_data(start, data[0], *bounds),
        data,
        held,
        training.settings_of(DENSITY_STEP),
        folder=training.checkpoints(DENSITY),
        progress=training.progress,
    )
    save_estimator(training.place / DENSITY, trained.estimator, trained.record)


def _thesis_draws(
    outcomes: EffectiveEmulator, prior: str, largest: float, num: int, seed: int
) -> tuple[Float[Array, "draw param"]]:
    """Scaled parameters of the thesis under a prior, filling factor included.

    The dust temperature is the emulator's: these are as many draws as wanted from the
    very density that a prior of the dust temperature is divided by.
    """
    generator = np.random.default_rng(np.random.SeedSequence((2023, seed)))
    theta = named_prior(prior).sample(generator, num)
    filling = largest * generator.random((num, 1))
    table = jnp.asarray(np.concatenate([theta, filling], axis=1), jnp.float32)
    scaled = CLUMPY_PARAMETERS.scale(table)
    temperature = jax.jit(jax.vmap(lambda s: outcomes(s, jnp.zeros(0))))(scaled)
    temperature = jnp.clip(temperature, *TEMPERATURE.scaled_bounds)
    return (jax.vmap(thesis_parameters)(scaled, temperature),)
