"""Clumps at the limit of fine cells."""

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.dust import mixture_opacity
from grainlight.transfer import Clumps, Shell, solve_clumpy, wavelength_grid

BANDS = (0.6, 1, 2, 4, 8, 13, 20, 30)  # um


def make(silicate, depth):
    shares = {"silicate_dl": silicate, "carbon_be": 1 - silicate}
    opacity = mixture_opacity(shares, 0.1, wavelength_grid())
    shell = Shell(1e5, 6000.0, 1.0, 1e16, opacity)
    return Shell(1e5, 6000.0, depth / shell.optical_depth(0.55), 1e16, opacity)


def in_bands(answer):
    weight = np.abs(np.gradient(1 / answer.wave))
    light = weight * answer.luminosity
    return np.array(
        [
            light[(answer.wave >= low) & (answer.wave < high)].sum()
            for low, high in zip(BANDS[:-1], BANDS[1:], strict=True)
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("silicate", "depth"), [(0.0, 0.5), (1.0, 1.0), (0.5, 3.0)])
def test_two_widths_give_the_limit(silicate, depth):
    shell = make(silicate, depth)
    few, many = (
        solve_clumpy(shell, Clumps(0.15), 2, splits=splits)
        for splits in ((2, 3), (2, 4))
    )
    assert few.dust_temperature == pytest.approx(many.dust_temperature, rel=0.01)
    np.testing.assert_allclose(in_bands(few), in_bands(many), rtol=0.05)


def test_the_change_by_extrapolation_is_stated():
    thin, thick = (
        solve_clumpy(make(0.5, depth), Clumps(0.1), 2, splits=(1, 2))
        for depth in (0.01, 5.0)
    )
    assert abs(thin.resolution) < 0.003
    assert 0.003 < abs(thick.resolution) < 0.05
    assert abs(thick.energy_error) < 0.01


def test_splits_that_do_not_rise_are_refused():
    with pytest.raises(ParameterError, match="two rising splits"):
        solve_clumpy(make(0.5, 1.0), Clumps(0.1), splits=(2, 2))
