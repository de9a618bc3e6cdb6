"""Every error of the project can be caught as one."""

import pytest

from grainlight import core


@pytest.mark.parametrize("name", [n for n in core.__all__ if n.endswith("Error")])
def test_errors_share_a_base(name):
    error = getattr(core, name)
    assert issubclass(error, core.GrainlightError)
    assert issubclass(error, ValueError)
    assert error.__doc__
