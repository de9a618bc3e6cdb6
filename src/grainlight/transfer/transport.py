r"""What light does on its way through a grid of dust: compiled inner loops.

All dust has the same composition, so that the optical depth of a ray is the opacity
times its mass column $X$, at every wavelength. A ray then carries the whole spectrum:
what cells absorb of it follows from a table of $\int P_\nu (1 - e^{-\kappa_\nu X})\,
d\nu$. Only scattered light needs the wavelengths one by one; paths are shared by
neighbouring ones: each path is drawn for one of them at random and counts for all with
the weight of their mean density (the balance heuristic), so that no weight is larger
than the number that share it.

Lengths are in widths of a cell, columns in any unit.

References:
    Veach & Guibas (1995), SIGGRAPH 95, 419 (balance heuristic); Wilkie et al. (2014),
    Computer Graphics Forum 33, 123 (paths shared by wavelengths).
"""

import math

import numba as nb
import numpy as np

from grainlight.transfer.tracing import room_for, trace

FORWARD = 1e-3  # a mean cosine below it is isotropic
MOST_SCATTERINGS = 300
DARK = 1e-7  # share of a path's light that is not followed any farther
THINNEST = 1e-6  # depth of a layer, below which all are alike


@nb.njit(cache=True, nogil=True)
def _place(column, unit, step):
    """Place of a column in a table: `unit * (exp(step * place) - 1)` are its nodes."""
    return math.log1p(column / unit) / step


@nb.njit(cache=True, nogil=True)
def absorb_starlight(directions, grid, unit, step, table):
    """Direct starlight that the cells absorb.

    Args:
        directions: Unit vectors of equal solid angles, (ray, 3).
        grid: The cells.
        unit: Of the columns of the table, see `_place`.
        step: See `unit`.
        table: Power absorbed by each species on the way to a column, (species, column).

    Returns:
        Power absorbed, (species, layer); column of every ray, (ray,).
    """
    num_rays, size = directions.shape[0], table.shape[1]
    absorbed = np.zeros((table.shape[0], grid.first[-1]))
    totals = np.empty(num_rays)
    cells = np.empty(room_for(grid), np.int64)
    columns = np.empty(room_for(grid))
    center = np.zeros(3)
    for ray in range(num_rays):
        count, totals[ray], _ = trace(
            center, directions[ray], grid, cells, columns, -1.0
        )
        passed, low, part = 0.0, 0, 0.0
        for n in range(count):
            passed += columns[n]
            place = _place(passed, unit, step)
            low_end = min(int(place), size - 2)
            part_end = place - low_end
            for s in range(table.shape[0]):
                row = table[s]
                end = row[low_end] + part_end * (row[low_end + 1] - row[low_end])
                start = row[low] + part * (row[low + 1] - row[low])
                absorbed[s, cells[n]] += (end - start) / num_rays
            low, part = low_end, part_end
    return absorbed, totals


@nb.njit(cache=True, nogil=True)
def _henyey_greenstein(generator, cosine):
    """Draw the cosine of a scattering angle."""
    if abs(cosine) < FORWARD:
        return 2 * generator.random() - 1
    ratio = (1 - cosine**2) / (1 - cosine + 2 * cosine * generator.random())
    return min(max((1 + cosine**2 - ratio**2) / (2 * cosine), -1.0), 1.0)


@nb.njit(cache=True, nogil=True)
def _turn(generator, direction, mu):
    """Turn a unit vector by an angle of cosine `mu`, at random around it."""
    azimuth = 2 * math.pi * generator.random()
    sine = math.sqrt(max(1 - mu * mu, 0.0))
    u, v = sine * math.cos(azimuth), sine * math.sin(azimuth)
    x, y, z = direction[0], direction[1], direction[2]
    across = math.sqrt(max(1 - z * z, 0.0))
    if across < 1e-4:
        direction[0], direction[1], direction[2] = u, v, mu if z > 0 else -mu
    else:
        direction[0] = (x * z * u - y * v) / across + x * mu
        direction[1] = (y * z * u + x * v) / across + y * mu
        direction[2] = -u * across + z * mu
    size = math.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    direction /= size


@nb.njit(cache=True, nogil=True)
def scatter(
    generator,
    points,
    directions,
    power,
    opacity,
    albedo,
    cosine,
    share,
    zones,
    origins,
    grid,
    lowest,
):
    """Light that is scattered at least once, at wavelengths that share their paths.

    Every path is forced to interact as long as there is dust ahead; its light is
    absorbed along the whole ray, and what is left escapes. Faint paths are ended by
    Russian roulette.

    Args:
        generator: Of random numbers (NumPy).
        points: Where the light begins, (path, 3).
        directions: Where it goes first, (path, 3).
        power: Power of each path, (wave, path).
        opacity: Extinction, per column, (wave,).
        albedo: Share of it that scatters, (wave,).
        cosine: Mean cosine of scattering, (wave,).
        share: Share of the extinction that each species absorbs, (species, wave).
        zones: Zone from which each path comes, (path,).
        origins: Layer from which it comes, -1 if from none, (path,).
        grid: The cells.
        lowest: Weight below which a path is ended, or lives on with this weight.

    Returns:
        Power that is absorbed after scattering, (zone, species, cell), and escapes,
        (zone, wave), by the zone that it comes from; of each path, what comes back to
        the layer that it comes from, (path, species), and all of its power that is
        scattered, (path,).
    """
    num_wave, num_species = len(opacity), share.shape[0]
    num_zones = np.max(zones) + 1
    absorbed = np.zeros((num_zones, num_species, grid.first[-1]))
    escaped = np.zeros((num_zones, num_wave))
    back, whole = np.zeros((len(points), num_species)), np.zeros(len(points))
    cells = np.empty(room_for(grid), np.int64)
    columns = np.empty(room_for(grid))
    log_light, log_draw = np.empty(num_wave), np.empty(num_wave)
    weight, before = np.empty(num_wave), np.empty(num_wave)
    point, direction = np.empty(3), np.empty(3)
    for path in range(len(points)):
        point[:], direction[:] = points[path], directions[path]
        log_light[:], log_draw[:], zone = 0.0, 0.0, zones[path]
        hero, boost = generator.integers(0, num_wave), 1.0
        for order in range(MOST_SCATTERINGS):
            count, total, _ = trace(point, direction, grid, cells, columns, -1.0)
            if order > 0:
                top = np.max(log_draw)
                mean = np.mean(np.exp(log_draw - top))
                weight[:] = boost * np.exp(log_light - top) / mean
                largest = np.max(weight)
                if largest < lowest:
                    if generator.random() * lowest > largest:
                        break
                    boost *= lowest / largest
                    weight *= lowest / largest
                weight *= power[:, path]
                before[:] = 1.0
                passed, left = 0.0, 1.0
                for n in range(count):
                    if left < DARK:
                        break
                    passed, left = passed + columns[n], 0.0
                    for w in range(num_wave):
                        after = math.exp(-opacity[w] * passed)
                        stopped = weight[w] * (before[w] - after)
                        before[w] = after
                        left = max(left, after)
                        for s in range(num_species):
                            taken = stopped * share[s, w]
                            whole[path] += taken
                            if cells[n] == origins[path]:
                                back[path, s] += taken
                            else:
                                absorbed[zone, s, cells[n]] += taken
                escaped[zone] += weight * before
                whole[path] += np.sum(weight * before)
            if total <= 0:
                break
            # the next interaction lies on the ray, whatever its depth
            reached = -math.expm1(-opacity[hero] * total)
            here = -math.log1p(-generator.random() * reached) / opacity[hero]
            here = min(here, total * (1 - 1e-9))
            _, _, distance = trace(point, direction, grid, cells, columns, here)
            point += direction * distance
            mu = _henyey_greenstein(generator, cosine[hero])
            _turn(generator, direction, mu)
            for w in range(num_wave):
                squared = cosine[w] ** 2
                phase = math.log(1 - squared)
                phase -= 1.5 * math.log(1 + squared - 2 * cosine[w] * mu)
                chance = math.log(opacity[w]) - opacity[w] * here + phase
                log_light[w] += chance + math.log(albedo[w] + 1e-300)
                log_draw[w] += chance - math.log(-math.expm1(-opacity[w] * total))
    return absorbed, escaped, back, whole


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
        unit: Of the columns of a table, see `_place`.
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
        mu = 2 * (ray % per_cell + draws[ray, 0]) / per_cell - 1
        azimuth = 2 * math.pi * draws[ray, 1]
        sine = math.sqrt(1 - mu * mu)
        direction[0], direction[1] = sine * math.cos(azimuth), sine * math.sin(azimuth)
        direction[2] = mu
        back[:] = -direction
        _, behind, _ = trace(points[ray], back, grid, some, columns, -1.0, 1)
        count, totals[ray], _ = trace(points[ray], direction, grid, some, columns, -1.0)
        if ray % per_cell == 0:
            shift = generator.integers(0, per_cell)
            thick = max(depths[ray // per_cell], THINNEST)
        stratum = (ray + shift) % per_cell
        span = math.log1p(thick)
        low = math.expm1(span * stratum / per_cell) / thick
        high = math.expm1(span * (stratum + 1) / per_cell) / thick
        weights[ray] = high - low
        if count > 0 and some[0] == ray // per_cell:  # else it is on the wall
            ahead = (low + (high - low) * draws[ray, 2]) * (columns[0] + behind)
            totals[ray] += ahead - columns[0]
            columns[0] = ahead
        first[ray] = place
        if place + count > len(cells):
            return -1
        total = 0.0
        for n in range(count):
            total += columns[n]
            cells[place] = some[n]
            places[place] = _place(total, unit, step)
            place += 1
    first[len(points)] = place
    return place
