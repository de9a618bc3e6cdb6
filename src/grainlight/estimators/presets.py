"""Estimators in the size of the thesis, by name.

The blocks, widths, learning rates and batch size are those of its table 2 and sections
5.1 to 5.3. Where we differ from it, on purpose:

- Blocks are activated before their layers, by a smooth function instead of ReLU, so
  that samplers get gradients without kinks; there is no batch normalization, which
  makes the density of one object depend on others. One dense layer more leads into each
  shared subnetwork, so a few hundred weights differ.
- The covariance comes from a factor of its inverse (`CholeskyHead`), which needs no
  flat softplus (0.1 in the thesis) to train; the floor of 1e-5 is one of conditional
  variances. It falls to that value over the first fifth of the training.
- The recognition network has one trunk, whose last block narrows to 32, where the
  thesis has one each for means and variances.
- The thesis does not tell the number of epochs: there may be 200, and training stops
  after 30 without progress.

A name with a star is the same network without the two parameters of the supernova: the
mixing matrix of its inputs has no rows for them. `theta` keeps its length, so that the
same data, priors and samplers serve both; the density does not depend on those two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ModelError, Parameters
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.gaussian_posterior import GaussianPosterior
from grainlight.estimators.settings import TrainingSettings
from grainlight.estimators.variational import VariationalLikelihood

SUPERNOVA = ("sn_luminosity", "sn_temperature")
Estimator = GaussianLikelihood | VariationalLikelihood | GaussianPosterior


def mixing_without(
    parameters: Parameters, names: Sequence[str], num_cond: int
) -> Float[np.ndarray, "feature inp"]:
    """A mixing matrix that leaves some parameters out and changes nothing else.

    Args:
        parameters: All parameters.
        names: Those that a network shall not see.
        num_cond: Number of conditions, all of which it sees.
    """
    hidden = [parameters.index(name) for name in names]
    return np.delete(np.eye(len(parameters) + num_cond), hidden, axis=0)


@dataclass(frozen=True)
class Preset:
    """An architecture and how to train it.

    Attributes:
        kind: Class of the estimator.
        settings: Its settings.
        training: Settings of the training loop.
        hidden: Parameters that the network does not see.
    """

    kind: type[Estimator]
    settings: dict[str, Any]
    training: TrainingSettings
    hidden: tuple[str, ...] = field(default=())

    def build(
        self,
        key: Key[Array, ""],
        parameters: Parameters,
        theta: Float[np.ndarray, "sim param"] | Array,
        condition: Float[np.ndarray, "sim cond"] | Array,
        x: Float[np.ndarray, "sim dim"] | Array,
    ) -> Estimator:
        """An untrained estimator, standardized on a training set.

        Args:
            key: Draws the first weights.
            parameters: Names of the columns of `theta`.
            theta: Scaled parameters.
            condition: Conditions, such as the redshift.
            x: Outcomes.
        """
        settings = dict(self.settings)
        if self.hidden:
            num_cond = condition.shape[1]
            settings["mixing"] = mixing_without(parameters, self.hidden, num_cond)
        return self.kind.from_data(key, theta, condition, x, **settings)


def _training(learning_rate: float) -> TrainingSettings:
    """Adam at a constant rate, on batches of 256."""
    return TrainingSettings(
        batch_size=256,
        learning_rate=learning_rate,
        final_rate=1.0,
        warmup_steps=1,
        weight_decay=0.0,
    )


_DENSE: dict[str, Any] = {
    "widths": (29,),
    "covariance": "dense",
    "branch_widths": (29, 435),
    "floor": 1e-5,
}
_CONVOLUTIONAL = _DENSE | {"covariance": "convolutional", "branch_widths": (29, 15)}
_VARIATIONAL = _DENSE | {
    "num_latent": 32,
    "generation_widths": (32,),
    "recognition_widths": (37, 32),
    "num_draws": 100,
    "num_loss_draws": 100,
    "prior_share": 0.0,
}
_STANDARD = _DENSE | {"widths": (30,), "branch_widths": (15, 30)}
_DENSE_RATE, _RATE, _STANDARD_RATE = 5e-6, 1e-4, 1e-3

#: Networks of the thesis; those with a star do not see the supernova.
PRESETS: dict[str, Preset] = {
    "thesis-dense": Preset(GaussianLikelihood, _DENSE, _training(_DENSE_RATE)),
    "thesis-dense*": Preset(
        GaussianLikelihood, _DENSE, _training(_DENSE_RATE), SUPERNOVA
    ),
    "thesis-convolutional": Preset(
        GaussianLikelihood, _CONVOLUTIONAL, _training(_RATE)
    ),
    "thesis-convolutional*": Preset(
        GaussianLikelihood, _CONVOLUTIONAL, _training(_RATE), SUPERNOVA
    ),
    "thesis-variational": Preset(VariationalLikelihood, _VARIATIONAL, _training(_RATE)),
    "thesis-variational*": Preset(
        VariationalLikelihood, _VARIATIONAL, _training(_RATE), SUPERNOVA
    ),
    "thesis-standard": Preset(GaussianPosterior, _STANDARD, _training(_STANDARD_RATE)),
}


def named_preset(name: str) -> Preset:
    """Look a preset up by name; raises `ModelError` if there is none."""
    if name not in PRESETS:
        raise ModelError(
            f"Expected one of the presets {', '.join(PRESETS)}; got {name!r}. Choose "
            "one of these, or give an estimator its settings yourself."
        )
    return PRESETS[name]
