"""What becomes of the light of cells along recorded rays: compiled inner loops.

The rays are those of `recording.record_rays`; tables are told by temperature and column
(see `GridTables`).
"""

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def _node(place, last):
    """The node of a table before a place, and the part of the way to the next one."""
    node = min(int(place), last)
    return node, place - node


@nb.njit(cache=True, nogil=True)
def _share(table, s, warm, mix, far, part, t):
    """A table between four of its nodes, those of a temperature and a column."""
    cool = table[s, warm, far, t]
    cool += part * (table[s, warm, far + 1, t] - cool)
    hot = table[s, warm + 1, far, t]
    hot += part * (table[s, warm + 1, far + 1, t] - hot)
    return cool + mix * (hot - cool)


@nb.njit(cache=True, nogil=True)
def exchange(power, warmth, mass, per_cell, weights, first, cells, places, table):
    """What species in cells give each other by light along recorded rays.

    Light takes the same way back. A ray tells what the cell that it comes from gives
    to each cell that it passes, and what it gets from there: of two cells as warm as
    each other both have the same. The way between two cells is on rays of both; those
    of a cell count with the share that the other has of their mass, as they are the
    denser the smaller it is (the balance heuristic).

    Args:
        power: Power emitted, (species, cell).
        warmth: Place of the temperature in the table, (species, cell).
        mass: Mass of the cell, in any unit, (cell,).
        per_cell: Rays of a cell.
        weights: From `record_rays`, as are `first`, `cells` and `places`.
        first: See `weights`.
        cells: See `weights`.
        places: See `weights`.
        table: Share absorbed by a species of the light of another, on the way to a
            column, (emitting, temperature, column, absorbing).

    Returns:
        Power that each gets of the others, and gives to them, (species, cell) both.
    """
    num_species, num_cells = power.shape
    warmest, longest = table.shape[1] - 2, table.shape[2] - 2
    gotten = np.zeros((num_species, num_cells))
    given = np.zeros((num_species, num_cells))
    before = np.empty((num_species, num_species))
    for cell in range(num_cells):
        for ray in range(cell * per_cell, (cell + 1) * per_cell):
            before[:] = 0.0
            was_near, was_part = 0, 0.0
            for n in range(first[ray], first[ray + 1]):
                other = cells[n]
                near, part = _node(places[n], longest)
                share = weights[ray]
                if other != cell:
                    share *= mass[other] / (mass[cell] + mass[other])
                back = share * mass[cell] / mass[other]
                for s in range(num_species):
                    low, mix = _node(warmth[s, cell], warmest)
                    low_there, mix_there = _node(warmth[s, other], warmest)
                    for t in range(num_species):
                        passed = _share(table, s, low, mix, near, part, t)
                        sent = share * power[s, cell] * (passed - before[s, t])
                        before[s, t] = passed
                        if other != cell or s != t:
                            given[s, cell] += sent
                            gotten[t, other] += sent
                        if other != cell:
                            sent = _share(table, s, low_there, mix_there, near, part, t)
                            sent -= _share(
                                table, s, low_there, mix_there, was_near, was_part, t
                            )
                            sent *= back * power[s, other]
                            given[s, other] += sent
                            gotten[t, cell] += sent
                was_near, was_part = near, part
    return gotten, given


@nb.njit(cache=True, nogil=True)
def ended(power, warmth, per_cell, weights, ends, table):
    """Part of the light of cells that has some fate by the end of their rays.

    Args:
        power: Power emitted, (species, cell).
        warmth: Place of the temperature in the table, (species, cell).
        per_cell: Rays of a cell.
        weights: Share of the light of its cell that each ray stands for, (ray,).
        ends: Place in the table of the whole column of each ray.
        table: Share of the light of a species that has the fate, on the way to a
            column, (species, temperature, column, 1).

    Returns:
        Power, (species, cell).
    """
    num_species, num_cells = power.shape
    warmest, longest = table.shape[1] - 2, table.shape[2] - 2
    found = np.zeros((num_species, num_cells))
    for s in range(num_species):
        for cell in range(num_cells):
            low, mix = _node(warmth[s, cell], warmest)
            for ray in range(cell * per_cell, (cell + 1) * per_cell):
                near, part = _node(ends[ray], longest)
                share = _share(table, s, low, mix, near, part, 0)
                found[s, cell] += power[s, cell] * share * weights[ray]
    return found


@nb.njit(cache=True, nogil=True)
def emitted(power, warmth, spectrum):
    """Power that cells emit at each wavelength, (wave, cell).

    Args:
        power: Power emitted, (species, cell).
        warmth: Place of the temperature in the table, (species, cell).
        spectrum: Share of each wavelength in the power, (species, temperature, wave).
    """
    num_species, num_cells = power.shape
    warmest, num_wave = spectrum.shape[1] - 2, spectrum.shape[2]
    light = np.zeros((num_wave, num_cells))
    for s in range(num_species):
        for w in range(num_wave):
            column = spectrum[s, :, w].copy()
            for cell in range(num_cells):
                low, mix = _node(warmth[s, cell], warmest)
                mixed = column[low] + mix * (column[low + 1] - column[low])
                light[w, cell] += power[s, cell] * mixed
    return light


@nb.njit(cache=True, nogil=True)
def leave(power, warmth, spectrum, waves, shares):
    """Light of cells of which a share escapes, at some wavelengths.

    Args:
        power: Power emitted, (species, cell).
        warmth: Place of the temperature in the table, (species, cell).
        spectrum: Share of each wavelength in the power, (species, temperature, wave).
        waves: Numbers of the wavelengths, (some,).
        shares: Share of the light of a cell that escapes, (cell, some).

    Returns:
        Power that escapes, (species, cell), and its spectrum, (wave,).
    """
    num_species, num_cells = power.shape
    warmest = spectrum.shape[1] - 2
    found, light = np.zeros((num_species, num_cells)), np.zeros(spectrum.shape[2])
    for s in range(num_species):
        for cell in range(num_cells):
            low, mix = _node(warmth[s, cell], warmest)
            for n in range(len(waves)):
                w = waves[n]
                cool, hot = spectrum[s, low, w], spectrum[s, low + 1, w]
                one = power[s, cell] * (cool + mix * (hot - cool)) * shares[cell, n]
                found[s, cell] += one
                light[w] += one
    return found, light
