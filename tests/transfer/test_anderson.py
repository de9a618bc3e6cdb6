"""Acceleration of fixed points."""

import numpy as np

from grainlight.transfer.anderson import STEPS_KNOWN, accelerate

RNG = np.random.default_rng(8)
BASIS = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
# plain iteration needs hundreds of steps: an eigenvalue is close to one
MATRIX = BASIS @ np.diag([0.98, 0.7, 0.3, -0.4, 0.1]) @ BASIS.T
TARGET = RNG.normal(size=5)
FIXED = np.linalg.solve(np.eye(5) - MATRIX, TARGET)


def distance(steps, accelerated):
    point, known = np.zeros(5), []
    for _ in range(steps):
        change = MATRIX @ point + TARGET - point
        known = [*known[1 - STEPS_KNOWN :], (point, change)]
        point = accelerate(known, np.ones(5)) if accelerated else point + change
    return np.max(np.abs(point - FIXED))


def test_a_linear_problem_is_solved_in_few_steps():
    assert distance(30, accelerated=True) < 1e-5
    assert distance(30, accelerated=False) > 1e-2
