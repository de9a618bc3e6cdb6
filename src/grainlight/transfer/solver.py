r"""The field of a shell by wavelength: compiled inner loops.

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

from grainlight.transfer.kernels import LOG_MAX, LOG_MIN, LOG_STEP, march

FAINT_ALBEDO = 1e-6
FAINT_ANISOTROPY = 1e-3


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
def _starlight(depth, total, luminosity, radius, mass, out):
    """Mean intensity of direct starlight at the nodes, and what escapes of it.

    The nodes take up just the light that the beam loses.

    Args:
        depth: Optical depth from the star to the nodes, (node,).
        total: Optical depth of the shell.
        luminosity: Luminosity of the star.
        radius: Radii of the nodes, (node,).
        mass: Volume times extinction of the nodes, (node,).
        out: The mean intensity is written here, (node,).
    """
    kept = 0.0
    for i in range(len(mass)):
        out[i] = np.exp(-depth[i]) / radius[i] ** 2
        kept += mass[i] * out[i]
    taken = -np.expm1(-total) / kept if kept > 0.0 else 0.25 / np.pi
    for i in range(len(mass)):
        out[i] *= luminosity * taken / (4 * np.pi)
    return luminosity * np.exp(-total)


@nb.njit(cache=True, nogil=True)
def _solve_field(blocks, omega, tilt, beam, columns):
    """Mean intensity (and flux, if tilted) of the beam and of unit thermal sources.

    Column 0 answers the beam, column 1 + j the source at node j.
    """
    num = len(beam)
    tilted = np.any(tilt != 0.0)
    size = 2 * num if tilted else num
    system = np.zeros((size, size))
    known = np.zeros((size, columns))
    for i in range(num):
        known[i, 0] = beam[i]
        for j in range(num):
            system[i, j] = -omega[j] * blocks[0, 0, i, j]
            if columns > 1:
                known[i, j + 1] = blocks[0, 0, i, j]
    if tilted:
        for i in range(num):
            known[num + i, 0] = beam[i]
            for j in range(num):
                system[i, num + j] = -tilt[j] * blocks[0, 1, i, j]
                system[num + i, j] = -omega[j] * blocks[1, 0, i, j]
                system[num + i, num + j] = -tilt[j] * blocks[1, 1, i, j]
                if columns > 1:
                    known[num + i, j + 1] = blocks[1, 0, i, j]
    if np.all(omega == 0.0):
        return known
    for i in range(size):
        system[i, i] += 1.0
    return np.linalg.solve(system, known)


@nb.njit(cache=True, nogil=True)
def _scattered(field, column, escape, ratio, omega, tilt):
    """Luminosity that scattering of one column of the field sends out."""
    num = len(escape)
    total = 0.0
    for i in range(num):
        total += escape[i] * omega[i] * field[i, column]
        if len(field) > num:
            total += escape[i] * ratio[i] * tilt[i] * field[num + i, column]
    return total


@nb.njit(cache=True, nogil=True)
def _faint(omega, tilt):
    """Set to zero what is too faint to count."""
    if np.max(omega) < FAINT_ALBEDO:
        omega[:] = 0.0
    if np.max(np.abs(tilt)) < FAINT_ANISOTROPY:
        tilt[:] = 0.0


@nb.njit(cache=True, nogil=True)
def _answer(blocks, omega, tilt, beam, escape, ratio, hot, gain, light, leave):
    """Fill the responses of one wavelength; returns what escapes of the scattering."""
    num = len(beam)
    columns = 1 if hot else num + 1
    field = _solve_field(blocks, omega, tilt, beam, columns)
    light[:] = field[:num, 0]
    for j in range(columns - 1):
        gain[:, j] = field[:num, j + 1]
        leave[j] = escape[j]
        leave[j] += _scattered(field, j + 1, escape, ratio, omega, tilt)
    return _scattered(field, 0, escape, ratio, omega, tilt)


@nb.njit(cache=True, nogil=True)
def responses(
    depth,
    albedo,
    cosine,
    star,
    hot,
    matrix,
    log_escape,
    escape_ratio,
    radius,
    column,
    mass,
):
    """Response of the nodes and of the escaping light, wavelength by wavelength.

    Args:
        depth: Delta-scaled radial optical depth, (wave,).
        albedo: Delta-scaled albedo, (wave,).
        cosine: Delta-scaled mean cosine, (wave,).
        star: Luminosity of the star [any unit], (wave,).
        hot: Wavelengths at which grains never shine: only starlight is needed.
        matrix: Kernels, (depth, 2, 2, node, node).
        log_escape: Logarithm of the escaping luminosity, (depth, node).
        escape_ratio: Same for the mu source over the isotropic one, (depth, node).
        radius: Radii of the nodes [outer radii], (node,).
        column: Share of the radial column inside each node, (node,).
        mass: Volume times density of the nodes, (node,).

    Returns:
        Mean intensity per unit thermal source, (wave, node, node); mean intensity of
        starlight, (wave, node); escaping luminosity per unit thermal source,
        (wave, node); escaping starlight, scattered light included, (wave,).
    """
    num_wave, num = len(depth), len(mass)
    gain = np.zeros((num_wave, num, num))
    light = np.zeros((num_wave, num))
    leave = np.zeros((num_wave, num))
    escaped = np.zeros(num_wave)
    blocks = np.empty((2, 2, num, num))
    escape, ratio, beam = np.empty(num), np.empty(num), np.empty(num)
    omega, tilt = np.empty(num), np.empty(num)
    for w in range(num_wave):
        omega[:], tilt[:] = albedo[w], 3 * albedo[w] * cosine[w]
        _faint(omega, tilt)
        # below the table everything is proportional to the optical depth
        log_depth = np.log(max(depth[w], 1e-300))
        scale = min(depth[w] / np.exp(LOG_MIN), 1.0)
        if tilt[0] == 0.0:
            _interpolate(matrix[:, 0, 0], log_depth, blocks[0, 0])
        else:
            _interpolate(matrix, log_depth, blocks)
        blocks *= scale
        _interpolate(log_escape, log_depth, escape)
        _interpolate(escape_ratio, log_depth, ratio)
        escape[:] = np.exp(escape) * scale
        escaped[w] = _starlight(
            depth[w] * column, depth[w], star[w], radius, depth[w] * mass, beam
        )
        escaped[w] += _answer(
            blocks,
            omega,
            tilt,
            beam,
            escape,
            ratio,
            hot[w],
            gain[w],
            light[w],
            leave[w],
        )
    return gain, light, leave, escaped


@nb.njit(cache=True, nogil=True)
def responses_along(
    weight,
    impact,
    first,
    length,
    cosine,
    fine,
    fold,
    emission,
    alpha,
    albedo,
    tilt,
    depth,
    total,
    star,
    hot,
):
    """The same for extinction of any radial profile, different at every wavelength.

    Args:
        weight: From `Rays`, as are `impact`, `first`, `length` and `cosine`.
        impact: See `weight`.
        first: See `weight`.
        length: See `weight`.
        cosine: See `weight`.
        fine: Edges of the half-cells, (edge,).
        fold: Values at the edges from those at the nodes, (edge, node).
        emission: Of a half-cell of unit extinction per unit source, (half, node).
        alpha: Delta-scaled extinction of the half-cells, (wave, half).
        albedo: Delta-scaled albedo, (wave, node).
        tilt: Three times albedo times mean cosine, delta-scaled, (wave, node).
        depth: Optical depth from the star to the nodes, (wave, node).
        total: Optical depth of the shell, (wave,).
        star: Luminosity of the star [any unit], (wave,).
        hot: Wavelengths at which grains never shine: only starlight is needed.

    Returns:
        What `responses` returns.
    """
    num_wave, num_half = alpha.shape
    num, num_edges = num_half // 2, num_half + 1
    gain = np.zeros((num_wave, num, num))
    light = np.zeros((num_wave, num))
    leave = np.zeros((num_wave, num))
    escaped = np.zeros(num_wave)
    blocks = np.empty((2, 2, num, num))
    beam, radius = np.empty(num), fine[1::2].copy()
    received, left = np.empty((2, num, 2 * num_edges)), np.empty(2 * num_edges)
    for w in range(num_wave):
        omega, tilted = albedo[w].copy(), tilt[w].copy()
        _faint(omega, tilted)
        received[:], left[:] = 0.0, 0.0
        march(weight, impact, first, length, cosine, alpha[w], fine, received, left)
        emitted = np.zeros((num, num))
        for half in range(num_half):
            emitted[half // 2] += alpha[w, half] * emission[half]
        inverse = np.linalg.inv(emitted)
        for moment in range(2):
            for source in range(2):
                part = received[
                    moment, :, source * num_edges : (source + 1) * num_edges
                ]
                blocks[moment, source] = inverse @ (np.ascontiguousarray(part) @ fold)
        escape = left[:num_edges] @ fold
        ratio = (left[num_edges:] @ fold) / np.maximum(escape, 1e-280)
        mass = np.sum(emitted, axis=0) / (4 * np.pi)
        escaped[w] = _starlight(depth[w], total[w], star[w], radius, mass, beam)
        escaped[w] += _answer(
            blocks,
            omega,
            tilted,
            beam,
            escape,
            ratio,
            hot[w],
            gain[w],
            light[w],
            leave[w],
        )
    return gain, light, leave, escaped
