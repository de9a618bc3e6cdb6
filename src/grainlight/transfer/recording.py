"""Where the light of layers begins, and what it passes: compiled inner loops.

Light of dust that is thick to it leaves from near the walls of its layer. Rays and
paths begin there, with weights. Lengths are in widths of a cell, columns in any unit.
"""

import math

import numba as nb
import numpy as np

from grainlight.transfer.tracing import place_in_table, room_for, trace

THINNEST = 1e-6  # depth of a layer, below which all are alike


@nb.njit(cache=True, nogil=True)
def toward_walls(chance, points, directions, opacity, grid):
    """Move points of thick layers along their directions, nearer to the walls.

    A point that is evenly drawn in a layer lies evenly on the stretch of its line that
    the layer holds. Light leaves a stretch of a depth $t$ from about $1/t$ of it at
    either end, forwards or scattered back. The share $u$ of it that is ahead is drawn
    with a density in proportion to $1/(1 + t u) + 1/(1 + t (1 - u))$ instead: as many
    points are in every octave of depth.

    Args:
        chance: Random numbers from 0 to 1, (point,).
        points: Points, (point, 3); they are moved.
        directions: Unit vectors, (point, 3).
        opacity: Extinction, per column.
        grid: The cells.

    Returns:
        Weights of the points, one on average, (point,).
    """
    cells, columns = np.empty(room_for(grid), np.int64), np.empty(room_for(grid))
    weights, back = np.ones(len(points)), np.empty(3)
    for n in range(len(points)):
        _, ahead, forth = trace(points[n], directions[n], grid, cells, columns, -1.0, 1)
        back[:] = -directions[n]
        _, behind, _ = trace(points[n], back, grid, cells, columns, -1.0, 1)
        depth = max(opacity * (ahead + behind), THINNEST)
        if ahead <= 0:
            continue
        span = math.log1p(depth)
        is_far = chance[n] < 0.5
        left = math.expm1(span * (2 * chance[n] % 1)) / depth
        left = min(left, 1.0)
        weights[n] = 2 * span / (1 / (left + 1 / depth) + 1 / (1 - left + 1 / depth))
        if is_far:
            left = 1 - left
        whole = forth * (1 + behind / ahead)
        points[n] += directions[n] * (forth - left * whole)
    return weights


@nb.njit(cache=True, nogil=True)
def _aim(direction, mu, azimuth):
    """Write a unit vector of a height and an azimuth."""
    sine = math.sqrt(1 - mu * mu)
    direction[0], direction[1] = sine * math.cos(azimuth), sine * math.sin(azimuth)
    direction[2] = mu


@nb.njit(cache=True, nogil=True)
def _stratum(number, count, depth):
    r"""Bounds of a part of a stretch of a depth, thinner ones nearer to its end.

    They are shares of the stretch, counted from that end: parts of equal steps of
    $\log(1 + t u)$ for a depth $t$.
    """
    span = math.log1p(depth)
    low = math.expm1(span * number / count) / depth
    return low, math.expm1(span * (number + 1) / count) / depth


@nb.njit(cache=True, nogil=True)
def _write(count, some, columns, unit, step, cells, places):
    """Write the cells on a ray, and the places of the columns up to their far walls."""
    total = 0.0
    for n in range(count):
        total += columns[n]
        cells[n] = some[n]
        places[n] = place_in_table(total, unit, step)


@nb.njit(cache=True, nogil=True)
def record_rays(
    generator,
    points,
    draws,
    per_cell,
    depths,
    grid,
    unit,
    step,
    cells,
    places,
    first,
    totals,
    weights,
):
    """Follow one ray from every point, in directions stratified for each cell.

    So are the beginnings of the rays on the stretch of their line that the cell holds,
    nearer to the wall ahead the thicker it is: light leaves from there.

    Args:
        generator: Of random numbers (NumPy).
        points: A point on each ray: `per_cell` of each cell in turn.
        draws: Numbers from 0 to 1 for the angles of each ray and its beginning, (ray,
            3 or more).
        per_cell: Rays of a cell.
        depths: Optical depth of each cell, which tells how near, (cell,).
        grid: The cells.
        unit: Of the columns of a table, see `tracing.place_in_table`.
        step: See `unit`.
        cells: Cells on the way of all rays are written here.
        places: And the place in the table of the column up to the far wall of each.
        first: Where each ray begins in these, (ray + 1,).
        totals: Column of each ray, (ray,).
        weights: Share of the light of its cell that each ray stands for, (ray,).

    Returns:
        Number of cells written, -1 if there was no room.
    """
    some = np.empty(room_for(grid), np.int64)
    columns = np.empty(room_for(grid))
    direction, back, place, shift, thick = np.empty(3), np.empty(3), 0, 0, 0.0
    for ray in range(len(points)):
        height = (ray % per_cell + draws[ray, 0]) / per_cell
        _aim(direction, 2 * height - 1, 2 * math.pi * draws[ray, 1])
        back[:] = -direction
        _, behind, _ = trace(points[ray], back, grid, some, columns, -1.0, 1)
        count, totals[ray], _ = trace(points[ray], direction, grid, some, columns, -1.0)
        if ray % per_cell == 0:
            shift = generator.integers(0, per_cell)
            thick = max(depths[ray // per_cell], THINNEST)
        low, high = _stratum((ray + shift) % per_cell, per_cell, thick)
        weights[ray] = high - low
        if count > 0 and some[0] == ray // per_cell:  # else it is on the wall
            ahead = (low + (high - low) * draws[ray, 2]) * (columns[0] + behind)
            totals[ray] += ahead - columns[0]
            columns[0] = ahead
        first[ray] = place
        if place + count > len(cells):
            return -1
        _write(count, some, columns, unit, step, cells[place:], places[place:])
        place += count
    first[len(points)] = place
    return place
