"""How the run of one object ended."""

import equinox as eqx


class Status(eqx.Enumeration):
    """How the run of one object ended. Printing a status explains it."""

    ok = "Converged: every check of the gate passed."
    not_converged = (
        "The chains disagree (R-hat too large): raise `num_draws`, or look at the "
        "corner plot for separate modes."
    )
    low_ess = "Too few effective draws: raise `num_draws`, or check the bands."
    nonfinite = "The log-density was not finite at the start: check the fluxes."
    unusable = "The observation holds no usable band: check fluxes, errors and limits."
    outside = "The observation lies outside the range the model was trained on."


_NAMES = ("ok", "not_converged", "low_ess", "nonfinite", "unusable", "outside")


def status_name(status: Status) -> str:
    """The short name of a status, for files."""
    return next(name for name in _NAMES if bool(getattr(Status, name) == status))
