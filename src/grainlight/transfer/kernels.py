r"""What the sources in a shell do to its cells: kernels of the transfer.

Beams run along tangent rays. The source function is linear along a beam between the
mid-points of the cells (its *nodes*), with a part that does not depend on direction
and one proportional to the radial cosine $\mu$. Cells receive what is stopped in them:
the mean intensity and, weighted with $\mu$, the flux. So there are four matrices (which
moment is received, which is emitted).

- Flat sources would leak between cells that are thick to their own emission; linear
  ones give the diffusion limit exactly, since cell walls lie between nodes.
- Segment lengths are rescaled so that every half-cell has its exact volume. What is
  emitted is then stopped or escapes, to rounding.
- Cells receive, nodes emit. The share $M_{ji}$ of node $i$ in the emission of cell $j$
  turns one into the other: $J_{\rm node} = M^{-1} J_{\rm cell}$.

Nothing but the scalar optical depth of the shell enters, so the matrices are tabulated
in its logarithm, once for a grid.

References:
    Carlvik (1967), Nucl. Sci. Eng. 29, 325 (collision probabilities on tangent rays);
    Olson & Kunasz (1987), JQSRT 38, 325 (linear sources along a beam).
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from jaxtyping import Float

LOG_STEP = 0.1
LOG_MIN, LOG_MAX = math.log(1e-3), math.log(3e3)
CORE_NODES, ANNULUS_NODES = 12, 2
THIN = 1e-3


class Rays(NamedTuple):
    """Tangent rays: weights, and outbound half-chords through the half-cells.

    Attributes:
        weight: Measure of the ray among all oriented lines, in outer radii squared.
        impact: Impact parameter [outer radii].
        first: Innermost half-cell that the ray crosses.
        length: Half-chord through each half-cell [outer radii].
        cosine: Mean radial cosine on it.
    """

    weight: Float[np.ndarray, " ray"]
    impact: Float[np.ndarray, " ray"]
    first: np.ndarray
    length: Float[np.ndarray, "ray half"]
    cosine: Float[np.ndarray, "ray half"]


class KernelTable(NamedTuple):
    """Kernels against log optical depth.

    Attributes:
        log_depth: Natural logarithm of the radial optical depth of the shell.
        matrix: Moment received at a node for a unit source at another:
            (depth, received moment, emitted moment, receiving node, emitting node).
        escape: Logarithm of the luminosity that leaves, for a unit source at a node.
        escape_ratio: Same for the mu source, over that of the isotropic source.
        mass: Volume times density that shines with a node, in units of column times
            outer radius squared.
        edges: Edges of the cells [outer radii].
    """

    log_depth: Float[np.ndarray, " depth"]
    matrix: Float[np.ndarray, "depth 2 2 node node"]
    escape: Float[np.ndarray, "depth node"]
    escape_ratio: Float[np.ndarray, "depth node"]
    mass: Float[np.ndarray, " node"]
    edges: Float[np.ndarray, " edge"]


def half_edges(edges: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " half"]:
    """Edges of the half-cells: edges and mid-points of the cells in turn."""
    fine = np.empty(2 * len(edges) - 1)
    fine[::2] = edges
    fine[1::2] = 0.5 * (edges[1:] + edges[:-1])
    return fine


def tangent_rays(fine: Float[np.ndarray, " edge"]) -> Rays:
    """Rays through the cavity and, by Gauss-Legendre nodes, through every annulus.

    The impact parameter is $p^2 = r_{k+1}^2 - (r_{k+1}^2 - r_k^2) x^2$ with nodes in
    $x$, which takes the square root out of the chord lengths.
    """
    nodes, shares = np.polynomial.legendre.leggauss(ANNULUS_NODES)
    core, core_shares = np.polynomial.legendre.leggauss(CORE_NODES)
    # grazing rays matter most in thin inner cells: x = u^2 crowds the nodes there
    core, core_shares = (core + 1) / 2, core_shares / 2
    x = (nodes + 1) / 2
    squared = [fine[0] ** 2 * (1 - core**4)]
    weight = [fine[0] ** 2 * 2 * core**3 * core_shares]
    for k, width in enumerate(np.diff(fine**2)):
        squared.append(fine[k + 1] ** 2 - width * x**2)
        weight.append(width * x * shares / 2)
    impact2 = np.concatenate(squared)
    measure = 8 * math.pi**2 * np.concatenate(weight)
    half = np.sqrt(np.maximum(fine**2 - impact2[:, None], 0))
    length = np.diff(half, axis=1)
    radius = np.maximum(fine, np.sqrt(impact2)[:, None])
    cosine = np.diff(radius, axis=1) / np.where(length > 0, length, 1)
    volume = 4 * math.pi / 3 * np.diff(fine**3)
    length *= volume / (2 * measure @ length / (4 * math.pi))
    second = 2 * measure @ (length * cosine**2) / (4 * math.pi)
    cosine *= np.sqrt(volume / 3 / second)
    first = np.argmax(length > 0, axis=1)
    return Rays(measure, np.sqrt(impact2), first, length, cosine)


def node_weights(fine: Float[np.ndarray, " edge"]) -> Float[np.ndarray, "edge node"]:
    """Values at the edges of half-cells from those at the nodes.

    Linear in radius between nodes, constant from the outermost nodes to the walls.
    """
    nodes = fine[1::2]
    unit = np.eye(len(nodes))
    return np.stack([np.interp(fine, nodes, row) for row in unit], axis=1)


@nb.njit(cache=True, nogil=True)
def _linear_source(depth):
    """Shares of the near and far end in the light that leaves a segment, and stopped.

    Returns (share of the entry value, share of the exit value, stopped fraction).
    """
    stopped = -np.expm1(-depth)
    if depth < THIN:
        # series: the closed forms cancel
        entry = depth * (0.5 - depth / 3)
        leave = depth * (0.5 - depth / 6)
        return entry, leave, stopped
    leave = 1 - stopped / depth
    return stopped - leave, leave, stopped


@nb.njit(cache=True, nogil=True)
def march(weight, impact, first, length, cosine, alpha, fine, received, left):
    """Carry unit sources of all edges along all rays for one set of opacities.

    Adds to `received`, (moment received, cell, moment emitted * edges + edge), and to
    `left`, (moment emitted * edges + edge).
    """
    num_rays, num_half = length.shape
    num_edges = num_half + 1
    light = np.empty(2 * num_edges)
    for ray in range(num_rays):
        light[:] = 0.0
        count = num_half - first[ray]
        innermost = first[ray]
        tangent = impact[ray] > fine[0]
        span = fine[innermost + 1] - fine[innermost]
        # value at the tangent point between the two edges of the innermost half-cell
        above = (impact[ray] - fine[innermost]) / span if tangent else 0.0
        for step in range(2 * count):
            inbound = step < count
            half = num_half - 1 - step if inbound else innermost + step - count
            mu = -cosine[ray, half] if inbound else cosine[ray, half]
            depth = alpha[half] * length[ray, half]
            entry, leave, stopped = _linear_source(depth)
            at_entry = half + 1 if inbound else half
            at_exit = half if inbound else half + 1
            cell = half // 2
            w = weight[ray]
            scale = w * stopped
            for n in range(2 * num_edges):
                flow = scale * light[n]
                received[0, cell, n] += flow
                received[1, cell, n] += flow * mu
                light[n] *= 1 - stopped
            bottom = tangent and half == innermost
            for end in range(2):
                place = at_entry if end == 0 else at_exit
                out = entry if end == 0 else leave
                kept = w * (0.5 * depth - out)
                if depth < THIN:
                    kept = w * depth * depth * (1 / 3 if end == 0 else 1 / 6)
                # the end at the tangent point is shared by the two edges around it
                shared = bottom and (end == 1) == inbound
                for part in range(2 if shared else 1):
                    edge = innermost + part if shared else place
                    much = 1.0
                    if shared:
                        much = above if part == 1 else 1 - above
                    for moment in range(2):
                        n = moment * num_edges + edge
                        tilt = mu if moment == 1 else 1.0
                        light[n] += much * out * tilt
                        received[0, cell, n] += much * kept * tilt
                        received[1, cell, n] += much * kept * tilt * mu
        for n in range(2 * num_edges):
            left[n] += weight[ray] * light[n]


@nb.njit(cache=True, nogil=True)
def _tabulate(weight, impact, first, length, cosine, density, fine, depths):
    num, num_half = len(depths), len(density)
    received = np.zeros((num, 2, num_half // 2, 2 * (num_half + 1)))
    left = np.zeros((num, 2 * (num_half + 1)))
    for n in range(num):
        march(
            weight,
            impact,
            first,
            length,
            cosine,
            density * depths[n],
            fine,
            received[n],
            left[n],
        )
    return received, left


def unit_emission(
    rays: Rays, fine: Float[np.ndarray, " edge"]
) -> Float[np.ndarray, "half edge"]:
    """Emission of half-cells of unit extinction per unit source at each edge.

    It is what the rays have, so that nothing is lost between source and receiver.
    """
    half = rays.weight @ rays.length
    share = np.zeros((len(half), len(fine)))
    index = np.arange(len(half))
    share[index, index] = share[index, index + 1] = half
    for ray, innermost in enumerate(rays.first):
        if rays.impact[ray] > fine[0]:
            span = fine[innermost + 1] - fine[innermost]
            above = (rays.impact[ray] - fine[innermost]) / span
            moved = rays.weight[ray] * rays.length[ray, innermost]
            # the lower end lies at the tangent point, not at the lower edge
            share[innermost, innermost] -= moved * above
            share[innermost, innermost + 1] += moved * above
    return share


def kernel_table(
    edges: Float[np.ndarray, " edge"], density: Float[np.ndarray, " half"]
) -> KernelTable:
    """Tabulate the kernels of a grid for all optical depths.

    Args:
        edges: Edges of the cells [outer radii].
        density: Density of the half-cells over radial column [1 / outer radius].
    """
    fine = half_edges(edges)
    rays = tangent_rays(fine)
    log_depth = np.arange(LOG_MIN, LOG_MAX + LOG_STEP, LOG_STEP)
    depths = np.exp(log_depth)
    received, left = _tabulate(*rays, density, fine, depths)
    num, num_cells = len(depths), len(edges) - 1
    fold = node_weights(fine)
    received = received.reshape(num, 2, num_cells, 2, len(fine)) @ fold
    left = left.reshape(num, 2, len(fine)) @ fold
    emission = density[:, None] * unit_emission(rays, fine)
    emission = (emission[::2] + emission[1::2]) @ fold
    inverse = np.linalg.inv(emission)
    matrix = np.einsum("kj,drjmi->drmki", inverse, received, optimize=True)
    matrix /= depths[:, None, None, None, None]
    return KernelTable(
        log_depth=log_depth,
        matrix=np.ascontiguousarray(matrix),
        escape=np.log(np.maximum(left[:, 0], 1e-280)),
        escape_ratio=left[:, 1] / np.maximum(left[:, 0], 1e-280),
        mass=emission.sum(axis=0) / (4 * math.pi),
        edges=edges,
    )
