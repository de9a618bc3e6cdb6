"""Densities learned from weighted draws, every draw kept from one of the members.

The draws are cut into as many folds as there are members. A member never sees its own
fold, so that all draws together judge the ensemble as held-out ones. A tenth of the
others decides which of its weights are kept.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from grainlight.core import ParameterError
from grainlight.estimators.density_settings import DensitySettings
from grainlight.estimators.kernels import make_kernels
from grainlight.estimators.settings import TrainingRecord
from grainlight.estimators.support import Support
from grainlight.estimators.training import fit_estimator
from grainlight.estimators.weighted import (
    Members,
    Piece,
    WeightedDensity,
    stack_flows,
)
from grainlight.estimators.whitening import Whitening

#: Draws that together weigh less than this are left out of training.
NEGLIGIBLE = 1e-5
FEWEST_EFFECTIVE = 100
#: One draw in so many of those that a member is trained on decides when to stop.
HELD_ONE_IN = 10
#: Scatter of a column below this fraction of its size is lost in single precision.
FINEST = 1e-5


@dataclass(frozen=True)
class WeightedFit:
    """A density of weighted draws, and which draws each member has not seen.

    Attributes:
        density: The density.
        fold: Number of the member that has not seen a draw.
        records: How the flows of every piece were trained; none for kernels.
    """

    density: WeightedDensity
    fold: Int[np.ndarray, " draw"]
    records: tuple[TrainingRecord, ...]

    def held_out_log_prob(
        self, theta: Float[np.ndarray, "draw param"]
    ) -> Float[np.ndarray, " draw"]:
        """Log-density of the draws by the members that have not seen them.

        Args:
            theta: The draws that the density was learned from.
        """
        by_member = self.density.member_log_prob_table(theta)
        return by_member[np.arange(len(theta)), self.fold]


def fit_weighted(
    key: Key[Array, ""],
    theta: Float[np.ndarray, "draw param"],
    weight: Float[np.ndarray, " draw"],
    support: Support,
    settings: DensitySettings | None = None,
    *,
    labels: Int[np.ndarray, " draw"] | None = None,
    ordered: bool = False,
) -> WeightedFit:
    """Learn the density of weighted draws.

    Args:
        key: Seeds the folds, the networks and the order of the batches.
        theta: The draws.
        weight: Their weights, not negative.
        support: Where the density lives; all draws must lie there.
        settings: What is learned, and how.
        labels: Piece of every draw, from zero; one piece if there are none.
        ordered: Whether neighboring draws resemble one another, as those of a Markov
            chain: folds are then runs of neighbors.
    """
    settings = DensitySettings() if settings is None else settings
    labels = np.zeros(len(theta), int) if labels is None else np.asarray(labels)
    _check(theta, weight, support, labels)
    support = _cut(support, theta, weight)
    y = support.unbound_table(theta)
    fold_key, fit_key = jr.split(key)
    fold = make_folds(fold_key, len(theta), settings.num_members, ordered=ordered)
    kept = _worth_training(weight)
    pieces, shares, records = [], [], []
    for number in range(labels.max() + 1):
        inside = labels == number
        rows = np.flatnonzero(kept & inside)
        shares.append(np.sum(weight[inside]) / np.sum(weight))
        piece, record = _fit_piece(
            jr.fold_in(fit_key, number), y[rows], weight[rows], fold[rows], settings
        )
        pieces.append(piece)
        records += [] if record is None else [record]
    density = WeightedDensity(
        support, jnp.asarray(np.log(shares), float), tuple(pieces), settings.kind
    )
    return WeightedFit(density, fold, tuple(records))


def make_folds(
    key: Key[Array, ""], num_draws: int, num_folds: int, *, ordered: bool
) -> Int[np.ndarray, " draw"]:
    """Number of the fold of every draw."""
    runs = np.arange(num_draws) * num_folds // num_draws
    return runs if ordered else np.asarray(jr.permutation(key, runs))


def _fit_piece(
    key: Key[Array, ""],
    y: Float[np.ndarray, "draw dim"],
    weight: Float[np.ndarray, " draw"],
    fold: Int[np.ndarray, " draw"],
    settings: DensitySettings,
) -> tuple[Piece, TrainingRecord | None]:
    build_key, hold_key, train_key = jr.split(key, 3)
    whitening = Whitening.from_data(y, weight)
    white = whitening.table(y)
    member = np.arange(settings.num_members)
    seen = fold[:, None] != member
    shape = (len(y), settings.num_members)
    held = np.asarray(jr.randint(hold_key, shape, 0, HELD_ONE_IN)) == 0
    trained = weight[:, None] * (seen & ~held)
    judged = weight[:, None] * (seen & held)
    if settings.kind == "kernel":
        stacked = make_kernels(build_key, white, trained, judged)
        return Piece(whitening, Members(stacked)), None
    stacked = stack_flows(
        build_key, y.shape[1], settings.num_members, settings.kind, **settings.shape
    )
    some = np.any(judged > 0, axis=1)
    training = fit_estimator(
        train_key,
        Members(stacked),
        (jnp.asarray(white, jnp.float32), jnp.asarray(_unit_mean(trained))),
        (jnp.asarray(white[some], jnp.float32), jnp.asarray(_unit_mean(judged[some]))),
        settings.training_for(len(y)),
        augment=_normalize,
    )
    return Piece(whitening, training.estimator), training.record


def _unit_mean(weight: np.ndarray) -> np.ndarray:
    mean = np.mean(weight, axis=0)
    return (weight / np.where(mean > 0, mean, 1.0)).astype(np.float32)


def _normalize(key: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Divide the weights of a batch by their mean: E1 of an ensemble."""
    del key
    mean = jnp.mean(weight, axis=0)
    return y, jnp.where(mean > 0, weight / jnp.where(mean > 0, mean, 1.0), 0.0)


def _worth_training(weight: np.ndarray) -> np.ndarray:
    """All draws but the lightest, which together weigh next to nothing."""
    order = np.argsort(weight)
    lost = np.cumsum(weight[order]) <= NEGLIGIBLE * np.sum(weight)
    kept = np.ones(weight.size, bool)
    kept[order[lost]] = False
    return kept


def _cut(support: Support, theta: np.ndarray, weight: np.ndarray) -> Support:
    """Cut periodic axes open where the draws weigh least."""
    turns = np.asarray(support.periodic)
    lower, upper = np.asarray(support.lower, float), np.asarray(support.upper, float)
    cut = lower.copy()
    for axis in np.flatnonzero(turns):
        period = upper[axis] - lower[axis]
        phase = np.mod(theta[:, axis] - lower[axis], period) / period
        count = np.histogram(phase, 36, (0, 1), weights=weight)[0]
        smooth = count + np.roll(count, 1) + np.roll(count, -1)
        cut[axis] += (np.argmin(smooth) + 0.5) / 36 * period
    return support.cut_at(cut) if np.any(turns) else support


def _check(
    theta: np.ndarray, weight: np.ndarray, support: Support, labels: np.ndarray
) -> None:
    shape = (len(weight), support.dim)
    if theta.shape != shape or labels.shape != weight.shape:
        raise ParameterError(
            f"Expected draws of shape {shape} and a label each; got {theta.shape} and "
            f"{labels.shape}. Give every draw a weight, every parameter its bounds."
        )
    if not (np.all(np.isfinite(theta)) and np.all(np.isfinite(weight))):
        raise ParameterError(
            "Expected finite draws and weights; got some that are not. Drop those rows."
        )
    if np.any(weight < 0) or not np.any(weight > 0):
        raise ParameterError(
            "Expected weights of zero or more, some positive; got a least weight of "
            f"{weight.min():g} and a largest of {weight.max():g}. Mend the weights."
        )
    lower, upper = np.asarray(support.lower), np.asarray(support.upper)
    span = np.where(np.isfinite(upper - lower), upper - lower, 0.0)
    out = (theta < lower - 1e-6 * span) | (theta > upper + 1e-6 * span)
    out &= ~np.asarray(support.periodic)
    if np.any(out):
        column = int(np.argmax(np.any(out, axis=0)))
        raise ParameterError(
            f"Expected draws within {lower[column]:g} and {upper[column]:g} in column "
            f"{column}; got {int(out[:, column].sum())} beyond. Widen the bounds, or "
            "drop those draws."
        )
    for piece in np.unique(labels):
        _check_piece(theta[labels == piece], weight[labels == piece], int(piece))


def _check_piece(theta: np.ndarray, weight: np.ndarray, piece: int) -> None:
    effective = np.sum(weight) ** 2 / max(np.sum(weight**2), np.finfo(float).tiny)
    if effective < FEWEST_EFFECTIVE:
        raise ParameterError(
            f"Expected {FEWEST_EFFECTIVE} effective draws or more in piece {piece}; "
            f"got {effective:.0f}. Sample longer, or use fewer pieces."
        )
    mean = weight @ theta / np.sum(weight)
    spread = np.sqrt(weight @ (theta - mean) ** 2 / np.sum(weight))
    coarse = spread <= FINEST * np.abs(mean)
    if np.any(coarse):
        column = int(np.argmax(coarse))
        raise ParameterError(
            f"Expected a scatter that single precision resolves in column {column}; "
            f"got {spread[column]:.3g} around {mean[column]:.9g}. Subtract a constant, "
            "or leave a constant column out."
        )
