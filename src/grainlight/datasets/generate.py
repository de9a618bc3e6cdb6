"""Simulate parents in parallel into Parquet shards; a rerun resumes."""

import os
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from grainlight.core import GrainlightError, OutputExistsError
from grainlight.datasets.recipe import NAME, Recipe
from grainlight.datasets.shards import is_whole, shard_path, write_table
from grainlight.datasets.workers import worker_processes
from grainlight.simulators import Progress, ShellSpectra, named_prior

OUTCOMES = (
    "dust_temperature",
    "carbon_temperature",
    "silicate_temperature",
    "optical_depth",
    "energy_error",
)


class Drawn(NamedTuple):
    """What the parents of one shard are asked for.

    Attributes:
        theta: Parameters.
        prior: Name of the prior that each came from.
        filling_factor: Share of each shell that clumps fill.
        seed: Seed of the places of clumps.
    """

    theta: Float[np.ndarray, "object param"]
    prior: np.ndarray
    filling_factor: Float[np.ndarray, " object"]
    seed: int


def draw_shard(recipe: Recipe, shard: int) -> Drawn:
    """Draw the parents of one shard.

    They depend on the seed and the shard alone, so that no order of work, number of
    workers or interruption changes them.
    """
    generator = np.random.default_rng(np.random.SeedSequence((recipe.seed, shard)))
    names = list(recipe.priors)
    share = np.array([recipe.priors[name] for name in names])
    origin = generator.choice(len(names), size=recipe.shard_size, p=share / share.sum())
    theta = np.empty((recipe.shard_size, len(recipe.simulator.parameters)))
    for k, name in enumerate(names):
        chosen = origin == k
        draws = named_prior(name).sample(generator, recipe.shard_size)
        theta[chosen] = draws[: chosen.sum()]
    filling = recipe.largest_filling_factor * generator.random(recipe.shard_size)
    places = np.random.SeedSequence((recipe.seed, shard)).spawn(1)[0]
    rows = recipe.shard_rows(shard)
    return Drawn(
        theta[:rows],
        np.array(names)[origin[:rows]],
        filling[:rows],
        int(places.generate_state(1)[0]),
    )


def spectra_table(
    spectra: ShellSpectra, names: tuple[str, ...], **columns: np.ndarray | pa.Array
) -> pa.Table:
    """One row a parent: extra columns, parameters, outcomes and spectrum."""
    table: dict[str, pa.Array | np.ndarray] = dict(columns)
    table.update({name: spectra.theta[:, i] for i, name in enumerate(names)})
    table.update({name: getattr(spectra, name) for name in OUTCOMES})
    flat = pa.array(spectra.log_luminosity.astype(np.float32).ravel())
    table["log_luminosity"] = pa.FixedSizeListArray.from_arrays(flat, len(spectra.wave))
    return pa.table(table)


def make_shard(folder: Path, recipe: Recipe, shard: int) -> int:
    """Simulate one shard and write it, whole or not at all; returns its rows."""
    drawn = draw_shard(recipe, shard)
    with threadpool_limits(1):
        spectra = recipe.simulator.simulate(
            drawn.theta, drawn.filling_factor, seed=drawn.seed
        )
    extra = {}
    if recipe.largest_filling_factor > 0:
        extra["clump_filling_factor"] = drawn.filling_factor
        extra["resolution"] = spectra.resolution
        extra["is_settled"] = spectra.is_settled
    write_shard(folder, recipe, shard, spectra, drawn.prior, **extra)
    return len(drawn.theta)


def write_shard(
    folder: Path,
    recipe: Recipe,
    shard: int,
    spectra: ShellSpectra,
    origin: np.ndarray,
    **columns: np.ndarray,
) -> None:
    """Write the spectra of one shard, whole or not at all.

    Args:
        folder: Folder of the data set.
        recipe: What the data set was made from.
        shard: Number of the shard.
        spectra: Its spectra.
        origin: Prior of each.
        columns: What else is known of each, by name.
    """
    first = shard * recipe.shard_size
    table = spectra_table(
        spectra,
        recipe.simulator.parameters.names,
        parent=np.arange(first, first + len(spectra.theta)),
        prior=pa.array(origin.tolist()).dictionary_encode(),
        **columns,
    )
    write_table(shard_path(folder, shard), table)


def generate(
    folder: Path,
    recipe: Recipe,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Simulate all parents of a recipe into a folder; what is there is kept.

    Args:
        folder: Where the shards go. A folder of the same recipe is continued (its
            number of parents may grow); one of another recipe is refused.
        recipe: What to simulate.
        workers: Processes; as many as processors if not given.
        progress: Called with the parents done and the parents wanted.

    Raises:
        OutputExistsError: The folder holds another data set, or other files.
    """
    folder = Path(folder)
    _check_folder(folder, recipe)
    folder.mkdir(parents=True, exist_ok=True)
    recipe.save(folder)
    for stale in folder.glob("shard-*.part"):
        stale.unlink()
    done = [
        is_whole(folder, shard, recipe.shard_rows(shard))
        for shard in range(recipe.num_shards)
    ]
    open_shards = [shard for shard, whole in enumerate(done) if not whole]
    total = recipe.num_parents
    finished = total - sum(recipe.shard_rows(shard) for shard in open_shards)
    report = progress or (lambda *_: None)
    report(finished, total)
    if not open_shards:
        return
    workers = min(workers or os.cpu_count() or 1, len(open_shards))
    with worker_processes(workers) as pool:
        futures = [pool.submit(make_shard, folder, recipe, s) for s in open_shards]
        try:
            for future in as_completed(futures):
                finished += future.result()
                report(finished, total)
        except BrokenProcessPool as error:
            raise GrainlightError(
                "Expected the workers to finish; got one that was ended from outside, "
                "as when memory runs out. Finished shards are kept: give the same "
                "command again, with fewer workers."
            ) from error


def _check_folder(folder: Path, recipe: Recipe) -> None:
    if not folder.exists():
        return
    if not (folder / NAME).exists():
        if not folder.is_dir() or any(folder.iterdir()):
            raise OutputExistsError(
                f"Expected a new folder, or a data set to continue; got {folder}, "
                "which holds other files. Name another folder."
            )
        return
    try:
        found = Recipe.load(folder)
    except GrainlightError as error:
        raise OutputExistsError(str(error)) from error
    if found.identity != recipe.identity or found.num_parents > recipe.num_parents:
        raise OutputExistsError(
            f"Expected the recipe of the data set in {folder} (seed {found.seed}, "
            f"{found.num_parents} parents, priors {found.priors}, "
            f"{found.simulator}); got seed {recipe.seed}, {recipe.num_parents} "
            f"parents, priors {recipe.priors}, {recipe.simulator}. "
            "Name another folder, or give the same settings to continue."
        )
