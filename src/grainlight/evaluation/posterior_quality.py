"""How good the posteriors of a shell model are, of simulated objects."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError, Samples, status_name
from grainlight.estimators import PhotometricData
from grainlight.estimators.shell_model import ShellModel
from grainlight.evaluation.accuracy import Errors, measure_errors
from grainlight.evaluation.coverage import (
    Coverage,
    DensityRanks,
    measure_coverage,
    measure_density_ranks,
    rank_densities,
)
from grainlight.evaluation.draws import (
    RANK_DRAWS,
    log_posteriors,
    narrow_draws,
    rank_truth,
    thin_draws,
)
from grainlight.evaluation.mock_objects import MockObjects
from grainlight.evaluation.ranks import FEWEST_EXPECTED, Ranks
from grainlight.evaluation.tarp import ExpectedCoverage, measure_expected_coverage
from grainlight.sampling.fit import (
    Fit,
    FitSettings,
    fit_observations,
    photometric_target,
)
from grainlight.sampling.photometric_target import PhotometricTarget

DENSITY_DRAWS = 400  # for each density rank
FEWEST_OBJECTS = 2 * FEWEST_EXPECTED
TEMPERATURE = "dust_temperature"


@dataclass(frozen=True, eq=False)
class PosteriorQuality:
    """Gate, calibration and cost of the posteriors of simulated objects.

    All objects with finite draws are judged, also those that the gate refused.

    Attributes:
        objects: What was fitted, and the truth.
        floor: Model error of every band, as a fraction of its flux.
        status: How many objects ended how.
        seconds: Wall-clock time of an object, compilation included [s].
        cpu_seconds: Time of all processors for an object [s].
        judged: Which objects have finite draws.
        ranks: Ranks of the truth among 99 draws, of parameters and dust temperature.
        narrowed: The same of posteriors made narrower by 0.7, which must fail.
        quantile: Posterior probability below the truth.
        coverage: Coverage of central intervals.
        density: Density ranks of the truth.
        expected: Coverage around random points.
        errors: Errors of the posterior means, on the scaled axes.
        offset: Posterior medians minus truths, on the scaled axes.
        chi_squared_a_band: Median of the least chi-squared over the detected bands.
    """

    objects: MockObjects
    floor: float
    status: dict[str, int]
    seconds: float
    cpu_seconds: float
    judged: tuple[str, ...]
    ranks: Ranks
    narrowed: Ranks
    quantile: Float[np.ndarray, "object param"]
    coverage: Coverage
    density: DensityRanks
    expected: ExpectedCoverage
    errors: Errors
    offset: Float[np.ndarray, "object scaled"]
    chi_squared_a_band: float

    @property
    def num_objects(self) -> int:
        """Objects that were fitted."""
        return len(self.objects.observations)

    @property
    def num_passed(self) -> int:
        """Objects that passed the gate."""
        return self.status.get("ok", 0)

    def words(self) -> dict[str, Any]:
        """Plain values and arrays by name, for a file."""
        low, mid, high = np.quantile(self.offset, [0.16, 0.5, 0.84], axis=0)
        histogram = self.density.histogram()
        return {
            "floor": self.floor,
            "num_objects": self.num_objects,
            "passed": self.num_passed,
            "status": self.status,
            "num_judged": len(self.judged),
            "limits_mean": self.objects.mean_limits,
            "seconds_an_object": self.seconds,
            "cpu_seconds_an_object": self.cpu_seconds,
            "rank_pvalue": dict(zip(self.ranks.names, self.ranks.pvalue, strict=True)),
            "rank_pvalue_adjusted": self.ranks.adjusted_pvalue.min(),
            "control_pvalue_adjusted": self.narrowed.adjusted_pvalue.min(),
            "coverage": self.coverage,
            "density_ranks": {
                "count": histogram.count,
                "chi_squared": histogram.chi_squared,
                "pvalue": histogram.pvalue,
                "pvalue_unbinned": self.density.pvalue,
                "region_coverage": self.density.coverage(),
            },
            "tarp": {
                "level": self.expected.level,
                "coverage": self.expected.coverage,
                "pvalue": self.expected.pvalue,
            },
            "mean_errors": self.errors,
            "median_minus_truth": {
                name: {"median": mid[i], "scatter": (high[i] - low[i]) / 2}
                for i, name in enumerate(self.errors.names)
            },
            "chi_squared_a_band": self.chi_squared_a_band,
            "quantile_of_truth": {
                name: np.round(row, 4)
                for name, row in zip(self.judged, self.quantile, strict=True)
            },
        }


def check_number(num: int) -> None:
    """Raise `ParameterError` if so many objects cannot judge a posterior."""
    if num < FEWEST_OBJECTS:
        raise ParameterError(
            f"Expected {FEWEST_OBJECTS} objects or more, or none; got {num}. Fewer "
            "cannot tell whether ranks are uniform."
        )


def judge_posteriors(
    model: ShellModel,
    objects: MockObjects,
    settings: FitSettings,
    seed: int,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PosteriorQuality:
    """Fit simulated objects and compare their posteriors with the truth.

    Parameters of the truth that the model does not have are left out. The dust
    temperature is judged if every shell has dust left.

    Args:
        model: A trained model.
        objects: Twenty or more, from the prior and with the model error of the fits.
        settings: How the fits are done.
        seed: Seed of the samplers.
        progress: Called with the objects finished and their number.
    """
    check_number(len(objects.observations))
    started, cpu = time.time(), time.process_time()
    fits = fit_observations(
        jr.key(seed + 1), model, objects.observations, settings, progress=progress
    )
    wall, cpu = time.time() - started, time.process_time() - cpu
    usable = np.array([_has_draws(fit) for fit in fits])
    check_number(int(usable.sum()))
    judged = [fit for fit, good in zip(fits, usable, strict=True) if good]
    parameters = settings.prior.parameters
    theta = objects.theta[usable][:, : len(parameters)]
    draws = np.stack([_scaled_draws(fit) for fit in judged])
    target = photometric_target(model, settings)
    bounds = np.stack([np.asarray(parameters.lower), np.asarray(parameters.upper)])
    return PosteriorQuality(
        objects=objects,
        floor=settings.floor,
        status=dict(Counter(status_name(fit.status) for fit in fits)),
        seconds=wall / len(fits),
        cpu_seconds=cpu / len(fits),
        judged=tuple(fit.observation.name for fit in judged),
        **_ranks(judged, draws, theta, objects.dust_temperature[usable]),
        density=_density_ranks(target, model.bands, judged, draws, theta),
        expected=measure_expected_coverage(
            jr.key(seed + 2), thin_draws(draws, RANK_DRAWS), theta, bounds=bounds
        ),
        errors=measure_errors(draws.mean(axis=1), theta, parameters.names),
        offset=np.median(draws, axis=1) - theta,
        chi_squared_a_band=float(np.median([_reduced(fit) for fit in judged])),
    )


def _has_draws(fit: Fit) -> bool:
    return fit.samples is not None and bool(np.isfinite(fit.samples.theta).all())


def _samples(fit: Fit) -> Samples:
    assert fit.samples is not None
    return fit.samples


def _scaled_draws(fit: Fit) -> Float[np.ndarray, "draw param"]:
    samples = _samples(fit)
    return np.asarray(samples.parameters.scale(samples.theta), dtype=float)


def _ranks(
    fits: Sequence[Fit],
    draws: Float[np.ndarray, "object draw param"],
    theta: Float[np.ndarray, "object param"],
    temperature: Float[np.ndarray, " object"],
) -> dict[str, Any]:
    """Ranks, those of narrowed posteriors, quantiles and coverage."""
    names, truth = _samples(fits[0]).parameters.names, theta
    if np.isfinite(temperature).all():
        names = (*names, TEMPERATURE)
        warm = np.stack([np.log10(_samples(fit).derived[TEMPERATURE]) for fit in fits])
        draws = np.concatenate([draws, warm[:, :, None]], axis=2)
        truth = np.concatenate([theta, np.log10(temperature)[:, None]], axis=1)
    quantile = np.mean(draws < truth[:, None], axis=1)
    return {
        "ranks": rank_truth(names, draws, truth),
        "narrowed": rank_truth(names, narrow_draws(draws), truth),
        "quantile": quantile,
        "coverage": measure_coverage(quantile, names),
    }


def _density_ranks(
    target: PhotometricTarget,
    bands: tuple[str, ...],
    fits: Sequence[Fit],
    draws: Float[np.ndarray, "object draw param"],
    theta: Float[np.ndarray, "object param"],
) -> DensityRanks:
    observations = [fit.observation for fit in fits]
    data = PhotometricData.from_observations(observations, bands)
    points = np.concatenate([thin_draws(draws, DENSITY_DRAWS), theta[:, None]], axis=1)
    value = np.asarray(log_posteriors(target, data, jnp.asarray(points, float)))
    return measure_density_ranks(rank_densities(value[:, :-1], value[:, -1]))


def _reduced(fit: Fit) -> float:
    """Least chi-squared over the number of detected bands."""
    assert fit.chi_squared is not None
    return float(np.min(fit.chi_squared) / max(fit.num_detected, 1))
