"""Neural ratio estimation: a log-ratio learned from simulations of both data sets.

A network that does not tell held-out pairs better than the Gaussian ratio that it
started from is dropped for that one, and so is any where the information of the start
saturates: no shuffled pair resembles a matched one there, training has nothing to go
by, and inflates.
"""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError
from grainlight.estimators import TrainingRecord, TrainingSettings, fit_estimator
from grainlight.estimators.ratio import RatioClassifier, shuffle_pairs
from grainlight.marginal import Measured
from grainlight.tension.calibration import Tension, calibrate
from grainlight.tension.health import MARGIN, RatioHealth, check_ratio

FEWEST_PAIRS = 1_000
#: Standard errors by which a trained network must beat the one that it started from.
CLEAR = 2.0
#: Parts of the pairs that stop the training, and that test the network.
_VALIDATION, _TEST = 0.1, 0.2
_BATCH = 4_096


@dataclass(frozen=True)
class NeuralRatio:
    """A trained ratio, its health, and its log-ratios in concordance.

    Attributes:
        classifier: The ensemble of networks; untrained if that is as good.
        record: How it was trained.
        health: What held-out pairs say of it.
        concordance: Log-ratios of held-out matched pairs [nat].
    """

    classifier: RatioClassifier
    record: TrainingRecord
    health: RatioHealth
    concordance: Float[np.ndarray, " sim"]

    def log_ratio(
        self, a: Float[np.ndarray, " a"], b: Float[np.ndarray, " b"]
    ) -> Measured:
        """Log-ratio of the observed pair, with the scatter of the ensemble [nat]."""
        self._check(a, b)
        members = np.asarray(
            self.classifier.member_log_ratio(
                jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)
            ),
            float,
        )
        spread = float(np.std(members, ddof=1)) if members.size > 1 else 0.0
        return Measured(float(np.mean(members)), training=spread)

    def tension(
        self, a: Float[np.ndarray, " a"], b: Float[np.ndarray, " b"]
    ) -> Tension:
        """Calibrated tension of the observed pair; a bad network is refused."""
        self.health.require()
        return calibrate(self.log_ratio(a, b).value, self.concordance)

    def _check(self, a: np.ndarray, b: np.ndarray) -> None:
        expected = [center.shape for center in self.classifier.variates.centers]
        got = [np.shape(a), np.shape(b)]
        if got != expected or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
            raise ParameterError(
                f"Expected observed data sets of shapes {expected}, finite; got {got}. "
                "Give them as they were simulated."
            )


def train_ratio(
    key: Key[Array, ""],
    a: Float[np.ndarray, "sim a"],
    b: Float[np.ndarray, "sim b"],
    settings: TrainingSettings | None = None,
    *,
    width: int = 32,
    num_members: int = 3,
) -> NeuralRatio:
    """Learn the ratio of two data sets from matched simulations of both.

    A tenth of the pairs stops the training; a fifth tests and calibrates the network.

    Args:
        key: Seeds everything that is random.
        a: Simulations of the first data set, parameters drawn from the prior.
        b: Simulations of the second one, at the same parameters row by row.
        settings: Settings of the training loop.
        width: Hidden units.
        num_members: Networks of the ensemble.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    _check_pairs(a, b)
    settings = _settings() if settings is None else settings
    build_key, train_key, shuffle_key = jr.split(key, 3)
    num_test = int(_TEST * len(a))
    num_held = int(_VALIDATION * len(a))
    num_train = len(a) - num_test - num_held
    columns = [jnp.asarray(table, jnp.float32) for table in (a, b)]
    train = tuple(column[:num_train] for column in columns)
    held = tuple(column[num_train : num_train + num_held] for column in columns)
    test = tuple(column[num_train + num_held :] for column in columns)
    classifier = RatioClassifier.from_data(
        build_key, a[:num_train], b[:num_train], width=width, num_members=num_members
    )
    training = fit_estimator(
        train_key, classifier, train, held, settings, augment=shuffle_pairs
    )
    judge_key, shuffle_key = jr.split(shuffle_key)
    classifier = _better(judge_key, training.estimator, classifier, held)
    matched = log_ratios(classifier, *test)
    first, _, other = shuffle_pairs(shuffle_key, *test)
    shuffled = log_ratios(classifier, first, other)
    gaussian = classifier.variates.information
    health = check_ratio(matched, shuffled, num_train, gaussian)
    return NeuralRatio(classifier, training.record, health, matched)


def _better(
    key: Key[Array, ""],
    trained: RatioClassifier,
    start: RatioClassifier,
    held: tuple[Array, ...],
) -> RatioClassifier:
    """The trained classifier if held-out pairs are clear about that, else the start."""
    num_train = held[0].shape[0] * (1 - _TEST - _VALIDATION) / _VALIDATION
    if start.variates.information > np.log(num_train) - MARGIN:
        return start
    first, _, other = shuffle_pairs(key, *held)
    losses = [
        np.logaddexp(0, -log_ratios(one, *held))
        + np.logaddexp(0, log_ratios(one, first, other))
        for one in (trained, start)
    ]
    gain = losses[1] - losses[0]
    error = np.std(gain) / np.sqrt(gain.size)
    return trained if np.mean(gain) > CLEAR * error else start


@eqx.filter_jit
def _evaluate(classifier: RatioClassifier, a: Array, b: Array) -> Array:
    return jax.lax.map(
        lambda pair: classifier.log_ratio(*pair), (a, b), batch_size=_BATCH
    )


def log_ratios(
    classifier: RatioClassifier,
    a: Float[Array | np.ndarray, "sim a"],
    b: Float[Array | np.ndarray, "sim b"],
) -> Float[np.ndarray, " sim"]:
    """Log-ratios of many pairs [nat]."""
    tables = (jnp.asarray(table, jnp.float32) for table in (a, b))
    return np.asarray(_evaluate(classifier, *tables), float)


def _settings() -> TrainingSettings:
    return TrainingSettings(
        num_epochs=100,
        batch_size=512,
        learning_rate=4e-3,
        warmup_steps=50,
        patience=20,
        anneal_fraction=0.0,
    )


def _check_pairs(a: np.ndarray, b: np.ndarray) -> None:
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or len(a) < FEWEST_PAIRS:
        raise ParameterError(
            f"Expected two tables of {FEWEST_PAIRS} matched rows or more; got shapes "
            f"{a.shape} and {b.shape}. Simulate both data sets at the same parameters."
        )
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        raise ParameterError(
            "Expected finite simulations; got some that are not. Drop those pairs."
        )
