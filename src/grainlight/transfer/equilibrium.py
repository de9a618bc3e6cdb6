"""Radiative equilibrium of a shell: compiled inner loops."""

import numba as nb
import numpy as np

MAX_STEP = 0.7
SMALLEST_RATIO = 1e-4
NEWTON_BELOW = 0.1
MAX_ITERATIONS = 60
TOLERANCE = 1e-8


@nb.njit(cache=True, nogil=True)
def _planck(temperature, frequency, out, slope):
    """Planck function and its derivative by log temperature [cgs]."""
    for w in range(len(frequency)):
        front = 1.474499e-47 * frequency[w] ** 3
        for s in range(temperature.shape[0]):
            for i in range(temperature.shape[1]):
                x = 4.799243073366221e-11 * frequency[w] / temperature[s, i]
                x = min(x, 600.0)
                out[w, s, i] = front / np.expm1(x)
                slope[w, s, i] = out[w, s, i] * x / -np.expm1(-x)


@nb.njit(cache=True, nogil=True)
def _emission(weight, absorb, planck, slope):
    """Power that each species emits at each node, and its slope by log temperature."""
    num_wave, num_species, num = planck.shape
    emitted = np.zeros(num_species * num)
    rise = np.zeros(num_species * num)
    for w in range(num_wave):
        for s in range(num_species):
            factor = weight[w] * absorb[s, w]
            for i in range(num):
                emitted[s * num + i] += factor * planck[w, s, i]
                rise[s * num + i] += factor * slope[w, s, i]
    return emitted, rise / emitted


@nb.njit(cache=True, nogil=True)
def _balance(weight, absorb, share, gain, light, planck, slope, rise, newton):
    """Absorbed power as a linear function of the change of the emitted powers.

    Returns the matrix and the constant term, neither divided by emitted powers.
    """
    num_wave, num_species, num = planck.shape
    matrix = np.zeros((num_species * num, num_species * num))
    known = np.zeros(num_species * num)
    for w in range(num_wave):
        for t in range(num_species):
            for j in range(num):
                n = t * num + j
                shape = planck[w, t, j] * share[t, w, j]
                change = shape
                if newton:
                    change = slope[w, t, j] * share[t, w, j] / rise[n]
                for s in range(num_species):
                    factor = weight[w] * absorb[s, w]
                    for i in range(num):
                        reach = factor * gain[w, i, j]
                        matrix[s * num + i, n] -= reach * change
                        known[s * num + i] += reach * (shape - change)
        for s in range(num_species):
            factor = weight[w] * absorb[s, w]
            for i in range(num):
                known[s * num + i] += factor * light[w, i]
    return matrix, known


@nb.njit(cache=True, nogil=True)
def equilibrium(frequency, weight, absorb, share, gain, light, guess):
    """Temperatures at which every species at every node emits what it absorbs.

    The unknowns are emitted powers, in which the balance is nearly linear. While far
    off, the spectral shape of the emission is held and the powers are solved for:
    the matrix then has a positive inverse, so powers stay positive. Near the answer
    the change of shape is included (Newton).

    Args:
        frequency: Frequency [Hz], (wave,).
        weight: Quadrature weights of the integral over frequency, (wave,).
        absorb: Absorption opacity of each species, (species, wave).
        share: Thermal source of a species per unit of its Planck function: its share
            of the delta-scaled extinction, (species, wave, node).
        gain: From `responses`.
        light: From `responses`.
        guess: First temperatures [K], (species, node).

    Returns:
        Temperatures [K], (species, node); largest relative change of the last step;
        number of steps.
    """
    num_species, num = guess.shape
    temperature = guess.copy()
    planck = np.empty((len(frequency), num_species, num))
    slope = np.empty((len(frequency), num_species, num))
    largest = np.inf
    for step in range(MAX_ITERATIONS):
        newton = largest < NEWTON_BELOW
        _planck(temperature, frequency, planck, slope)
        emitted, rise = _emission(weight, absorb, planck, slope)
        matrix, known = _balance(
            weight, absorb, share, gain, light, planck, slope, rise, newton
        )
        for m in range(num_species * num):
            matrix[m] /= emitted[m]
            matrix[m, m] += 1.0
        ratio = np.linalg.solve(matrix, known / emitted)
        largest = 0.0
        for m in range(num_species * num):
            move = np.log(max(ratio[m], SMALLEST_RATIO)) / rise[m]
            move = min(max(move, -MAX_STEP), MAX_STEP)
            largest = max(largest, abs(move))
            temperature[m // num, m % num] *= np.exp(move)
        if largest < TOLERANCE:
            return temperature, largest, step + 1
    return temperature, largest, MAX_ITERATIONS
