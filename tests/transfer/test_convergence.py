"""Resolution: what finer cells and extrapolation are worth."""

import numpy as np
import pytest

from grainlight.transfer import solve_shell

EDGES = (0.6, 1, 2, 4, 8, 13, 20, 30)
FINE = 48  # 80 cells move the temperatures by less than 3e-5

SHELLS = [
    (0.5, 0.1, 0.5),
    (1.0, 0.3, 4.0),
    (0.0, 0.1, 12.0),
    (0.5, 0.3, 15.0),
]


def bands(answer):
    light = answer.luminosity / answer.wave
    return np.array(
        [
            light[(answer.wave >= low) & (answer.wave < high)].sum()
            for low, high in zip(EDGES[:-1], EDGES[1:], strict=True)
        ]
    )


def matters(answer):
    """Bands with more than 1e-3 of the light of the brightest one."""
    light = bands(answer)
    return light > 1e-3 * light.max()


@pytest.fixture(scope="module", params=SHELLS, ids=str)
def case(request, grains):
    shell = grains(*request.param)
    return shell, solve_shell(shell, FINE)


def test_the_error_falls_with_the_cell(case):
    shell, fine = case
    coarse, middle = (
        abs(solve_shell(shell, num).dust_temperature / fine.dust_temperature - 1)
        for num in (8, 16)
    )
    # between the first and the second power of the width
    assert coarse > 1.7 * middle or coarse < 1e-5


def test_two_coarse_solutions_answer_as_one_fine(case):
    shell, fine = case
    answer = solve_shell(shell)
    assert len(answer.radius) < 0.6 * FINE
    assert answer.dust_temperature == pytest.approx(fine.dust_temperature, rel=1e-3)
    np.testing.assert_allclose(
        answer.mean_temperature, fine.mean_temperature, rtol=1e-3
    )
    kept = matters(fine)
    np.testing.assert_allclose(bands(answer)[kept], bands(fine)[kept], rtol=1e-2)


def test_one_coarse_solution_is_not_enough(grains):
    shell = grains(0.0, 0.1, 12.0)
    fine = solve_shell(shell, FINE)
    kept = matters(fine)
    ratio = bands(solve_shell(shell, 5))[kept] / bands(fine)[kept]
    assert np.max(np.abs(ratio - 1)) > 2e-2


def test_grains_thick_to_their_own_light_are_the_hard_corner(grains):
    """Cells thick to the dust emission itself, where flat sources would leak."""
    for shell in (grains(0.5, 1.0, 40.0), grains(0.0, 5.0, 60.0)):
        fine, answer = solve_shell(shell, 80), solve_shell(shell)
        assert answer.dust_temperature == pytest.approx(fine.dust_temperature, rel=1e-3)
        kept = matters(fine)
        np.testing.assert_allclose(bands(answer)[kept], bands(fine)[kept], rtol=3e-2)
