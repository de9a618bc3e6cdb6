r"""Can a classifier tell two samples apart? A test that needs draws alone.

Two samples of one distribution cannot be told apart: the accuracy $a$ of any classifier
on rows that it was not trained on is one half. The accuracy of the best one measures
how far two distributions $p$ and $q$ are from each other,

$$ a = \tfrac12 + \tfrac14 \int |p - q| . $$

Every row is judged by a network that was trained without it: the rows are dealt to
folds, and there is a network for each, trained on the others. All are trained in one
run of the common loop, with one program for all; a tenth of the rows, which nobody is
judged on, decides when to stop.

Objective: the mean over the rows of other folds of

$$ \ln(1 + e^{-s\, u(x)}) , \qquad s = 1 \text{ or } -1 \text{ for the two samples.} $$

Two folds are not judged independently, as each trains the network of the other. With
$K$ folds and $n$ rows the error allows for that,

$$ \sigma_a^2 = \frac{a (1 - a)}{n} \Big( 1 + \frac{K}{K - 1} \Big) . $$

References:
    Lopez-Paz & Oquab (2017), arXiv:1610.06545.
    Nadeau & Bengio (2003), Machine Learning 52, 239 (the error).
"""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy import stats

from grainlight.core import ParameterError
from grainlight.estimators import TrainingSettings, train
from grainlight.networks import ResidualNetwork

WIDTHS = (32, 32)
NUM_FOLDS = 5
HELD = 0.1  # share of the rows that decide when to stop
FEWEST = 100  # rows of a sample
SETTINGS = TrainingSettings(
    num_epochs=60,
    batch_size=256,
    learning_rate=3e-3,
    weight_decay=1e-3,
    warmup_steps=50,
    anneal_fraction=0.0,
    patience=10,
)


@dataclass(frozen=True, eq=False)
class TwoSample:
    """How well two samples can be told apart.

    Attributes:
        accuracy: Fraction of rows that were told right; 0.5 of equal distributions.
        error: Its standard error, rather too large than too small.
        pvalue: Probability of an accuracy at least as high by chance.
        fold_accuracy: The same of every fold.
        num_rows: Rows of both samples that were judged.
    """

    accuracy: float
    error: float
    pvalue: float
    fold_accuracy: Float[np.ndarray, " fold"]
    num_rows: int


class Classifiers(eqx.Module):
    """A network for each fold, which says how much a row looks like the first sample.

    Attributes:
        trunks: Their hidden layers, with a leading axis of folds.
        heads: Their last layers, likewise.
    """

    trunks: ResidualNetwork
    heads: eqx.nn.Linear

    def __init__(
        self, key: Key[Array, ""], num_folds: int, in_size: int, widths: tuple[int, ...]
    ) -> None:
        trunk_key, head_key = jr.split(key)
        self.trunks = eqx.filter_vmap(lambda k: ResidualNetwork(k, in_size, widths))(
            jr.split(trunk_key, num_folds)
        )
        self.heads = eqx.filter_vmap(lambda k: eqx.nn.Linear(widths[-1], 1, key=k))(
            jr.split(head_key, num_folds)
        )

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, " fold"]:
        """Log-odds of the first sample for one row, by every network."""
        return eqx.filter_vmap(lambda trunk, head: head(trunk(x))[0])(
            self.trunks, self.heads
        )


def _loss(
    classifiers: Classifiers,
    key: Key[Array, ""],
    progress: Float[Array, ""],
    x: Float[Array, " dim"],
    sign: Float[Array, ""],
    fold: Int[Array, ""],
) -> Float[Array, ""]:
    """Mean loss of one row over the networks that may see it."""
    del key, progress
    odds = classifiers(x)
    may = jnp.arange(odds.size) != fold
    return jnp.sum(may * jax.nn.softplus(-sign * odds)) / jnp.sum(may)


def classify_samples(
    key: Key[Array, ""],
    first: Float[Array | np.ndarray, "row dim"],
    second: Float[Array | np.ndarray, "other dim"],
    *,
    num_folds: int = NUM_FOLDS,
    widths: tuple[int, ...] = WIDTHS,
    settings: TrainingSettings = SETTINGS,
) -> TwoSample:
    """Test whether two samples are of one distribution (C2ST).

    Of the longer sample as many rows are used as of the shorter. Rows must be
    independent: chains thinned, one redshift a parent.

    Args:
        key: Random key.
        first: Rows of one sample: draws of an exact posterior, or parameters with
            their data.
        second: Rows of the other sample, with the same columns.
        num_folds: Parts that the rows are dealt to.
        widths: Widths of the networks' blocks.
        settings: How they are trained.

    Raises:
        ParameterError: The samples are too short, not finite or of other columns.
    """
    first, second = _checked(first, second, num_folds)
    keys = jr.split(key, 4)
    rows = [
        np.asarray(jr.permutation(k, len(part)))
        for k, part in zip(keys, (first, second), strict=False)
    ]
    size = min(len(first), len(second))
    held = int(HELD * size)
    judged = (size - held) // num_folds * num_folds
    fold = np.append(np.arange(judged) % num_folds, np.full(held, -1))
    both = np.concatenate(
        [first[rows[0][: fold.size]], second[rows[1][: fold.size]]], dtype=float
    )
    spread = both.std(axis=0)
    both = (both - both.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    sign, fold = np.repeat([1.0, -1.0], fold.size), np.tile(fold, 2)
    parts = [
        tuple(
            jnp.asarray(column[some], kind)
            for column, kind in ((both, float), (sign, float), (fold, int))
        )
        for some in (fold >= 0, fold < 0)
    ]
    blank = Classifiers(keys[2], num_folds, both.shape[1], widths)
    trained = train(keys[3], blank, _loss, *parts, settings).estimator
    return _judge(trained, *parts[0])


def _checked(
    first: Float[Array | np.ndarray, "row dim"],
    second: Float[Array | np.ndarray, "other dim"],
    num_folds: int,
) -> tuple[Float[np.ndarray, "row dim"], Float[np.ndarray, "other dim"]]:
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    alike = first.ndim == second.ndim == 2 and first.shape[1] == second.shape[1]
    if not alike or min(len(first), len(second)) < FEWEST:
        raise ParameterError(
            f"Expected two samples of the same columns and {FEWEST} rows or more; got "
            f"the shapes {first.shape} and {second.shape}. Draw more."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ParameterError(
            "Expected finite rows; got some that are not. Leave these out of both."
        )
    if not 2 <= num_folds <= FEWEST // 2:
        raise ParameterError(
            f"Expected 2 to {FEWEST // 2} folds; got {num_folds}. Five serve well."
        )
    return first, second


def _judge(
    trained: Classifiers, x: Array, sign: Array, fold: Int[Array, " row"]
) -> TwoSample:
    """Accuracy on rows, each by the network that was trained without it."""
    odds = np.asarray(eqx.filter_jit(lambda rows: jax.vmap(trained)(rows))(x))
    place = np.asarray(fold)
    own = np.take_along_axis(odds, place[:, None], axis=1)[:, 0]
    right = own * np.asarray(sign) > 0
    accuracy, num_folds = float(right.mean()), odds.shape[1]
    scale = np.sqrt((1 + num_folds / (num_folds - 1)) / right.size)
    return TwoSample(
        accuracy=accuracy,
        error=float(scale * np.sqrt(accuracy * (1 - accuracy))),
        pvalue=float(stats.norm.sf((accuracy - 0.5) / (0.5 * scale))),
        fold_accuracy=np.bincount(place, right) / np.bincount(place),
        num_rows=right.size,
    )
