r"""Priors that a user puts in the place of the one the simulations were drawn from.

A prior file (TOML) names parameters and gives each a density:

    base = "thesis2023"

    [dust_mass]
    distribution = "lognormal"
    median = 1e-3
    dex = 0.5

    [dust_temperature]
    distribution = "normal"
    mean = 180.0
    sd = 30.0

Parameters that are not named keep the base prior. The dust temperature is an outcome:
naming it means that the prior of the six parameters of the thesis, dust temperature
among them, becomes the product of the named densities and flat ones. With the learned
joint density $\pi_0$ of these six, the prior of the parameters that are sampled is then

$$ \pi(\theta) \propto \pi_{\rm base}(\theta)\,
   \frac{\prod_i \pi_i(s_i)}{\pi_0(s_1, \ldots, s_6)} . $$
"""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from grainlight.core import FileFormatError, Parameter, ParameterError, Parameters
from grainlight.estimators.shell_model import THESIS_PARAMETERS, ShellModel
from grainlight.simulators import SHELL_PARAMETERS, ShellPrior, named_prior

TEMPERATURE = "dust_temperature"
#: Numbers that each distribution takes.
DISTRIBUTIONS = {
    "uniform": ("lower", "upper"),
    "loguniform": ("lower", "upper"),
    "normal": ("mean", "sd"),
    "lognormal": ("median", "dex"),
}


@dataclass(frozen=True)
class Density:
    """A one-dimensional prior density of a physical value.

    Attributes:
        distribution: One of `DISTRIBUTIONS`.
        first: Lower bound, mean or median, in the unit of the parameter.
        second: Upper bound, standard deviation, or standard deviation in dex.
    """

    distribution: str
    first: float
    second: float

    def log_prob(self, member: Parameter, scaled: Float[Array, ""]) -> Array:
        """Log density per unit of the scaled value, up to a constant."""
        logged = member.scale == "log10"
        value = 10.0**scaled if logged else scaled
        # a density per unit value becomes one per dex with the factor value
        log_jacobian = math.log(10) * scaled if logged else 0.0
        if self.distribution in ("uniform", "loguniform"):
            inside = (value >= self.first) & (value <= self.second)
            flat = log_jacobian
            if self.distribution == "loguniform":
                flat = 0.0 if logged else -jnp.log(jnp.maximum(value, 1e-30))
            return jnp.where(inside, flat, -jnp.inf)
        if self.distribution == "normal":
            return -0.5 * ((value - self.first) / self.second) ** 2 + log_jacobian
        dex = scaled if logged else jnp.log10(jnp.maximum(value, 1e-30))
        shift = 0.0 if logged else -math.log(10) * dex
        return -0.5 * ((dex - math.log10(self.first)) / self.second) ** 2 + shift


def _density(name: str, table: object) -> Density:
    if not isinstance(table, dict) or table.get("distribution") not in DISTRIBUTIONS:
        raise ParameterError(
            f"Expected a distribution among {', '.join(DISTRIBUTIONS)} for {name!r}; "
            f"got {table!r}."
        )
    kind = str(table["distribution"])
    wanted = DISTRIBUTIONS[kind]
    numbers = [table.get(word) for word in wanted]
    good = all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
    if not good or set(table) != {"distribution", *wanted}:
        raise ParameterError(
            f"Expected the numbers {' and '.join(wanted)} for the {kind} prior of "
            f"{name!r}; got {', '.join(f'{k}={v}' for k, v in table.items())}."
        )
    first, second = (float(n) for n in numbers if n is not None)
    bounded, logged = "lower" in wanted, kind.startswith("log")
    if not (first < second if bounded else second > 0) or (logged and first <= 0):
        rule = "lower < upper" if bounded else "a positive width"
        rule += " and positive values" if logged else ""
        raise ParameterError(
            f"Expected {rule} for the {kind} prior of {name!r}; got {first} and "
            f"{second}."
        )
    return Density(kind, first, second)


@dataclass(frozen=True)
class PriorChoice:
    """A named prior, with densities that replace those of some parameters."""

    base: ShellPrior
    replaced: tuple[tuple[str, Density], ...] = ()

    @classmethod
    def read(cls, name_or_file: str | Path) -> "PriorChoice":
        """A named prior, or one described by a TOML file.

        Raises:
            ParameterError: A name, distribution or number does not fit.
            FileFormatError: The file is not TOML.
        """
        path = Path(name_or_file)
        if path.suffix != ".toml":
            return cls(named_prior(str(name_or_file)))
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise FileFormatError(
                f"Expected a TOML file with a prior in {path}; got {error}."
            ) from error
        base = named_prior(str(table.pop("base", "thesis2023")))
        known = {*SHELL_PARAMETERS.names, TEMPERATURE}
        for name in table:
            if name not in known:
                raise ParameterError(
                    f"Expected parameters among {', '.join(sorted(known))} in {path}; "
                    f"got {name!r}."
                )
        return cls(base, tuple((name, _density(name, table[name])) for name in table))

    @property
    def words(self) -> str:
        """Which prior this is, for a report."""
        if not self.replaced:
            return self.base.name
        names = ", ".join(
            f"{name}: {d.distribution}({d.first:g}, {d.second:g})"
            for name, d in self.replaced
        )
        return f"{self.base.name} with {names}"

    @property
    def parameters(self) -> Parameters:
        """The sampled parameters, with the bounds of this prior."""
        bounds = zip(
            SHELL_PARAMETERS.members, self.base.lower, self.base.upper, strict=True
        )
        return Parameters(
            tuple(
                Parameter(m.name, low, high, m.unit, m.scale, m.label)
                for m, low, high in bounds
            )
        )

    def prior(self, model: ShellModel) -> "ReplacedPrior":
        """The density to sample from, with what it needs of a model."""
        learned = model if any(n == TEMPERATURE for n, _ in self.replaced) else None
        if learned is not None and self.base.name != model.meta["density_prior"]:
            raise ParameterError(
                f"Expected the base prior {model.meta['density_prior']!r} for a prior "
                f"of {TEMPERATURE}: only its joint density was learned; got "
                f"{self.base.name!r}."
            )
        if learned is None:
            return ReplacedPrior(self, None, None)
        return ReplacedPrior(self, learned.outcomes, learned.density)


class ReplacedPrior(eqx.Module):
    """Log density of a `PriorChoice` over the sampled parameters."""

    choice: PriorChoice = eqx.field(static=True)
    outcomes: eqx.Module | None
    density: eqx.Module | None

    def log_prob(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Log density per unit scaled parameter, up to a constant."""
        total = self.choice.base.log_prob(scaled)
        thesis = None
        if self.density is not None and self.outcomes is not None:
            temperature = self.outcomes(scaled, jnp.zeros(0))
            thesis = jnp.concatenate([scaled[:3], temperature, scaled[3:5]])
            lower, upper = self.density.box.lower, self.density.box.upper
            learned = self.density.log_prob(jnp.clip(thesis, lower, upper))
            total = total - learned
        for name, density in self.choice.replaced:
            if name == TEMPERATURE and thesis is not None:
                member = THESIS_PARAMETERS[name]
                value = thesis[THESIS_PARAMETERS.index(name)]
            else:
                member = SHELL_PARAMETERS[name]
                value = scaled[SHELL_PARAMETERS.index(name)]
                if thesis is None and name in self.choice.base.uniform:
                    total = total - math.log(10) * value
            total = total + density.log_prob(member, value)
        return total
