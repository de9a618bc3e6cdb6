"""One row of a catalogue: what is kept of a posterior."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from grainlight.core import Certificate, Parameters
from grainlight.estimators.belonging import BelongingScore
from grainlight.sampling.mixture import Gaussians

#: Quantiles of every parameter, by the ending of their column.
LEVELS = {"q025": 0.025, "q16": 0.16, "q50": 0.5, "q84": 0.84, "q975": 0.975}

#: Columns that hold lists of numbers.
LISTS = ("covariance", "mixture_weight", "mixture_mean", "mixture_covariance")
#: Gaussians that stand for a posterior.
COMPONENTS = 3


def summarize(
    parameters: Parameters,
    scaled: Float[np.ndarray, "draw param"],
    log_weight: Float[np.ndarray, " draw"],
) -> dict[str, Any]:
    """Moments and quantiles of weighted draws, by the name of their column.

    Quantiles are physical; mean, standard deviation and the covariance (its lower
    triangle, row by row) are those of the scaled values, in dex where the scale is
    logarithmic.

    Args:
        parameters: What the columns of the draws are.
        scaled: Scaled draws.
        log_weight: Their log-weights, one of them finite.
    """
    weight = np.exp(log_weight - logsumexp(log_weight))
    mean = weight @ scaled
    offset = scaled - mean
    covariance = (weight[:, None] * offset).T @ offset
    order = np.argsort(scaled, axis=0)
    ordered = np.take_along_axis(scaled, order, axis=0)
    share = np.cumsum(weight[order], axis=0) - 0.5 * weight[order]
    row: dict[str, Any] = {}
    for i, member in enumerate(parameters.members):
        quantiles = np.interp(list(LEVELS.values()), share[:, i], ordered[:, i])
        if member.scale == "log10":
            quantiles = 10**quantiles
        for ending, value in zip(LEVELS, quantiles, strict=True):
            row[f"{member.name}_{ending}"] = float(value)
        row[f"{member.name}_mean"] = float(mean[i])
        row[f"{member.name}_sd"] = float(np.sqrt(covariance[i, i]))
    row["covariance"] = covariance[np.tril_indices(len(parameters))].tolist()
    return row


def nothing(parameters: Parameters) -> dict[str, Any]:
    """The same columns for an object without a posterior: nothing in them."""
    names = [
        f"{m.name}_{e}" for m in parameters.members for e in (*LEVELS, "mean", "sd")
    ]
    return dict.fromkeys((*names, *LISTS))


def describe_mixture(
    draws: Float[np.ndarray, "draw param"], white: Gaussians
) -> dict[str, Any]:
    """Draws as a few Gaussians, by the name of their column.

    Their weights, their means one after another, and the lower triangles of their
    covariances likewise, on the scaled axes: a posterior with two modes keeps them.
    Nothing where all draws are so few different ones that no Gaussian fits.

    Args:
        draws: Scaled draws, of equal weight.
        white: Gaussians that were fitted to them, standardized.
    """
    center, spread = draws.mean(axis=0), draws.std(axis=0)
    mean = center + np.asarray(white.mean, float) * spread
    covariance = np.asarray(white.covariance, float) * spread[:, None] * spread
    if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(covariance))):
        return dict.fromkeys(("mixture_weight", "mixture_mean", "mixture_covariance"))
    rows, columns = np.tril_indices(draws.shape[1])
    return {
        "mixture_weight": np.exp(np.asarray(white.log_weight, float)).tolist(),
        "mixture_mean": mean.ravel().tolist(),
        "mixture_covariance": covariance[:, rows, columns].ravel().tolist(),
    }


def describe_belonging(score: BelongingScore | None) -> dict[str, float | None]:
    """How usual an object is among simulated ones, as far as that is known."""
    given = BelongingScore(np.nan, np.nan) if score is None else score
    return {k: v if np.isfinite(v) else None for k, v in given.words().items()}


def describe_certificate(certificate: Certificate | None) -> dict[str, Any]:
    """Which step of the ladder answered, and how good its weights were."""
    given = Certificate("") if certificate is None else certificate
    numbers = {
        "efficiency": given.efficiency,
        "pareto_shape": given.shape,
        "log_evidence": given.log_evidence,
        "log_evidence_error": given.log_evidence_error,
    }
    known = {k: v if np.isfinite(v) else None for k, v in numbers.items()}
    return {"rung": given.rung, **known}
