"""How good the likelihood of a shell model is, on parents that it never saw."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float

from grainlight.core import ParameterError
from grainlight.datasets import Pairs
from grainlight.estimators.shell_model import ShellModel
from grainlight.estimators.shell_rows import likelihood_data
from grainlight.evaluation.accuracy import (
    Accuracy,
    Errors,
    measure_accuracy,
    measure_errors,
)
from grainlight.evaluation.comparison import LossDistribution, describe_losses
from grainlight.evaluation.correlation import MeanCorrelation, measure_correlation
from grainlight.evaluation.gaussian import GaussianPrediction
from grainlight.evaluation.reliability import Reliability, measure_reliability

FAINTEST = 32.0  # AB at 10 Mpc: three magnitudes below the limits of JWST
ERROR = 0.05  # mag, of the simulated photometry


@dataclass(frozen=True, eq=False)
class LikelihoodQuality:
    """What the likelihood says of simulations, and what they are.

    Attributes:
        noise_mag: Least noise of the likelihood's training, which the values get [mag].
        accuracy: Under that noise.
        with_errors: With errors of 0.05 mag on top, as photometry has them.
        errors: Errors of the mean alone, where brighter than 32 mag at 10 Mpc [mag].
        reliability: Of all bands and of random ones, without and with errors, by name.
        losses: Negative log-probability of every object [nats].
        deviations: Root-mean-square error of every object, over its bright bands [mag].
        correlation: Predicted correlations, and those of the residuals.
    """

    noise_mag: float
    accuracy: Accuracy
    with_errors: Accuracy
    errors: Errors
    reliability: dict[str, Reliability]
    losses: LossDistribution
    deviations: LossDistribution
    correlation: MeanCorrelation

    def words(self) -> dict[str, Any]:
        """Plain values and arrays by name, for a file."""
        found = self.errors
        columns = {
            "rmse_mag": found.rmse,
            "mae_mag": found.mae,
            "robust_mag": found.scatter,
            "bias_mag": found.bias,
        }
        return {
            "num_objects": self.losses.loss.size,
            "noise_mag": self.noise_mag,
            "nll": self.accuracy.nll,
            "nll_error": self.accuracy.nll_error,
            "nll_per_band": self.accuracy.nll_per_band,
            "nll_with_errors": self.with_errors.nll,
            **{
                name: dict(zip(found.names, values.tolist(), strict=True))
                for name, values in columns.items()
            },
            "reliability": self.reliability,
            "losses": _without_objects(self.losses),
            "deviations_mag": _without_objects(self.deviations),
        }


def _without_objects(losses: LossDistribution) -> dict[str, Any]:
    return {name: value for name, value in vars(losses).items() if name != "loss"}


def judge_likelihood(model: ShellModel, pairs: Pairs, seed: int) -> LikelihoodQuality:
    """Judge the likelihood on simulations, one row a parent.

    The likelihood is a density under the least noise of its training, which the values
    get; a fit adds the errors of its photometry, so that 0.05 mag is judged as well.

    Args:
        model: A model of just the parameters of the pairs.
        pairs: Simulations that it was not trained on.
        seed: Seed of the noise and of the random bands.
    """
    if len(pairs) == 0:
        raise ParameterError(
            "Expected parents in the test split; got none. Simulate more: a thousand "
            "give fifty."
        )
    theta, condition, x = likelihood_data(pairs)
    moments = jax.jit(jax.vmap(model.likelihood.moments))(theta, condition)
    mean, factor = np.asarray(moments.mean, float), np.asarray(moments.factor, float)
    x = np.asarray(x, float)
    rng = np.random.default_rng(seed)
    some = rng.random(x.shape) < rng.uniform(0.1, 0.9, size=(len(x), 1))
    some[:, 0] |= ~some.any(axis=1)
    least = model.likelihood.blur[0] if model.likelihood.blur else 0.0
    noisy = x + least * rng.normal(size=x.shape)
    observed = noisy + ERROR * rng.normal(size=x.shape)
    prediction = GaussianPrediction(mean, factor)
    error = np.broadcast_to(ERROR * np.eye(x.shape[1]), (len(x), *2 * x.shape[1:]))
    wide = GaussianPrediction(mean, np.concatenate([factor, error], axis=2))
    bright = x < FAINTEST
    bright[:, 0] |= ~bright.any(axis=1)
    return LikelihoodQuality(
        noise_mag=least,
        accuracy=measure_accuracy(prediction, noisy, model.bands),
        with_errors=measure_accuracy(wide, observed, model.bands),
        errors=measure_errors(mean, x, model.bands, x < FAINTEST),
        reliability={
            "all bands": measure_reliability(prediction, noisy),
            "random bands": measure_reliability(prediction, noisy, some),
            "all bands with errors": measure_reliability(wide, observed),
            "random bands with errors": measure_reliability(wide, observed, some),
        },
        losses=describe_losses(prediction.distances(noisy).negative_log_prob),
        deviations=describe_losses(_root_mean_square(mean - x, bright)),
        correlation=measure_correlation(prediction, noisy, model.bands),
    )


def _root_mean_square(
    error: Float[np.ndarray, "object band"], mask: Bool[np.ndarray, "object band"]
) -> Float[np.ndarray, " object"]:
    return np.sqrt(np.sum(mask * error**2, axis=1) / mask.sum(axis=1))
