"""Errors that a user can mend: each says what was expected, what came, what to do."""


class GrainlightError(ValueError):
    """Base of every error raised for bad input; the command line exits 2 on it."""


class ParameterError(GrainlightError):
    """A parameter name, range or value does not fit."""


class UnknownFilterError(GrainlightError):
    """A filter name is not known; the message offers the nearest ones."""


class UnitError(GrainlightError):
    """A unit is missing, or cannot be one of flux or wavelength."""


class ObservationError(GrainlightError):
    """An observation is unusable: no band, a non-positive error, no distance."""


class RangeError(GrainlightError):
    """A value lies outside the range that a model was trained on."""


class BandMismatchError(GrainlightError):
    """The bands of an observation are not those of the estimator."""


class FileFormatError(GrainlightError):
    """A file is empty, broken, or of another kind."""


class OutputExistsError(GrainlightError):
    """The output folder is already there, and may not be overwritten."""


class ModelError(GrainlightError):
    """A saved estimator cannot be found or read."""


class SimulatorMissingError(GrainlightError):
    """A program that simulates is not installed on this machine."""


class SimulatorError(GrainlightError):
    """A program that simulates ended without an answer."""


class ClusterError(GrainlightError):
    """Processes that share work are not there, or are set up otherwise."""


class UntrustedError(GrainlightError):
    """A network breaks a bound that any true answer obeys."""
