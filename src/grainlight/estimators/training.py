"""One training loop for every estimator.

Data are tuples of arrays with one leading axis, kept on the device; a loss sees one row
of each. A training set may also be read from disk in blocks of rows (`epochs`). Noise,
masks and the like are drawn at training time by `augment`. After every epoch the
validation loss decides which weights are kept. With a `folder`, the state of the run is
written after every epoch; the same call with the same key and settings goes on from
there and, without a time limit, ends bit for bit where it would have ended.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key, PyTree
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from grainlight.estimators.checkpoints import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from grainlight.estimators.epochs import AbstractFeed, BlockSource, make_feed
from grainlight.estimators.settings import Stopped, TrainingRecord, TrainingSettings
from grainlight.estimators.steps import (
    Augment,
    Loss,
    Schedule,
    make_evaluation,
    make_steps,
    start_state,
)
from grainlight.networks import trainable

#: Error of the prediction of one object: `(estimator, *row) -> scalar`.
Error = Callable[..., Array]
#: Rows, of those that are trained on and of the others, whose error is measured.
MOST_MEASURED = 256
#: Told the record after every epoch.
OnEpoch = Callable[[TrainingRecord], None]


@dataclass(frozen=True)
class Training:
    """A trained estimator, with its best weights, and how it got them."""

    estimator: PyTree
    record: TrainingRecord


def train(
    key: Key[Array, ""],
    estimator: PyTree,
    loss: Loss,
    train_data: tuple[Array, ...] | BlockSource,
    validation_data: tuple[Array, ...],
    settings: TrainingSettings | None = None,
    *,
    augment: Augment | None = None,
    error: Error | None = None,
    folder: Path | None = None,
    progress: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Training:
    """Fit an estimator to simulations; interrupting it keeps the best weights so far.

    Args:
        key: Seeds the order of batches, the augmentation and random losses.
        estimator: The untrained estimator.
        loss: Loss of one object, `(estimator, key, progress, *row) -> scalar`.
        train_data: Arrays with one row an object; or rows in random order, to be read
            in blocks.
        validation_data: Arrays with one row an object, of others than are trained on.
        settings: Settings of the loop.
        augment: `(key, *batch) -> batch`: noise drawn at training time, on a batch of
            rows. The validation set is augmented once.
        error: Measured after every epoch, beside the loss, on some hundred rows.
        folder: Checkpoints are written here, and a run found here is continued.
        progress: Whether to show a progress bar with the time left.
        on_epoch: Called with the record after every epoch.

    Returns:
        The estimator with the weights of least validation loss, and the record.
    """
    settings = TrainingSettings() if settings is None else settings
    for table in (train_data, validation_data):
        if isinstance(table, tuple):
            _check_rows(table)
    feed = make_feed(train_data)
    run = _Run(key, estimator, loss, augment, error, settings, feed, folder)
    held = run.prepare(tuple(jnp.asarray(column) for column in validation_data))
    try:
        with _progress_bar(progress, settings, run) as advance:
            stopped = run.train(held, advance, on_epoch)
            advance(1.0)
    except KeyboardInterrupt:
        stopped = "interrupted"
    run.record.stopped = stopped
    return Training(eqx.combine(run.best, run.fixed), run.record)


def fit_estimator(
    key: Key[Array, ""],
    estimator: PyTree,
    train_data: tuple[Array, ...] | BlockSource,
    validation_data: tuple[Array, ...],
    settings: TrainingSettings | None = None,
    *,
    augment: Augment | None = None,
    error: Error | None = None,
    folder: Path | None = None,
    progress: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Training:
    """Fit an estimator by its own loss; arguments as for `train`.

    The columns of the data are those of the estimator's `loss`: `(theta, condition, x)`
    for a likelihood or an emulator, `(theta,)` for a density.
    """
    return train(
        key,
        estimator,
        lambda trained, key, progress, *row: trained.loss(key, progress, *row),
        train_data,
        validation_data,
        settings,
        augment=augment,
        error=error,
        folder=folder,
        progress=progress,
        on_epoch=on_epoch,
    )


def finish_estimator(
    key: Key[Array, ""],
    estimator: PyTree,
    train_data: tuple[Array, ...] | BlockSource,
    validation_data: tuple[Array, ...],
    settings: TrainingSettings,
    *,
    folder: Path,
    augment: Augment | None = None,
    error: Error | None = None,
    progress: bool = False,
) -> Training:
    """Fit an estimator as `fit_estimator` does, but pass Ctrl-C on.

    For a part of a model that is made of several: what is half trained is no part of a
    model. Its checkpoint is kept.
    """
    trained = fit_estimator(
        key,
        estimator,
        train_data,
        validation_data,
        settings,
        augment=augment,
        error=error,
        folder=folder,
        progress=progress,
    )
    if trained.record.stopped == "interrupted":
        raise KeyboardInterrupt
    return trained


class _Run:
    """The state of one run between compiled calls."""

    def __init__(
        self,
        key: Key[Array, ""],
        estimator: PyTree,
        loss: Loss,
        augment: Augment | None,
        error: Error | None,
        settings: TrainingSettings,
        feed: AbstractFeed,
        folder: Path | None,
    ) -> None:
        self.key, self.settings, self.folder = key, settings, folder
        self.feed = feed
        self.augment = augment
        weights, self.fixed = eqx.partition(estimator, trainable(estimator))
        self.state = start_state(weights, settings)
        self.best = weights
        self.record = TrainingRecord(settings=settings.to_json())
        if folder is not None:
            self._resume(folder)
        self.take_steps = make_steps(loss, augment, self.fixed, settings)
        self.evaluate = make_evaluation(loss, self.fixed, max(settings.batch_size, 512))
        self.measure = None
        if error is not None:
            self.measure = make_evaluation(_without_noise(error), self.fixed, 512)
        self.seen: tuple[Array, ...] = ()
        self.started = time.monotonic() - self.record.seconds

    def _resume(self, folder: Path) -> None:
        blank = Checkpoint(self.state, self.best, self.record)
        found = load_checkpoint(
            folder, self.key, self.settings, blank, self.feed.stated
        )
        if found is not None:
            self.state, self.best, self.record = found.state, found.best, found.record
            self.record.num_resumed += 1

    def prepare(self, data: tuple[Array, ...]) -> tuple[Array, ...]:
        """Augment the validation set once, the same way in every run."""
        if self.augment is None:
            return data
        return self.augment(jr.fold_in(jr.fold_in(self.key, 0), 1), *data)

    @property
    def elapsed(self) -> float:
        """Seconds of this run and those it continues."""
        return time.monotonic() - self.started

    def train(
        self,
        held: tuple[Array, ...],
        advance: Callable[[float], None],
        on_epoch: OnEpoch | None,
    ) -> Stopped:
        """Go on, epoch after epoch, until a reason to stop."""
        while self.record.num_epochs < self.settings.num_epochs:
            in_time = self._epoch(advance)
            self._validate(held)
            if self.folder is not None:
                checkpoint = Checkpoint(self.state, self.best, self.record)
                save_checkpoint(
                    self.folder, self.key, self.settings, checkpoint, self.feed.stated
                )
            if on_epoch is not None:
                on_epoch(self.record)
            if not in_time:
                return "time"
            if self._is_stale():
                return "patience"
        return "epochs"

    def _epoch(self, advance: Callable[[float], None]) -> bool:
        settings, num_calls = self.settings, self.feed.num_calls(self.settings)
        epoch = self.record.num_epochs
        order_key, step_key = jr.split(jr.fold_in(jr.fold_in(self.key, 1), epoch))
        step = 1.0 / (settings.num_epochs * self.feed.num_steps(settings))
        losses = []
        for number, call in enumerate(self.feed.calls(order_key, settings)):
            self.seen = call.data
            fraction = self._fraction(epoch + number / num_calls)
            self.state, value = self.take_steps(
                self.state,
                jr.fold_in(step_key, number),
                *call,
                Schedule(jnp.asarray(fraction), jnp.asarray(step)),
            )
            losses.append(float(value))
            advance(fraction)
            if self.elapsed > settings.time_limit_s:
                break
        self.record.train_loss.append(float(np.mean(losses)))
        return self.elapsed <= settings.time_limit_s

    def _fraction(self, epochs: float) -> float:
        by_epochs = epochs / self.settings.num_epochs
        return min(1.0, max(by_epochs, self.elapsed / self.settings.time_limit_s))

    def _validate(self, held: tuple[Array, ...]) -> None:
        key = jr.fold_in(jr.fold_in(self.key, 0), 2)
        value = float(self.evaluate(self.state.weights, key, held))
        record = self.record
        better = np.isfinite(value) and value < record.best_loss
        record.validation_loss.append(value)
        if better:
            record.best_epoch = record.num_epochs - 1
            self.best = self.state.weights
        self._measure(held)
        if self._fraction(record.num_epochs) < self.settings.anneal_fraction:
            record.num_annealing = record.num_epochs
        record.num_steps = int(self.state.num_steps)
        record.num_skipped = int(self.state.num_skipped)
        record.seconds = self.elapsed

    def _measure(self, held: tuple[Array, ...]) -> None:
        """Errors after an epoch, in the record; nothing if none are asked for."""
        if self.measure is None:
            return
        key, weights = jr.fold_in(jr.fold_in(self.key, 0), 3), self.state.weights
        seen = self.prepare(tuple(column[:MOST_MEASURED] for column in self.seen))
        some = tuple(column[:MOST_MEASURED] for column in held)
        self.record.train_error.append(float(self.measure(weights, key, seen)))
        self.record.validation_error.append(float(self.measure(weights, key, some)))

    def _is_stale(self) -> bool:
        since = max(self.record.best_epoch, self.record.num_annealing)
        waited = self.record.num_epochs - 1 - since
        return waited >= self.settings.patience


def _without_noise(error: Error) -> Loss:
    """An error in the form of a loss."""

    def measured(estimator: PyTree, key: Array, progress: Array, *row: Array) -> Array:
        del key, progress
        return error(estimator, *row)

    return measured


def _check_rows(table: tuple[Array, ...]) -> None:
    lengths = {len(column) for column in table}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            "Expected arrays with the same number of rows, one or more; got "
            f"{sorted(lengths)} rows. Give every object a row in each array."
        )


@contextmanager
def _progress_bar(
    shown: bool, settings: TrainingSettings, run: _Run
) -> Iterator[Callable[[float], None]]:
    if not shown:
        yield lambda fraction: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=1.0, words="")

        def advance(fraction: float) -> None:
            record = run.record
            words = f"epoch {record.num_epochs + 1}, best {record.best_loss:.4g}"
            bar.update(task, completed=fraction, words=words)

        yield advance
