"""Anderson acceleration of a fixed-point iteration.

References:
    Walker & Ni (2011), SIAM J. Numer. Anal. 49, 1715.
"""

import numpy as np

STEPS_KNOWN = 6
LARGEST_STEP = 3.0  # of any component


def accelerate(
    known: list[tuple[np.ndarray, np.ndarray]], root: np.ndarray
) -> np.ndarray:
    """The next point, from the last ones and how far a plain step went from each.

    Args:
        known: Points and plain steps, the newest last.
        root: Square roots of the weights of the components.
    """
    last, change = known[-1]
    if len(known) == 1:
        return last + np.clip(change, -LARGEST_STEP, LARGEST_STEP)
    points = np.array([point.ravel() for point, _ in known])
    changes = np.array([moved.ravel() for _, moved in known])
    weight = root.ravel()
    in_change, in_point = np.diff(changes, axis=0).T, np.diff(points, axis=0).T
    mix = np.linalg.lstsq(
        in_change * weight[:, None], change.ravel() * weight, rcond=1e-6
    )[0]
    step = change.ravel() - (in_point + in_change) @ mix
    return last + np.clip(step.reshape(last.shape), -LARGEST_STEP, LARGEST_STEP)
