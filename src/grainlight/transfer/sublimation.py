r"""Grains hotter than they survive: how far they reach, and a shell without them.

Temperatures fall outwards, so that a species $s$ is gone inside a radius $r_s$ where
its grains are as hot as they survive. Without these the star reaches farther, which
warms what is left, and less light is sent back to the edge, which cools it; so $r_s$ is
searched for, outwards from the shell with all its grains.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.dust import Opacity
from grainlight.transfer.grid import ShellGeometry
from grainlight.transfer.kernels import (
    Rays,
    half_edges,
    node_weights,
    tangent_rays,
    unit_emission,
)
from grainlight.transfer.solver import responses_along

CLOSEST = 0.02  # that a guess comes to an end of its bracket
NOTHING_LEFT = 1e-3  # of the thickness of the shell
OVERSHOOT = 1.2  # so that a bracket is closed
LEAST = 1e-8  # of its grains is left in an emptied cell: their temperature is wanted


class EdgeSearch:
    """A search for the inner radius at which a species is as hot as it survives.

    The temperature at the inner edge of what is left falls as that moves outwards. A
    bracket is opened from the inside, each step at most half of the way to the outer
    edge, and closed by false position.

    Attributes:
        radius: Where the species begins now, in outer radii.
    """

    def __init__(self, smallest: float) -> None:
        self.radius = self._smallest = smallest
        self._inside: tuple[float, float] | None = None
        self._outside: tuple[float, float] | None = None

    def advance(self, excess: float, guess: float) -> None:
        """Move on.

        Args:
            excess: Log of the temperature at the edge over that of sublimation.
            guess: Where to go first.
        """
        here, before = (self.radius, excess), self._inside
        if excess <= 0:
            self._outside = here
        else:
            self._inside = here
            if self._outside is not None and self._outside[0] <= self.radius:
                self._outside = None  # the other species has moved since
        if self._inside is None:
            return
        if self._outside is None:
            self.radius = self._farther(before, guess)
            return
        (low, above), (high, below) = self._inside, self._outside
        part = above / (above - below)
        self.radius = low + (high - low) * min(max(part, CLOSEST), 1 - CLOSEST)
        # halved, so that an end that stays is not trusted for ever
        kept = 0.5 * below if excess > 0 else 0.5 * above
        if excess > 0:
            self._outside = (high, kept)
        else:
            self._inside = (low, kept)

    def _farther(self, before: tuple[float, float] | None, guess: float) -> float:
        """A radius outside one whose grains are still too hot."""
        radius, excess = self._inside or (self._smallest, 0.0)
        if before is not None and before[1] > excess and radius > before[0]:
            slope = (before[1] - excess) / (radius - before[0])
            guess = radius + OVERSHOOT * excess / slope
        if 1 - radius < NOTHING_LEFT * (1 - self._smallest):
            return 1.0
        return min(max(guess, radius + 1e-3 * (1 - radius)), 0.5 * (radius + 1))


class Profile(NamedTuple):
    """Where the grains of each species are, on the grid of a shell.

    Attributes:
        fine: Edges of the half-cells [outer radii].
        rays: Tangent rays of the grid.
        fold: Values at the edges from those at the nodes.
        emission: Of half-cells of unit extinction, per unit source at each node.
        density: Mean density of the half-cells, the share of a species in the mixture
            included, over the radial column of the whole shell [1 / outer radius].
        left: Share of the mass of the whole shell that is left, (species, node).
        length: Radial lengths of the half-cells that give the column, times density.
    """

    fine: Float[np.ndarray, " edge"]
    rays: Rays
    fold: Float[np.ndarray, "edge node"]
    emission: Float[np.ndarray, "half node"]
    density: Float[np.ndarray, "species half"]
    left: Float[np.ndarray, "species node"]
    length: Float[np.ndarray, " half"]


def survival_radius(
    limit: Float[np.ndarray, " species"],
    temperature: Float[np.ndarray, "species cell"],
    edges: Float[np.ndarray, " edge"],
) -> Float[np.ndarray, " species"]:
    """Radius inside which grains are hotter than they survive [outer radii].

    Temperatures are powers of the radius between the mid-points of the cells and
    beyond them.

    Args:
        limit: Temperatures of sublimation [K].
        temperature: Grain temperatures [K].
        edges: Edges of the cells [outer radii].
    """
    return np.array(
        [
            _outermost_crossing(row - np.log(most), edges)
            for most, row in zip(limit, np.log(temperature), strict=True)
        ]
    )


def _outermost_crossing(
    excess: Float[np.ndarray, " cell"], edges: Float[np.ndarray, " edge"]
) -> float:
    """The radius outside which the excess is negative, within the edges."""
    place = np.log(0.5 * (edges[1:] + edges[:-1]))
    last = int(np.flatnonzero(excess > 0)[-1]) if np.any(excess > 0) else -1
    i = min(max(last, 0), len(excess) - 2)
    slope = (excess[i + 1] - excess[i]) / (place[i + 1] - place[i])
    if slope >= 0:
        return float(edges[0] if last < 0 else edges[-1])
    return float(np.clip(np.exp(place[i] - excess[i] / slope), edges[0], edges[-1]))


def edge_temperature(
    radius: Float[np.ndarray, " species"],
    temperature: Float[np.ndarray, "species cell"],
    edges: Float[np.ndarray, " edge"],
) -> Float[np.ndarray, " species"]:
    """Temperatures of species, each at its own radius [K], as in `survival_radius`."""
    place = np.log(0.5 * (edges[1:] + edges[:-1]))
    i = np.clip(np.searchsorted(place, np.log(radius)) - 1, 0, len(place) - 2)
    part = (np.log(radius) - place[i]) / (place[i + 1] - place[i])
    warm, each = np.log(temperature), np.arange(len(radius))
    return np.exp((1 - part) * warm[each, i] + part * warm[each, i + 1])


def remaining_profile(
    geometry: ShellGeometry,
    mass_fraction: Float[np.ndarray, " species"],
    inner: Float[np.ndarray, " species"],
    edges: Float[np.ndarray, " edge"],
) -> Profile:
    """What is left of a shell whose species are gone inside `inner` [outer radii]."""
    fine = half_edges(edges)
    rays, fold = tangent_rays(fine), node_weights(fine)
    emission = unit_emission(rays, fine) @ fold
    volume = 4 * np.pi / 3 * np.diff(fine**3)
    whole = np.diff(geometry.mass(fine))
    left = np.diff(geometry.mass(np.maximum(fine, inner[:, None])), axis=1)
    density = mass_fraction[:, None] * np.maximum(left, LEAST * whole) / volume
    really = mass_fraction[:, None] * left / volume
    return Profile(
        fine,
        rays,
        fold,
        emission,
        density,
        really @ emission / (4 * np.pi * geometry.mass_per_column),
        np.diff(geometry.column(fine)) / (whole / volume),
    )


def respond_along(
    opacity: Opacity,
    column: float,
    profile: Profile,
    star: Float[np.ndarray, " wave"],
    hot: np.ndarray,
) -> tuple[tuple[np.ndarray, ...], Float[np.ndarray, "species wave cell"]]:
    """Responses of the nodes of any profile, and thermal sources of the species.

    Extinction is delta-scaled by the mean cosine of what is left in each half-cell.
    Nodes share it, absorption and scattering alike, by what they emit, so that energy
    is conserved as in a uniform shell.

    Args:
        opacity: Opacities of the mixture.
        column: Radial column of the whole shell [g cm^-2].
        profile: Where the grains are.
        star: Luminosity of the star, (wave,).
        hot: Wavelengths at which grains never shine.

    Returns:
        What `responses` returns, and the thermal source of a species per unit of its
        Planck function.
    """
    emission = profile.emission
    absorb, scatter, tilt = (
        column * np.einsum("sh,sw->wh", profile.density, kind)
        for kind in (
            opacity.absorption,
            opacity.scattering,
            opacity.scattering * opacity.asymmetry,
        )
    )
    cosine = tilt / np.maximum(scatter, 1e-300)
    scatter = scatter * (1 - cosine**2)
    tilt = 3 * scatter * cosine / (1 + cosine)
    alpha = absorb + scatter
    depth = alpha * profile.length
    mass = alpha @ emission
    before = np.cumsum(depth, axis=1)
    answers = responses_along(
        *profile.rays,
        profile.fine,
        profile.fold,
        emission,
        alpha,
        (scatter @ emission) / mass,
        (tilt @ emission) / mass,
        np.ascontiguousarray(before[:, ::2]),
        before[:, -1],
        star,
        hot,
    )
    nodes = profile.density @ emission
    source = column * opacity.absorption[:, :, None] * nodes[:, None, :] / mass
    return answers, source
