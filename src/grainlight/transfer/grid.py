"""Spherical shells: geometry and the grid of cells that the solution lives on."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError

FINE = 4001


@dataclass(frozen=True)
class ShellGeometry:
    """A spherical shell of dust, in units of its outer radius.

    Attributes:
        inner: Inner over outer radius, above 0 and below 1.
        density_power: Density falls as r to minus this power.
    """

    inner: float = 0.8
    density_power: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.inner < 1:
            raise ParameterError(
                "Expected an inner radius between 0 and 1 outer radii; got "
                f"{self.inner}."
            )

    @property
    def mass_per_column(self) -> float:
        """Dust mass over radial column density, in outer radii squared."""
        return float(self.mass(np.ones(1))[0])

    def _moment(
        self, power: int, radius: Float[np.ndarray, "*r"]
    ) -> Float[np.ndarray, "*r"]:
        """Integral of density times radius to a power, from the inner edge out."""
        exponent = power + 1 - self.density_power
        if abs(exponent) < 1e-9:
            return np.log(radius / self.inner)
        return (radius**exponent - self.inner**exponent) / exponent

    def column(self, radius: Float[np.ndarray, "*r"]) -> Float[np.ndarray, "*r"]:
        """Share of the radial column inside a radius (radius in outer radii)."""
        return self._moment(0, radius) / self._moment(0, np.ones(1))

    def mass(self, radius: Float[np.ndarray, "*r"]) -> Float[np.ndarray, "*r"]:
        """Mass inside a radius, over radial column, in outer radii squared."""
        return 4 * math.pi * self._moment(2, radius) / self._moment(0, np.ones(1))


def cell_edges(
    geometry: ShellGeometry, optical_depth: float, num_cells: int
) -> Float[np.ndarray, " edge"]:
    """Edges of the cells, in outer radii, from the inner to the outer edge.

    Cells are equally spaced in a mixture of radius, log radius and the logarithm of
    the optical depth counted from the inner edge (where starlight is absorbed) and
    from the outer edge (where the dust emission leaves).

    Args:
        geometry: The shell.
        optical_depth: Radial extinction optical depth where starlight peaks.
        num_cells: Number of cells.
    """
    radius = geometry.inner + (1 - geometry.inner) * np.linspace(0, 1, FINE) ** 3
    column = geometry.column(radius)
    inner, outer = optical_depth, 0.1 * optical_depth
    coordinate = (
        0.5 * (radius - geometry.inner) / (1 - geometry.inner)
        + 0.5 * np.log(radius / geometry.inner) / -math.log(geometry.inner)
        + _weight(inner) * np.log1p(inner * column) / math.log1p(inner)
        + _weight(outer) * (1 - np.log1p(outer * (1 - column)) / math.log1p(outer))
    )
    levels = np.linspace(0, coordinate[-1], num_cells + 1)
    edges = np.interp(levels, coordinate, radius)
    edges[0], edges[-1] = geometry.inner, 1.0
    return edges


def _weight(optical_depth: float) -> float:
    """More cells at an edge the more optical depth there is to resolve."""
    return min(math.log1p(optical_depth) / 3, 1.5)
