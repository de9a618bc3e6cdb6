"""The recipe of a reproduction: which data, networks and chains, and how large."""

import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from grainlight.core import ParameterError
from grainlight.estimators import TrainingSettings
from grainlight.estimators.family import Family

RECIPES = ("thesis",)
ALL, SUBSET, RANDOM = "all", "F", "random"


@dataclass(frozen=True)
class Run:
    """Chains of one family in some bands.

    Attributes:
        family: Name of the family.
        bands: `all`, `F`, or `random` ones of each object.
        share: Objects, as a share of the number of the recipe.
    """

    family: str
    bands: str
    share: float

    @property
    def name(self) -> str:
        """Name in tables."""
        words = {ALL: "all bands", SUBSET: "set F", RANDOM: "random bands"}
        return f"{self.family}, {words[self.bands]}"

    @property
    def slug(self) -> str:
        """Name of its folder."""
        return f"{slug_of(self.family)}-{self.bands}"


@dataclass(frozen=True)
class ReproductionRecipe:
    """What is remade, and how large.

    Attributes:
        parents: Simulated shells, of both priors.
        seed: Seed of every random number.
        variants: Redshifts of each training parent.
        noise_mag: Noise of every magnitude [mag].
        training: Schedule of the likelihoods.
        objects: Test objects whose posteriors are sampled, times the share of a run.
        num_draws: Draws of each chain.
        num_chains: Chains of each object.
        chain_seconds: No batch of a run is begun later than this [s].
        together: Objects of a run that are sampled together.
        families: Members of the family of estimators.
        runs: Chains.
    """

    parents: int
    seed: int
    variants: int
    noise_mag: float
    training: TrainingSettings
    objects: int
    num_draws: int
    num_chains: int
    families: tuple[Family, ...]
    runs: tuple[Run, ...]
    chain_seconds: float = float("inf")
    together: int = 16

    @classmethod
    def named(cls, name: str) -> "ReproductionRecipe":
        """A recipe that comes with the package; raises `ParameterError` if none."""
        if name not in RECIPES:
            raise ParameterError(
                f"Expected one of the recipes {', '.join(RECIPES)}; got {name!r}. "
                "Correct its name."
            )
        folder = Path(str(resources.files("grainlight.report"))) / "recipes"
        return cls.read((folder / f"{name}.toml").read_text(encoding="utf-8"))

    @classmethod
    def read(cls, text: str) -> "ReproductionRecipe":
        """A recipe from the text of a TOML file."""
        table = tomllib.loads(text)
        data, chains, training = table["data"], table["chains"], dict(table["training"])
        minutes = training.pop("minutes")
        families = tuple(_family(one) for one in table["family"])
        runs = tuple(Run(**one) for one in table["run"])
        unknown = {run.family for run in runs} - {one.name for one in families}
        if unknown:
            raise ParameterError(
                f"Expected runs of the families of the recipe; got "
                f"{', '.join(sorted(unknown))} besides. Add a table [[family]]."
            )
        _check_starts(families)
        settings = TrainingSettings(time_limit_s=60 * minutes, **training)
        return cls(**data, training=settings, **chains, families=families, runs=runs)

    def sized(
        self,
        *,
        parents: int | None = None,
        minutes: float | None = None,
        objects: int | None = None,
        chain_minutes: float | None = None,
        batch_size: int | None = None,
        together: int | None = None,
        only: tuple[str, ...] = (),
    ) -> "ReproductionRecipe":
        """The same in another size; what is none stays.

        Args:
            parents: Simulated shells.
            minutes: Time limit of a network [minutes].
            objects: Test objects.
            chain_minutes: Time after which a run begins no batch [minutes].
            batch_size: Rows of a training step.
            together: Objects of a run that are sampled together.
            only: Names of the families to keep.
        """
        changed = self
        if parents is not None:
            changed = replace(changed, parents=parents)
        if minutes is not None:
            training = replace(changed.training, time_limit_s=60 * minutes)
            changed = replace(changed, training=training)
        if objects is not None:
            changed = replace(changed, objects=objects)
        if chain_minutes is not None:
            changed = replace(changed, chain_seconds=60 * chain_minutes)
        if batch_size is not None:
            training = replace(changed.training, batch_size=batch_size)
            changed = replace(changed, training=training)
        if together is not None:
            changed = replace(changed, together=together)
        return changed._only(only) if only else changed

    def num_objects(self, run: Run, available: int) -> int:
        """Test objects of a run, of as many as there are."""
        return min(available, max(1, round(run.share * self.objects)))

    def _only(self, names: tuple[str, ...]) -> "ReproductionRecipe":
        known = [one.name for one in self.families]
        unknown = set(names) - set(known)
        if unknown:
            raise ParameterError(
                f"Expected families among {', '.join(known)}; got "
                f"{', '.join(sorted(unknown))}. Correct their names."
            )
        starts = {one.start for one in self.families if one.name in names}
        kept = starts.union(names)
        return replace(
            self,
            families=tuple(one for one in self.families if one.name in kept),
            runs=tuple(run for run in self.runs if run.family in names),
        )


def _check_starts(families: tuple[Family, ...]) -> None:
    """Every start is a member that comes before."""
    for number, one in enumerate(families):
        earlier = [other.name for other in families[:number]]
        if one.start is not None and one.start not in earlier:
            raise ParameterError(
                f"Expected {one.name} to start from a family before it; got "
                f"{one.start!r}. Move its table [[family]] up, or add it."
            )


def _family(table: dict[str, Any]) -> Family:
    name = table["name"]
    settings, start = table.get("settings", {}), table.get("start")
    return Family(name, table.get("preset", name), settings, start)


def slug_of(name: str) -> str:
    """A name of a family as the name of a folder."""
    return name.replace("*", "-star")
