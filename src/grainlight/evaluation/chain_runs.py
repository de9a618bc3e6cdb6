"""Chains of many objects, run in batches that are kept, and compared with the truth.

A batch is written when it is done; the same call skips what is there. Of every object
the file holds draws, thinned evenly over all chains, their log-posterior and that of
the truth, diagnostics, status and the share of the time of its batch. The few that
failed the gate in any batch may be run anew, all together, when all batches are done.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError, Samples, status_name
from grainlight.estimators.arrays import read_arrays, write_arrays
from grainlight.evaluation.draws import log_posteriors, thin_draws
from grainlight.sampling.gate import Gate
from grainlight.sampling.run import sample_posterior
from grainlight.sampling.settings import Settings
from grainlight.sampling.target import Target

KEPT = 400  # draws of an object
FIELDS = ("draws", "log_density", "truth_density", "truth", "status", "seconds")
INDEX = "index"  # which objects those of a later run are
ANEW = 2**32 - 1  # the key of later runs: no batch starts at this object
FAILED = ("not_converged", "low_ess")


@dataclass(frozen=True, eq=False)
class ChainRuns:
    """Posteriors of objects whose parameters are known.

    Attributes:
        names: Names of the parameters.
        draws: Scaled draws of every object; nan where there is no posterior.
        log_density: Their log-posterior, up to a constant of the object.
        truth_density: The same of the truth.
        truth: True scaled parameters.
        status: How the run of every object ended.
        seconds: Wall-clock time of an object, compilation included [s].
    """

    names: tuple[str, ...]
    draws: Float[np.ndarray, "object draw param"]
    log_density: Float[np.ndarray, "object draw"]
    truth_density: Float[np.ndarray, " object"]
    truth: Float[np.ndarray, "object param"]
    status: np.ndarray
    seconds: Float[np.ndarray, " object"]

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def is_retained(self) -> np.ndarray:
        """Which objects passed every check of the gate."""
        return self.status == "ok"

    @staticmethod
    def are_in(folder: Path) -> bool:
        """Whether a folder holds a batch."""
        return any(folder.glob("batch-*.npz"))

    @classmethod
    def load(cls, folder: Path, names: tuple[str, ...]) -> "ChainRuns":
        """All batches of a folder, in order; what was run anew takes the place of it.

        Raises `ParameterError` if there is none, or if what was run anew is of other
        objects.
        """
        files = sorted(folder.glob("batch-*.npz"))
        if not files:
            raise ParameterError(
                f"Expected batches of chains in {folder}; got none. Run them first."
            )
        parts = [read_arrays(path) for path in files]
        whole = {name: np.concatenate([one[name] for one in parts]) for name in FIELDS}
        for later in _later_runs(folder):
            _check_objects(folder, whole["truth"], later)
            for name in FIELDS:
                kind = np.result_type(whole[name], later[name])  # words may be longer
                whole[name] = whole[name].astype(kind)
                whole[name][later[INDEX]] = later[name]
        return cls(names, **whole)


@dataclass(frozen=True)
class ChainPlan:
    """How chains of many objects are run.

    Attributes:
        num_draws: Draws of each chain.
        num_chains: Chains of each object.
        batch: Objects whose results are written together.
        gate: What chains must pass.
        sampler: How the samplers work.
        anew: How they work for objects that failed the gate, which are run once more
            when all batches are done; not at all if none.
    """

    num_draws: int = 1000
    num_chains: int = 4
    batch: int = 32
    gate: Gate = Gate()
    sampler: Settings = Settings()
    anew: Settings | None = None


def run_chains(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    truth: Float[np.ndarray, "object param"],
    folder: Path,
    plan: ChainPlan,
    *,
    most_seconds: float = float("inf"),
    progress: Callable[[int, int], None] | None = None,
) -> ChainRuns:
    """Chains of every object from starts all over the prior; a rerun resumes.

    Args:
        key: Random key; a batch depends on it and on its first object.
        target: Prior and likelihood.
        data: A pytree of arrays whose leading axis counts the objects.
        truth: True scaled parameters of the target: looked at only afterwards.
        folder: Where batches are kept.
        plan: How it is done.
        most_seconds: No batch is begun later than this, nor what failed run anew [s];
            none at all if zero.
        progress: Called with the objects finished and their number.

    Raises:
        ParameterError: No batch was begun, and none was there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    started, total = time.monotonic(), len(truth)
    start = 0
    while start < total:
        path = folder / f"batch-{start:06d}.npz"
        if path.exists():  # it may be of another size than those to come
            start += len(read_arrays(path)["truth"])
            continue
        if time.monotonic() - started >= most_seconds:
            break
        rows = slice(start, min(start + plan.batch, total))
        some = jax.tree.map(lambda leaf, r=rows: jnp.asarray(leaf[r]), data)
        arrays = _run_batch(jr.fold_in(key, start), target, some, truth[rows], plan)
        write_arrays(path, arrays)
        start = rows.stop
        if progress is not None:
            progress(start, total)
    runs = ChainRuns.load(folder, target.parameters.names)
    if start < total or time.monotonic() - started >= most_seconds:
        return runs
    return _run_anew(key, target, data, truth, runs, folder, plan)


def _run_anew(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    truth: Float[np.ndarray, "object param"],
    runs: ChainRuns,
    folder: Path,
    plan: ChainPlan,
) -> ChainRuns:
    """Run what failed the gate once more, all together, unless that was done."""
    total = len(truth)  # the folder may hold more
    earlier = [later[INDEX] for later in _later_runs(folder)]
    failed = np.flatnonzero(np.isin(runs.status[:total], FAILED))
    index = np.setdiff1d(failed, np.concatenate([[], *earlier]).astype(int))
    if plan.anew is None or not len(index):
        return runs
    some = jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], data)
    own = jr.fold_in(jr.fold_in(key, ANEW), total)
    longer = replace(plan, sampler=plan.anew)
    found = _run_batch(own, target, some, truth[index], longer)
    found["seconds"] = found["seconds"] + runs.seconds[index]
    write_arrays(folder / f"anew-{len(earlier):03d}.npz", {INDEX: index, **found})
    return ChainRuns.load(folder, runs.names)


def _later_runs(folder: Path) -> list[dict[str, np.ndarray]]:
    return [read_arrays(path) for path in sorted(folder.glob("anew-*.npz"))]


def _check_objects(
    folder: Path, truth: Float[np.ndarray, "object param"], later: dict[str, np.ndarray]
) -> None:
    """Raise a `ParameterError` if places are not those of the objects that ran anew."""
    index = later[INDEX]
    if index.max(initial=-1) < len(truth) and np.array_equal(
        truth[index], later["truth"]
    ):
        return
    raise ParameterError(
        "Expected objects that were run anew to stand in their places among the "
        f"batches of {folder}; got others. A batch is missing or was exchanged: remove "
        "the files anew-*.npz and run the chains again."
    )


def _run_batch(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    truth: Float[np.ndarray, "object param"],
    plan: ChainPlan,
) -> dict[str, np.ndarray]:
    begun = time.monotonic()
    samples = sample_posterior(
        key,
        target,
        data,
        num_draws=plan.num_draws,
        num_chains=plan.num_chains,
        gate=plan.gate,
        settings=plan.sampler,
    )
    seconds = (time.monotonic() - begun) / len(truth)
    draws = np.stack([_kept(one) for one in samples])
    points = jnp.asarray(np.concatenate([draws, truth[:, None]], axis=1), float)
    value = np.asarray(log_posteriors(target, data, points), float)
    return {
        "draws": draws.astype(np.float32),
        "log_density": value[:, :-1],
        "truth_density": value[:, -1],
        "truth": np.asarray(truth, float),
        "status": np.array([status_name(one.status) for one in samples]),
        "seconds": np.full(len(truth), seconds),
    }


def _kept(samples: Samples) -> Float[np.ndarray, "draw param"]:
    scaled = np.asarray(samples.parameters.scale(samples.theta), float)
    return thin_draws(scaled, KEPT)
