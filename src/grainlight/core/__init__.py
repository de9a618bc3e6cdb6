"""The nouns every room shares: parameters, draws, statuses, errors."""

from grainlight.core.errors import (
    BandMismatchError,
    ClusterError,
    FileFormatError,
    GrainlightError,
    ModelError,
    ObservationError,
    OutputExistsError,
    ParameterError,
    RangeError,
    SimulatorError,
    SimulatorMissingError,
    UnitError,
    UnknownFilterError,
    UntrustedError,
)
from grainlight.core.parameters import Parameter, Parameters
from grainlight.core.samples import Certificate, Diagnostics, Samples
from grainlight.core.status import Status, status_name

__all__ = [
    "BandMismatchError",
    "ClusterError",
    "Certificate",
    "Diagnostics",
    "FileFormatError",
    "GrainlightError",
    "ModelError",
    "ObservationError",
    "OutputExistsError",
    "Parameter",
    "ParameterError",
    "Parameters",
    "RangeError",
    "Samples",
    "SimulatorError",
    "SimulatorMissingError",
    "Status",
    "UnitError",
    "UnknownFilterError",
    "UntrustedError",
    "status_name",
]
