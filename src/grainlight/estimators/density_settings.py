"""How densities are learned from weighted draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grainlight.core import ParameterError
from grainlight.estimators.settings import TrainingSettings
from grainlight.estimators.weighted import KINDS, DensityKind

#: Steps that training takes at least, draws in a step, and bounds of the passes.
STEPS, BATCH, EPOCHS = 1_600, 250, (15, 200)


@dataclass(frozen=True)
class DensitySettings:
    """How densities are learned from weighted draws.

    Attributes:
        kind: Autoregressive or coupling flows, or kernels.
        num_members: Densities of the ensemble, and folds of the draws.
        num_layers: Layers of a flow.
        width: Hidden units of a layer.
        knots: Bins of a spline.
        interval: Reach of the splines, in standard deviations.
        training: Settings of the training loop; by the number of draws if none.
    """

    kind: DensityKind = "autoregressive"
    num_members: int = 3
    num_layers: int = 2
    width: int = 24
    knots: int = 8
    interval: float = 7.0
    training: TrainingSettings | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.num_members < 2:
            raise ParameterError(
                f"Expected a kind of {', '.join(KINDS)} and two members or more; got "
                f"{self.kind!r} and {self.num_members}. Choose others."
            )

    @property
    def shape(self) -> Mapping[str, Any]:
        """What makes a flow."""
        names = ("num_layers", "width", "knots", "interval")
        return {name: getattr(self, name) for name in names}

    def training_for(self, num_draws: int) -> TrainingSettings:
        """Settings of the training loop for so many draws of one piece.

        Few draws are passed over more often: a step moves a knot of a spline by the
        learning rate at most, and a flow starts as a Gaussian.
        """
        if self.training is not None:
            return self.training
        epochs = int(np.clip(-(-STEPS * BATCH // num_draws), *EPOCHS))
        return TrainingSettings(
            num_epochs=epochs,
            batch_size=BATCH,
            learning_rate=5e-3,
            warmup_steps=50,
            patience=max(5, epochs // 3),
            anneal_fraction=0.0,
        )
