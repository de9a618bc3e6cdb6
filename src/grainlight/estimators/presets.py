"""Estimators by name: in the size of the thesis, and of our own choice.

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
from grainlight.estimators.flow_likelihood import FlowLikelihood
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.gaussian_posterior import GaussianPosterior
from grainlight.estimators.likelihood_ensemble import LikelihoodEnsemble
from grainlight.estimators.settings import TrainingSettings
from grainlight.estimators.variational import VariationalLikelihood

SUPERNOVA = ("sn_luminosity", "sn_temperature")
TEMPERATURE = "dust_temperature"
Estimator = (
    GaussianLikelihood
    | LikelihoodEnsemble
    | VariationalLikelihood
    | FlowLikelihood
    | GaussianPosterior
)


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


def shape_mixing(
    parameters: Parameters, num_cond: int
) -> Float[np.ndarray, "feature inp"]:
    r"""What the shape of a spectrum depends on, if the dust temperature is given.

    Transfer knows no length: the spectrum over the luminosity depends on $M / R^2$ and
    $L / R^2$ besides what has no size. The temperature stands for the latter, and their
    ratio $M / L$ for the former, so that there is no row for the luminosity alone.

    Args:
        parameters: All parameters, scaled by log10 where they have a size.
        num_cond: Number of conditions, all of which are rows.
    """
    mass, luminosity = parameters.index("dust_mass"), parameters.index(SUPERNOVA[0])
    parameters.index(TEMPERATURE)
    mixing = np.eye(len(parameters) + num_cond)
    mixing[mass, luminosity] = -1.0
    return np.delete(mixing, luminosity, axis=0)


def brightness_gain(
    parameters: Parameters, num_bands: int
) -> Float[np.ndarray, "band param"]:
    """Change of every magnitude with the scaled parameters at a fixed shape."""
    gain = np.zeros((num_bands, len(parameters)))
    gain[:, parameters.index(SUPERNOVA[0])] = -2.5
    return gain


@dataclass(frozen=True)
class Preset:
    """An architecture and how to train it.

    Attributes:
        kind: Class of the estimator.
        settings: Its settings.
        training: Settings of the training loop.
        hidden: Parameters that the network does not see.
        is_scale_free: Whether it is told that transfer knows no length.
    """

    kind: type[Estimator]
    settings: dict[str, Any]
    training: TrainingSettings
    hidden: tuple[str, ...] = field(default=())
    is_scale_free: bool = False

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
        settings, num_cond = dict(self.settings), condition.shape[1]
        if self.is_scale_free:
            settings["mixing"] = shape_mixing(parameters, num_cond)
            settings["gain"] = brightness_gain(parameters, x.shape[1])
        if self.hidden:
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


_FASTER = TrainingSettings(learning_rate=2e-3, anneal_fraction=0.1)
_WIDE: dict[str, Any] = {"widths": (128, 128, 128)}
_BENT: dict[str, Any] = {"num_layers": 4, "width": 32}
_SOURCES = _WIDE | {"num_sources": 3}

#: Our own choice of a network and a schedule for the same data.
OWN: dict[str, Preset] = {
    "dense": Preset(GaussianLikelihood, _SOURCES, _FASTER, is_scale_free=True),
    "dense*": Preset(GaussianLikelihood, _WIDE, _FASTER, SUPERNOVA),
    "ensemble": Preset(LikelihoodEnsemble, _SOURCES, _FASTER, is_scale_free=True),
    "flow": Preset(FlowLikelihood, _SOURCES | _BENT, _FASTER, is_scale_free=True),
    "flow*": Preset(FlowLikelihood, _WIDE | _BENT, _FASTER, SUPERNOVA),
}


def named_preset(name: str) -> Preset:
    """Look a preset up by name; raises `ModelError` if there is none."""
    known = PRESETS | OWN
    if name not in known:
        raise ModelError(
            f"Expected one of the presets {', '.join(known)}; got {name!r}. Choose "
            "one of these, or give an estimator its settings yourself."
        )
    return known[name]
