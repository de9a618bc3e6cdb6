"""The supernova dust shell: parameters in, spectrum and grain temperatures out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from grainlight.core import ParameterError, Parameters
from grainlight.dust import SPECIES, GrainSizes, Opacity, mixture_opacity
from grainlight.simulators.prior import (
    CARBON,
    CLUMPY_PARAMETERS,
    FILLING,
    SHELL_PARAMETERS,
    SILICATE,
)
from grainlight.transfer import (
    Clumps,
    Shell,
    ShellGeometry,
    solve_clumpy,
    solve_shell,
    wavelength_grid,
)

FAINTEST = -60.0
FILLING_SOFTENING = 0.01
Progress = Callable[[int, int], None]


def scale_free_mixing(*, clumpy: bool = False) -> Float[np.ndarray, "feature inp"]:
    r"""What the shape of a spectrum depends on, as rows over parameters and redshift.

    Radiative transfer knows no length: at a fixed ratio of radii the spectrum over the
    luminosity depends on $M / R^2$, $a$, $f$, $L / R^2$ and $T_\star$ alone. (Ivezic &
    Elitzur 1997, MNRAS 287, 799.) With clumps of a fixed relative size it depends on
    their filling factor besides.

    Args:
        clumpy: Whether the parameters are `CLUMPY_PARAMETERS`.
    """
    parameters = CLUMPY_PARAMETERS if clumpy else SHELL_PARAMETERS
    index = {name: i for i, name in enumerate(parameters.names)}
    mixing = np.zeros((len(index), len(index) + 1))
    rows = [
        {"dust_mass": 1, "outer_radius": -2},
        {"grain_radius": 1},
        {"silicate_fraction": 1},
        {"sn_luminosity": 1, "outer_radius": -2},
        {"sn_temperature": 1},
    ]
    if clumpy:
        rows.append({FILLING.name: 1})
    for row, terms in zip(mixing, rows, strict=False):
        for name, power in terms.items():
            row[index[name]] = power
    mixing[-1, -1] = 1
    return mixing


def clump_softening() -> Float[np.ndarray, " inp"]:
    """What is added to the filling factor before its logarithm; nan for other inputs.

    The optical depth of a clump goes with one over the filling factor. The softening is
    somewhat more than a single clump fills.
    """
    softening = np.full(len(CLUMPY_PARAMETERS) + 1, np.nan)
    softening[CLUMPY_PARAMETERS.index(FILLING.name)] = FILLING_SOFTENING
    return softening


def luminosity_gain(
    num_bands: int, *, clumpy: bool = False
) -> Float[np.ndarray, "band param"]:
    """Change of every magnitude with the scaled parameters at a fixed shape."""
    parameters = CLUMPY_PARAMETERS if clumpy else SHELL_PARAMETERS
    gain = np.zeros((num_bands, len(parameters)))
    gain[:, SHELL_PARAMETERS.index("sn_luminosity")] = -2.5
    return gain


class ShellSpectra(NamedTuple):
    """Spectra and outcomes of a set of shells, one row each.

    Attributes:
        theta: Parameters, physical.
        wave: Rest wavelength [um].
        log_luminosity: log10 of the luminosity density [erg s^-1 Hz^-1].
        dust_temperature: Mass-weighted mean grain temperature [K]; nan without dust.
        carbon_temperature: Same for carbon alone [K]; nan without carbon.
        silicate_temperature: Same for silicate alone [K]; nan without silicate.
        sublimated: Share of the dust mass that is hotter than its grains survive,
            removed if the simulator does so.
        optical_depth: Radial extinction optical depth at 0.55 um.
        energy_error: Escaping over emitted luminosity, minus one.
        resolution: Relative change of the dust temperature by extrapolation to fine
            cells, for shells with clumps; zero for others.
        is_settled: Whether the balance of a shell with clumps ended within its steps,
            and its scattered light within its rounds; true for others.
    """

    theta: Float[np.ndarray, "object param"]
    wave: Float[np.ndarray, " wave"]
    log_luminosity: Float[np.ndarray, "object wave"]
    dust_temperature: Float[np.ndarray, " object"]
    carbon_temperature: Float[np.ndarray, " object"]
    silicate_temperature: Float[np.ndarray, " object"]
    sublimated: Float[np.ndarray, " object"]
    optical_depth: Float[np.ndarray, " object"]
    energy_error: Float[np.ndarray, " object"]
    resolution: Float[np.ndarray, " object"]
    is_settled: Bool[np.ndarray, " object"]


@dataclass(frozen=True)
class ShellSimulator:
    """A uniform dusty shell around a blackbody, as in Ansari et al. (2022).

    Attributes:
        inner: Inner over outer radius.
        carbon: Carbon species.
        silicate: Silicate species.
        sizes: Power law of the grain radii up to `grain_radius`; without it all grains
            are of that radius.
        remove_sublimated: Whether grains hotter than they survive are removed. The
            dust mass is that before; where nothing survives, there is no temperature.
        clump_edge: Edge of a clump [outer radii], for shells with clumps.
        clump_contrast: Density between the clumps over that in them.
        clumps_mirrored: Whether the clumps are the same in all octants, see `Clumps`.

    References:
        Ansari et al. (2022), A&A 666, A176.
    """

    inner: float = 0.8
    carbon: str = CARBON
    silicate: str = SILICATE
    sizes: GrainSizes | None = None
    remove_sublimated: bool = False
    clump_edge: float = 0.1
    clump_contrast: float = 0.0
    clumps_mirrored: bool = False

    def __post_init__(self) -> None:
        ShellGeometry(self.inner)
        Clumps(0.0, self.clump_edge, self.clump_contrast)
        for kind, name in (("carbon", self.carbon), ("silicate", self.silicate)):
            known = [one for one in SPECIES if one.startswith(kind)]
            if name not in known:
                raise ParameterError(
                    f"Expected a {kind} species among {', '.join(known)}; got {name!r}."
                    " Correct its name."
                )

    @property
    def parameters(self) -> Parameters:
        """The six parameters of a smooth shell."""
        return SHELL_PARAMETERS

    @property
    def settings(self) -> dict[str, object]:
        """What a recipe must state to remake the spectra."""
        stated = {"simulator": "shell", **asdict(self)}
        # older data sets do not state these
        usual = asdict(ShellSimulator())
        for name in usual.keys() - {"inner", "carbon", "silicate"}:
            if stated[name] == usual[name]:
                del stated[name]
        return stated

    @classmethod
    def from_settings(cls, stated: dict) -> "ShellSimulator":
        """The simulator that stated these settings."""
        given = {name: value for name, value in stated.items() if name != "simulator"}
        if given.get("sizes") is not None:
            given["sizes"] = GrainSizes(**given["sizes"])
        return cls(**given)

    def opacity(self, theta: Float[np.ndarray, " param"]) -> Opacity:
        """Opacities of the dust of one object."""
        _, radius, silicate = (float(value) for value in theta[:3])
        shares = {self.silicate: silicate, self.carbon: 1 - silicate}
        return mixture_opacity(shares, radius, wavelength_grid(), self.sizes)

    def simulate(
        self,
        theta: Float[np.ndarray, "object param"],
        filling_factor: Float[np.ndarray, " filled"] | None = None,
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ShellSpectra:
        """Solve the transfer of every row.

        Args:
            theta: Physical parameters in the order of `parameters`.
            filling_factor: Share of the shell that clumps fill; 0 and 1 are smooth, as
                are all shells without it.
            seed: Seed of the places of the clumps, different for every row.
            progress: Called with the rows done and their number.

        Raises:
            ParameterError: A value is outside the range of the tables, or not
                positive where it must be; or grains are to be removed from clumps.
        """
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        if theta.shape[1] != len(SHELL_PARAMETERS):
            raise ParameterError(
                f"Expected {len(SHELL_PARAMETERS)} columns "
                f"({', '.join(SHELL_PARAMETERS.names)}); got {theta.shape[1]}."
            )
        filling = np.zeros(len(theta)) if filling_factor is None else filling_factor
        if len(filling) != len(theta):
            raise ParameterError(
                f"Expected a filling factor for each of {len(theta)} rows; got "
                f"{len(filling)}."
            )
        rows = []
        for i, row in enumerate(theta):
            rows.append(self._row(row, float(filling[i]), seed, i))
            if progress is not None:
                progress(i + 1, len(theta))
        spectrum, *outcomes = (np.array(column) for column in zip(*rows, strict=True))
        return ShellSpectra(theta, wavelength_grid(), spectrum, *outcomes)

    def _row(
        self, theta: Float[np.ndarray, " param"], filling: float, seed: int, number: int
    ) -> tuple:
        mass, _, _, luminosity, temperature, radius = (float(v) for v in theta)
        opacity = self.opacity(theta)
        geometry = ShellGeometry(self.inner)
        shell = Shell(luminosity, temperature, mass, radius, opacity, geometry)
        clumps = Clumps(
            filling, self.clump_edge, self.clump_contrast, self.clumps_mirrored
        )
        if filling in (0.0, 1.0):
            answer = solve_shell(shell, remove_sublimated=self.remove_sublimated)
            left, resolution, is_settled = answer.remaining, 0.0, True
        elif self.remove_sublimated:
            raise ParameterError(
                "Expected smooth shells where sublimated grains are removed; got a "
                f"filling factor of {filling:g}. Keep the grains, or leave out clumps."
            )
        else:
            own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
            answer = solve_clumpy(shell, clumps, own)
            left, resolution = np.ones(len(opacity.names)), answer.resolution
            is_settled = answer.is_settled
        tiny = 10**FAINTEST
        return (
            np.log10(np.maximum(answer.luminosity, tiny)).astype(np.float32),
            answer.dust_temperature,
            _mean_temperature(opacity, left, answer.mean_temperature, self.carbon),
            _mean_temperature(opacity, left, answer.mean_temperature, self.silicate),
            float(opacity.mass_fraction @ answer.sublimated),
            answer.optical_depth,
            answer.energy_error,
            resolution,
            is_settled,
        )


def _mean_temperature(
    opacity: Opacity, remaining: np.ndarray, temperature: np.ndarray, name: str
) -> float:
    """Mean over all grains of a species that are there; nan without any."""
    mass = opacity.mass_fraction * remaining
    there = (np.array(opacity.names) == name) & (mass > 0)
    if not there.any():
        return np.nan
    return float(np.average(temperature[there], weights=mass[there]))
