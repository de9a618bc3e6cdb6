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

from grainlight.transfer.tracing import place_in_table, room_for, trace

FORWARD = 1e-3  # a mean cosine below it is isotropic
MOST_SCATTERINGS = 300
DARK = 1e-7  # share of a path's light that is not followed any farther


@nb.njit(cache=True, nogil=True)
def absorb_starlight(directions, grid, unit, step, table):
    """Direct starlight that the cells absorb.

    Args:
        directions: Unit vectors of equal solid angles, (ray, 3).
        grid: The cells.
        unit: Of the columns of the table, see `tracing.place_in_table`.
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
            place = place_in_table(passed, unit, step)
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
def _weigh(generator, log_light, log_draw, boost, lowest, weight):
    """Weights of a path at all its wavelengths; its boost, zero where it is ended.

    The light of each wavelength over the mean density with which the path was drawn
    for all of them (the balance heuristic). Those of a faint path are raised to
    `lowest`, or it is ended, at random.
    """
    top = np.max(log_draw)
    mean = np.mean(np.exp(log_draw - top))
    weight[:] = boost * np.exp(log_light - top) / mean
    largest = np.max(weight)
    if largest < lowest:
        if generator.random() * lowest > largest:
            return 0.0
        boost *= lowest / largest
        weight *= lowest / largest
    return boost


@nb.njit(cache=True, nogil=True)
def _deposit(
    path,
    weight,
    left,
    count,
    cells,
    columns,
    opacity,
    share,
    origin,
    absorbed,
    back,
    whole,
):
    """Add what cells on a ray absorb of the light of a path.

    What is left of each wavelength at the end is written to `left`. The layer that the
    light comes from has its part in `back`.
    """
    left[:] = 1.0
    passed, most = 0.0, 1.0
    for n in range(count):
        if most < DARK:
            break
        passed, most = passed + columns[n], 0.0
        for w in range(len(opacity)):
            after = math.exp(-opacity[w] * passed)
            stopped = weight[w] * (left[w] - after)
            left[w] = after
            most = max(most, after)
            for s in range(len(share)):
                taken = stopped * share[s, w]
                whole[path] += taken
                if cells[n] == origin:
                    back[path, s] += taken
                else:
                    absorbed[s, cells[n]] += taken


@nb.njit(cache=True, nogil=True)
def _count_scattering(mu, here, total, opacity, albedo, cosine, log_light, log_draw):
    """Count a scattering by an angle, at a column, in the light and in the draw.

    The draw is forced to lie on the ray, whose column is `total`; the light is not.
    """
    for w in range(len(opacity)):
        squared = cosine[w] ** 2
        phase = math.log(1 - squared)
        phase -= 1.5 * math.log(1 + squared - 2 * cosine[w] * mu)
        chance = math.log(opacity[w]) - opacity[w] * here + phase
        log_light[w] += chance + math.log(albedo[w] + 1e-300)
        log_draw[w] += chance - math.log(-math.expm1(-opacity[w] * total))


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
    weight, left = np.empty(num_wave), np.empty(num_wave)
    point, direction = np.empty(3), np.empty(3)
    for path in range(len(points)):
        point[:], direction[:] = points[path], directions[path]
        log_light[:], log_draw[:], zone = 0.0, 0.0, zones[path]
        hero, boost = generator.integers(0, num_wave), 1.0
        for order in range(MOST_SCATTERINGS):
            count, total, _ = trace(point, direction, grid, cells, columns, -1.0)
            if order > 0:
                boost = _weigh(generator, log_light, log_draw, boost, lowest, weight)
                if boost == 0:
                    break
                weight *= power[:, path]
                _deposit(
                    path,
                    weight,
                    left,
                    count,
                    cells,
                    columns,
                    opacity,
                    share,
                    origins[path],
                    absorbed[zone],
                    back,
                    whole,
                )
                escaped[zone] += weight * left
                whole[path] += np.sum(weight * left)
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
            _count_scattering(
                mu, here, total, opacity, albedo, cosine, log_light, log_draw
            )
    return absorbed, escaped, back, whole
