"""`grainlight reproduce`: stage after stage, each of which leaves what it found.

Data, rows, networks, judgements, chains, tables, figures: a stage whose result is in
the folder is read, not done again, so that an interrupted run goes on where it was and
a finished one is only drawn anew. A stage asks for what it needs: where networks, prior
and test shells are, chains run without the shells that these were learned from.
"""

import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from grainlight.core import OutputExistsError
from grainlight.estimators import SavedEstimator, TrainingSettings
from grainlight.estimators.chosen_bands import ChosenBands
from grainlight.estimators.family import Family, train_family, train_prior
from grainlight.estimators.files import is_saved, load_estimator
from grainlight.estimators.thesis_rows import (
    BANDS,
    SET_F,
    ThesisRows,
    thesis_parameters,
)
from grainlight.evaluation.chain_runs import ChainPlan, ChainRuns, run_chains
from grainlight.evaluation.member_quality import MemberQuality, judge_member
from grainlight.report.reproduction_recipe import (
    RANDOM,
    SUBSET,
    ReproductionRecipe,
    Run,
    slug_of,
)
from grainlight.report.reproduction_shells import Shells, Show
from grainlight.sampling.family import ExactData, FamilyTarget
from grainlight.sampling.settings import Settings

NOTE = "recipe.json"
PRIOR_TRAINING = TrainingSettings(batch_size=512, num_epochs=60)
PRIOR_SHARE = 0.5  # of the time limit of a network
#: Particles and steps of the annealed start: few, as summits are climbed besides. What
#: proposes is learned anew in every new run, which does more than its length.
SAMPLER = Settings(num_particles=128, stage_sweeps=8, num_retries=5, retry_factor=1.5)
#: For the few that fail the gate all the same, when all others are done.
ANEW = replace(SAMPLER, num_particles=256, steps_per_draw=2 * SAMPLER.steps_per_draw)
BATCH = 128  # objects whose chains are written together, if not more run together


@dataclass(frozen=True, eq=False)
class Reproduction:
    """Everything that was remade.

    Attributes:
        recipe: What was asked for.
        folder: Where it is.
        test: Noisy rows of the test split.
        trained: Members by name.
        judged: What each is worth on the test split, by name.
        chains: Chains by name of the run, in the order of the recipe; without those
            that were not begun.
    """

    recipe: ReproductionRecipe
    folder: Path
    test: ThesisRows
    trained: dict[str, SavedEstimator]
    judged: dict[str, MemberQuality]
    chains: dict[str, ChainRuns]

    @property
    def asked(self) -> dict[str, int]:
        """Objects that were asked for, by name of the run."""
        num = len(self.test)
        return {run.name: self.recipe.num_objects(run, num) for run in self.recipe.runs}


def reproduce(
    recipe: ReproductionRecipe,
    out: Path,
    data: Path | None,
    show: Show,
    *,
    workers: int | None = None,
) -> Reproduction:
    """Do every stage that is not done yet.

    Args:
        recipe: What to do.
        out: Folder of all results.
        data: Folder of simulated shells; they are simulated into `out` if not given.
        show: Opens a progress bar with some words.
        workers: Processes of the simulation.

    Raises:
        OutputExistsError: The folder holds a reproduction of other data, or sizes.
    """
    _claim(out, recipe, data)
    shells = Shells(recipe, Path(out), data, show, workers)
    stages = _Stages(recipe, Path(out), shells, show)
    trained: dict[str, SavedEstimator] = {}
    for one in recipe.families:  # a start comes before what starts from it
        trained[one.name] = stages.train(one, trained)
    test = shells.rows("test").noisy(recipe.noise_mag, recipe.seed)
    judged = {name: stages.judge(name, one, test) for name, one in trained.items()}
    chains = {
        run.name: stages.sample(run, trained[run.family], test)
        for run in recipe.runs
        if recipe.chain_seconds > 0 or stages.has_chains(run)
    }
    return Reproduction(recipe, Path(out), test, trained, judged, chains)


def _claim(out: Path, recipe: ReproductionRecipe, data: Path | None) -> None:
    """Note what a folder is a reproduction of, or refuse one of something else."""
    stated = {
        "data": None if data is None else str(Path(data).resolve()),
        "parents": recipe.parents,
        "seed": recipe.seed,
        "variants": recipe.variants,
        "noise_mag": recipe.noise_mag,
    }
    note = Path(out) / NOTE
    if note.exists():
        found = json.loads(note.read_text())
        if found != stated:
            raise OutputExistsError(
                f"Expected a folder of {stated}; {out} is one of {found}. Name another "
                "folder, or give the same options."
            )
        return
    if Path(out).exists() and (not Path(out).is_dir() or any(Path(out).iterdir())):
        raise OutputExistsError(
            f"Expected a new folder, or one to go on with; got {out}, which holds "
            "other files. Name another folder."
        )
    Path(out).mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(stated) + "\n")


@dataclass(frozen=True, eq=False)
class _Stages:
    """What can be done in a folder; what is there is read."""

    recipe: ReproductionRecipe
    out: Path
    shells: Shells
    show: Show

    def key(self, work: str) -> Key[Array, ""]:
        """The key of one piece of work, whatever else is asked for."""
        return jr.fold_in(jr.key(self.recipe.seed), zlib.crc32(work.encode()))

    def train(
        self, family: Family, trained: dict[str, SavedEstimator]
    ) -> SavedEstimator:
        """Train one member; those that it may start from are trained."""
        folder = self.out / "families" / slug_of(family.name)
        if is_saved(folder):
            return load_estimator(folder)
        start = None if family.start is None else trained[family.start].estimator
        train, held = self.shells.rows("train"), self.shells.rows("validation")
        with self.show(f"training {family.name}"):
            return train_family(
                self.key(family.name),
                family,
                train,
                held,
                folder,
                self.recipe.training,
                noise_mag=self.recipe.noise_mag,
                start=start,
            )

    def judge(
        self, name: str, saved: SavedEstimator, test: ThesisRows
    ) -> MemberQuality:
        """Judge one member on the test split."""
        path = self.out / "judged" / f"{slug_of(name)}.npz"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            with self.show(f"judging {name}"):
                judge_member(saved.estimator, test).save(path)
        return MemberQuality.load(path)

    def prior(self, visible: tuple[str, ...]) -> SavedEstimator:
        """Learn the joint prior of what a family sees, from the shells."""
        folder = self.out / "priors" / str(len(visible))
        if is_saved(folder):
            return load_estimator(folder)
        limit = PRIOR_SHARE * self.recipe.training.time_limit_s
        train, held = self.shells.rows("train"), self.shells.rows("validation")
        with self.show(f"training the prior of {len(visible)} parameters"):
            return train_prior(
                self.key(f"prior of {len(visible)}"),
                visible,
                train,
                held,
                folder,
                replace(PRIOR_TRAINING, time_limit_s=limit),
            )

    def has_chains(self, run: Run) -> bool:
        """Whether a batch of a run is there."""
        return ChainRuns.are_in(self.out / "chains" / run.slug)

    def sample(self, run: Run, saved: SavedEstimator, test: ThesisRows) -> ChainRuns:
        """Run the chains of one row of the tables."""
        recipe = self.recipe
        visible = tuple(saved.meta["visible"])
        target = run_target(run, visible, saved, self.prior(visible))
        num = recipe.num_objects(run, len(test))
        sampler, anew = (
            replace(one, chunk_size=recipe.together, retry_chunk_size=recipe.together)
            for one in (SAMPLER, ANEW)
        )
        plan = ChainPlan(
            recipe.num_draws,
            recipe.num_chains,
            batch=max(BATCH, recipe.together),
            sampler=sampler,
            anew=anew,
        )
        with self.show(f"chains of {run.name}") as progress:
            return run_chains(
                self.key(run.name),
                target,
                run_data(run, test.first(num), recipe.seed),
                test.theta[:num][:, list(target.places)],
                self.out / "chains" / run.slug,
                plan,
                most_seconds=recipe.chain_seconds,
                progress=progress,
            )


def run_target(
    run: Run, visible: tuple[str, ...], saved: SavedEstimator, prior: SavedEstimator
) -> FamilyTarget:
    """What the samplers of a run need to know."""
    chosen = tuple(BANDS.index(name) for name in SET_F) if run.bands == SUBSET else ()
    return FamilyTarget(
        ChosenBands(saved.estimator, chosen),
        prior.estimator,
        thesis_parameters(),
        visible,
    )


def run_data(run: Run, rows: ThesisRows, seed: int) -> ExactData:
    """What is observed of the objects of a run."""
    _, condition, x = rows.columns()
    if run.bands != RANDOM:
        return ExactData(x, condition)
    return ExactData(x, condition, jnp.asarray(random_bands(len(rows), seed)))


def random_bands(num: int, seed: int) -> np.ndarray:
    """Five bands or more of every object, as many as not with the same chance."""
    rng = np.random.default_rng(seed)
    lot = rng.random((num, len(BANDS)))
    count = rng.integers(5, len(BANDS), size=(num, 1), endpoint=True)
    return np.argsort(np.argsort(lot, axis=1), axis=1) < count


def observed_mask(run: Run, num: int, seed: int) -> np.ndarray:
    """Bands that every object of a run has."""
    if run.bands == RANDOM:
        return random_bands(num, seed)
    some = SET_F if run.bands == SUBSET else BANDS
    return np.tile([name in some for name in BANDS], (num, 1))


def sizes(made: Reproduction) -> dict[str, Any]:
    """How large a reproduction was, for a file."""
    recipe = made.recipe
    return {
        "parents": recipe.parents,
        "test_objects": len(made.test),
        "noise_mag": recipe.noise_mag,
        "minutes_a_network": recipe.training.time_limit_s / 60,
    }
