"""The columns of a posterior as figures and tables show them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from grainlight.core import GrainlightError, Parameter, Samples, Status

#: Outcomes that are known by name; another one is shown without unit.
OUTCOMES = (
    Parameter("dust_temperature", 1.0, 1e5, "K", "linear", r"T_\mathrm{d}"),
    Parameter("optical_depth", 0.0, 1e4, "", "linear", r"\tau_V"),
)
_UNITS = {
    "Msun": r"$M_\odot$",
    "Lsun": r"$L_\odot$",
    "um": r"$\mu$m",
}
_DECADE = 10.0  # an outcome that spans more is shown in dex


@dataclass(frozen=True)
class Column:
    """A parameter or outcome, on the axis where it is drawn.

    Attributes:
        name: Name in tables.
        unit: Unit in tables; empty if none.
        label: Label of the axis, with unit.
        is_log: Whether the axis is in dex.
        bounds: Range that draws can take on the axis.
    """

    name: str
    unit: str
    label: str
    is_log: bool
    bounds: tuple[float, float]

    def to_axis(self, value: np.ndarray | float) -> np.ndarray:
        """Physical values to those of the axis."""
        array = np.asarray(value, dtype=float)
        return np.asarray(np.log10(array) if self.is_log else array)


def describe_columns(
    samples: Samples, outcomes: Iterable[Parameter] = OUTCOMES
) -> dict[str, Column]:
    """The columns of a posterior, parameters first, then its derived outcomes.

    A parameter is drawn on its own scale; an outcome in dex if it is positive and its
    95 % interval spans more than a decade.

    Args:
        samples: The posterior.
        outcomes: Unit and label of derived outcomes.
    """
    known = {member.name: member for member in outcomes}
    intervals = samples.quantile((0.025, 0.975))
    columns = {
        member.name: _column(member, member.scale == "log10", member.scaled_bounds)
        for member in samples.parameters.members
    }
    for name in samples.derived:
        low, high = intervals[name]
        is_log = bool(low > 0 and high > _DECADE * low)
        member = known.get(name, Parameter(name, 0.0, 1.0))
        columns[name] = _column(member, is_log, (-np.inf, np.inf))
    return columns


def _column(member: Parameter, is_log: bool, bounds: tuple[float, float]) -> Column:
    text = f"${member.label}$" if member.label else member.name.replace("_", " ")
    if member.unit:
        text = f"{text} [{_UNITS.get(member.unit, member.unit)}]"
    label = rf"$\log_{{10}}$ {text}" if is_log else text
    return Column(member.name, member.unit, label, is_log, bounds)


def check_finite(samples: Samples) -> None:
    """Refuse a posterior without draws, as a failed run leaves it."""
    if samples.num_draws == 0 or not np.isfinite(np.asarray(samples.theta)).all():
        raise GrainlightError(
            "Expected finite draws to show; got none. The status of the run says what "
            f"went wrong: {Status[samples.status]}"
        )
