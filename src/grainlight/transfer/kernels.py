r"""Collision probabilities between the cells of a spherical shell.

A beam along every tangent ray carries the source function of cell $a$ to cell $b$:

$$ K_{ba} = \oint (1 - e^{-\tau_a})\, e^{-\tau_{ab}}\, (1 - e^{-\tau_b}) $$

over all oriented lines, $8 \pi^2 \int p\,dp$. Sources are flat in a cell, with a part
that does not depend on direction and one proportional to the radial cosine $\mu$, so
there are four matrices (which moment is emitted, which is received). Segment lengths
are rescaled so that each cell has its exact volume: what is emitted is then absorbed
or escapes, to rounding. Nothing but the scalar optical depth of the shell enters, so
the matrices are tabulated in its logarithm, once for a grid.

References:
    Carlvik (1967), Nucl. Sci. Eng. 29, 325 (tangent-ray collision probabilities).
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from jaxtyping import Float

LOG_STEP = 0.1
LOG_MIN, LOG_MAX = math.log(1e-4), math.log(3e3)
CORE_NODES, ANNULUS_NODES = 12, 3
NEGLIGIBLE = 1e-10


class Rays(NamedTuple):
    """Tangent rays: weights, and half-chords through the cells.

    Attributes:
        weight: Measure of the ray among all oriented lines, in outer radii squared.
        first: Innermost cell that the ray crosses.
        length: Half-chord through each cell [outer radii].
        cosine: Mean radial cosine on the outbound half-chord.
    """

    weight: Float[np.ndarray, " ray"]
    first: np.ndarray
    length: Float[np.ndarray, "ray cell"]
    cosine: Float[np.ndarray, "ray cell"]


class KernelTable(NamedTuple):
    """Collision and escape probabilities against log optical depth.

    Attributes:
        log_depth: Natural logarithm of the radial optical depth of the shell.
        matrix: Moment received in a cell for a unit source in another:
            (depth, received moment, emitted moment, received cell, emitting cell).
        escape: Logarithm of the luminosity that leaves, for a unit source in a cell.
        escape_ratio: Same for the mu source, over that of the isotropic source.
        volume: Volume of the cells [outer radii cubed].
        density: Density of the cells over radial column [1 / outer radius].
        edges: Edges of the cells [outer radii].
    """

    log_depth: Float[np.ndarray, " depth"]
    matrix: Float[np.ndarray, "depth 2 2 cell cell"]
    escape: Float[np.ndarray, "depth cell"]
    escape_ratio: Float[np.ndarray, "depth cell"]
    volume: Float[np.ndarray, " cell"]
    density: Float[np.ndarray, " cell"]
    edges: Float[np.ndarray, " edge"]


def tangent_rays(edges: Float[np.ndarray, " edge"]) -> Rays:
    """Rays through the cavity and, by Gauss-Legendre nodes, through every annulus.

    The impact parameter is $p^2 = r_{k+1}^2 - (r_{k+1}^2 - r_k^2) x^2$ with nodes in
    $x$, which takes the square root out of the chord lengths.
    """
    nodes, shares = np.polynomial.legendre.leggauss(ANNULUS_NODES)
    core, core_shares = np.polynomial.legendre.leggauss(CORE_NODES)
    # grazing rays matter most in thin inner cells: x = u^2 crowds the nodes there
    core, core_shares = (core + 1) / 2, core_shares / 2
    span = np.diff(edges**2)
    x = (nodes + 1) / 2
    squared = [edges[0] ** 2 * (1 - core**4)]
    weight = [edges[0] ** 2 * 2 * core**3 * core_shares]
    for k, width in enumerate(span):
        squared.append(edges[k + 1] ** 2 - width * x**2)
        weight.append(width * x * shares / 2)
    impact2 = np.concatenate(squared)
    measure = 8 * math.pi**2 * np.concatenate(weight)
    half = np.sqrt(np.maximum(edges**2 - impact2[:, None], 0))
    length = np.diff(half, axis=1)
    radius = np.maximum(edges, np.sqrt(impact2)[:, None])
    rise = np.diff(radius, axis=1)
    cosine = rise / np.where(length > 0, length, 1)
    volume = 4 * math.pi / 3 * np.diff(edges**3)
    length *= volume / (2 * measure @ length / (4 * math.pi))
    second = 2 * measure @ (length * cosine**2) / (4 * math.pi)
    cosine *= np.sqrt(volume / 3 / second)
    first = np.argmax(length > 0, axis=1)
    return Rays(measure, first, length, cosine)


@nb.njit(cache=True, nogil=True)
def _collect(weight, first, length, cosine, alpha, kernel, escape):
    """Add up all segment pairs of all rays for one set of cell opacities."""
    num_rays, num_cells = length.shape
    cell = np.empty(2 * num_cells, np.int64)
    mu = np.empty(2 * num_cells)
    stopped = np.empty(2 * num_cells)
    passed = np.empty(2 * num_cells)
    for ray in range(num_rays):
        count = num_cells - first[ray]
        for n in range(count):
            out = first[ray] + n
            depth = alpha[out] * length[ray, out]
            for k, sign in ((count + n, 1.0), (count - 1 - n, -1.0)):
                cell[k] = out
                mu[k] = sign * cosine[ray, out]
                stopped[k] = -np.expm1(-depth)
                passed[k] = 1 - stopped[k]
            if depth < 1e-3:
                own = depth * depth * (0.5 - depth / 6)
            else:
                own = depth - stopped[count + n]
            own *= 2 * weight[ray]
            square = cosine[ray, out] ** 2
            kernel[0, 0, out, out] += own
            kernel[1, 1, out, out] += own * square
        for a in range(2 * count):
            reach = weight[ray] * stopped[a]
            for b in range(a + 1, 2 * count):
                flow = reach * stopped[b]
                i, j = cell[a], cell[b]
                kernel[0, 0, j, i] += flow
                kernel[0, 1, j, i] += flow * mu[a]
                kernel[1, 0, j, i] += flow * mu[b]
                kernel[1, 1, j, i] += flow * mu[a] * mu[b]
                reach *= passed[b]
            escape[0, cell[a]] += reach
            escape[1, cell[a]] += reach * mu[a]


@nb.njit(cache=True, nogil=True)
def _tabulate(weight, first, length, cosine, density, depths):
    num, cells = len(depths), len(density)
    kernel = np.zeros((num, 2, 2, cells, cells))
    escape = np.zeros((num, 2, cells))
    for n in range(num):
        alpha = density * depths[n]
        _collect(weight, first, length, cosine, alpha, kernel[n], escape[n])
    return kernel, escape


def kernel_table(
    edges: Float[np.ndarray, " edge"], density: Float[np.ndarray, " cell"]
) -> KernelTable:
    """Tabulate the probabilities of a grid for all optical depths.

    Args:
        edges: Edges of the cells [outer radii].
        density: Density of the cells over radial column [1 / outer radius].
    """
    rays = tangent_rays(edges)
    log_depth = np.arange(LOG_MIN, LOG_MAX + LOG_STEP, LOG_STEP)
    depths = np.exp(log_depth)
    kernel, escape = _tabulate(*rays, density, depths)
    volume = 4 * math.pi / 3 * np.diff(edges**3)
    received = 4 * math.pi * density * volume * depths[:, None]
    kernel /= received[:, None, None, :, None]
    return KernelTable(
        log_depth=log_depth,
        matrix=kernel,
        escape=np.log(np.maximum(escape[:, 0], 1e-280)),
        escape_ratio=escape[:, 1] / np.maximum(escape[:, 0], 1e-280),
        volume=volume,
        density=density,
        edges=edges,
    )
