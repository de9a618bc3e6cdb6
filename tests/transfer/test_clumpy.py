"""Clumps at the limit of fine cells."""

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.dust import mixture_opacity
from grainlight.transfer import (
    Clumps,
    GridSettings,
    Shell,
    shell_density,
    solve_clumpy,
    solve_grid,
    wavelength_grid,
)

MANY = GridSettings(star_rays=30_000, paths=4_000)
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
@pytest.mark.parametrize(
    ("silicate", "depth"), [(0.0, 0.5), (1.0, 1.0), (0.5, 3.0), (0.5, 30.0)]
)
def test_two_widths_give_the_limit(silicate, depth):
    shell, clumps = make(silicate, depth), Clumps(0.15, mirrored=True)
    few, many = (
        solve_clumpy(shell, clumps, 2, splits=splits, layers=layers, settings=MANY)
        for splits, layers in (((1, 2), 4), ((2, 3), 6))
    )
    assert few.dust_temperature == pytest.approx(many.dust_temperature, rel=0.01)
    np.testing.assert_allclose(in_bands(few), in_bands(many), rtol=0.05)


def test_layers_do_what_cells_would():
    """Without them, the faces of thick clumps are much too cold."""
    grid = shell_density(
        np.random.default_rng(3),
        make(0.5, 20.0).dust_mass,
        1e16,
        clumps=Clumps(0.15, mirrored=True),
    )
    opacity = make(0.5, 20.0).opacity
    coarse, layered, fine = (
        solve_grid(1e5, 6000.0, opacity, one, 1)
        for one in (grid, grid.layered(6, 0.005), grid.refined(3).layered(6, 0.015))
    )
    hot = slice(2, 4)  # 2 to 8 um
    off = np.abs(in_bands(layered) / in_bands(fine) - 1)[hot]
    assert np.all(off < 0.1)
    assert np.all(np.abs(in_bands(coarse) / in_bands(fine) - 1)[hot] > 0.12)
    assert layered.dust_temperature == pytest.approx(fine.dust_temperature, rel=0.02)
    assert abs(layered.energy_error) < 0.01


def test_the_change_by_extrapolation_is_stated():
    clumps = Clumps(0.1, mirrored=True)
    none, thin, thick = (
        solve_clumpy(make(0.5, depth), clumps, 2) for depth in (0.001, 0.1, 5.0)
    )
    assert none.resolution == 0
    assert 0 < abs(thin.resolution) < 0.003
    assert 0.001 < abs(thick.resolution) < 0.05
    assert abs(thick.energy_error) < 0.01


def test_mirrored_clumps_give_the_light_of_others():
    shell = make(0.5, 1.0)
    apart, mirrored = (
        np.array([in_bands(solve(shell, pattern, kind)) for pattern in range(4)])
        for kind in (False, True)
    )
    np.testing.assert_allclose(mirrored.mean(axis=0), apart.mean(axis=0), rtol=0.03)
    assert np.all(np.std(apart, axis=0) < 0.05 * apart.mean(axis=0))
    # the same test tells another filling factor
    fewer = [in_bands(solve(shell, pattern, True, filling=0.1)) for pattern in range(4)]
    ratio = np.mean(fewer, axis=0) / apart.mean(axis=0)
    assert np.abs(ratio - 1).max() > 0.06


def solve(shell, pattern, mirrored, filling=0.2):
    grid = shell_density(
        np.random.default_rng(pattern),
        shell.dust_mass,
        shell.outer_radius,
        clumps=Clumps(filling, mirrored=mirrored),
    )
    few = GridSettings(star_rays=20_000, cell_rays=4, paths=1_000)
    return solve_grid(1e5, 6000.0, shell.opacity, grid, pattern, few)


def test_splits_that_do_not_rise_are_refused():
    with pytest.raises(ParameterError, match="two rising splits"):
        solve_clumpy(make(0.5, 1.0), Clumps(0.1), splits=(2, 2))
