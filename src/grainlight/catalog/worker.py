"""What a piece of a table is made into: draws, weights, moments, verdicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.catalog.summary import describe_certificate, summarize
from grainlight.core import RangeError, Samples, Status, status_name
from grainlight.estimators import PhotometricData
from grainlight.estimators.shell_model import ShellModel
from grainlight.evaluation import judge_fit
from grainlight.photometry import Observation
from grainlight.sampling.amortized import amortized_proposal
from grainlight.sampling.correction import (
    CorrectionSettings,
    Weighed,
    resample,
    weigh_draws,
)
from grainlight.sampling.fit import (
    POGSON,
    SLOTS,
    FitSettings,
    PhotometricTarget,
    photometric_target,
    sample_objects,
)

CHECKED = 256  # draws of an object that chi-squared and temperature are found of


@dataclass(frozen=True)
class CatalogSettings:
    """How a table is worked through.

    Attributes:
        fit: Prior, floor and, where chains are run, how.
        num_draws: Amortized draws of an object.
        rows: Rows of a piece: what is read, fitted and written together.
        escalate: Whether objects whose weights fail go on to chains, at seconds each.
    """

    fit: FitSettings = field(default_factory=FitSettings)
    num_draws: int = 2048
    rows: int = 512
    escalate: bool = False

    def __post_init__(self) -> None:
        if self.num_draws < 800 or self.rows < 1:
            raise RangeError(
                "Expected 800 draws or more of an object and one row or more a piece; "
                f"got {self.num_draws} and {self.rows}. 2048 and 512 serve well."
            )


class Worker:
    """What all pieces of a run share."""

    def __init__(
        self, model: ShellModel, settings: CatalogSettings, num_bands: int
    ) -> None:
        fit = settings.fit
        self.model = model.under(clumpy=fit.prior.is_clumpy)
        self.settings = settings
        self.target = photometric_target(model, fit)
        floor_mag = float(POGSON * fit.floor)
        self.proposal = amortized_proposal(model, fit.prior, floor_mag)
        if self.proposal is None and not settings.escalate:
            raise RangeError(
                f"Expected a model with an amortized posterior under the prior "
                f"{fit.prior.words} and a floor of {fit.floor:g}; {model.name!r} has "
                "none. Use its prior, make one with `grainlight amortize`, or give "
                "--escalate, which runs chains for every object."
            )
        sizes = (*SLOTS, len(model.bands))
        self.slots = next(n for n in sizes if n >= min(num_bands, len(model.bands)))

    def fit_rows(
        self, key: Key[Array, ""], observations: Sequence[Observation]
    ) -> list[dict[str, Any]]:
        """Columns of sound objects."""
        data = PhotometricData.from_observations(
            observations, self.model.bands, num_slots=self.slots
        )
        data = replace(data, has_limits=True)  # else some pieces compile anew
        keys = jr.split(key, 3)
        weighed = self._weigh(keys[0], data)
        found: dict[int, dict[str, Any]] = {}
        for i, one in enumerate(weighed):
            if one is not None and (one.passed or not self.settings.escalate):
                found[i] = self._of_weights(i, one)
        left = np.array([i for i in range(len(observations)) if i not in found], int)
        if left.size:
            some = jax.tree.map(lambda leaf: leaf[left], data)
            chains = sample_objects(
                keys[1], self.model, self.target, some, self.settings.fit
            )
            for i, samples in zip(left.tolist(), chains, strict=True):
                found[i] = self._of_samples(samples)
        rows = [found[i] for i in range(len(observations))]
        return self._judged(rows, data, observations)

    def _weigh(
        self, key: Key[Array, ""], data: PhotometricData
    ) -> list[Weighed | None]:
        """Weighed draws; none for objects that the amortized posterior is not for."""
        number = data.redshift.shape[0]
        if self.proposal is None:
            return [None] * number
        usable = self.proposal.applies_to(data)
        if not self.settings.escalate:
            usable = np.ones(number, bool)  # the weights will tell
        size = self.settings.rows
        padded = jax.tree.map(
            lambda leaf: leaf[np.resize(np.arange(number), size)], data
        )
        settings = CorrectionSettings(num_draws=self.settings.num_draws, most_rounds=1)
        weighed = weigh_draws(key, self.target, self.proposal, padded, settings)
        return [w if good else None for w, good in zip(weighed, usable, strict=False)]

    def _of_weights(self, place: int, weighed: Weighed) -> dict[str, Any]:
        status = "ok" if weighed.passed else "low_ess"
        if not np.any(np.isfinite(weighed.log_weight)):
            return {"status": "nonfinite", "draws": None} | describe_certificate(
                weighed.certificate
            )
        generator = np.random.default_rng(place)
        return {
            "status": status,
            "draws": resample(generator, weighed, CHECKED),
            **describe_certificate(weighed.certificate),
            **summarize(self.target.parameters, weighed.theta, weighed.log_weight),
        }

    def _of_samples(self, samples: Samples) -> dict[str, Any]:
        scaled = np.asarray(samples.parameters.scale(samples.theta), float)
        row = {"status": status_name(samples.status), "draws": None}
        row |= describe_certificate(samples.certificate)
        if bool(samples.status == Status.nonfinite):
            return row
        kept = np.linspace(0, len(scaled) - 1, CHECKED).astype(int)
        row |= summarize(samples.parameters, scaled, np.zeros(len(scaled)))
        return row | {"draws": scaled[kept]}

    def _judged(
        self,
        rows: list[dict[str, Any]],
        data: PhotometricData,
        observations: Sequence[Observation],
    ) -> list[dict[str, Any]]:
        """Rows with chi-squared, dust temperature and a verdict."""
        parameters, size = self.target.parameters, self.settings.rows
        middle = np.asarray((parameters.lower + parameters.upper) / 2, float)
        blank = np.tile(middle, (CHECKED, 1))
        drawn = np.stack([blank if r["draws"] is None else r["draws"] for r in rows])
        picked = np.resize(np.arange(len(rows)), size)
        chi_squared, temperature = _check(
            self.target,
            self.model.outcomes,
            jax.tree.map(lambda leaf: leaf[picked], data),
            jnp.asarray(drawn[picked], float),
        )
        chi_squared, temperature = np.asarray(chi_squared), np.asarray(temperature)
        return [
            self._verdict(row, observation, chi_squared[i], temperature[i])
            for i, (row, observation) in enumerate(zip(rows, observations, strict=True))
        ]

    def _verdict(
        self,
        row: dict[str, Any],
        observation: Observation,
        chi_squared: np.ndarray,
        temperature: np.ndarray,
    ) -> dict[str, Any]:
        scaled = row.pop("draws")
        row["num_detected"] = observation.num_detected
        row["num_limits"] = observation.num_limits
        if scaled is None:
            return row | {"trust": "do not trust"}
        status = getattr(Status, row["status"])
        parameters = self.target.parameters
        samples = Samples(
            parameters.unscale(jnp.asarray(scaled, float)),
            jnp.zeros(CHECKED),
            status,
            parameters,
        )
        trust = judge_fit(
            samples,
            chi_squared,
            observation.num_detected,
            floor_mag=float(POGSON * self.settings.fit.floor),
            prior_sd=self.settings.fit.prior.scaled_sd,
        )
        quantiles = np.quantile(temperature, [0.16, 0.5, 0.84])
        names = ("dust_temperature_q16", "dust_temperature_q50", "dust_temperature_q84")
        row |= dict(zip(names, quantiles.tolist(), strict=True))
        if observation.num_detected:  # else there is nothing to compare
            row["chi_squared"] = trust.chi_squared
            row["predictive_probability"] = trust.predictive_probability
        return row | {"trust": trust.verdict}


@eqx.filter_jit
def _check(
    target: PhotometricTarget,
    outcomes: Callable[..., Array],
    data: PhotometricData,
    scaled: Float[Array, "object draw param"],
) -> tuple[Float[Array, "object draw"], Float[Array, "object draw"]]:
    """Chi-squared and dust temperature [K] of draws of every object."""

    def one(given: tuple[PhotometricData, Array]) -> tuple[Array, Array]:
        seen, draws = given
        chi_squared = jax.vmap(lambda s: target.likelihood.chi_squared(seen, s))(draws)
        warm = jax.vmap(lambda s: outcomes(s, jnp.zeros(0))[0])(draws)
        return chi_squared, 10.0**warm

    return jax.lax.map(one, (data, scaled))
