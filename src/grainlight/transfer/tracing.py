"""Rays through a Cartesian grid of dust, cell by cell and layer by layer.

Lengths are in widths of a cell, columns in any unit.

References:
    Amanatides & Woo (1987), Eurographics 87, 3 (steps through a grid).
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np

FAR = 1e30


@nb.njit(cache=True, nogil=True)
def _axis(position, direction, num, half):
    """First cell along an axis, its step, distance to the next wall and between walls.

    Distances are infinite along an axis that the ray does not move on.
    """
    cell = min(max(int(position + half), 0), num - 1)
    if direction > 0:
        return cell, 1, (cell + 1 - half - position) / direction, 1 / direction
    if direction < 0:
        return cell, -1, (cell - half - position) / direction, -1 / direction
    return cell, 0, FAR, FAR


class Cells(NamedTuple):
    """Cells with dust on a cubic grid, and layers behind their lit faces.

    A point of a cell is as deep as it is behind the nearest of its lit faces; layers
    are nested boxes.

    Attributes:
        number: Number of each cell among those with dust, -1 without, (n, n, n).
        column: Mass column of one width of each cell with dust.
        first: Number of the first layer of each, and of all layers at the end; the
            layers of a cell follow from the face inwards.
        lit: Whether starlight reaches the face towards the middle of the grid along
            each axis, (cell, 3).
        depth: Depths at which layers end but for the last, in widths of a cell.
    """

    number: np.ndarray
    column: np.ndarray
    first: np.ndarray
    lit: np.ndarray
    depth: np.ndarray


@nb.njit(cache=True, nogil=True)
def _cross(point, direction, corner, lit, depth, begin, end, enter, leave):
    """How many layers deep a ray goes into a cell, and where it enters and leaves each.

    `corner` is the lower corner of the cell. The depth along the ray is a concave
    function, so that what is deeper than a layer is one stretch.
    """
    for k in range(len(depth)):
        low, high = begin, end
        for axis in range(3):
            if not lit[axis]:
                continue
            behind = point[axis] - corner[axis]
            speed = direction[axis]
            if corner[axis] < 0:
                behind, speed = 1 - behind, -speed
            if speed > 0:
                low = max(low, (depth[k] - behind) / speed)
            elif speed < 0:
                high = min(high, (depth[k] - behind) / speed)
            elif behind <= depth[k]:
                high = low
        if low >= high:
            return k
        enter[k], leave[k] = low, high
    return len(depth)


@nb.njit(cache=True, nogil=True)
def trace(point, direction, grid, cells, columns, target, most=FAR):
    """Follow a ray to the edge, or to where it has passed a column.

    Args:
        point: Where it begins, from the center of the grid.
        direction: Unit vector.
        grid: The cells.
        cells: Layers of cells on the way are written here.
        columns: And the column in each.
        target: Column at which to stop; negative to go on to the edge.
        most: How many layers to pass at most.

    Returns:
        How many were written, the whole column, and the distance to the end.
    """
    num, parts = grid.number.shape[0], len(grid.depth)
    half = 0.5 * num
    ix, step_x, next_x, wide_x = _axis(point[0], direction[0], num, half)
    iy, step_y, next_y, wide_y = _axis(point[1], direction[1], num, half)
    iz, step_z, next_z, wide_z = _axis(point[2], direction[2], num, half)
    here, count, total = 0.0, 0, 0.0
    enter, leave, corner = np.empty(parts), np.empty(parts), np.empty(3)
    while True:
        nearest = min(next_x, min(next_y, next_z))
        cell = grid.number[ix, iy, iz]
        if cell >= 0:
            first, dense, deepest = grid.first[cell], grid.column[cell], 0
            if grid.first[cell + 1] > first + 1:
                corner[0], corner[1], corner[2] = ix - half, iy - half, iz - half
                deepest = _cross(
                    point,
                    direction,
                    corner,
                    grid.lit[cell],
                    grid.depth,
                    here,
                    nearest,
                    enter,
                    leave,
                )
            for part in range(2 * deepest + 1):
                layer = part if part <= deepest else 2 * deepest - part
                end = nearest
                if part < deepest:
                    end = enter[part]
                elif part < 2 * deepest:
                    end = leave[2 * deepest - part - 1]
                more = dense * max(end - here, 0.0)
                if target >= 0 and total + more >= target and more > 0:
                    return count, target, here + (target - total) / dense
                if more > 0 or deepest == 0:
                    cells[count], columns[count] = first + layer, more
                    count += 1
                total += more
                here = max(end, here)
                if count >= most:
                    return count, total, here
        here = nearest
        if next_x <= nearest:
            ix += step_x
            next_x += wide_x
            if ix < 0 or ix >= num:
                return count, total, here
        elif next_y <= nearest:
            iy += step_y
            next_y += wide_y
            if iy < 0 or iy >= num:
                return count, total, here
        else:
            iz += step_z
            next_z += wide_z
            if iz < 0 or iz >= num:
                return count, total, here


@nb.njit(cache=True, nogil=True)
def room_for(grid):
    """Room for the layers on any ray."""
    return 4 * grid.number.shape[0] * (2 * len(grid.depth) + 1)


@nb.njit(cache=True, nogil=True)
def place_in_table(column, unit, step):
    """Place of a column in a table: `unit * (exp(step * place) - 1)` are its nodes."""
    return math.log1p(column / unit) / step
