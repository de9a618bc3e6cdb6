"""Posteriors in the hands of others: ArviZ, netCDF, a table of intervals."""

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from astropy.table import Table

from grainlight.core import ParameterError, Samples, status_name
from grainlight.sampling.diagnostics import bulk_ess, rank_rhat, tail_ess

with warnings.catch_warnings():
    # ArviZ 0.23 announces its next major version once a day
    warnings.simplefilter("ignore", FutureWarning)
    import arviz

LEVELS = {
    "median": 0.5,
    "lower_68": 0.158655,
    "upper_68": 0.841345,
    "lower_95": 0.022750,
    "upper_95": 0.977250,
}


def to_arviz(
    samples: Samples | Sequence[Samples],
    names: Sequence[str] | None = None,
    *,
    derived_units: Mapping[str, str] | None = None,
) -> Any:
    """Draws as ArviZ data, in physical units, parameters before derived outcomes.

    The group `posterior` has axes (chain, draw), and `object` if a sequence came;
    `sample_stats` holds the log-weights. Units, status and diagnostics are attributes.

    Args:
        samples: One object, or several of equal shape.
        names: Names of the objects.
        derived_units: Units of derived outcomes by name.

    Returns:
        An `arviz.InferenceData`; its own deprecated bases keep it out of annotations.
    """
    single = isinstance(samples, Samples)
    members = [samples] if single else list(samples)
    _check(members, names)
    axes = ("chain", "draw") if single else ("chain", "draw", "object")
    coords = {} if single else {"object": list(names or map(str, range(len(members))))}
    units = _units(members[0], derived_units)

    def variable(columns: list[np.ndarray], **attributes) -> xarray.Variable:
        shaped = [c.reshape(members[0].num_chains, -1) for c in columns]
        stacked = shaped[0] if single else np.stack(shaped, axis=-1)
        return xarray.Variable(axes, stacked, attributes)

    columns = [one.columns() for one in members]
    draws = {
        name: variable([one[name] for one in columns], units=units.get(name, ""))
        for name in columns[0]
    }
    weights = [np.asarray(one.log_weight, dtype=float) for one in members]
    status = [status_name(one.status) for one in members]
    attributes = {"status": status[0] if single else status}
    return arviz.InferenceData(
        posterior=_dataset(draws, coords, members[0], attributes),
        sample_stats=_dataset(
            {"log_weight": variable(weights)}, coords, members[0], {}
        ),
    )


def _dataset(
    variables: dict, coords: dict, samples: Samples, attributes: dict
) -> xarray.Dataset:
    length = samples.num_draws // samples.num_chains
    order = {"chain": np.arange(samples.num_chains), "draw": np.arange(length)}
    return xarray.Dataset(variables, coords=order | coords, attrs=attributes)


def _check(members: list[Samples], names: Sequence[str] | None) -> None:
    if not members:
        raise ParameterError("Expected the draws of one object or more; got none.")
    shapes = {(one.theta.shape, one.num_chains, *one.derived) for one in members}
    if len(shapes) > 1 or len({one.parameters for one in members}) > 1:
        raise ParameterError(
            "Expected objects with equal parameters, chains and draws; got "
            f"{len(shapes)} kinds. Write them to one file each."
        )
    if names is not None and len(names) != len(members):
        raise ParameterError(f"Expected {len(members)} object names; got {len(names)}.")


def _units(samples: Samples, derived_units: Mapping[str, str] | None) -> dict[str, str]:
    units = {member.name: member.unit for member in samples.parameters.members}
    return units | dict(derived_units or {})


def save_posterior(
    path: str | Path,
    samples: Samples | Sequence[Samples],
    names: Sequence[str] | None = None,
    *,
    derived_units: Mapping[str, str] | None = None,
) -> None:
    """Write draws as ArviZ netCDF; the file appears whole or not at all.

    Args:
        path: File to write, replaced if it is there.
        samples: One object, or several of equal shape.
        names: Names of the objects.
        derived_units: Units of derived outcomes by name.
    """
    path = Path(path)
    data = to_arviz(samples, names, derived_units=derived_units)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        data.to_netcdf(part, engine="h5netcdf")
        Path(part).chmod(0o644)
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)


def to_table(
    samples: Samples, *, derived_units: Mapping[str, str] | None = None
) -> Table:
    """Median, mean, standard deviation, intervals and checks of every column.

    One row a parameter, then one a derived outcome, in physical units. The checks
    are those of the unweighted chains.
    """
    columns = samples.columns()
    units = _units(samples, derived_units)
    quantiles = samples.quantile(tuple(LEVELS.values()))
    weight = np.asarray(samples.weight, dtype=float)
    rows = []
    for name, draws in columns.items():
        mean = np.sum(weight * draws)
        spread = np.sqrt(np.sum(weight * (draws - mean) ** 2))
        row = {"parameter": name, "unit": units.get(name, "")}
        row |= dict(zip(LEVELS, map(float, quantiles[name]), strict=True))
        row |= {"mean": float(mean), "sd": float(spread)}
        rows.append(row | _checks(draws.reshape(samples.num_chains, -1)))
    table = Table(rows=rows, names=list(rows[0]))
    table.meta.update(status=status_name(samples.status), num_draws=samples.num_draws)
    return table


def _checks(chains: np.ndarray) -> dict[str, float]:
    if not np.all(np.isfinite(chains)):
        return dict.fromkeys(("rhat", "ess_bulk", "ess_tail"), float("nan"))
    return {
        "rhat": float(rank_rhat(chains)),
        "ess_bulk": float(bulk_ess(chains)),
        "ess_tail": float(tail_ess(chains)),
    }
