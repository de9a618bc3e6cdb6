"""Dust radiative transfer in a shell."""

from grainlight.transfer.grid import ShellGeometry
from grainlight.transfer.shell import Shell, ShellSolution, wavelength_grid
from grainlight.transfer.solution import solve_shell

__all__ = [
    "Shell",
    "ShellGeometry",
    "ShellSolution",
    "solve_shell",
    "wavelength_grid",
]
