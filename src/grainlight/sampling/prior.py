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

Parameters that are not named keep the base prior. Shells are smooth unless
`clump_filling_factor` is named: then it is a parameter as well. The dust temperature is
an outcome: naming it means that the prior of the six parameters of the thesis, dust
temperature among them, becomes the product of the named densities and flat ones. With
the learned joint density $\pi_0$ of these six, and of the filling factor where there
are clumps, the prior of the parameters that are sampled is then

$$ \pi(\theta) \propto \pi_{\rm base}(\theta)\,
   \frac{\prod_i \pi_i(s_i)}{\pi_0(s_1, \ldots)} . $$
"""

import math
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import FileFormatError, Parameter, ParameterError, Parameters
from grainlight.estimators.shell_model import (
    THESIS_PARAMETERS,
    ShellModel,
    thesis_parameters,
)
from grainlight.simulators import (
    CLUMPY_PARAMETERS,
    FILLING,
    PRIORS,
    SHELL_PARAMETERS,
    ShellPrior,
    named_prior,
)

TEMPERATURE = "dust_temperature"
TEMPERATURES = THESIS_PARAMETERS[TEMPERATURE]
#: Numbers that each distribution takes.
DISTRIBUTIONS = {
    "uniform": ("lower", "upper"),
    "loguniform": ("lower", "upper"),
    "normal": ("mean", "sd"),
    "lognormal": ("median", "dex"),
}
NARROWEST = 1e-3  # of its range that the standard deviation of a prior may be
NUM_CELLS = 2_000  # in which a density is tabulated
HOPELESS = -100.0  # log of a density, relative to its peak, that leaves no mass
LEAST = -1e30  # log-weight of a candidate that is impossible
CANDIDATES = 16  # drawn for every draw from a prior


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

    def log_prob(self, member: Parameter, scaled: Float[Array, "*batch"]) -> Array:
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

    def cells(
        self, member: Parameter
    ) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " cell"]]:
        """Edges of cells over the scaled range of a parameter, and the mass in each.

        Raises `ParameterError` if there is next to none, or it is as good as a point.
        """
        nodes = np.linspace(*member.scaled_bounds, NUM_CELLS + 1)
        middle = (nodes[1:] + nodes[:-1]) / 2
        log_prob = self.log_prob(member, jnp.asarray(middle))
        log_mass = np.asarray(log_prob, dtype=float)
        if log_mass.max() > HOPELESS:
            mass = np.exp(log_mass - log_mass.max())
            mass /= mass.sum()
            spread = np.sqrt(np.sum(mass * (middle - np.sum(mass * middle)) ** 2))
            if spread > NARROWEST * (nodes[-1] - nodes[0]):
                return nodes, mass
        first, second = DISTRIBUTIONS[self.distribution]
        raise ParameterError(
            f"Expected a prior of {member.name} with room between {member.lower:g} and "
            f"{member.upper:g} {member.unit}; got {self.distribution} with {first} "
            f"{self.first:g} and {second} {self.second:g}. Move or widen it."
        )


def _density(name: str, table: object) -> Density:
    known = isinstance(table, dict) and str(table.get("distribution")) in DISTRIBUTIONS
    if not isinstance(table, dict) or not known:
        raise ParameterError(
            f"Expected a distribution among {', '.join(DISTRIBUTIONS)} for {name!r}; "
            f"got {table!r}. Write a table [{name}] with `distribution` and its "
            "numbers."
        )
    kind = str(table["distribution"])
    wanted = DISTRIBUTIONS[kind]
    given = [table.get(word) for word in wanted]
    numbers = [float(n) for n in given if isinstance(n, (int, float))]
    numbers = [] if any(isinstance(n, bool) for n in given) else numbers
    good = len(numbers) == len(wanted) and all(map(math.isfinite, numbers))
    if not good or set(table) != {"distribution", *wanted}:
        raise ParameterError(
            f"Expected the numbers {' and '.join(wanted)} for the {kind} prior of "
            f"{name!r}; got {', '.join(f'{k}={v}' for k, v in table.items())}."
        )
    first, second = numbers
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

    def __post_init__(self) -> None:
        for name, density in self.replaced:
            member = TEMPERATURES if name == TEMPERATURE else self._range[name]
            flat = density.distribution in ("uniform", "loguniform")
            lowest, highest = member.lower * (1 - 1e-9), member.upper * (1 + 1e-9)
            if flat and not lowest <= density.first < density.second <= highest:
                raise ParameterError(
                    f"Expected bounds of {name} inside {member.lower:g} to "
                    f"{member.upper:g} {member.unit}, the range that the model was "
                    f"trained on; got {density.first:g} and {density.second:g}."
                )
            density.cells(member)

    @property
    def _range(self) -> Parameters:
        """The sampled parameters, with the bounds of the base prior."""
        bounds = zip(
            SHELL_PARAMETERS.members, self.base.lower, self.base.upper, strict=True
        )
        members = [replace(m, lower=low, upper=high) for m, low, high in bounds]
        return Parameters(tuple(members + [FILLING] * self.is_clumpy))

    @property
    def is_clumpy(self) -> bool:
        """Whether the shells have clumps, with their filling factor as a parameter."""
        return any(name == FILLING.name for name, _ in self.replaced)

    def is_named(self, name: str) -> bool:
        """Whether it is just the prior of this name."""
        return self.base.name == name and not self.replaced

    def with_clumps(self) -> "PriorChoice":
        """The same for shells with clumps, with an even prior unless there is one."""
        if self.is_clumpy:
            return self
        even = Density("uniform", FILLING.lower, FILLING.upper)
        return replace(self, replaced=(*self.replaced, (FILLING.name, even)))

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
            reason = error.strerror if isinstance(error, OSError) else error
            raise FileFormatError(
                f"Expected a TOML file with a prior in {path}; got: {reason}. Check "
                f"the path and the file, or name one of the priors {', '.join(PRIORS)}."
            ) from error
        base = named_prior(str(table.pop("base", "thesis2023")))
        known = {*CLUMPY_PARAMETERS.names, TEMPERATURE}
        for name in table:
            if name not in known:
                raise ParameterError(
                    f"Expected parameters among {', '.join(sorted(known))} in {path}; "
                    f"got {name!r}. Correct its name."
                )
        return cls(base, tuple((name, _density(name, table[name])) for name in table))

    def density_of(self, name: str) -> Density:
        """Density of a sampled parameter, taken alone."""
        replaced = dict(self.replaced)
        if name in replaced:
            return replaced[name]
        member = self._range[name]
        logged = member.scale == "log10" and name not in self.base.uniform
        return Density(
            "loguniform" if logged else "uniform", member.lower, member.upper
        )

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
    def densities(self) -> dict[str, dict[str, str | float]]:
        """The densities that replace others, as a prior file states them."""
        stated: dict[str, dict[str, str | float]] = {}
        for name, density in self.replaced:
            first, second = DISTRIBUTIONS[density.distribution]
            words = {"distribution": density.distribution}
            stated[name] = {**words, first: density.first, second: density.second}
        return stated

    @property
    def parameters(self) -> Parameters:
        """The sampled parameters, with the bounds of this prior."""
        members = {member.name: member for member in self._range.members}
        for name, density in self.replaced:
            if name in members and "uniform" in density.distribution:
                old = members[name]
                members[name] = replace(
                    old,
                    lower=max(old.lower, density.first),
                    upper=min(old.upper, density.second),
                )
        return Parameters(tuple(members.values()))

    @property
    def scaled_sd(self) -> dict[str, float]:
        """Standard deviation of each scaled parameter, taken alone."""
        spread = dict(self.base.scaled_sd)
        for name, density in self.replaced:
            if name != TEMPERATURE:
                nodes, mass = density.cells(self.parameters[name])
                middle = (nodes[1:] + nodes[:-1]) / 2
                mean = np.sum(mass * middle)
                spread[name] = float(np.sqrt(np.sum(mass * (middle - mean) ** 2)))
        return spread

    def prior(self, model: ShellModel) -> "ReplacedPrior":
        """The density to sample from, with what it needs of a model."""
        learned = model if any(n == TEMPERATURE for n, _ in self.replaced) else None
        if learned is not None and self.base.name != model.meta["density_prior"]:
            raise ParameterError(
                f"Expected the base prior {model.meta['density_prior']!r} for a prior "
                f"of {TEMPERATURE}: only its joint density was learned; got "
                f"{self.base.name!r}."
            )
        self._check_clumps(model)
        members = self.parameters.members
        tables = [self.density_of(member.name).cells(member) for member in members]
        nodes, mass = (np.stack(part) for part in zip(*tables, strict=True))
        return ReplacedPrior(
            self,
            None if learned is None else learned.outcomes,
            None if learned is None else learned.density,
            jnp.asarray(nodes),
            jnp.asarray(mass),
        )

    def _check_clumps(self, model: ShellModel) -> None:
        largest = model.largest_filling_factor
        upper = self.parameters[FILLING.name].upper if self.is_clumpy else 0.0
        if upper > largest * (1 + 1e-9):
            raise ParameterError(
                f"Expected a prior of {FILLING.name} up to {largest:g}, as far as "
                f"{model.name!r} was trained; got one up to {upper:g}. Give it a "
                "uniform prior within that."
            )


class ReplacedPrior(eqx.Module):
    """Density of a `PriorChoice` over the sampled parameters.

    Attributes:
        choice: What it is made from.
        outcomes: Dust temperature of the parameters, if that has a prior.
        density: Joint density of the parameters of the thesis, for the same.
        nodes: Edges of cells on each scaled axis, for proposals.
        mass: Mass of each cell under the density of that parameter alone.
    """

    choice: PriorChoice = eqx.field(static=True)
    outcomes: eqx.Module | None
    density: eqx.Module | None
    nodes: Float[Array, "param node"]
    mass: Float[Array, "param cell"]

    def log_prob(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Log density per unit scaled parameter, up to a constant."""
        total = self.choice.base.log_prob(scaled[: len(SHELL_PARAMETERS)])
        thesis = None
        if self.density is not None and self.outcomes is not None:
            temperature = self.outcomes(scaled, jnp.zeros(0))
            thesis = thesis_parameters(scaled, temperature)
            lower, upper = self.density.box.lower, self.density.box.upper
            learned = self.density.log_prob(jnp.clip(thesis, lower, upper))
            total = total - learned
        for name, density in self.choice.replaced:
            if name == TEMPERATURE and thesis is not None:
                member = THESIS_PARAMETERS[name]
                value = thesis[THESIS_PARAMETERS.index(name)]
            else:
                member = CLUMPY_PARAMETERS[name]
                value = scaled[CLUMPY_PARAMETERS.index(name)]
                if thesis is None and name in self.choice.base.uniform:
                    total = total - math.log(10) * value
            total = total + density.log_prob(member, value)
        return total

    def sample(self, key: Key[Array, ""], num_draws: int) -> Float[Array, "draw param"]:
        """Scaled draws, by importance resampling of independent candidates.

        A candidate is picked as often as its weight demands: draws may repeat where
        the prior is far from a product of densities.
        """
        total = CANDIDATES * num_draws
        cell_key, place_key, pick_key = jr.split(key, 3)
        num_params, num_cells = self.mass.shape
        log_mass = jnp.log(jnp.maximum(self.mass, 1e-30))
        level = jr.uniform(cell_key, (num_params, total))
        cumulative = jnp.cumsum(self.mass, axis=1)
        cells = jax.vmap(jnp.searchsorted)(cumulative, level).T
        cells = jnp.minimum(cells, num_cells - 1)
        row = jnp.arange(num_params)
        width = (self.nodes[:, -1] - self.nodes[:, 0]) / num_cells
        place = jr.uniform(place_key, (total, num_params))
        candidates = self.nodes[row, cells] + width * place
        log_weight = jax.vmap(self.log_prob)(candidates)
        log_weight = log_weight - jnp.sum(log_mass[row, cells], axis=1)
        log_weight = jnp.where(jnp.isfinite(log_weight), log_weight, LEAST)
        return candidates[jr.categorical(pick_key, log_weight, shape=(num_draws,))]
