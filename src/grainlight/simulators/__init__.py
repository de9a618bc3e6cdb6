"""From parameters to light: simulators and the priors of their parameters."""

from grainlight.simulators.prior import (
    ANSARI2022,
    PRIORS,
    SHELL_PARAMETERS,
    THESIS2023,
    ShellPrior,
    named_prior,
)
from grainlight.simulators.shell import (
    ShellSimulator,
    ShellSpectra,
    luminosity_gain,
    scale_free_mixing,
)

__all__ = [
    "ANSARI2022",
    "PRIORS",
    "SHELL_PARAMETERS",
    "THESIS2023",
    "ShellPrior",
    "ShellSimulator",
    "ShellSpectra",
    "luminosity_gain",
    "named_prior",
    "scale_free_mixing",
]
