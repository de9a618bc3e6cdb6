r"""The compiled part of the training loop: many AdamW steps in one call.

A step whose loss or gradient is not finite changes nothing but a counter. A gradient
longer than `clip_ratio` times the running mean of the lengths is shortened to that. At
a fraction $t$ of the schedule the learning rate is

$$ \eta(t) = \eta_0 \min(1, n / n_{\rm warm})
   \big[ f + (1 - f) \tfrac12 (1 + \cos \pi t) \big] . $$

References:
    Loshchilov & Hutter (2019), arXiv:1711.05101.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from grainlight.estimators.settings import TrainingSettings

#: Loss of one object: `(estimator, key, progress, *row) -> scalar`.
Loss = Callable[..., Float[Array, ""]]
#: Noise drawn at training time: `(key, *batch) -> batch`, on a whole batch.
Augment = Callable[..., tuple[Array, ...]]


class StepState(eqx.Module):
    """What one step hands to the next.

    Attributes:
        weights: Trainable part of the estimator.
        optimizer: State of Adam.
        norm: Running mean of the gradient's length; zero before the first step.
        num_steps: Steps so far, skipped ones included.
        num_skipped: Steps that were not finite.
    """

    weights: PyTree
    optimizer: PyTree
    norm: Float[Array, ""]
    num_steps: Int[Array, ""]
    num_skipped: Int[Array, ""]


class Schedule(eqx.Module):
    """Where in the schedule a call starts, and how far a step goes."""

    start: Float[Array, ""]
    step: Float[Array, ""]


def batch_loss(
    loss: Loss,
    estimator: PyTree,
    key: Key[Array, ""],
    progress: Float[Array, ""],
    batch: tuple[Array, ...],
) -> Float[Array, " sim"]:
    """The loss of every object of a batch."""
    keys = jr.split(key, batch[0].shape[0])
    return jax.vmap(lambda key, *row: loss(estimator, key, progress, *row))(
        keys, *batch
    )


def make_optimizer(settings: TrainingSettings) -> optax.GradientTransformation:
    """AdamW without its learning rate; only matrices decay."""

    def matrices(weights: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf.ndim >= 2, weights)

    return optax.chain(
        optax.scale_by_adam(),
        optax.add_decayed_weights(settings.weight_decay, mask=matrices),
    )


def start_state(weights: PyTree, settings: TrainingSettings) -> StepState:
    """The state before the first step."""
    optimizer = make_optimizer(settings).init(weights)
    zero = jnp.zeros((), jnp.int32)
    return StepState(weights, optimizer, jnp.zeros(()), zero, zero)


def learning_rate(
    settings: TrainingSettings, num_steps: Int[Array, ""], fraction: Float[Array, ""]
) -> Float[Array, ""]:
    """Learning rate of a step at a fraction of the schedule."""
    warm = jnp.minimum(1.0, (num_steps + 1) / max(settings.warmup_steps, 1))
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(fraction, 0.0, 1.0)))
    low = settings.final_rate
    return settings.learning_rate * warm * (low + (1 - low) * cosine)


def _length(gradient: PyTree) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient)))


def _apply(
    settings: TrainingSettings,
    state: StepState,
    value: Float[Array, ""],
    gradient: PyTree,
    fraction: Float[Array, ""],
) -> StepState:
    length = _length(gradient)
    finite = jnp.isfinite(value) & jnp.isfinite(length)
    typical = jnp.where(state.norm > 0, state.norm, length)
    limit = settings.clip_ratio * typical
    clipped = jnp.minimum(length, limit)
    shrink = clipped / jnp.maximum(length, jnp.finfo(length.dtype).tiny)
    gradient = jax.tree.map(lambda leaf: shrink * leaf, gradient)
    updates, optimizer = make_optimizer(settings).update(
        gradient, state.optimizer, state.weights
    )
    rate = learning_rate(settings, state.num_steps, fraction)
    weights = jax.tree.map(lambda w, u: w - rate * u, state.weights, updates)
    moved = (weights, optimizer, typical + 0.02 * (clipped - typical))
    stayed = (state.weights, state.optimizer, state.norm)
    kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved, stayed)
    return StepState(*kept, state.num_steps + 1, state.num_skipped + ~finite)


def make_steps(
    loss: Loss, augment: Augment | None, fixed: PyTree, settings: TrainingSettings
) -> Callable[..., tuple[StepState, Float[Array, ""]]]:
    """Compile a call that takes as many steps as it is given rows of indices.

    Args:
        loss: Loss of one object.
        augment: Random change of a batch before its loss, or none.
        fixed: The part of the estimator that is not trained.
        settings: Settings of the loop.

    Returns:
        `(state, key, data, indices, schedule) -> (state, mean finite loss)`.
    """

    def objective(weights: PyTree, key: Array, progress: Array, batch: tuple) -> Array:
        augment_key, loss_key = jr.split(key)
        if augment is not None:
            batch = augment(augment_key, *batch)
        estimator = eqx.combine(weights, fixed)
        return jnp.mean(batch_loss(loss, estimator, loss_key, progress, batch))

    @eqx.filter_jit
    def run(
        state: StepState,
        key: Key[Array, ""],
        data: tuple[Array, ...],
        indices: Int[Array, "step sim"],
        schedule: Schedule,
    ) -> tuple[StepState, Float[Array, ""]]:
        def step(state: StepState, given: Any) -> tuple[StepState, Array]:
            count, key, rows = given
            fraction = schedule.start + count * schedule.step
            progress = anneal(settings, fraction)
            batch = tuple(column[rows] for column in data)
            value, gradient = jax.value_and_grad(objective)(
                state.weights, key, progress, batch
            )
            return _apply(settings, state, value, gradient, fraction), value

        count = jnp.arange(indices.shape[0])
        keys = jr.split(key, indices.shape[0])
        state, values = jax.lax.scan(step, state, (count, keys, indices))
        return state, jnp.nanmean(jnp.where(jnp.isfinite(values), values, jnp.nan))

    return run


def anneal(
    settings: TrainingSettings, fraction: Float[Array, ""] | float
) -> Float[Array, ""]:
    """Progress of what a loss anneals, from zero to one."""
    if settings.anneal_fraction <= 0:
        return jnp.ones(())
    return jnp.clip(fraction / settings.anneal_fraction, 0.0, 1.0)


def make_evaluation(
    loss: Loss, fixed: PyTree, batch_size: int
) -> Callable[..., Float[Array, ""]]:
    """Compile the mean loss of a whole data set, fully annealed.

    Returns:
        `(weights, key, data) -> mean loss`.
    """

    @eqx.filter_jit
    def evaluate(
        weights: PyTree, key: Key[Array, ""], data: tuple[Array, ...]
    ) -> Float[Array, ""]:
        total = data[0].shape[0]
        size = min(batch_size, total)
        num = -(-total // size)
        rows = jnp.arange(num * size).reshape(num, size)
        estimator = eqx.combine(weights, fixed)

        def one(given: Any) -> Array:
            key, rows = given
            batch = tuple(column[jnp.minimum(rows, total - 1)] for column in data)
            values = batch_loss(loss, estimator, key, jnp.ones(()), batch)
            return jnp.sum(jnp.where(rows < total, values, 0.0))

        return jnp.sum(jax.lax.map(one, (jr.split(key, num), rows))) / total

    return evaluate
