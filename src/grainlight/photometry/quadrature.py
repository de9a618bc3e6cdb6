r"""A filter curve as a few nodes, so that band integrals are short sums.

The measure $T\,d\ln\lambda$ of a curve is cut into bins equal in $\ln\lambda$, and each
bin is replaced by the two nodes and weights that keep its first four moments (Gauss
quadrature). A spectrum $\lambda^n$ then suffers a relative error of about
$(n h)^4 / 4320$ in bins of width $h$: below 1e-4 for $|n| < 40$.

References:
    Golub & Welsch (1969), Mathematics of Computation 23, 221.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_BIN_WIDTH = 0.02  # of ln wavelength
_MIN_BINS, _MAX_BINS = 6, 30
_LEGENDRE = np.polynomial.legendre.leggauss(4)


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Nodes and weights of one filter: the mean is the weighted sum at the nodes.

    Attributes:
        ln_wave: Natural logarithm of the wavelength [um], increasing.
        weight: Positive weights that sum to one.
    """

    ln_wave: Float[np.ndarray, " node"]
    weight: Float[np.ndarray, " node"]


def filter_quadrature(
    wave: Float[np.ndarray, " wave"], transmission: Float[np.ndarray, " wave"]
) -> Quadrature:
    """Nodes and weights of a curve that is linear in wavelength between its points."""
    ln_fine, measure = _fine_measure(wave, transmission)
    span = np.log(wave[-1] / wave[0])
    num_bins = int(np.clip(np.ceil(span / _BIN_WIDTH), _MIN_BINS, _MAX_BINS))
    edges = np.linspace(np.log(wave[0]), np.log(wave[-1]), num_bins + 1)
    bin_of = np.clip(np.searchsorted(edges, ln_fine) - 1, 0, num_bins - 1)
    nodes, weights = [], []
    for i in range(num_bins):
        inside = bin_of == i
        bin_nodes, bin_weights = _gauss_pair(ln_fine[inside], measure[inside])
        nodes.extend(bin_nodes)
        weights.extend(bin_weights)
    total = np.sum(weights)
    return Quadrature(np.array(nodes), np.array(weights) / total)


def _fine_measure(wave: np.ndarray, transmission: np.ndarray) -> tuple:
    """The curve on four Gauss-Legendre points a segment, with weights T d(ln wave)."""
    edges = np.unique(np.append(wave, np.geomspace(wave[0], wave[-1], 181)[1:-1]))
    ln_edges = np.log(edges)
    points, legendre = _LEGENDRE
    half = np.diff(ln_edges) / 2
    ln_fine = (ln_edges[:-1, None] + half[:, None] * (1 + points)).ravel()
    height = np.interp(np.exp(ln_fine), wave, transmission)
    return ln_fine, height * (half[:, None] * legendre).ravel()


def _gauss_pair(x: np.ndarray, measure: np.ndarray) -> tuple:
    """The two nodes and weights with the moments 0 to 3 of a discrete measure."""
    total = measure.sum()
    if total <= 0:
        return (), ()
    center = measure @ x / total
    offset = x - center
    variance = measure @ offset**2 / total
    if variance <= 0:
        return (center,), (total,)
    skew = measure @ offset**3 / total / variance
    root = np.sqrt(skew**2 + 4 * variance)
    left, right = (skew - root) / 2, (skew + root) / 2
    share = right / (right - left)
    return (center + left, center + right), (total * share, total * (1 - share))
