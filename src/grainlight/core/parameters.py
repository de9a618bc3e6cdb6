"""The parameters of one object: names, units, ranges and transforms."""

import math
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from grainlight.core.errors import ParameterError


@dataclass(frozen=True)
class Parameter:
    """One physical parameter, its range and the scale on which it is sampled.

    Attributes:
        name: Name in tables and files.
        lower: Lower bound, in `unit`.
        upper: Upper bound, in `unit`.
        unit: Unit of tables and files; empty if none.
        scale: `log10` if the parameter is sampled and plotted in dex.
        label: TeX label, without unit.
    """

    name: str
    lower: float
    upper: float
    unit: str = ""
    scale: Literal["linear", "log10"] = "linear"
    label: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lower) and math.isfinite(self.upper)):
            raise ParameterError(
                f"Expected finite bounds of {self.name!r}; got {self.lower} and "
                f"{self.upper}. Give the range that the simulations cover."
            )
        if not self.lower < self.upper:
            raise ParameterError(
                f"Expected lower < upper for {self.name!r}; got {self.lower} and "
                f"{self.upper}. Exchange the bounds."
            )
        if self.scale == "log10" and self.lower <= 0:
            raise ParameterError(
                f"Expected a positive lower bound of {self.name!r} on the log10 "
                f"scale; got {self.lower}. Raise it, or use the linear scale."
            )

    @property
    def scaled_bounds(self) -> tuple[float, float]:
        """Lower and upper bound on the sampling scale."""
        if self.scale == "log10":
            return math.log10(self.lower), math.log10(self.upper)
        return self.lower, self.upper

    @property
    def title(self) -> str:
        """Label with unit for the axis of a figure."""
        text = f"${self.label}$" if self.label else self.name
        if self.scale == "log10":
            text = rf"$\log_{{10}}\,${text}"
        return f"{text} [{self.unit}]" if self.unit else text


@dataclass(frozen=True)
class Parameters:
    r"""The ordered parameters of an object; a `theta` is one value of each.

    Three coordinate systems are in use. *Physical* values (`theta`) carry the units
    of the table. *Scaled* values are log10 of those on the `log10` scale; densities
    are per unit of the scaled values. *Unconstrained* values $y$ run over all reals,
    $s = s_0 + (s_1 - s_0)\, \Phi(y)$ with $s$ the scaled value and $\Phi$ the normal
    distribution function: what is uniform up to a bound has a Gaussian tail there, as
    samplers like it.
    """

    members: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        if len(set(names)) != len(names):
            raise ParameterError(
                f"Expected distinct parameter names; got {', '.join(names)}. "
                "Rename one of them."
            )

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, name: str) -> Parameter:
        return self.members[self.index(name)]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(member.name for member in self.members)

    def index(self, name: str) -> int:
        """Position of a parameter; raises `ParameterError` if it is not there."""
        if name not in self.names:
            raise ParameterError(
                f"Expected one of {', '.join(self.names)}; got {name!r}."
            )
        return self.names.index(name)

    @property
    def lower(self) -> Float[Array, " param"]:
        """Lower bounds on the scaled axis."""
        return jnp.array([member.scaled_bounds[0] for member in self.members])

    @property
    def upper(self) -> Float[Array, " param"]:
        """Upper bounds on the scaled axis."""
        return jnp.array([member.scaled_bounds[1] for member in self.members])

    @property
    def _is_log(self) -> Array:
        return jnp.array([member.scale == "log10" for member in self.members])

    def scale(
        self, theta: Float[Array, "*batch param"]
    ) -> Float[Array, "*batch param"]:
        """Physical to scaled values: log10 where the scale says so."""
        safe = jnp.where(self._is_log, theta, 1.0)
        return jnp.where(self._is_log, jnp.log10(safe), theta)

    def unscale(
        self, scaled: Float[Array, "*batch param"]
    ) -> Float[Array, "*batch param"]:
        """Scaled to physical values."""
        power = jnp.where(self._is_log, scaled, 0.0)
        return jnp.where(self._is_log, 10.0**power, scaled)

    def constrain(
        self, y: Float[Array, "*batch param"]
    ) -> Float[Array, "*batch param"]:
        """Unconstrained to scaled values, inside the bounds."""
        return self.lower + (self.upper - self.lower) * ndtr(y)

    def unconstrain(
        self, scaled: Float[Array, "*batch param"]
    ) -> Float[Array, "*batch param"]:
        """Scaled values inside the bounds to unconstrained ones."""
        unit = (scaled - self.lower) / (self.upper - self.lower)
        tiny = jnp.finfo(unit.dtype).eps
        unit = jnp.clip(unit, tiny, 1 - tiny)
        return ndtri(unit)

    def log_det_constrain(
        self, y: Float[Array, "*batch param"]
    ) -> Float[Array, "*batch"]:
        """Log volume element d(scaled) / d(unconstrained) at `y`."""
        width = jnp.log(self.upper - self.lower)
        return jnp.sum(width + norm.logpdf(y), axis=-1)
