"""Modes of weighted draws: which draws belong to which.

Weighted k-means on scaled draws, for every number of clusters; the largest number is
kept at which every cluster is separated from every other by a valley: along the line
through their centers the weighted draws between them are few. Draws without a valley
stay one piece, however bent.

References:
    Arthur & Vassilvitskii (2007), SODA, 1027 (k-means++).
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import ClusterError, kmeans2

from grainlight.core import ParameterError
from grainlight.estimators import Support
from grainlight.estimators.kernels import take_evenly

#: Density in the valley between two modes, over that of the lower one.
DEEPEST_SADDLE = 0.35
#: Draws that k-means sees: as many of a draw as it weighs.
_SEEN = 4_000
_LEAST_SHARE = 0.01
_BINS = 24


def find_clusters(
    generator: np.random.Generator,
    theta: Float[np.ndarray, "draw param"],
    weight: Float[np.ndarray, " draw"],
    support: Support,
    *,
    most: int = 6,
) -> Int[np.ndarray, " draw"]:
    """Number of the mode of every draw, from zero, the heaviest first.

    Args:
        generator: Seeds the starts of k-means.
        theta: The draws.
        weight: Their weights.
        support: Bounds; the search is on the unbounded axes.
        most: Largest number of modes.
    """
    if most < 1:
        raise ParameterError(
            f"Expected one mode or more at most; got {most}. Raise it."
        )
    y = support.unbound_table(np.asarray(theta, float))
    even = y[take_evenly(weight, _SEEN)]
    middle, spread = np.mean(even, axis=0), np.std(even, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    white, seen = (y - middle) / spread, (even - middle) / spread
    for number in range(most, 1, -1):
        centers = _best_centers(generator, seen, number)
        if centers is not None and _all_apart(seen, centers):
            return _by_weight(_nearest(white, centers), weight)
    return np.zeros(len(theta), int)


def check_labels(
    labels: Int[np.ndarray, " draw"] | list[int], num_draws: int
) -> Int[np.ndarray, " draw"]:
    """Labels of the caller's own, numbered from zero without gaps."""
    own = np.asarray(labels)
    if own.shape != (num_draws,):
        raise ParameterError(
            f"Expected one label for each of {num_draws} draws; got shape {own.shape}. "
            "Give every draw the number of its mode."
        )
    return np.unique(own, return_inverse=True)[1]


def _best_centers(
    generator: np.random.Generator, seen: np.ndarray, number: int
) -> np.ndarray | None:
    best, least = None, np.inf
    for _ in range(4):
        try:
            centers, label = kmeans2(
                seen, number, minit="++", rng=generator, missing="raise"
            )
        except ClusterError:  # one of them is empty
            continue
        total = np.sum((seen - centers[label]) ** 2)
        if total < least:
            best, least = centers, total
    return best


def _nearest(white: np.ndarray, centers: np.ndarray) -> np.ndarray:
    square = np.sum((white[:, None] - centers[None]) ** 2, axis=-1)
    return np.argmin(square, axis=1)


def _all_apart(seen: np.ndarray, centers: np.ndarray) -> bool:
    label = _nearest(seen, centers)
    share = np.bincount(label, minlength=len(centers)) / len(seen)
    if np.any(share < _LEAST_SHARE):
        return False
    pairs = [(i, j) for i in range(len(centers)) for j in range(i)]
    return all(_apart(seen[label == i], seen[label == j]) for i, j in pairs)


def _apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a valley lies between two clusters, along the line of their centers."""
    axis = np.mean(other, axis=0) - np.mean(one, axis=0)
    a, b = one @ axis, other @ axis
    ends = np.median(a), np.median(b)
    if not ends[1] > ends[0]:
        return False
    edges = np.linspace(ends[0], ends[1], _BINS + 1)
    count = np.histogram(np.concatenate([a, b]), edges)[0]
    smooth = np.convolve(np.pad(count, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    peaks = min(np.max(smooth[: _BINS // 3]), np.max(smooth[-(_BINS // 3) :]))
    valley = np.min(smooth[_BINS // 6 : -(_BINS // 6)])
    return bool(valley + 2 * np.sqrt(valley / 3) < DEEPEST_SADDLE * peaks)


def _by_weight(label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    share = np.bincount(label, weights=weight)
    rank = np.empty(share.size, int)
    rank[np.argsort(-share)] = np.arange(share.size)
    return rank[label]
