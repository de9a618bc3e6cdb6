"""Simulators of strangers are asked for what they must have."""

from types import SimpleNamespace

import pytest

from grainlight.core import Parameter, Parameters, SimulatorError
from grainlight.simulators import Simulator, check_simulator


class Line:
    parameters = Parameters((Parameter("slope", 0.0, 1.0),))
    bands = ("one", "two")

    def __call__(self, key, theta):
        return theta[0] * 2.0


def test_a_simulator_passes_and_is_one():
    line = Line()
    assert check_simulator(line) is line
    assert isinstance(line, Simulator)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (object(), "without parameters, bands, __call__"),
        (Line, "got a class"),
        (SimpleNamespace(parameters=1, bands=("a",)), "without __call__"),
    ],
)
def test_what_is_missing_is_named(given, match):
    with pytest.raises(SimulatorError, match=match):
        check_simulator(given)
    assert given is Line or not isinstance(given, Simulator)


@pytest.mark.parametrize("bands", [(), ("a", "a"), "F770W"])
def test_bands_must_be_names(bands):
    line = Line()
    line.bands = bands
    with pytest.raises(SimulatorError, match="each once"):
        check_simulator(line)
