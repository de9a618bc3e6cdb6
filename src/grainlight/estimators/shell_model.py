"""The trained model of dusty supernovae: likelihood, dust temperature, joint prior.

Three estimators of one data set. The *likelihood* of AB magnitudes at 10 Mpc given the
six parameters and the redshift; an *emulator* of the dust temperature, which the
parameters fix; and the *joint density* of the parameters of the thesis, dust
temperature among them and the outer radius not, under one named prior. The dust
temperature is an outcome, so its prior is not to be chosen but to be learned.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import (
    ModelError,
    OutputExistsError,
    Parameter,
    ParameterError,
    Parameters,
)
from grainlight.datasets import BLOCK_SIZE, Dataset, Pairs
from grainlight.estimators.density import FlowDensity
from grainlight.estimators.emulator import Emulator
from grainlight.estimators.files import (
    WEIGHTS,
    WORDS,
    SavedEstimator,
    find_model,
    load_estimator,
    save_estimator,
)
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.settings import TrainingSettings
from grainlight.estimators.shell_rows import (
    ShellRows,
    count_rows,
    density_data,
    likelihood_data,
    outcome_data,
    sample_rows,
)
from grainlight.estimators.training import Training, fit_estimator
from grainlight.photometry import jwst_filters
from grainlight.simulators import (
    SHELL_PARAMETERS,
    luminosity_gain,
    scale_free_mixing,
)

OUTCOMES, DENSITY = "outcomes", "density"
DENSITY_PRIOR = "thesis2023"
ROWS = "checkpoints/rows"  # where streamed rows are, unless told otherwise
NOTE = "checkpoints/dataset.json"  # which data set a folder is trained on
TEMPERATURE = Parameter("dust_temperature", 5.0, 4000.0, "K", "log10", r"T_\mathrm{d}")
#: Parameters of the thesis (table 1) that a smooth shell has.
THESIS_PARAMETERS = Parameters(
    (
        *SHELL_PARAMETERS.members[:3],
        TEMPERATURE,
        *SHELL_PARAMETERS.members[3:5],
    )
)


#: Scatter of the noise that the likelihood is trained under [mag]: from the best
#: photometry to the errors of faint detections.
BLUR = (0.01, 0.1)
#: Star, carbon and silicate.
NUM_SOURCES = 3


@dataclass(frozen=True)
class ShellModel:
    """The trained model, ready for fits.

    Attributes:
        name: Name or folder that it was loaded by.
        likelihood: Magnitudes at 10 Mpc given scaled parameters and redshift.
        outcomes: log10 of the dust temperature [K] given scaled parameters.
        density: Joint density of `THESIS_PARAMETERS` under `density_prior`.
        bands: Bands of the magnitudes.
        redshifts: Range of redshifts that it was trained on.
        meta: What else is written in the model file.
        identity: Hash of all its files.
    """

    name: str
    likelihood: GaussianLikelihood
    outcomes: Emulator
    density: FlowDensity
    bands: tuple[str, ...]
    redshifts: tuple[float, float]
    meta: dict[str, Any]
    identity: str = ""

    @classmethod
    def load(cls, folder_or_name: Path | str) -> "ShellModel":
        """Load from a folder, or a packaged model by name; raises `ModelError`."""
        folder = find_model(folder_or_name)
        saved = load_estimator(folder)
        if "bands" not in saved.meta or "redshifts" not in saved.meta:
            raise ModelError(
                f"Expected a model of photometry in {folder}; got one without bands. "
                "Make one with `grainlight train`."
            )
        return cls(
            name=str(folder_or_name),
            likelihood=_checked(saved, GaussianLikelihood),
            outcomes=_checked(load_estimator(folder / OUTCOMES), Emulator),
            density=_checked(load_estimator(folder / DENSITY), FlowDensity),
            bands=tuple(saved.meta["bands"]),
            redshifts=tuple(saved.meta["redshifts"]),
            meta=saved.meta,
            identity=_identity(folder),
        )

    def dust_temperature(self, scaled: Float[Array, " param"]) -> Float[Array, ""]:
        """Mass-weighted mean dust temperature [K] at scaled parameters."""
        return 10.0 ** self.outcomes(scaled, jnp.zeros(0))[0]

    def thesis_parameters(
        self, scaled: Float[Array, " param"]
    ) -> Float[Array, " thesis"]:
        """Scaled `THESIS_PARAMETERS` of scaled shell parameters."""
        temperature = self.outcomes(scaled, jnp.zeros(0))
        return jnp.concatenate([scaled[:3], temperature, scaled[3:5]])


def _checked(saved: SavedEstimator, kind: type) -> Any:
    if not isinstance(saved.estimator, kind):
        raise ModelError(
            f"Expected an estimator of the kind {kind.__name__} in {saved.folder}; got "
            f"{type(saved.estimator).__name__}. Copy the model again, or make one with "
            "`grainlight train`."
        )
    return saved.estimator


def _identity(folder: Path) -> str:
    """Hash of words and weights of all three estimators."""
    digest = hashlib.sha256()
    for part in (folder, folder / OUTCOMES, folder / DENSITY):
        for name in (WORDS, WEIGHTS):
            digest.update((part / name).read_bytes())
    return digest.hexdigest()[:16]


def density_bounds() -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the joint density: those of the prior, and of the temperature."""
    low = np.array([member.scaled_bounds[0] for member in THESIS_PARAMETERS.members])
    high = np.array([member.scaled_bounds[1] for member in THESIS_PARAMETERS.members])
    high[4] = 6.0  # the luminosity of the prior thesis2023 ends at 1e6 Lsun
    return low, high


@dataclass(frozen=True)
class Sizes:
    """Sizes of the networks and of the training set of a shell model.

    Attributes:
        widths: Widths of the blocks of the likelihood's network.
        outcome_widths: Same for the emulator.
        variants: Redshifts of each parent.
        most_in_memory: Rows of a data set beyond which the likelihood's are streamed.
        block_size: Rows of a block that is streamed.
    """

    widths: tuple[int, ...] = (128, 128, 128, 128)
    outcome_widths: tuple[int, ...] = (64, 64, 64)
    variants: int = 4
    most_in_memory: int = 500_000
    block_size: int = BLOCK_SIZE


def train_shell_model(
    key: Key[Array, ""],
    dataset: Dataset,
    folder: Path,
    settings: TrainingSettings,
    *,
    sizes: Sizes | None = None,
    cache: Path | None = None,
    progress: bool = False,
) -> ShellModel:
    """Train the three estimators of a shell model and save them.

    Splits are by parent. Of a large data set, the rows of the likelihood are written to
    disk once and streamed from there. Checkpoints stay in `folder/checkpoints`: the
    same call goes on where it was interrupted.

    Args:
        key: Random key.
        dataset: Simulated parents.
        folder: Where the model goes.
        settings: Settings of the likelihood's training; the two smaller estimators
            take a tenth of its time limit.
        sizes: Sizes of the networks.
        cache: Folder of streamed rows; `folder/checkpoints/rows` if not given.
        progress: Whether to show progress bars.
    """
    sizes = sizes or Sizes()
    folder = Path(folder)
    _check_folder(folder, dataset)
    keys = jr.split(key, 6)
    rows = ShellRows.read(
        dataset, jwst_filters(), variants=sizes.variants, most=sizes.most_in_memory
    )
    train, held = rows.train, rows.held
    _check_enough(train, held)
    _claim(folder, dataset)
    cache = cache or folder / ROWS
    _train_likelihood(keys[:2], rows, folder, cache, settings, sizes, progress)
    _train_outcomes(keys[2:4], train, held, folder, settings, sizes, progress)
    _train_density(keys[4:6], train, held, folder, settings, progress)
    return ShellModel.load(folder)


def _check_folder(folder: Path, dataset: Dataset) -> None:
    """Raise `OutputExistsError` if a folder is not for a training on a data set."""
    note = folder / NOTE
    strange = folder.exists() and not note.parent.is_dir()
    if strange and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExistsError(
            f"Expected a new folder, or one of a training to go on with; got {folder}, "
            "which holds other files. Name another folder."
        )
    if note.exists() and json.loads(note.read_text()) != _stated(dataset):
        raise OutputExistsError(
            f"Expected a training on the data set {_stated(dataset)}; that in {folder} "
            f"is on {note.read_text().strip()}. Name another folder."
        )


def _claim(folder: Path, dataset: Dataset) -> None:
    """Note in a folder which data set it is a training on."""
    try:
        (folder / NOTE).parent.mkdir(parents=True, exist_ok=True)
        (folder / NOTE).write_text(json.dumps(_stated(dataset)) + "\n")
    except OSError as error:
        raise OutputExistsError(
            f"Expected a folder that can be written; got {folder} "
            f"({error.strerror or error}). Name another one."
        ) from error


def _stated(dataset: Dataset) -> dict[str, Any]:
    recipe = dataset.recipe
    return {"dataset": recipe.identity, "num_parents": recipe.num_parents}


def _check_enough(train: Pairs, held: Pairs) -> None:
    for what, pairs in (("training", train), ("validation", held)):
        if not (pairs.prior == DENSITY_PRIOR).any():
            raise ParameterError(
                f"Expected parents of the prior {DENSITY_PRIOR} for {what}; got none. "
                "Simulate more: a hundred at least, better thousands."
            )


def _train_likelihood(keys, rows, folder, cache, settings, sizes, progress) -> None:
    source = rows.likelihood(cache, block_size=sizes.block_size, progress=progress)
    likelihood = GaussianLikelihood.from_data(
        keys[0],
        *sample_rows(source),
        mixing=scale_free_mixing(),
        gain=luminosity_gain(len(rows.filters)),
        widths=sizes.widths,
        blur=BLUR,
        num_sources=NUM_SOURCES,
    )
    trained = fit_estimator(
        keys[1],
        likelihood,
        source,
        likelihood_data(rows.held),
        settings,
        folder=folder / "checkpoints" / "likelihood",
        progress=progress,
    )
    _stop_if_interrupted(trained)
    recipe = rows.dataset.recipe
    meta = {
        "bands": list(rows.filters.names),
        "redshifts": [1e-4, 0.015],
        "parameters": list(SHELL_PARAMETERS.names),
        "priors": recipe.priors,
        "dataset": recipe.identity,
        "num_parents": recipe.num_parents,
        "num_train": count_rows(source),
        "density_prior": DENSITY_PRIOR,
    }
    save_estimator(folder, trained.estimator, trained.record, meta)


def _train_outcomes(keys, train, held, folder, settings, sizes, progress) -> None:
    data = outcome_data(train)
    emulator = Emulator.from_data(
        keys[0],
        *data,
        mixing=scale_free_mixing()[:-1, :-1],
        widths=sizes.outcome_widths,
        delta=0.1,
    )
    trained = fit_estimator(
        keys[1],
        emulator,
        data,
        outcome_data(held),
        _tenth(settings, 512),
        folder=folder / "checkpoints" / OUTCOMES,
        progress=progress,
    )
    _stop_if_interrupted(trained)
    save_estimator(folder / OUTCOMES, trained.estimator, trained.record)


def _train_density(keys, train, held, folder, settings, progress) -> None:
    lower, upper = density_bounds()
    rows = [density_data(some, some.prior == DENSITY_PRIOR) for some in (train, held)]
    density = FlowDensity.from_data(keys[0], rows[0][0], lower, upper)
    trained = fit_estimator(
        keys[1],
        density,
        *rows,
        _tenth(settings, 512),
        folder=folder / "checkpoints" / DENSITY,
        progress=progress,
    )
    _stop_if_interrupted(trained)
    save_estimator(folder / DENSITY, trained.estimator, trained.record)


def _stop_if_interrupted(trained: Training) -> None:
    """Pass Ctrl-C on: a half-trained estimator is no model; its checkpoint is kept."""
    if trained.record.stopped == "interrupted":
        raise KeyboardInterrupt


def _tenth(settings: TrainingSettings, batch_size: int) -> TrainingSettings:
    return replace(
        settings,
        batch_size=batch_size,
        num_epochs=min(settings.num_epochs, 100),
        time_limit_s=settings.time_limit_s / 10,
    )
