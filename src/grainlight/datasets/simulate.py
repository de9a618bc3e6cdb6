"""Draw parameters, call a simulator, keep what it answers; a rerun resumes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.random as jr
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Array, Float, Key

from grainlight.core import (
    FileFormatError,
    OutputExistsError,
    ParameterError,
    SimulatorError,
)
from grainlight.datasets.calls import (
    Answers,
    Caller,
    call_rows,
    check_travels,
    compiled_caller,
    looping_caller,
)
from grainlight.datasets.shards import is_whole, shard_path, write_table
from grainlight.datasets.simulations import KIND, SOFTENING, Simulations, no_fluxes
from grainlight.datasets.statements import (
    NAME,
    check_names,
    identity_of,
    parameters_to_json,
    read_statement,
    write_statement,
)
from grainlight.datasets.workers import worker_processes
from grainlight.simulators import Progress, Simulator, check_simulator

FORMAT = 1
COLUMNS = ("parent", "flux", "reason")
#: Relative change of the fluxes of one key that two machines may cause.
SAME = 1e-3
Prior = Callable[[Key[Array, ""]], Float[Array, " param"]]


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is asked for; every simulation depends on key and number alone."""

    key: Key[Array, ""]
    simulator: Simulator
    prior: Prior | None
    num_sims: int
    shard_size: int
    jit: bool

    @property
    def num_shards(self) -> int:
        return -(-self.num_sims // self.shard_size)

    def numbers(self, shard: int) -> np.ndarray:
        first = shard * self.shard_size
        return np.arange(first, min(first + self.shard_size, self.num_sims))

    def stated(self) -> dict:
        """What `dataset.json` states; the number of simulations may grow."""
        fixed = {
            "kind": KIND,
            "format": FORMAT,
            "key": np.asarray(jr.key_data(self.key)).tolist(),
            "key_kind": str(jr.key_impl(self.key)),
            "parameters": parameters_to_json(self.simulator.parameters),
            "bands": list(self.simulator.bands),
            "prior": "bounds" if self.prior is None else "own",
            "shard_size": self.shard_size,
        }
        return fixed | {"identity": identity_of(fixed), "num_sims": self.num_sims}

    def draw(self, shard: int) -> tuple[Key[Array, " sim"], np.ndarray]:
        """Keys for the simulator and physical parameters of one shard."""
        both = jax.vmap(lambda n: jr.split(jr.fold_in(self.key, n)))(
            self.numbers(shard)
        )
        keys, members = both[:, 0], self.simulator.parameters.members
        if self.prior is not None:
            return both[:, 1], self._own(self.prior, keys)
        unit = jax.vmap(lambda k: jr.uniform(k, (len(members),)))(keys)
        low, high = np.array([member.scaled_bounds for member in members]).T
        theta = low + (high - low) * np.asarray(unit, dtype=float)
        for i, member in enumerate(members):
            if member.scale == "log10":
                theta[:, i] = 10 ** theta[:, i]
        return both[:, 1], theta

    def _own(self, prior: Prior, keys: Key[Array, " sim"]) -> np.ndarray:
        rows = jax.vmap(prior)(keys) if self.jit else [prior(k) for k in keys]
        theta = np.asarray(rows, dtype=float)
        expected = (len(keys), len(self.simulator.parameters))
        if theta.shape != expected:
            raise ParameterError(
                f"Expected {expected[1]} physical parameters of each draw of the prior;"
                f" got arrays of shape {theta.shape[1:]}. Return one array of them."
            )
        return theta


def simulate(
    key: Key[Array, ""],
    simulator: Simulator,
    *,
    num_sims: int,
    folder: Path | str | None = None,
    prior: Prior | None = None,
    jit: bool = True,
    workers: int = 1,
    shard_size: int = 1000,
    softening: float | Sequence[float] = SOFTENING,
    progress: Progress | None = None,
) -> Simulations:
    """Simulate draws of the parameters, split for training, validation and test.

    Simulations whose fluxes are not finite are left out and counted; so are those that
    raise an error, without `jit`. Each depends on the key and its number alone: more
    of them keep the earlier ones.

    Args:
        key: Random key.
        simulator: Any `Simulator`; an adapter of a few lines makes one of a program.
        num_sims: Number of simulations.
        folder: Where shards are kept as they come, whole or not at all; the same call
            goes on from what is there. Without it all is held in memory.
        prior: Draws physical parameters of one object from a key; without it they are
            drawn evenly between the bounds, in the logarithm on the `log10` scale.
        jit: Whether JAX compiles the simulator and calls it for a shard at once. If
            not, it is called with arrays of NumPy for one object after another.
        workers: Processes that share the calls without `jit`. They import what defines
            the simulator, so a script needs `if __name__ == "__main__":`.
        shard_size: Simulations in one file, and in one compiled call.
        softening: Softening flux of the magnitudes, of all bands or one a band [nJy].
        progress: Called with the simulations done and their number.

    Raises:
        SimulatorError: JAX cannot trace the simulator, or none of its fluxes is finite.
        OutputExistsError: The folder holds other files, or simulations of another key,
            simulator or prior.
    """
    check_simulator(simulator)
    check_names(simulator.parameters, COLUMNS)
    _check_counts(num_sims=num_sims, shard_size=shard_size, workers=workers)
    plan = _Plan(key, simulator, prior, num_sims, shard_size, jit)
    with _caller(plan, workers) as call:
        if folder is None:
            tables = list(_in_memory(plan, call, progress or (lambda *_: None)))
            return Simulations.from_table(
                pa.concat_tables(tables), plan.stated(), softening
            )
        _into_folder(plan, call, Path(folder), progress or (lambda *_: None))
    return Simulations.open(Path(folder), softening=softening)


@contextmanager
def _caller(plan: _Plan, workers: int) -> Iterator[Caller]:
    if plan.jit:
        size = min(plan.shard_size, plan.num_sims)
        yield compiled_caller(plan.key, plan.simulator, size)
    elif workers == 1:
        yield looping_caller(plan.simulator)
    else:
        check_travels(plan.simulator)
        with worker_processes(workers) as pool:
            yield _guarded(looping_caller(plan.simulator, pool, workers))


def _guarded(call: Caller) -> Caller:
    def guarded(keys: Key[Array, " sim"], theta: np.ndarray) -> Answers:
        try:
            return call(keys, theta)
        except BrokenProcessPool as error:
            raise SimulatorError(
                "Expected the workers to finish; got one that was ended from outside, "
                "or cannot import the simulator. Give the same call again with "
                'workers=1; in a script, put it below `if __name__ == "__main__":`.'
            ) from error

    return guarded


def _make_shard(plan: _Plan, call: Caller, shard: int) -> pa.Table:
    keys, theta = plan.draw(shard)
    flux, reason = call(keys, theta)
    number = plan.numbers(shard)
    if shard == 0 and None not in reason:
        told = {int(n): str(why) for n, why in zip(number, reason, strict=True)}
        raise SimulatorError(no_fluxes(told))
    names = plan.simulator.parameters.names
    columns: dict[str, pa.Array | np.ndarray] = {"parent": number}
    columns.update({name: theta[:, i] for i, name in enumerate(names)})
    flat = pa.array(flux.ravel(), pa.float64())
    columns["flux"] = pa.FixedSizeListArray.from_arrays(flat, flux.shape[1])
    columns["reason"] = pa.array(reason, pa.string())
    return pa.table(columns)


def _in_memory(plan: _Plan, call: Caller, report: Progress) -> Iterator[pa.Table]:
    for shard in range(plan.num_shards):
        yield _make_shard(plan, call, shard)
        report(int(plan.numbers(shard)[-1]) + 1, plan.num_sims)


def _into_folder(plan: _Plan, call: Caller, folder: Path, report: Progress) -> None:
    _check_folder(folder, plan)
    done = [
        is_whole(folder, shard, len(plan.numbers(shard)))
        for shard in range(plan.num_shards)
    ]
    if done[0]:
        _check_same(folder, plan)
    tables = {} if done[0] else {0: _make_shard(plan, call, 0)}
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.part"):
        stale.unlink()
    write_statement(folder, plan.stated())
    finished = sum(
        len(plan.numbers(shard)) for shard, whole in enumerate(done) if whole
    )
    report(finished, plan.num_sims)
    for shard, whole in enumerate(done):
        if whole:
            continue
        table = tables.pop(shard, None) or _make_shard(plan, call, shard)
        write_table(shard_path(folder, shard), table)
        finished += len(table)
        report(finished, plan.num_sims)


def _check_folder(folder: Path, plan: _Plan) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        found, got = read_statement(folder, KIND), ""
    except FileFormatError as error:
        found, got = {}, str(error)
    stated = plan.stated()
    names = [name for name in stated if name not in ("identity", "num_sims")]
    other = [name for name in names if found.get(name) != stated[name]]
    if got:
        got = "other files" if not (folder / NAME).exists() else f"this: {got}"
    elif other:
        got = f"those of another {', '.join(other)}"
    elif found["num_sims"] > plan.num_sims:
        got = f"{found['num_sims']} of them, more than {plan.num_sims}"
    if got:
        raise OutputExistsError(
            f"Expected a new folder, or simulations to go on with, in {folder}; got "
            f"{got}. Name another folder, or give the same settings."
        )


def _check_same(folder: Path, plan: _Plan) -> None:
    """Refuse to mix: the first simulation is made again and must be the stored one."""
    keys, theta = plan.draw(0)
    table = pq.read_table(shard_path(folder, 0))
    names = plan.simulator.parameters.names
    stored = np.stack([table[name].to_numpy() for name in names], axis=1)
    row = int(np.argmax(np.asarray(table["reason"].is_null())))
    flux = np.array(table["flux"][row].as_py())
    again = call_rows(plan.simulator, keys[row : row + 1], theta[row : row + 1]).flux[0]
    size = np.abs(flux).max()
    if not np.allclose(stored, theta, rtol=SAME, atol=0):
        what = "parameters of another prior"
    elif not np.allclose(again, flux, rtol=SAME, atol=SAME * size):
        what = f"other fluxes for simulation {row}: those of another simulator"
    else:
        return
    raise OutputExistsError(
        f"Expected simulations to go on with in {folder}; got {what}. Name another "
        "folder: a changed simulator needs all its simulations anew."
    )


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ParameterError(
                f"Expected {name} of one or more; got {count}. Raise it."
            )
