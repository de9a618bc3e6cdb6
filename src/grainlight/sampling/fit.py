"""Posteriors of observed objects under a trained shell model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import (
    BandMismatchError,
    GrainlightError,
    ObservationError,
    ParameterError,
    RangeError,
    Samples,
    Status,
)
from grainlight.estimators.belonging import Belonging
from grainlight.estimators.photometric import PhotometricLikelihood
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import Observation
from grainlight.sampling.amortized import amortized_proposal
from grainlight.sampling.correction import CorrectionSettings
from grainlight.sampling.diagnostics import FEWEST_DRAWS
from grainlight.sampling.gate import Gate
from grainlight.sampling.ladder import Climb, climb
from grainlight.sampling.own_prior import LogPrior, OwnPrior
from grainlight.sampling.photometric_target import PhotometricTarget
from grainlight.sampling.predictions import draw_predictions, dust_temperatures
from grainlight.sampling.prior import PriorChoice
from grainlight.sampling.run import FEWEST_CHAINS, METHODS, Progress, sample_posterior
from grainlight.sampling.settings import Settings

SLOTS = (8, 16, 24, 38)  # numbers of bands that programs are compiled for
WORTH_COMPILING = 16  # objects
LADDER = "ladder"
POGSON = 2.5 / np.log(10)
PREDICTIONS = 2**31 - 1  # folded into keys of predictions; larger than any place
MOST_DRAWS = 100_000  # of a chain: more would not fit into memory


@dataclass(frozen=True)
class FitSettings:
    """How a fit is done.

    Attributes:
        prior: The prior of the parameters.
        floor: Model error left in every band, as a fraction of its flux.
        method: `ladder`: amortized draws where the model has them and they can be
            vouched for, else `annealed` chains; or these, or `nuts`, in any case.
        num_draws: Draws recorded by each chain.
        num_chains: Chains.
        gate: What the chains must pass.
        sampler: How the samplers work.
        correction: How amortized draws are weighed.
    """

    prior: PriorChoice = field(default_factory=lambda: PriorChoice.read("thesis2023"))
    floor: float = 0.05
    method: Literal["ladder", "annealed", "nuts"] = LADDER
    num_draws: int = 1000
    num_chains: int = FEWEST_CHAINS
    gate: Gate = field(default_factory=Gate)
    sampler: Settings = field(default_factory=Settings)
    correction: CorrectionSettings = field(default_factory=CorrectionSettings)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.floor) and 0 <= self.floor < 1):
            raise RangeError(
                "Expected a model-error floor from 0 up to 1, as a fraction of the "
                f"flux; got {self.floor:g}. Five per cent is 0.05."
            )
        if self.method not in (LADDER, *METHODS):
            known = ", ".join((LADDER, *METHODS))
            raise ParameterError(
                f"Expected a method among {known}; got {self.method!r}."
            )
        if not FEWEST_DRAWS <= self.num_draws <= MOST_DRAWS:
            raise RangeError(
                f"Expected {FEWEST_DRAWS} to {MOST_DRAWS} draws a chain; got "
                f"{self.num_draws}. A thousand serve well."
            )

    def words(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {
            "prior": self.prior.words,
            "prior_densities": self.prior.densities,
            "floor": self.floor,
            "method": self.method,
            "num_draws": self.num_draws,
            "num_chains": self.num_chains,
            "gate": asdict(self.gate),
            "sampler": asdict(self.sampler),
            "correction": asdict(self.correction),
        }


@dataclass(frozen=True)
class Fit:
    """The posterior of one object, and what it predicts.

    Attributes:
        observation: What was fitted, corrected for Galactic extinction.
        status: How the run ended.
        settings: How it was done.
        bands: Bands of the model, in order of wavelength.
        num_detected: Detected bands.
        samples: Draws and diagnostics, with the dust temperature [K] and the optical
            depth at 0.55 um as derived outcomes; none if there is no posterior.
        magnitudes: Apparent AB magnitudes in every band at every draw, with model
            scatter and floor, without errors of measurement.
        chi_squared: Of the detected bands at every draw, floor included.
        galactic_av: Extinction that was corrected for [mag].
        message: Why there is no posterior, if there is none.
        belonging: Simulated objects to lay it beside; none if the model has none of
            such shells and such a prior.
    """

    observation: Observation
    status: Status
    settings: FitSettings
    bands: tuple[str, ...]
    num_detected: int
    samples: Samples | None = None
    magnitudes: Float[np.ndarray, "draw band"] | None = None
    chi_squared: Float[np.ndarray, " draw"] | None = None
    galactic_av: float = 0.0
    message: str = ""
    belonging: Belonging | None = None


def photometric_target(
    model: ShellModel, settings: FitSettings, prior: LogPrior | None = None
) -> PhotometricTarget:
    """What a sampler needs to know of a model under these settings.

    Args:
        model: A trained model.
        settings: How the fit is done.
        prior: A density in place of that of the settings, within its support.

    Raises:
        ParameterError: The model does not know such shells.
    """
    model = model.under(clumpy=settings.prior.is_clumpy)
    floor_mag = float(POGSON * settings.floor)
    stated, parameters = settings.prior.prior(model), settings.prior.parameters
    return PhotometricTarget(
        PhotometricLikelihood(model.likelihood, model.bands, floor_mag),
        stated if prior is None else OwnPrior(stated, prior, parameters),
        parameters,
    )


def comparable(
    model: ShellModel, prior: PriorChoice, target: PhotometricTarget
) -> Belonging | None:
    """Simulated objects that compare with those of a fit: under the same prior.

    Args:
        model: The model, under the shells that the prior allows.
        prior: Prior of the settings.
        target: Its prior and likelihood.
    """
    found = model.belonging
    if found is None or isinstance(target.prior, OwnPrior):
        return None
    return found if prior.is_named(found.prior) else None


def check_observation(model: ShellModel, observation: Observation) -> None:
    """Raise a `GrainlightError` if the model cannot answer for an observation."""
    used = list(np.array(observation.bands)[observation.usable])
    if not used:
        raise ObservationError(
            f"Expected at least one band with a flux or a limit; {observation.name!r} "
            "has none. Check its fluxes and errors."
        )
    unknown = [band for band in used if band not in model.bands]
    if unknown:
        raise BandMismatchError(
            f"Expected bands among the {len(model.bands)} of the model {model.name!r}; "
            f"{observation.name!r} has {', '.join(unknown)} besides. Leave these out."
        )
    low, high = model.redshifts
    redshift = observation.resolved_redshift
    if not low <= redshift <= high:
        mend = "Use a model that was trained on it; `grainlight train` makes one."
        if redshift < low:
            mend = (
                f"Give its distance and a redshift of {low:g}: the shift of the bands "
                "is negligible there."
            )
        raise RangeError(
            f"Expected a redshift from {low:g} to {high:g}, the trained range of "
            f"{model.name!r}; {observation.name!r} has {observation.redshift_origin}. "
            f"{mend}"
        )


def fit_observations(
    key: Key[Array, ""],
    model: ShellModel,
    observations: Sequence[Observation],
    settings: FitSettings | None = None,
    *,
    prior: LogPrior | None = None,
    progress: Progress | None = None,
) -> list[Fit]:
    """Sample the posterior of every object; a bad one has a status and a message.

    Objects with about as many bands are sampled together. The draws of one depend on
    the seed, its data, its place among these and the number of bands that they are
    padded to; beyond that, the others change them by rounding alone.

    Args:
        key: Random key.
        model: A trained model.
        observations: The objects.
        settings: How it is done.
        prior: A log-density of physical parameters, in place of the prior of the
            settings and within its support. Amortized draws are weighed by it too.
        progress: Called with the objects finished and their number.
    """
    settings = settings or FitSettings()
    model = model.under(clumpy=settings.prior.is_clumpy)
    target = photometric_target(model, settings, prior)
    fits: dict[int, Fit] = {}
    sound: dict[int, Observation] = {}
    for i, observation in enumerate(observations):
        try:
            check_observation(model, observation)
            sound[i] = observation.dereddened()
        except GrainlightError as error:
            fits[i] = _failed(observation, model, settings, error)
    finished, total = 0, len(sound)
    for slots, group in _groups(sound, len(model.bands)).items():
        shown = None
        if progress is not None:
            shown = partial(_show, progress, finished, total)
        group_key = jr.fold_in(key, slots)
        some = _fit_group(group_key, model, target, group, slots, settings, shown)
        for i, fit in some.items():
            fits[i] = replace(fit, galactic_av=observations[i].galactic_av)
        finished += len(group)
    return [fits[i] for i in range(len(observations))]


def _groups(
    observations: dict[int, Observation], num_bands: int
) -> dict[int, dict[int, Observation]]:
    """Objects by the number of bands that they are padded to.

    Few objects are padded to more, together with others: that costs less than to
    compile for them.
    """
    sizes = (*SLOTS, num_bands)
    groups: dict[int, dict[int, Observation]] = {}
    for i, observation in observations.items():
        slots = next(n for n in sizes if n >= observation.usable.sum())
        groups.setdefault(slots, {})[i] = observation
    for slots in sorted(groups)[:-1]:
        if len(groups[slots]) < WORTH_COMPILING:
            wider = min(n for n in groups if n > slots)
            groups[wider] |= groups.pop(slots)
    return {n: dict(sorted(groups[n].items())) for n in sorted(groups)}


def _show(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    """Progress over all groups."""
    progress(before + done, total)


def _fit_group(
    key: Key[Array, ""],
    model: ShellModel,
    target: PhotometricTarget,
    group: dict[int, Observation],
    slots: int,
    settings: FitSettings,
    progress: Progress | None,
) -> dict[int, Fit]:
    """Sample objects that are padded to the same number of bands."""
    chosen = list(group.values())
    data = PhotometricData.from_observations(chosen, model.bands, num_slots=slots)
    draws = sample_objects(key, model, target, data, settings, progress=progress)
    predict_key = jr.fold_in(key, PREDICTIONS)
    return {
        i: _finished(
            jr.fold_in(predict_key, place),
            observation,
            model,
            target,
            data[place],
            draws[place],
            settings,
        )
        for place, (i, observation) in enumerate(group.items())
    }


def sample_objects(
    key: Key[Array, ""],
    model: ShellModel,
    target: PhotometricTarget,
    data: PhotometricData,
    settings: FitSettings,
    *,
    progress: Progress | None = None,
) -> list[Samples]:
    """Draws of every object of a batch, by the ladder or the sampler that is asked for.

    Args:
        key: Random key.
        model: The model, under the shells that the prior allows.
        target: Its prior and likelihood.
        data: The objects.
        settings: How it is done.
        progress: Called with the objects finished and their number.
    """
    prior, floor_mag = settings.prior, float(POGSON * settings.floor)
    proposal = amortized_proposal(model, prior, floor_mag)
    if proposal is not None and settings.method == LADDER:
        plan = Climb(
            settings.num_draws,
            settings.num_chains,
            settings.gate,
            settings.sampler,
            settings.correction,
        )
        usable = proposal.applies_to(data)
        return climb(key, target, proposal, data, usable, plan, progress=progress)
    return sample_posterior(
        key,
        target,
        data,
        method=METHODS[0] if settings.method == LADDER else settings.method,
        num_draws=settings.num_draws,
        num_chains=settings.num_chains,
        gate=settings.gate,
        settings=settings.sampler,
        progress=progress,
    )


def _failed(
    observation: Observation,
    model: ShellModel,
    settings: FitSettings,
    error: GrainlightError,
) -> Fit:
    outside = isinstance(error, RangeError)
    return Fit(
        observation=observation,
        status=Status.outside if outside else Status.unusable,
        settings=settings,
        bands=model.bands,
        num_detected=observation.num_detected,
        message=str(error),
    )


def _finished(
    key: Key[Array, ""],
    observation: Observation,
    model: ShellModel,
    target: PhotometricTarget,
    data: PhotometricData,
    samples: Samples,
    settings: FitSettings,
) -> Fit:
    scaled = samples.parameters.scale(samples.theta)
    derived = {
        "dust_temperature": dust_temperatures(model.outcomes, scaled),
        "optical_depth": jnp.exp(settings.prior.base.log_optical_depth(scaled)),
    }
    samples = replace(samples, derived=derived)
    magnitude, chi_squared = draw_predictions(key, target.likelihood, data, scaled)
    return Fit(
        observation=observation,
        status=samples.status,
        settings=settings,
        bands=model.bands,
        num_detected=int(data.num_detected),
        samples=samples,
        magnitudes=np.asarray(magnitude, float),
        chi_squared=np.asarray(chi_squared, float),
        belonging=comparable(model, settings.prior, target),
    )
