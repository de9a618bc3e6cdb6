"""How an estimator is trained, and the record of how it went."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from grainlight.core import ParameterError

Stopped = Literal["epochs", "patience", "time", "interrupted"]


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of the training loop.

    The learning rate warms up linearly, then falls along half a cosine over the
    *schedule*: `num_epochs`, or `time_limit_s` if that ends sooner.

    Attributes:
        num_epochs: Passes over the training set, at most.
        batch_size: Pairs a step.
        learning_rate: The highest learning rate.
        final_rate: The last learning rate, as a fraction of the highest.
        warmup_steps: Steps to reach the highest learning rate.
        weight_decay: Decoupled weight decay of the matrices (AdamW).
        clip_ratio: Gradients longer than this times their running mean are shortened.
        anneal_fraction: Part of the schedule over which a loss may anneal.
        patience: Epochs without a better validation loss, after which training stops.
        time_limit_s: Wall-clock limit [s]; none if infinite.
        steps_per_call: Steps in one compiled call.
    """

    num_epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 1e-3
    final_rate: float = 1e-2
    warmup_steps: int = 200
    weight_decay: float = 1e-5
    clip_ratio: float = 5.0
    anneal_fraction: float = 0.2
    patience: int = 30
    time_limit_s: float = float("inf")
    steps_per_call: int = 200

    def __post_init__(self) -> None:
        for name in ("num_epochs", "batch_size", "steps_per_call", "patience"):
            if getattr(self, name) < 1:
                raise ParameterError(
                    f"Expected {name} of one or more; got {getattr(self, name)}."
                    " Raise it."
                )
        if not (self.learning_rate > 0 and self.time_limit_s > 0):
            raise ParameterError(
                "Expected a positive learning_rate and time_limit_s; got "
                f"{self.learning_rate} and {self.time_limit_s}. Raise them."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for a file; no time limit is null."""
        saved = dataclasses.asdict(self)
        if self.time_limit_s == float("inf"):
            saved["time_limit_s"] = None
        return saved


@dataclass
class TrainingRecord:
    """What happened, epoch by epoch.

    Attributes:
        train_loss: Mean loss of the steps of every epoch.
        validation_loss: Loss of the validation set after every epoch.
        train_error: Mean absolute error of some training rows after every epoch, if
            that was asked for.
        validation_error: The same of the validation set.
        best_epoch: Epoch whose weights were kept, from zero; -1 if none was finite.
        num_annealing: Epochs that ended before the loss was fully annealed.
        num_steps: Steps taken.
        num_skipped: Steps left out because loss or gradient was not finite.
        seconds: Wall-clock time, over all resumed runs [s].
        num_resumed: How often training was taken up again from a checkpoint.
        stopped: Why training ended.
        settings: The settings, as plain values.
    """

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    train_error: list[float] = field(default_factory=list)
    validation_error: list[float] = field(default_factory=list)
    best_epoch: int = -1
    num_annealing: int = 0
    num_steps: int = 0
    num_skipped: int = 0
    seconds: float = 0.0
    num_resumed: int = 0
    stopped: Stopped = "epochs"
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def num_epochs(self) -> int:
        """Epochs completed."""
        return len(self.validation_loss)

    @property
    def best_loss(self) -> float:
        """Validation loss of the weights that were kept."""
        if self.best_epoch < 0:
            return float("inf")
        return self.validation_loss[self.best_epoch]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "TrainingRecord":
        """Undo `to_json`."""
        return cls(**saved)
