"""The recipe of a data set: all that is needed to make it again."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from grainlight.core import FileFormatError, ParameterError
from grainlight.datasets.statements import NAME, check_kind
from grainlight.simulators import SHELL_PARAMETERS, ShellSimulator, named_prior
from grainlight.transfer import wavelength_grid

FORMAT = 1
KIND = "shell-spectra"
#: In place of a prior, for imported shells that were listed in a table.
TABLE = "table"


@dataclass(frozen=True)
class Recipe:
    """What a folder of simulated parents was made from.

    Attributes:
        num_parents: Number of simulated spectra.
        seed: Seed of every random number.
        priors: Name of each prior, with its share of the parents.
        shard_size: Parents in one file.
        simulator: The simulator; of imported spectra, the shells that were asked for.
        origin: Where imported spectra come from; none for those of this package.
        largest_filling_factor: Clump filling factors are drawn evenly from zero to
            this; at zero all shells are smooth.
    """

    num_parents: int
    seed: int
    priors: dict[str, float] = field(default_factory=lambda: {"thesis2023": 1.0})
    shard_size: int = 500
    simulator: ShellSimulator = field(default_factory=ShellSimulator)
    origin: dict | None = None
    largest_filling_factor: float = 0.0

    def __post_init__(self) -> None:
        for name in self.priors:
            if self.origin is None or name != TABLE:
                named_prior(name)
        if self.num_parents < 1 or self.shard_size < 1:
            raise ParameterError(
                "Expected at least one parent and one parent a shard; got "
                f"{self.num_parents} and {self.shard_size}."
            )
        if not 0 <= self.largest_filling_factor <= 1:
            raise ParameterError(
                "Expected a largest clump filling factor from 0 to 1; got "
                f"{self.largest_filling_factor:g}. Give 0.5 for the prior of the "
                "thesis, 0 for smooth shells."
            )
        if not self.priors or min(self.priors.values()) <= 0:
            raise ParameterError(
                f"Expected positive shares of the priors; got {self.priors}."
            )

    @property
    def num_shards(self) -> int:
        """Number of files."""
        return -(-self.num_parents // self.shard_size)

    def shard_rows(self, shard: int) -> int:
        """Parents in a shard; the last may hold fewer."""
        return min(self.shard_size, self.num_parents - shard * self.shard_size)

    @property
    def identity(self) -> str:
        """Hash of what the numbers depend on; the number of parents may grow."""
        stated = {
            "seed": self.seed,
            "priors": self.priors,
            "shard_size": self.shard_size,
            "simulator": self.simulator.settings,
            "format": FORMAT,
        }
        if self.origin is not None:
            stated["origin"] = self.origin
        if self.largest_filling_factor > 0:  # older data sets do not state it
            stated["largest_filling_factor"] = self.largest_filling_factor
        text = json.dumps(stated, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict:
        """Everything that `dataset.json` states."""
        stated = asdict(self)
        stated["simulator"] = self.simulator.settings
        if self.origin is None:
            del stated["origin"]
        return {
            "kind": KIND,
            "format": FORMAT,
            "identity": self.identity,
            **stated,
            "parameters": [asdict(member) for member in SHELL_PARAMETERS.members],
            "wave_um": wavelength_grid().tolist(),
            "versions": {
                "grainlight": _version("grainlight"),
                "numba": _version("numba"),
            },
        }

    def save(self, folder: Path) -> None:
        """Write `dataset.json`, whole or not at all."""
        partial = folder / (NAME + ".part")
        partial.write_text(json.dumps(self.to_json(), indent=1))
        os.replace(partial, folder / NAME)

    @classmethod
    def load(cls, folder: Path) -> "Recipe":
        """Read the recipe of a folder; raises `FileFormatError` if there is none."""
        path = Path(folder) / NAME
        try:
            stored = json.loads(path.read_text())
            check_kind(folder, stored, KIND)
            return cls(
                num_parents=stored["num_parents"],
                seed=stored["seed"],
                priors=stored["priors"],
                shard_size=stored["shard_size"],
                simulator=ShellSimulator.from_settings(stored["simulator"]),
                origin=stored.get("origin"),
                largest_filling_factor=stored.get("largest_filling_factor", 0.0),
            )
        except FileFormatError:
            raise
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise FileFormatError(
                f"Expected a data set with a readable {NAME} in {folder}; got "
                f"{type(error).__name__}: {error}. Make one with `grainlight simulate`."
            ) from error


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
