"""Trained estimators on disk: a folder of `model.json` and `weights.npz`.

The words say which class it is, its architecture, how it was trained and whatever the
caller adds; the weights are arrays by name. Nothing is pickled. Packaged estimators
live in the folder `models` beside this file and are found by name.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.random as jr
from jaxtyping import PyTree

from grainlight.core import ModelError
from grainlight.estimators.arrays import (
    fill_arrays,
    named_arrays,
    read_arrays,
    write_arrays,
)
from grainlight.estimators.clumpy import ClumpyLikelihood
from grainlight.estimators.density import FlowDensity
from grainlight.estimators.effective import EffectiveEmulator
from grainlight.estimators.emulator import Emulator
from grainlight.estimators.flow_likelihood import FlowLikelihood
from grainlight.estimators.flow_posterior import FlowPosterior
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.gaussian_posterior import GaussianPosterior
from grainlight.estimators.likelihood_ensemble import LikelihoodEnsemble
from grainlight.estimators.photometric_posterior import PhotometricPosterior
from grainlight.estimators.posterior_ensemble import PosteriorEnsemble
from grainlight.estimators.ratio import RatioClassifier
from grainlight.estimators.settings import TrainingRecord
from grainlight.estimators.variational import VariationalLikelihood
from grainlight.estimators.weighted import WeightedDensity

FORMAT = 1
WORDS, WEIGHTS = "model.json", "weights.npz"

#: Classes that can be saved, by the name in their file. A new one joins by one line; it
#: has `config()` and `from_config(key, **config)`.
ESTIMATORS: dict[str, Any] = {
    "ClumpyLikelihood": ClumpyLikelihood,
    "EffectiveEmulator": EffectiveEmulator,
    "Emulator": Emulator,
    "FlowDensity": FlowDensity,
    "FlowLikelihood": FlowLikelihood,
    "FlowPosterior": FlowPosterior,
    "GaussianLikelihood": GaussianLikelihood,
    "GaussianPosterior": GaussianPosterior,
    "LikelihoodEnsemble": LikelihoodEnsemble,
    "PhotometricPosterior": PhotometricPosterior,
    "PosteriorEnsemble": PosteriorEnsemble,
    "RatioClassifier": RatioClassifier,
    "VariationalLikelihood": VariationalLikelihood,
    "WeightedDensity": WeightedDensity,
}
#: Their FlowJAX layers keep arrays that must not be traced.
_UNTRACED = (
    FlowDensity,
    FlowLikelihood,
    FlowPosterior,
    PhotometricPosterior,
    PosteriorEnsemble,
)


@dataclass(frozen=True)
class SavedEstimator:
    """An estimator read from disk.

    Attributes:
        estimator: The estimator, ready for use.
        record: How it was trained; none if it was not.
        meta: What the caller of `save_estimator` added.
        versions: Packages that wrote it.
        folder: Where it was read.
    """

    estimator: PyTree
    record: TrainingRecord | None
    meta: dict[str, Any]
    versions: dict[str, str]
    folder: Path


def is_saved(folder: Path) -> bool:
    """Whether an estimator is in a folder."""
    return (folder / WORDS).is_file()


def save_estimator(
    folder: Path | str,
    estimator: PyTree,
    record: TrainingRecord | None = None,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write an estimator into a folder, made if need be; an older one is replaced.

    Args:
        folder: The folder.
        estimator: An instance of one of `ESTIMATORS`.
        record: How it was trained.
        meta: Anything that JSON holds: parameters, bands, the prior, sizes of data
            sets.
    """
    kind = type(estimator).__name__
    if kind not in ESTIMATORS:
        raise ModelError(
            f"Expected an estimator of {', '.join(ESTIMATORS)}; got {kind}. Save its "
            "parts, or add its class to ESTIMATORS."
        )
    words = {
        "format": FORMAT,
        "kind": kind,
        "config": estimator.config(),
        "meta": dict(meta or {}),
        "record": None if record is None else record.to_json(),
        "versions": _versions(),
    }
    text = json.dumps(words, indent=1)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / WEIGHTS, named_arrays(estimator))
    partial = folder / (WORDS + ".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, folder / WORDS)


def load_estimator(folder_or_name: Path | str) -> SavedEstimator:
    """Read an estimator from a folder, or a packaged one by its name.

    Raises `ModelError` if there is none, or if a file is broken or of another kind.
    """
    folder = find_model(folder_or_name)
    words = _read_words(folder / WORDS)
    kind = words["kind"]
    if kind not in ESTIMATORS:
        raise ModelError(
            f"Expected one of {', '.join(ESTIMATORS)} in {folder / WORDS}; got "
            f"{kind!r}. Update grainlight, or train the model anew."
        )
    try:
        skeleton = _skeleton(ESTIMATORS[kind], words["config"])
    except (TypeError, ValueError, KeyError) as error:
        raise ModelError(
            f"Expected an architecture of {kind} in {folder / WORDS}; got one that it "
            f"does not take ({error}). Copy the file again, or train the model anew."
        ) from error
    estimator = fill_arrays(skeleton, read_arrays(folder / WEIGHTS))
    record = words.get("record")
    return SavedEstimator(
        estimator,
        None if record is None else TrainingRecord.from_json(record),
        words.get("meta", {}),
        words.get("versions", {}),
        folder,
    )


def _skeleton(kind: Any, config: dict[str, Any]) -> PyTree:
    blank = jr.key(FORMAT)  # all that is drawn with it is overwritten by the weights
    if kind in _UNTRACED:
        return kind.from_config(blank, **config)
    return eqx.filter_eval_shape(lambda key: kind.from_config(key, **config), blank)


def find_model(folder_or_name: Path | str) -> Path:
    """The folder of a saved estimator, or of a packaged one by its name."""
    folder = Path(folder_or_name)
    if (folder / WORDS).is_file():
        return folder
    packaged = _packaged_folder() / folder
    if not folder.is_absolute() and (packaged / WORDS).is_file():
        return packaged
    names = packaged_models()
    raise ModelError(
        f"Expected a folder with {WORDS}, or the name of a packaged model; got "
        f"{str(folder_or_name)!r}. Packaged models: {', '.join(names) or 'none'}."
    )


def packaged_models() -> tuple[str, ...]:
    """Names of the estimators that come with the package."""
    root = _packaged_folder()
    return tuple(sorted(path.parent.name for path in root.glob(f"*/{WORDS}")))


def _packaged_folder() -> Path:
    return Path(str(resources.files("grainlight.estimators"))) / "models"


def _read_words(path: Path) -> dict[str, Any]:
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Expected the words of a model in {path}; got a file that does not read "
            f"({error}). Copy it again, or train the model anew."
        ) from error
    whole = isinstance(words, dict) and {"format", "kind", "config"} <= words.keys()
    if not whole or words["format"] != FORMAT:
        raise ModelError(
            f"Expected a model of format {FORMAT} in {path}; got something else. "
            "Update grainlight, or train the model anew."
        )
    return words


def _versions() -> dict[str, str]:
    versions = {}
    for package in ("grainlight", "jax", "equinox", "flowjax", "optax", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions
