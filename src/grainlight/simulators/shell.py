"""The supernova dust shell: parameters in, spectrum and grain temperatures out."""

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError, Parameters
from grainlight.dust import SPECIES, GrainSizes, Opacity, mixture_opacity
from grainlight.simulators.prior import CARBON, SHELL_PARAMETERS, SILICATE
from grainlight.transfer import (
    Shell,
    ShellGeometry,
    ShellSolution,
    solve_shell,
    wavelength_grid,
)

FAINTEST = -60.0


def scale_free_mixing() -> Float[np.ndarray, "feature inp"]:
    r"""What the shape of a spectrum depends on, as rows over parameters and redshift.

    Radiative transfer knows no length: at a fixed ratio of radii the spectrum over the
    luminosity depends on $M / R^2$, $a$, $f$, $L / R^2$ and $T_\star$ alone. (Ivezic &
    Elitzur 1997, MNRAS 287, 799.)
    """
    index = {name: i for i, name in enumerate(SHELL_PARAMETERS.names)}
    mixing = np.zeros((6, len(index) + 1))
    rows = (
        {"dust_mass": 1, "outer_radius": -2},
        {"grain_radius": 1},
        {"silicate_fraction": 1},
        {"sn_luminosity": 1, "outer_radius": -2},
        {"sn_temperature": 1},
    )
    for row, terms in zip(mixing, rows, strict=False):
        for name, power in terms.items():
            row[index[name]] = power
    mixing[-1, -1] = 1
    return mixing


def luminosity_gain(num_bands: int) -> Float[np.ndarray, "band param"]:
    """Change of every magnitude with the scaled parameters at a fixed shape."""
    gain = np.zeros((num_bands, len(SHELL_PARAMETERS)))
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

    References:
        Ansari et al. (2022), A&A 666, A176.
    """

    inner: float = 0.8
    carbon: str = CARBON
    silicate: str = SILICATE
    sizes: GrainSizes | None = None
    remove_sublimated: bool = False

    def __post_init__(self) -> None:
        ShellGeometry(self.inner)
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
        for name, usual in (("remove_sublimated", False), ("sizes", None)):
            if stated[name] == usual:
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

    def simulate(self, theta: Float[np.ndarray, "object param"]) -> ShellSpectra:
        """Solve the transfer of every row.

        Args:
            theta: Physical parameters in the order of `parameters`.

        Raises:
            ParameterError: A value is outside the range of the tables, or not
                positive where it must be.
        """
        theta = np.atleast_2d(np.asarray(theta, dtype=float))
        if theta.shape[1] != len(SHELL_PARAMETERS):
            raise ParameterError(
                f"Expected {len(SHELL_PARAMETERS)} columns "
                f"({', '.join(SHELL_PARAMETERS.names)}); got {theta.shape[1]}."
            )
        rows = [self._row(row) for row in theta]
        spectrum, *outcomes = (np.array(column) for column in zip(*rows, strict=True))
        return ShellSpectra(theta, wavelength_grid(), spectrum, *outcomes)

    def _row(self, theta: Float[np.ndarray, " param"]) -> tuple:
        mass, _, _, luminosity, temperature, radius = (float(v) for v in theta)
        opacity = self.opacity(theta)
        shell = Shell(
            luminosity=luminosity,
            source_temperature=temperature,
            dust_mass=mass,
            outer_radius=radius,
            opacity=opacity,
            geometry=ShellGeometry(self.inner),
        )
        answer = solve_shell(shell, remove_sublimated=self.remove_sublimated)
        tiny = 10**FAINTEST
        return (
            np.log10(np.maximum(answer.luminosity, tiny)).astype(np.float32),
            answer.dust_temperature,
            _mean_temperature(opacity, answer, self.carbon),
            _mean_temperature(opacity, answer, self.silicate),
            float(opacity.mass_fraction @ answer.sublimated),
            answer.optical_depth,
            answer.energy_error,
        )


def _mean_temperature(opacity: Opacity, answer: ShellSolution, name: str) -> float:
    """Mean over all grains of a species that are there; nan without any."""
    mass = opacity.mass_fraction * answer.remaining
    there = (np.array(opacity.names) == name) & (mass > 0)
    if not there.any():
        return np.nan
    return float(np.average(answer.mean_temperature[there], weights=mass[there]))
