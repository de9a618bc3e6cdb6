"""Posteriors in the hands of getdist and anesthetic, which are optional."""

import importlib
from types import ModuleType
from typing import Any

import numpy as np

from grainlight.core import Samples, SimulatorMissingError


def to_getdist(samples: Samples) -> Any:
    """Draws as `getdist.MCSamples`: scaled parameters, then derived outcomes.

    Columns on a logarithmic scale are log10 of the values, and are called so; bounds
    are those of the parameters. Draws that weigh nothing are left out.

    Raises `SimulatorMissingError` if getdist is not installed.
    """
    names, labels, table = _columns(samples)
    weight = np.asarray(samples.weight, float)
    kept = weight > 0
    bounds = [list(member.scaled_bounds) for member in samples.parameters.members]
    return _extra("getdist").MCSamples(
        samples=table[kept],
        weights=weight[kept] / weight.max(),
        names=names,
        labels=labels,
        ranges=dict(zip(names, bounds, strict=False)),
        sampler="uncorrelated" if samples.diagnostics is None else "mcmc",
        settings={"ignore_rows": 0},
    )


def to_anesthetic(samples: Samples) -> Any:
    """Draws as `anesthetic.Samples`: the same columns, with their weights.

    Raises `SimulatorMissingError` if anesthetic is not installed.
    """
    names, labels, table = _columns(samples)
    return _extra("anesthetic").Samples(
        table,
        weights=np.asarray(samples.weight, float),
        columns=names,
        labels=[f"${label}$" for label in labels],
    )


def _columns(samples: Samples) -> tuple[list[str], list[str], np.ndarray]:
    """Names, TeX labels without dollars, and draws."""
    names, labels = [], []
    for member in samples.parameters.members:
        logged = member.scale == "log10"
        label = member.label or rf"\mathrm{{{member.name.replace('_', ' ')}}}"
        names.append(f"log10_{member.name}" if logged else member.name)
        labels.append(rf"\log_{{10}} {label}" if logged else label)
    scaled = np.asarray(samples.parameters.scale(samples.theta), float)
    columns = [*scaled.T, *(np.asarray(v, float) for v in samples.derived.values())]
    names += list(samples.derived)
    labels += [rf"\mathrm{{{n.replace('_', ' ')}}}" for n in samples.derived]
    return names, labels, np.stack(columns, axis=1)


def _extra(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SimulatorMissingError(
            f"Expected {module}; it is not installed. Run "
            "`pip install grainlight[chains]`, or use `to_arviz`."
        ) from error
