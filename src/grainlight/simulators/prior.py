r"""Named priors of the supernova dust shell.

Both leave out shells that the transfer engine does not answer for: the density falls
off smoothly above $\tau_V = 100$,

$$ \pi(\theta) \propto \pi_0(\theta) \exp\left[-\tfrac12
   \left(\frac{\max(0, \ln \tau_V / 100)}{0.05}\right)^2\right], $$

and shells are drawn from just this density, so that the prior of the fit is the one
the data were drawn from.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.core import Parameter, ParameterError, Parameters
from grainlight.dust import mixture_opacity
from grainlight.transfer import ShellGeometry

SHELL_PARAMETERS = Parameters(
    (
        Parameter("dust_mass", 1e-6, 1e-1, "Msun", "log10", r"M_\mathrm{d}"),
        Parameter("grain_radius", 0.005, 5.0, "um", "log10", "a"),
        Parameter("silicate_fraction", 0.0, 1.0, "", "linear", r"f_\mathrm{sil}"),
        Parameter("sn_luminosity", 1e3, 3e8, "Lsun", "log10", r"L_\star"),
        Parameter("sn_temperature", 4000.0, 14000.0, "K", "linear", r"T_\star"),
        Parameter("outer_radius", 1e15, 1e18, "cm", "log10", r"R_\mathrm{out}"),
    )
)
#: Share of a shell that clumps fill, in the range of the thesis.
FILLING = Parameter("clump_filling_factor", 0.0, 0.5, "", "linear", r"f_\mathrm{c}")
CLUMPY_PARAMETERS = Parameters((*SHELL_PARAMETERS.members, FILLING))
CARBON, SILICATE = "carbon_be", "silicate_dl"
LARGEST_DEPTH = 100.0
DEPTH_SOFTNESS = 0.05
VISUAL = 0.55
SUN_MASS = 1.989e33
NUM_RADII = 241


@cache
def _visual_opacity(carbon: str, silicate: str) -> tuple[np.ndarray, np.ndarray]:
    """Log radius, and log extinction opacity at 0.55 um of carbon and silicate."""
    radius = np.geomspace(0.005, 5.0, NUM_RADII)
    wave = np.array([VISUAL])
    table = [
        [float(mixture_opacity({name: 1.0}, a, wave).extinction[0]) for a in radius]
        for name in (carbon, silicate)
    ]
    return np.log10(radius), np.log(np.array(table))


@dataclass(frozen=True)
class ShellPrior:
    """A prior of the six parameters of a smooth shell.

    Attributes:
        name: Name in settings and reports.
        lower: Lower bounds, in the units of `SHELL_PARAMETERS`.
        upper: Upper bounds.
        uniform: Parameters drawn uniformly in their value although they are sampled
            in dex.
        classes: Values that the silicate fraction takes when shells are drawn; empty
            for a continuous fraction. The density of a fit is continuous always.
        inner: Inner over outer radius of the shells.
        carbon: Carbon species.
        silicate: Silicate species.
    """

    name: str
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    uniform: tuple[str, ...] = ()
    classes: tuple[float, ...] = ()
    inner: float = 0.8
    carbon: str = CARBON
    silicate: str = SILICATE

    @property
    def parameters(self) -> Parameters:
        """The parameters, with the bounds of the trained model."""
        return SHELL_PARAMETERS

    @cached_property
    def _bounds(self) -> np.ndarray:
        logs = np.array([p.scale == "log10" for p in SHELL_PARAMETERS.members])
        bounds = np.array([self.lower, self.upper])
        return np.where(logs, np.log10(np.where(logs, bounds, 1)), bounds)

    @property
    def scaled_sd(self) -> dict[str, float]:
        """Standard deviation of each scaled parameter, without the edge in depth."""
        unit = (np.arange(1000) + 0.5) / 1000
        lower, upper = self._bounds
        spread = {}
        for i, member in enumerate(SHELL_PARAMETERS.members):
            values = lower[i] + (upper[i] - lower[i]) * unit
            if member.name in self.uniform:
                values = np.log10(
                    self.lower[i] + (self.upper[i] - self.lower[i]) * unit
                )
            spread[member.name] = float(values.std())
        return spread

    def log_optical_depth(
        self, scaled: Float[Array | np.ndarray, "*batch param"]
    ) -> Float[Array, "*batch"]:
        """Natural log of the radial extinction optical depth at 0.55 um."""
        log_radius, table = _visual_opacity(self.carbon, self.silicate)
        position = (scaled[..., 1] - log_radius[0]) / (log_radius[1] - log_radius[0])
        low = jnp.clip(jnp.floor(position), 0, NUM_RADII - 2).astype(int)
        share = position - low
        carbon, silicate = (
            jnp.exp((1 - share) * row[low] + share * row[low + 1])
            for row in (jnp.asarray(table[0]), jnp.asarray(table[1]))
        )
        opacity = scaled[..., 2] * silicate + (1 - scaled[..., 2]) * carbon
        area = ShellGeometry(self.inner).mass_per_column
        log_column = np.log(10) * (
            scaled[..., 0] - 2 * scaled[..., 5] + np.log10(SUN_MASS / area)
        )
        return log_column + jnp.log(opacity)

    def log_prob(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Log density per unit scaled parameter, up to a constant.

        The constant is that of the box without the edge at large optical depth.
        """
        lower, upper = self._bounds
        inside = jnp.all((scaled >= lower - 1e-6) & (scaled <= upper + 1e-6))
        log_density = -float(np.sum(np.log(upper - lower)))
        for name in self.uniform:
            i = SHELL_PARAMETERS.index(name)
            # uniform in the value x: density in s = log10 x is x ln 10 / (x1 - x0)
            span = np.log(np.log(10) / (self.upper[i] - self.lower[i]))
            ratio = span + np.log(upper[i] - lower[i])
            log_density = log_density + scaled[i] * np.log(10) + ratio
        return jnp.where(inside, log_density + self._edge(scaled), -jnp.inf)

    def _edge(
        self, scaled: Float[Array | np.ndarray, "*batch param"]
    ) -> Float[Array, "*batch"]:
        beyond = self.log_optical_depth(scaled) - np.log(LARGEST_DEPTH)
        return -0.5 * (jnp.maximum(beyond, 0) / DEPTH_SOFTNESS) ** 2

    def sample(
        self, generator: np.random.Generator, num_draws: int
    ) -> Float[np.ndarray, "draw param"]:
        """Draw physical parameters from the prior.

        Args:
            generator: Source of random numbers.
            num_draws: Number of draws.
        """
        kept: list[np.ndarray] = []
        missing = num_draws
        while missing > 0:
            theta = self._box(generator, 2 * missing + 64)
            scaled = np.array(theta)
            logs = [p.scale == "log10" for p in SHELL_PARAMETERS.members]
            scaled[:, logs] = np.log10(theta[:, logs])
            accept = np.exp(np.asarray(self._edge(scaled), dtype=float))
            theta = theta[generator.random(len(theta)) < accept][:missing]
            kept.append(theta)
            missing -= len(theta)
        return np.concatenate(kept)

    def _box(self, generator: np.random.Generator, num: int) -> np.ndarray:
        lower, upper = self._bounds
        unit = generator.random((num, len(SHELL_PARAMETERS)))
        theta = lower + (upper - lower) * unit
        for i, member in enumerate(SHELL_PARAMETERS.members):
            if member.name in self.uniform:
                span = self.upper[i] - self.lower[i]
                theta[:, i] = self.lower[i] + span * unit[:, i]
            elif member.scale == "log10":
                theta[:, i] = 10 ** theta[:, i]
        if self.classes:
            pick = generator.integers(len(self.classes), size=num)
            theta[:, 2] = np.array(self.classes)[pick]
        return theta


THESIS2023 = ShellPrior(
    "thesis2023",
    lower=(1e-6, 0.005, 0.0, 1e3, 4000.0, 1e15),
    upper=(1e-1, 5.0, 1.0, 1e6, 14000.0, 1e18),
)
ANSARI2022 = ShellPrior(
    "ansari2022",
    lower=(1e-5, 0.005, 0.0, 6e5, 4000.0, 1e16),
    upper=(1e-1, 5.0, 1.0, 3e8, 14000.0, 2e17),
    uniform=("sn_luminosity", "outer_radius"),
    classes=(0.0, 0.6606, 1.0),
)
PRIORS = {prior.name: prior for prior in (THESIS2023, ANSARI2022)}


def named_prior(name: str) -> ShellPrior:
    """Look a prior up by name; raises `ParameterError` if there is none."""
    if name not in PRIORS:
        raise ParameterError(
            f"Expected one of the priors {', '.join(PRIORS)}; got {name!r}."
        )
    return PRIORS[name]
