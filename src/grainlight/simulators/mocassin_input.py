"""What MOCASSIN is asked for: shells, grids of dust, settings, and its input files."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError
from grainlight.dust import species
from grainlight.simulators.prior import SHELL_PARAMETERS
from grainlight.simulators.shell import ShellSimulator
from grainlight.transfer import DensityGrid, ShellGeometry
from grainlight.transfer.density import smooth_density
from grainlight.transfer.shell import SUN_LUMINOSITY

#: Optical constants of each species in the Debian package `mocassin-data`.
FILES = {
    "carbon_be": "amC-zb1.nk",
    "carbon_acar": "amC-zb2.nk",
    "carbon_ach2": "amC-zb3.nk",
    "carbon_hanner": "amC-hann.nk",
    "silicate_dl": "sil-dlee.nk",
    "silicate_laor": "sil-dlaor.nk",
}
LUMINOSITY_UNIT = 1e36  # erg s^-1
#: With 7 points an axis, MOCASSIN 2.02 states half the optical depth.
FEWEST_POINTS = 9
SMALLEST_GRID = 5

INPUT = """contShape blackbody
TStellar {source_temperature}
LStar {luminosity}
nPhotons {packets}
maxIterateMC {steps} 100.
convLimit 0.02
Ndust file 'input/ndust.dat'
dustFile 'input/species.dat' 'input/sizes.dat'
dustMass {dust_mass}
Rin {smallest}
Rout {largest}
nuMax 15.
nuMin 1.0e-5
nebComposition noGas
noPhotoelectric
output
"""


@dataclass(frozen=True)
class MocassinSettings:
    """How finely MOCASSIN solves a shell; octants are never used.

    The defaults give 1 % of noise a wavelength bin in about 20 CPU seconds.

    Attributes:
        points: Cells an axis, an odd number.
        subcells: Points an axis in each cell, over which the density is averaged.
        first_packets: Energy packets of each of the first iterations, which find the
            temperatures.
        first_steps: Number of the first iterations.
        last_packets: Energy packets of each of the last iterations; the last alone
            makes the spectrum.
        last_steps: Number of the last iterations.
    """

    points: int = 33
    subcells: int = 6
    first_packets: int = 150_000
    first_steps: int = 3
    last_packets: int = 1_300_000
    last_steps: int = 2

    def __post_init__(self) -> None:
        if self.points < FEWEST_POINTS or self.points % 2 == 0:
            raise ParameterError(
                f"Expected an odd number of points an axis, {FEWEST_POINTS} or more; "
                f"got {self.points}. The source is in the middle cell."
            )
        for name, value in asdict(self).items():
            if value < 1:
                raise ParameterError(
                    f"Expected {name} of at least one; got {value}. Raise it."
                )


@dataclass(frozen=True, eq=False)
class MocassinGrid:
    """Dust on a cubic grid around the source: any clumps can be written into it.

    Attributes:
        axis: Centers of the cells along each axis, increasing [cm]; the source is at
            zero. Cells meet half-way between centers.
        density: Dust density in each cell, in any unit. The outermost layer is empty.
    """

    axis: Float[np.ndarray, " cell"]
    density: Float[np.ndarray, "x y z"]

    def __post_init__(self) -> None:
        num = len(self.axis)
        if num < SMALLEST_GRID or np.any(np.diff(self.axis) <= 0):
            raise ParameterError(
                f"Expected {SMALLEST_GRID} or more increasing places on the axis of "
                "the density grid; got others. Sort them, and give each once."
            )
        if not self.axis[0] < 0 < self.axis[-1]:
            raise ParameterError(
                "Expected an axis of the density grid with the source, at zero, "
                f"inside; got {self.axis[0]:g} to {self.axis[-1]:g} cm. Shift it."
            )
        if np.shape(self.density) != (num, num, num):
            raise ParameterError(
                f"Expected densities in {num} x {num} x {num} cells, as the axis has; "
                f"got the shape {np.shape(self.density)}. Give one for each cell."
            )
        if not (np.all(np.isfinite(self.density)) and np.all(self.density >= 0)):
            raise ParameterError(
                "Expected finite densities of zero or more; got others in the density "
                "grid. Correct them."
            )
        inside = self.density[1:-1, 1:-1, 1:-1]
        if not inside.any() or np.count_nonzero(self.density) > np.count_nonzero(
            inside
        ):
            raise ParameterError(
                "Expected dust inside the density grid and none in its outermost "
                "layer of cells, from which MOCASSIN lets light escape; got another "
                "grid. Add an empty layer."
            )

    @classmethod
    def from_density(cls, grid: DensityGrid) -> "MocassinGrid":
        """The cells of a grid of this package."""
        middle = (len(grid.density) - 1) / 2
        return cls((np.arange(len(grid.density)) - middle) * grid.width, grid.density)

    @property
    def volume(self) -> Float[np.ndarray, "cell cell cell"]:
        """Volume of each cell [cm^3]."""
        width = np.gradient(self.axis)
        edges = 0.5 * (self.axis[1:] + self.axis[:-1])
        width[1:-1] = np.diff(edges)
        return width[:, None, None] * width[:, None] * width

    @property
    def radius(self) -> Float[np.ndarray, "cell cell cell"]:
        """Distance of each cell's center from the source [cm]."""
        square = self.axis**2
        return np.sqrt(square[:, None, None] + square[:, None] + square)


def uniform_grid(
    geometry: ShellGeometry, outer_radius: float, settings: MocassinSettings
) -> MocassinGrid:
    """Densities of a smooth shell, averaged over each cell of a cubic grid.

    Args:
        geometry: Shape of the shell.
        outer_radius: Its outer radius [cm].
        settings: Cells of the grid, and points in each cell.
    """
    half = settings.points // 2
    step = 1 / (half - 1)
    axis = np.arange(-half, half + 1) * step
    density = smooth_density(geometry, step, settings.points, settings.subcells)
    return MocassinGrid(axis * outer_radius, density / density.max())


@dataclass(frozen=True)
class MocassinShell:
    """What one run is asked for: dust around a blackbody.

    Attributes:
        luminosity: Luminosity of the central source [Lsun].
        source_temperature: Temperature of the central source [K].
        dust_mass: Mass of the dust [Msun].
        outer_radius: Outer radius of the shell [cm].
        grain_radius: Grain radius [um].
        mass_fraction: Share of the dust mass of each species; they sum to one.
        geometry: Shape of a smooth shell.
        grid: Densities in space that replace the smooth shell.
    """

    luminosity: float
    source_temperature: float
    dust_mass: float
    outer_radius: float
    grain_radius: float
    mass_fraction: Mapping[str, float]
    geometry: ShellGeometry = field(default_factory=ShellGeometry)
    grid: MocassinGrid | None = None

    def __post_init__(self) -> None:
        for name in (
            "luminosity",
            "source_temperature",
            "dust_mass",
            "outer_radius",
            "grain_radius",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ParameterError(
                    f"Expected a positive, finite {name}; got {value}. Correct it."
                )
        shares = self.mass_fraction.values()
        if not (all(share >= 0 for share in shares) and abs(sum(shares) - 1) <= 1e-6):
            raise ParameterError(
                "Expected mass fractions of at least zero that sum to one; got "
                f"{dict(self.mass_fraction)}. Divide them by their sum."
            )
        for name in self.mass_fraction:
            constants_file(name)

    @classmethod
    def from_theta(
        cls,
        theta: Float[np.ndarray, " param"],
        simulator: ShellSimulator,
        *,
        density_power: float = 0.0,
        grid: MocassinGrid | None = None,
    ) -> "MocassinShell":
        """The shell of one row of parameters.

        Args:
            theta: Physical parameters in the order of `SHELL_PARAMETERS`.
            simulator: Which species, and the inner radius.
            density_power: Density falls as radius to minus this power.
            grid: Densities in space that replace the smooth shell.
        """
        if np.shape(theta) != (len(SHELL_PARAMETERS),):
            raise ParameterError(
                f"Expected {len(SHELL_PARAMETERS)} parameters "
                f"({', '.join(SHELL_PARAMETERS.names)}); got {np.size(theta)}."
            )
        mass, radius, silicate, light, temperature, outer = (float(v) for v in theta)
        return cls(
            light,
            temperature,
            mass,
            outer,
            radius,
            {simulator.silicate: silicate, simulator.carbon: 1 - silicate},
            ShellGeometry(simulator.inner, density_power),
            grid,
        )

    @property
    def species(self) -> tuple[str, ...]:
        """Species of which there is some."""
        return tuple(name for name, share in self.mass_fraction.items() if share > 0)

    @property
    def stated(self) -> dict:
        """All that the answer depends on, for JSON; of a grid, the hash."""
        words = asdict(self) | {"mass_fraction": dict(self.mass_fraction), "grid": None}
        if self.grid is not None:
            digest = hashlib.sha256()
            for part in (self.grid.axis, self.grid.density):
                digest.update(np.ascontiguousarray(part, dtype=float).tobytes())
            words["grid"] = digest.hexdigest()[:16]
        return words


def constants_file(name: str) -> str:
    """File of a species in MOCASSIN; raises `ParameterError` if it has none."""
    if name not in FILES:
        raise ParameterError(
            f"Expected a species that MOCASSIN has, one of {', '.join(FILES)}; got "
            f"{name!r}. Choose one of them."
        )
    return FILES[name]


def number_fraction(mass_fraction: Mapping[str, float]) -> dict[str, float]:
    r"""Share of each species in the number of grains, all of one size.

    $$ n_s = \frac{f_s / \rho_s}{\sum_t f_t / \rho_t} $$

    Args:
        mass_fraction: Share of each species in the dust mass.
    """
    each = {
        name: share / species(name).density
        for name, share in mass_fraction.items()
        if share > 0
    }
    return {name: value / sum(each.values()) for name, value in each.items()}


def write_input(
    folder: Path, shell: MocassinShell, settings: MocassinSettings
) -> MocassinGrid:
    """Write the files that MOCASSIN reads, into `input`, and make `output`.

    Args:
        folder: Where MOCASSIN will run; it exists, and holds neither folder.
        shell: What to solve.
        settings: How finely.

    Returns:
        The densities that were written.
    """
    for name in ("input", "output"):
        (folder / name).mkdir()
    geometry, outer = shell.geometry, shell.outer_radius
    grid = shell.grid or uniform_grid(geometry, outer, settings)
    write_density(folder / "input/ndust.dat", grid)
    lines = [
        f"'dustData/{constants_file(name)}' {share:.6f}\n"
        for name, share in number_fraction(shell.mass_fraction).items()
    ]
    (folder / "input/species.dat").write_text(f"{len(lines)}\n" + "".join(lines))
    (folder / "input/sizes.dat").write_text(f"1\n1 {shell.grain_radius} 1.0\n")
    # dust is where the grid has it: these limits only have to enclose it
    smallest, largest = 0.1 * geometry.inner * outer, 1.2 * outer
    if shell.grid is not None:
        smallest, largest = 1e-3 * grid.axis[-1], 2.0 * np.abs(grid.axis).max()
    text = INPUT.format(
        source_temperature=shell.source_temperature,
        luminosity=shell.luminosity * SUN_LUMINOSITY / LUMINOSITY_UNIT,
        packets=settings.first_packets,
        steps=settings.first_steps,
        dust_mass=shell.dust_mass,
        smallest=smallest,
        largest=largest,
    )
    (folder / "input/input.in").write_text(text)
    return grid


def write_density(path: Path, grid: MocassinGrid) -> None:
    """Write densities as MOCASSIN reads them: a row a cell, x slowest."""
    places = np.meshgrid(grid.axis, grid.axis, grid.axis, indexing="ij")
    columns = np.stack([part.ravel() for part in (*places, grid.density)], axis=1)
    num = len(grid.axis)
    with path.open("w") as stream:
        stream.write(f"# {num} {num} {num}\n")
        np.savetxt(stream, columns, fmt="%.6e")


def read_density(path: Path) -> MocassinGrid:
    """Read densities that were written for MOCASSIN."""
    table = np.loadtxt(path)
    num = round(len(table) ** (1 / 3))
    return MocassinGrid(table[:num, 2].copy(), table[:, 3].reshape(num, num, num))
