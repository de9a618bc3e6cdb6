"""The models of a grid, checked row by row and written in shards."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from grainlight.core import FileFormatError, Parameter, ParameterError, Parameters
from grainlight.datasets.grid_source import GridSource
from grainlight.datasets.shards import shard_path, write_table
from grainlight.datasets.spectral_units import SpectralScale
from grainlight.simulators import Progress

DARK = -60.0  # log10 of what stands for zero [erg/s/Hz]
#: Why a row is left out.
NO_PARAMETERS = "parameters that are no finite numbers, or not positive on a log scale"
NO_SPECTRUM = "spectra that are not finite, negative, or zero throughout"


class ShardPlan(NamedTuple):
    """Where shards go, their parameters, and the rows of a file that one holds."""

    folder: Path
    names: Sequence[str]
    log: Sequence[str]
    size: int


@dataclass
class KeptModels:
    """What came through, and what did not.

    Attributes:
        num_shards: Files that were written.
        num_models: Rows in them.
        low: Least parameters of each file with any.
        high: Largest ones.
        left_out: Rows that were left out, counted from one, by reason.
    """

    num_shards: int = 0
    num_models: int = 0
    low: list[np.ndarray] = field(default_factory=list)
    high: list[np.ndarray] = field(default_factory=list)
    left_out: dict[str, list[int]] = field(default_factory=dict)


def write_shards(
    plan: ShardPlan,
    source: GridSource,
    scale: SpectralScale,
    progress: Progress | None,
) -> KeptModels:
    """Write the rows that are models, in um and log10 erg/s/Hz; note the others.

    Args:
        plan: Where they go.
        source: The grid.
        scale: Unit of its spectra.
        progress: Called with the rows read and their number.
    """
    kept, total = KeptModels(), len(source.theta)
    positive = np.array([name in plan.log for name in plan.names])
    for first in range(0, total, plan.size):
        row = np.arange(first, min(first + plan.size, total))
        theta = source.theta[row[0] : row[-1] + 1]
        values = source.spectra[row[0] : row[-1] + 1]
        logs = scale(np.asarray(values, dtype=float))
        known = np.isfinite(theta).all(axis=1)
        known &= ~np.any((theta <= 0) & positive, axis=1)
        lit = ~np.any(np.isnan(logs) | (logs == np.inf), axis=1)
        lit &= np.any(logs > -np.inf, axis=1)
        for reason, bad in ((NO_PARAMETERS, ~known), (NO_SPECTRUM, known & ~lit)):
            if bad.any():
                told = (row[bad] + 1).tolist()
                kept.left_out.setdefault(reason, []).extend(told)
        good = known & lit
        table = _shard(row[good], theta[good], logs[good], plan.names)
        write_table(shard_path(plan.folder, kept.num_shards), table)
        kept.num_shards += 1
        kept.num_models += int(good.sum())
        if good.any():
            kept.low.append(theta[good].min(axis=0))
            kept.high.append(theta[good].max(axis=0))
        if progress is not None:
            progress(int(row[-1]) + 1, total)
    return kept


def _shard(
    row: np.ndarray, theta: np.ndarray, logs: np.ndarray, names: Sequence[str]
) -> pa.Table:
    columns: dict[str, pa.Array | np.ndarray] = {"parent": row}
    columns.update({name: theta[:, i] for i, name in enumerate(names)})
    flat = pa.array(np.maximum(logs, DARK).astype(np.float32).ravel())
    columns["log_luminosity"] = pa.FixedSizeListArray.from_arrays(flat, logs.shape[1])
    return pa.table(columns)


def grid_parameters(
    path: Path,
    source: GridSource,
    kept: KeptModels,
    names: Sequence[str],
    log: Sequence[str],
) -> Parameters:
    """The parameters, bounded by the models that are kept."""
    if kept.num_models == 0:
        reasons = "; ".join(f"{len(v)} with {k}" for k, v in kept.left_out.items())
        raise FileFormatError(
            f"Expected models in {path}; got none of {len(source.theta)} rows: "
            f"{reasons}. Check the names and the units."
        )
    low, high = np.min(kept.low, axis=0), np.max(kept.high, axis=0)
    same = [name for name, a, b in zip(names, low, high, strict=True) if a == b]
    if same:
        raise ParameterError(
            f"Expected two values or more of each parameter in {path}; got one of "
            f"{', '.join(same)}. Leave it out of the parameters."
        )
    return Parameters(
        tuple(
            Parameter(
                name,
                float(low[i]),
                float(high[i]),
                source.units[i],
                "log10" if name in log else "linear",
            )
            for i, name in enumerate(names)
        )
    )
