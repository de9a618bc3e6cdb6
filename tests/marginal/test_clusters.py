"""Modes are found where there are valleys, and only there."""

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.estimators import Support
from grainlight.marginal import find_clusters
from grainlight.marginal.clusters import check_labels

FREE = Support.free(2)


def find(theta, weight=None, **settings):
    weight = np.ones(len(theta)) if weight is None else weight
    return find_clusters(np.random.default_rng(1), theta, weight, FREE, **settings)


def test_three_modes_are_found_whatever_their_units():
    generator = np.random.default_rng(0)
    truth = generator.choice(3, 3_000, p=[0.5, 0.3, 0.2])
    centers = np.array([[0, 0], [10, 0], [0, 12]])
    theta = (centers[truth] + generator.normal(size=(3_000, 2))) * [1e-3, 1e4]
    assert np.mean(find(theta) == truth) > 0.99
    assert find(theta, most=1).max() == 0


def test_bent_and_single_modes_stay_whole():
    generator = np.random.default_rng(0)
    bent = generator.normal(size=(4_000, 2))
    bent[:, 1] = 0.3 * bent[:, 1] + bent[:, 0] ** 2
    for theta in (
        bent,
        generator.normal(size=(4_000, 2)),
        generator.random((4_000, 2)),
    ):
        assert find(theta).max() == 0


def test_weights_decide():
    """Two modes of which one weighs nothing are one."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 3_000)
    theta = 10.0 * truth[:, None] + generator.normal(size=(3_000, 2))
    assert find(theta).max() == 1
    assert find(theta, np.where(truth, 1e-9, 1.0)).max() == 0


def test_own_labels_are_numbered_without_gaps():
    assert check_labels([7, 3, 7], 3).tolist() == [1, 0, 1]
    with pytest.raises(ParameterError, match="one label"):
        check_labels([1, 2], 3)
