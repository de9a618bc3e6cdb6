"""Draws reach getdist and anesthetic with their weights, names and bounds."""

import importlib

import jax.numpy as jnp
import numpy as np
import pytest

from grainlight.core import (
    Parameter,
    Parameters,
    Samples,
    SimulatorMissingError,
    Status,
)
from grainlight.sampling import to_anesthetic, to_getdist

PARAMETERS = Parameters(
    (Parameter("mass", 0.1, 10.0, "Msun", "log10", "M"), Parameter("age", 0.0, 9.0))
)
RNG = np.random.default_rng(3)
SCALED = np.stack([RNG.uniform(-1, 1, 4_000), RNG.uniform(0, 9, 4_000)], axis=1)
#: Weights that turn the even age into one that rises with its square.
SAMPLES = Samples(
    jnp.asarray(np.stack([10 ** SCALED[:, 0], SCALED[:, 1]], axis=1)),
    jnp.asarray(2 * np.log(SCALED[:, 1])),
    Status.ok,
    PARAMETERS,
    derived={"temperature": jnp.asarray(100 + SCALED[:, 1])},
)


@pytest.mark.slow
def test_getdist_has_the_moments_and_the_bounds():
    pytest.importorskip("getdist")
    given = to_getdist(SAMPLES)
    assert given.getParamNames().list() == ["log10_mass", "age", "temperature"]
    assert given.mean("age") == pytest.approx(6.75, abs=0.1)
    assert given.mean("log10_mass") == pytest.approx(0, abs=0.05)
    assert given.ranges.getUpper("age") == 9.0


@pytest.mark.slow
def test_anesthetic_has_the_moments():
    pytest.importorskip("anesthetic")
    given = to_anesthetic(SAMPLES)
    assert given["age"].mean() == pytest.approx(6.75, abs=0.1)
    assert given["temperature"].mean() == pytest.approx(106.75, abs=0.1)
    # and not as if all draws weighed the same
    assert SCALED[:, 1].mean() == pytest.approx(4.5, abs=0.2)


def test_what_is_not_installed_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    for export in (to_getdist, to_anesthetic):
        with pytest.raises(SimulatorMissingError, match="chains"):
            export(SAMPLES)
