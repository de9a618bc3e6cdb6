"""One member of a family of estimators: trained on the rows of the thesis, and saved.

All members see the same rows, and the same noise drawn anew in every step; those with a
`blur` have it in their objective instead. An unfinished member goes on from its
checkpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError, Parameters
from grainlight.estimators.density import FlowDensity
from grainlight.estimators.errors import absolute_error
from grainlight.estimators.files import (
    SavedEstimator,
    load_estimator,
    save_estimator,
)
from grainlight.estimators.flow_likelihood import FLOW_SETTINGS, FlowLikelihood
from grainlight.estimators.gaussian import GaussianLikelihood
from grainlight.estimators.gaussian_posterior import GaussianPosterior
from grainlight.estimators.masks import hide_bands
from grainlight.estimators.presets import Estimator, Preset, named_preset
from grainlight.estimators.settings import TrainingSettings
from grainlight.estimators.steps import Augment
from grainlight.estimators.thesis_rows import (
    BANDS,
    ThesisRows,
    add_magnitude_noise,
    thesis_parameters,
)
from grainlight.estimators.training import Training, finish_estimator

CHECKPOINT = "checkpoint"
_COMMON = {"parameters": list(thesis_parameters().names), "bands": list(BANDS)}


@dataclass(frozen=True)
class Family:
    """A member: a preset, with settings of its own.

    Attributes:
        name: Name in tables and figures.
        preset: Name of the preset.
        settings: Settings that differ from those of the preset.
        start: Name of a Gaussian member whose trained network a flow starts from; none
            to start from nothing.
    """

    name: str
    preset: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: str | None = None

    @property
    def made_of(self) -> Preset:
        """The preset with these settings; raises `ModelError` if it is not known."""
        preset = named_preset(self.preset)
        return replace(preset, settings=preset.settings | dict(self.settings))

    @property
    def visible(self) -> tuple[str, ...]:
        """Names of the parameters that it sees."""
        hidden = self.made_of.hidden
        return tuple(name for name in thesis_parameters().names if name not in hidden)

    @property
    def is_posterior(self) -> bool:
        """Whether it gives parameters from data, not data from parameters."""
        return self.made_of.kind is GaussianPosterior


def visible_parameters(names: tuple[str, ...]) -> Parameters:
    """Parameters of these names, in the order of the thesis."""
    return Parameters(tuple(thesis_parameters()[name] for name in names))


def noise_with_masks(noise_mag: float) -> Augment:
    """Noise on the magnitudes, then bands hidden at random."""
    add, hide = add_magnitude_noise(noise_mag), hide_bands()

    def augment(key: Key[Array, ""], *batch: Array) -> tuple[Array, ...]:
        add_key, hide_key = jr.split(key)
        return hide(hide_key, *add(add_key, *batch))

    return augment


def train_family(
    key: Key[Array, ""],
    family: Family,
    train: ThesisRows,
    held: ThesisRows,
    folder: Path,
    settings: TrainingSettings,
    *,
    noise_mag: float,
    start: GaussianLikelihood | None = None,
    progress: bool = False,
) -> SavedEstimator:
    """Train a member and save it, with its errors after every epoch in the record.

    Args:
        key: Random key.
        family: The member.
        train: Rows to train on, without noise.
        held: Rows of other parents, on which training decides what to keep.
        folder: Where it goes.
        settings: Settings of the training loop.
        noise_mag: Noise of every magnitude [mag].
        start: A trained likelihood that a flow starts from.
        progress: Whether to show a bar.
    """
    build_key, train_key = jr.split(key)
    trained = finish_estimator(
        train_key,
        _untrained(build_key, family, train, start),
        train.columns(),
        held.columns(),
        settings,
        folder=folder / CHECKPOINT,
        augment=_augment(family, noise_mag),
        error=absolute_error,
        progress=progress,
    )
    meta = {
        "family": family.name,
        "preset": family.preset,
        "start": family.start,
        "visible": list(family.visible),
        "noise_mag": noise_mag,
        "num_train": len(train),
    }
    return _saved(folder, trained, meta | _COMMON)


def _augment(family: Family, noise_mag: float) -> Augment | None:
    """What is drawn anew in every step, if anything is."""
    blur = family.made_of.settings.get("blur")
    if blur:
        if set(blur) != {noise_mag}:
            raise ParameterError(
                f"Expected the noise of the magnitudes, {noise_mag:g} mag, as the blur "
                f"of {family.name}; got {list(blur)}. Give it twice that value."
            )
        return None
    return (noise_with_masks if family.is_posterior else add_magnitude_noise)(noise_mag)


def _untrained(
    key: Key[Array, ""],
    family: Family,
    train: ThesisRows,
    start: GaussianLikelihood | None,
) -> Estimator:
    """What training begins with."""
    if start is None:
        return family.made_of.build(key, thesis_parameters(), *train.columns())
    settings = family.made_of.settings
    known = (*FLOW_SETTINGS, "num_context", "num_draws")
    flow = {name: settings[name] for name in known if name in settings}
    return FlowLikelihood.from_gaussian(key, start, **flow)


def _saved(folder: Path, trained: Training, meta: dict[str, Any]) -> SavedEstimator:
    save_estimator(folder, trained.estimator, trained.record, meta)
    return load_estimator(folder)


def train_prior(
    key: Key[Array, ""],
    names: tuple[str, ...],
    train: ThesisRows,
    held: ThesisRows,
    folder: Path,
    settings: TrainingSettings,
    *,
    progress: bool = False,
) -> SavedEstimator:
    """Learn the joint prior of some parameters from the shells themselves.

    Args:
        key: Random key.
        names: Names of the parameters.
        train: Rows to train on.
        held: Rows of other parents.
        folder: Where it goes.
        settings: Settings of the training loop.
        progress: Whether to show a bar.
    """
    build_key, train_key = jr.split(key)
    parameters = visible_parameters(names)
    table, other = (_columns_of(rows, names) for rows in (train, held))
    trained = finish_estimator(
        train_key,
        FlowDensity.from_data(build_key, table, parameters.lower, parameters.upper),
        (table,),
        (other,),
        settings,
        folder=folder / CHECKPOINT,
        progress=progress,
    )
    meta = {"parameters": list(names), "num_train": len(table)}
    return _saved(folder, trained, meta)


def _columns_of(
    rows: ThesisRows, names: tuple[str, ...]
) -> Float[Array, "object param"]:
    """Parameters of these names, one row a parent."""
    _, first = np.unique(rows.parent, return_index=True)
    order = [thesis_parameters().names.index(name) for name in names]
    return jnp.asarray(rows.theta[first][:, order], jnp.float32)
