r"""Radiative equilibrium of a shell: compiled inner loops.

For each wavelength the mean intensity and flux moments solve

$$ J = \Lambda_{00} A + \Lambda_{01} C + J_\star, \qquad
   H = \Lambda_{10} A + \Lambda_{11} C + H_\star, $$

with $A = (1 - \omega) B + \omega J$ and $C = 3 \omega g H$; the answer is linear in
the thermal source, so that steps in all temperatures of all species need no
further transfer. Opacities are delta-scaled (Joseph et al. 1976): a share $g^2$ of the
scattering goes straight on, and $g \to g / (1 + g)$ for the rest.

References:
    Joseph, Wiscombe & Weinman (1976), J. Atmos. Sci. 33, 2452.
"""

import numba as nb
import numpy as np

from grainlight.transfer.kernels import LOG_MAX, LOG_MIN, LOG_STEP

FAINT_ALBEDO = 1e-6
FAINT_ANISOTROPY = 1e-3
MAX_STEP = 0.7
SMALLEST_RATIO = 1e-4
NEWTON_BELOW = 0.1
MAX_ITERATIONS = 60
TOLERANCE = 1e-8


@nb.njit(cache=True, nogil=True)
def _interpolate(table, log_depth, out):
    """Four-point Lagrange interpolation along the first axis."""
    x = (min(max(log_depth, LOG_MIN), LOG_MAX) - LOG_MIN) / LOG_STEP
    low = min(max(int(x), 1), table.shape[0] - 3)
    t = x - low
    c0 = -t * (t - 1) * (t - 2) / 6
    c1 = (t + 1) * (t - 1) * (t - 2) / 2
    c2 = -(t + 1) * t * (t - 2) / 2
    c3 = (t + 1) * t * (t - 1) / 6
    t0, t1 = table[low - 1].ravel(), table[low].ravel()
    t2, t3 = table[low + 1].ravel(), table[low + 2].ravel()
    flat = out.ravel()
    for n in range(flat.size):
        flat[n] = c0 * t0[n] + c1 * t1[n] + c2 * t2[n] + c3 * t3[n]


@nb.njit(cache=True, nogil=True)
def responses(
    depth, albedo, cosine, star, hot, matrix, log_escape, escape_ratio, column, mass
):
    """Response of the cells and of the escaping light, wavelength by wavelength.

    Args:
        depth: Delta-scaled radial optical depth, (wave,).
        albedo: Delta-scaled albedo, (wave,).
        cosine: Delta-scaled mean cosine, (wave,).
        star: Luminosity of the star [any unit], (wave,).
        hot: Wavelengths at which grains never shine: only starlight is needed.
        matrix, log_escape, escape_ratio: The kernel table.
        column: Share of the radial column inside each edge, (edge,).
        mass: Volume times density of the nodes, (cell,).

    Returns:
        Mean intensity per unit thermal source, (wave, cell, cell); mean intensity of
        starlight, (wave, cell); escaping luminosity per unit thermal source,
        (wave, cell); escaping starlight, scattered light included, (wave,).
    """
    num_wave, num = len(depth), len(mass)
    gain = np.zeros((num_wave, num, num))
    light = np.zeros((num_wave, num))
    leave = np.zeros((num_wave, num))
    escaped = np.zeros(num_wave)
    blocks = np.empty((2, 2, num, num))
    escape = np.empty(num)
    ratio = np.empty(num)
    beam = np.empty(num)
    for w in range(num_wave):
        x = depth[w]
        # below the table everything is proportional to the optical depth
        log_depth = np.log(max(x, 1e-300))
        scale = min(x / np.exp(LOG_MIN), 1.0)
        omega, tilt = albedo[w], 3 * albedo[w] * cosine[w]
        if omega < FAINT_ALBEDO:
            omega = 0.0
        if abs(tilt) < FAINT_ANISOTROPY:
            tilt = 0.0
        if tilt == 0.0:
            _interpolate(matrix[:, 0, 0], log_depth, blocks[0, 0])
        else:
            _interpolate(matrix, log_depth, blocks)
        _interpolate(log_escape, log_depth, escape)
        _interpolate(escape_ratio, log_depth, ratio)
        for i in range(num):
            escape[i] = np.exp(escape[i]) * scale
            into = np.exp(-x * column[i]) * -np.expm1(-x * (column[i + 1] - column[i]))
            beam[i] = star[w] * into / (4 * np.pi * max(x, 1e-300) * mass[i])
            if x < 1e-12:
                beam[i] = star[w] * (column[i + 1] - column[i])
                beam[i] /= 4 * np.pi * mass[i]
        blocks *= scale
        columns = 1 if hot[w] else num + 1
        size = num if tilt == 0.0 else 2 * num
        system = np.zeros((size, size))
        known = np.zeros((size, columns))
        for i in range(num):
            known[i, 0] = beam[i]
            for j in range(num):
                system[i, j] = -omega * blocks[0, 0, i, j]
                if not hot[w]:
                    known[i, j + 1] = blocks[0, 0, i, j]
                if tilt != 0.0:
                    system[i, num + j] = -tilt * blocks[0, 1, i, j]
                    system[num + i, j] = -omega * blocks[1, 0, i, j]
                    system[num + i, num + j] = -tilt * blocks[1, 1, i, j]
                    if not hot[w]:
                        known[num + i, j + 1] = blocks[1, 0, i, j]
            if tilt != 0.0:
                known[num + i, 0] = beam[i]
        for i in range(size):
            system[i, i] += 1.0
        field = known if omega == 0.0 else np.linalg.solve(system, known)
        escaped[w] = star[w] * np.exp(-x)
        for i in range(num):
            light[w, i] = field[i, 0]
            escaped[w] += escape[i] * omega * field[i, 0]
            if tilt != 0.0:
                escaped[w] += escape[i] * ratio[i] * tilt * field[num + i, 0]
        if hot[w]:
            continue
        for j in range(num):
            leave[w, j] = escape[j]
            for i in range(num):
                gain[w, i, j] = field[i, j + 1]
                leave[w, j] += escape[i] * omega * field[i, j + 1]
                if tilt != 0.0:
                    leave[w, j] += (
                        escape[i] * ratio[i] * tilt * field[num + i, j + 1]
                    )
    return gain, light, leave, escaped


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
def equilibrium(frequency, weight, absorb, share, gain, light, guess):
    """Temperatures at which every species in every cell emits what it absorbs.

    The unknowns are emitted powers, in which the balance is nearly linear. While far
    off, the spectral shape of the emission is held and the powers are solved for:
    the matrix then has a positive inverse, so powers stay positive. Near the answer
    the change of shape is included (Newton).

    Args:
        frequency: Frequency [Hz], (wave,).
        weight: Quadrature weights of the integral over frequency, (wave,).
        absorb: Absorption opacity of each species, (species, wave).
        share: Thermal source of a species per unit of its Planck function: its share
            of the delta-scaled extinction, (species, wave).
        gain, light: From `responses`.
        guess: First temperatures [K], (species, cell).

    Returns:
        Temperatures [K], (species, cell); largest relative change of the last step;
        number of steps.
    """
    num_species, num = guess.shape
    num_wave = len(frequency)
    temperature = guess.copy()
    planck = np.empty((num_wave, num_species, num))
    slope = np.empty((num_wave, num_species, num))
    size = num_species * num
    largest = np.inf
    for step in range(MAX_ITERATIONS):
        _planck(temperature, frequency, planck, slope)
        newton = largest < NEWTON_BELOW
        emitted = np.zeros(size)
        rise = np.zeros(size)
        for w in range(num_wave):
            for s in range(num_species):
                factor = weight[w] * absorb[s, w]
                for i in range(num):
                    emitted[s * num + i] += factor * planck[w, s, i]
                    rise[s * num + i] += factor * slope[w, s, i]
        rise /= emitted
        matrix = np.zeros((size, size))
        known = np.zeros(size)
        for w in range(num_wave):
            for t in range(num_species):
                for j in range(num):
                    n = t * num + j
                    shape = planck[w, t, j] * share[t, w]
                    change = slope[w, t, j] * share[t, w] / rise[n]
                    for s in range(num_species):
                        factor = weight[w] * absorb[s, w]
                        for i in range(num):
                            m = s * num + i
                            reach = factor * gain[w, i, j]
                            if newton:
                                matrix[m, n] -= reach * change
                                known[m] += reach * (shape - change)
                            else:
                                matrix[m, n] -= reach * shape
            for s in range(num_species):
                factor = weight[w] * absorb[s, w]
                for i in range(num):
                    known[s * num + i] += factor * light[w, i]
        for m in range(size):
            for n in range(size):
                matrix[m, n] /= emitted[m]
            matrix[m, m] += 1.0
            known[m] /= emitted[m]
        ratio = np.linalg.solve(matrix, known)
        largest = 0.0
        for m in range(size):
            move = np.log(max(ratio[m], SMALLEST_RATIO)) / rise[m]
            move = min(max(move, -MAX_STEP), MAX_STEP)
            largest = max(largest, abs(move))
            temperature[m // num, m % num] *= np.exp(move)
        if largest < TOLERANCE:
            return temperature, largest, step + 1
    return temperature, largest, MAX_ITERATIONS
