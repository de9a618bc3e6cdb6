"""Integrals that tests of estimators are laid beside."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm


@pytest.fixture(scope="session")
def brute_limit():
    """Log-probability of a flux below a limit, by integration over magnitudes.

    Of the distance from the limit, its variance, and the noise over the limit.
    """

    def integrate(distance, variance, noise):
        spread = np.sqrt(variance)
        grid = np.linspace(distance - 30 * spread, distance + 30 * spread, 100_001)
        below = norm.logcdf((1 - 10 ** (-0.4 * grid)) / noise)
        density = norm.logpdf(grid, distance, spread)
        return logsumexp(density + below) + np.log(grid[1] - grid[0])

    return integrate
