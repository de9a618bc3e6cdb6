"""From parameters to light: simulators and the priors of their parameters."""

from grainlight.simulators.conjugate import ConjugateGaussian, Gaussian
from grainlight.simulators.mocassin import MocassinRuns, run_shell, run_shells
from grainlight.simulators.mocassin_input import (
    MocassinGrid,
    MocassinSettings,
    MocassinShell,
    number_fraction,
    uniform_grid,
)
from grainlight.simulators.mocassin_output import MocassinRun, RadialTemperature
from grainlight.simulators.mocassin_records import (
    RunRecord,
    finished_runs,
    read_record,
    read_run,
    run_path,
)
from grainlight.simulators.prior import (
    ANSARI2022,
    CLUMPY_PARAMETERS,
    FILLING,
    PRIORS,
    SHELL_PARAMETERS,
    THESIS2023,
    ShellPrior,
    named_prior,
)
from grainlight.simulators.protocol import Simulator, check_simulator
from grainlight.simulators.shell import (
    Progress,
    ShellSimulator,
    ShellSpectra,
    clump_softening,
    luminosity_gain,
    scale_free_mixing,
)

__all__ = [
    "ANSARI2022",
    "CLUMPY_PARAMETERS",
    "ConjugateGaussian",
    "FILLING",
    "Gaussian",
    "MocassinGrid",
    "MocassinRun",
    "MocassinRuns",
    "MocassinSettings",
    "MocassinShell",
    "PRIORS",
    "Progress",
    "RadialTemperature",
    "RunRecord",
    "SHELL_PARAMETERS",
    "ShellPrior",
    "ShellSimulator",
    "ShellSpectra",
    "Simulator",
    "THESIS2023",
    "check_simulator",
    "clump_softening",
    "finished_runs",
    "luminosity_gain",
    "named_prior",
    "number_fraction",
    "read_record",
    "read_run",
    "run_path",
    "run_shell",
    "run_shells",
    "scale_free_mixing",
    "uniform_grid",
]
