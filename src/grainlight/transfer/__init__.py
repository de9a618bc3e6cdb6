"""Dust radiative transfer in a shell."""

from grainlight.transfer.clumpy import solve_clumpy
from grainlight.transfer.density import Clumps, DensityGrid, shell_density
from grainlight.transfer.grid import ShellGeometry
from grainlight.transfer.grid_solution import GridSettings, GridSolution
from grainlight.transfer.grid_solver import solve_grid
from grainlight.transfer.shell import Shell, ShellSolution, wavelength_grid
from grainlight.transfer.solution import solve_shell

__all__ = [
    "Clumps",
    "DensityGrid",
    "GridSettings",
    "GridSolution",
    "Shell",
    "ShellGeometry",
    "ShellSolution",
    "shell_density",
    "solve_clumpy",
    "solve_grid",
    "solve_shell",
    "wavelength_grid",
]
