"""What a piece of a table is made into: draws, weights, moments, verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from grainlight.catalog.checking import Checked, check_draws
from grainlight.catalog.summary import (
    describe_belonging,
    describe_certificate,
    describe_mixture,
    summarize,
)
from grainlight.core import RangeError, Samples, Status, status_name
from grainlight.estimators import PhotometricData
from grainlight.estimators.shell_model import ShellModel
from grainlight.evaluation import Trust, judge_draws
from grainlight.photometry import Observation
from grainlight.sampling.adaptive import adapt_draws
from grainlight.sampling.amortized import amortized_proposal
from grainlight.sampling.correction import (
    FEWEST_CHECKED,
    CorrectionSettings,
    Weighed,
    draw_checked,
    resample,
    weigh_draws,
)
from grainlight.sampling.fit import (
    POGSON,
    SLOTS,
    FitSettings,
    comparable,
    photometric_target,
    sample_objects,
)

BATCH = 8  # objects whose mixtures learn together
MOST_ROUNDS = 4  # of draws of a mixture
KEPT = 256  # draws of equal weight that the verdict and the Gaussians are made from
Method = Literal["amortized", "corrected", "refined", "ladder"]
METHODS: tuple[Method, ...] = ("amortized", "corrected", "refined", "ladder")


@dataclass(frozen=True)
class CatalogSettings:
    """How a table is worked through.

    Attributes:
        fit: Prior, floor and, where chains are run, how.
        num_draws: Amortized draws of an object.
        rows: Rows of a piece: what is read, fitted and written together.
        method: `amortized`: draws as the network makes them, of which 64 are weighed to
            see whether they are near; `corrected`: all are weighed; `refined`: where
            that fails a mixture learns from them; `ladder`: where that fails as well
            chains are run, at seconds each.
    """

    fit: FitSettings = field(default_factory=FitSettings)
    num_draws: int = 2048
    rows: int = 512
    method: Method = "corrected"

    def __post_init__(self) -> None:
        least = FEWEST_CHECKED if self.method == "amortized" else 800
        if self.num_draws < least or self.rows < 1:
            raise RangeError(
                f"Expected {least} draws or more of an object and one row or more a "
                f"piece; got {self.num_draws} and {self.rows}. 2048 and 512 serve well."
            )
        if self.method not in METHODS:
            raise RangeError(
                f"Expected a method among {', '.join(METHODS)}; got {self.method!r}."
            )

    @property
    def num_checked(self) -> int:
        """Draws of an object that chi-squared and temperature are found of."""
        return FEWEST_CHECKED if self.method == "amortized" else KEPT


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
        if self.proposal is None and settings.method != "ladder":
            raise RangeError(
                f"Expected a model with an amortized posterior under the prior "
                f"{fit.prior.words} and a floor of {fit.floor:g}; {model.name!r} has "
                "none. Use its prior, make one with `grainlight amortize`, or give "
                "--method ladder, which runs chains for every object."
            )
        self.prior_sd = fit.prior.scaled_sd
        self.belonging = comparable(self.model, fit.prior, self.target)
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
        pick_key, check_key = jr.split(keys[2])
        seed = np.asarray(jr.key_data(pick_key)).tolist()
        generator = np.random.default_rng(seed)
        found: dict[int, dict[str, Any]] = {}
        for i, one in enumerate(weighed):
            if one is not None and (one.passed or self.settings.method != "ladder"):
                found[i] = self._of_weights(generator, one)
        left = np.array([i for i in range(len(observations)) if i not in found], int)
        if left.size:
            some = jax.tree.map(lambda leaf: leaf[left], data)
            chains = sample_objects(
                keys[1], self.model, self.target, some, self.settings.fit
            )
            for i, samples in zip(left.tolist(), chains, strict=True):
                found[i] = self._of_samples(generator, samples)
        rows = [found[i] for i in range(len(observations))]
        return self._judged(check_key, rows, data, observations)

    def _weigh(
        self, key: Key[Array, ""], data: PhotometricData
    ) -> list[Weighed | None]:
        """Weighed draws; none for objects that the amortized posterior is not for."""
        number = data.redshift.shape[0]
        if self.proposal is None:
            return [None] * number
        usable = self.proposal.applies_to(data)
        if self.settings.method != "ladder":
            usable = np.ones(number, bool)  # the weights will tell
        size = self.settings.rows
        padded = jax.tree.map(
            lambda leaf: leaf[np.resize(np.arange(number), size)], data
        )
        given = (key, self.target, self.proposal, padded)
        if self.settings.method == "amortized":
            weighed = draw_checked(*given, self.settings.num_draws)
        else:
            weighed = weigh_draws(*given, self._correction)
        found = weighed[:number]
        if self.settings.method in ("refined", "ladder"):
            found = self._refined(jr.fold_in(key, size), data, found)
        return [w if good else None for w, good in zip(found, usable, strict=True)]

    @property
    def _correction(self) -> CorrectionSettings:
        number = self.settings.num_draws
        return CorrectionSettings(num_draws=number, most_rounds=1)

    def _refined(
        self, key: Key[Array, ""], data: PhotometricData, weighed: list[Weighed]
    ) -> list[Weighed]:
        """The same, with draws of a mixture where these pass and the first do not."""
        left = np.flatnonzero([not w.passed and w.is_finite for w in weighed])
        done = list(weighed)
        for start in range(0, left.size, BATCH):
            some = left[start : start + BATCH]
            again = np.resize(some, BATCH)
            found = adapt_draws(
                jr.fold_in(key, start),
                self.target,
                jax.tree.map(lambda leaf, i=again: leaf[i], data),
                [weighed[i] for i in again],
                replace(self._correction, most_rounds=MOST_ROUNDS),
                proposal=self.proposal,
            )
            for i, one in zip(some, found, strict=False):
                if one.passed:
                    done[i] = one
        return done

    def _of_weights(
        self, generator: np.random.Generator, weighed: Weighed
    ) -> dict[str, Any]:
        status = "ok" if weighed.passed else "low_ess"
        row: dict[str, Any] = {"evidence": weighed.certificate.sound_evidence}
        row |= describe_certificate(weighed.certificate)
        if not weighed.is_finite:
            return row | {"status": "nonfinite", "draws": None}
        return row | {
            "status": status,
            "draws": resample(generator, weighed, KEPT),
            **summarize(self.target.parameters, weighed.theta, weighed.log_weight),
        }

    def _of_samples(
        self, generator: np.random.Generator, samples: Samples
    ) -> dict[str, Any]:
        scaled = np.asarray(samples.parameters.scale(samples.theta), float)
        row = {"status": status_name(samples.status), "draws": None}
        row["evidence"] = float("nan")  # chains know none
        row |= describe_certificate(samples.certificate)
        if bool(samples.status == Status.nonfinite):
            return row
        kept = np.linspace(0, len(scaled) - 1, KEPT).astype(int)
        row |= summarize(samples.parameters, scaled, np.zeros(len(scaled)))
        return row | {"draws": generator.permutation(scaled[kept])}

    def _judged(
        self,
        key: Key[Array, ""],
        rows: list[dict[str, Any]],
        data: PhotometricData,
        observations: Sequence[Observation],
    ) -> list[dict[str, Any]]:
        """Rows with chi-squared, dust temperature and a verdict."""
        parameters, size = self.target.parameters, self.settings.rows
        middle = np.asarray((parameters.lower + parameters.upper) / 2, float)
        blank = np.tile(middle, (KEPT, 1))
        drawn = np.stack([blank if r["draws"] is None else r["draws"] for r in rows])
        picked = np.resize(np.arange(len(rows)), size)
        checked = jax.tree.map(
            np.asarray,
            check_draws(
                key,
                self.target,
                self.model.outcomes,
                jax.tree.map(lambda leaf: leaf[picked], data),
                jnp.asarray(drawn[picked], float),
                self.settings.num_checked,
            ),
        )
        return [
            self._verdict(row, seen, jax.tree.map(lambda leaf, i=i: leaf[i], checked))
            for i, (row, seen) in enumerate(zip(rows, observations, strict=True))
        ]

    def _verdict(
        self,
        row: dict[str, Any],
        observation: Observation,
        checked: Checked,
    ) -> dict[str, Any]:
        scaled, evidence = row.pop("draws"), row.pop("evidence")
        row["num_detected"] = observation.num_detected
        row["num_limits"] = observation.num_limits
        if scaled is None:
            return row | {"trust": "do not trust"}
        row |= describe_mixture(scaled, checked.gaussians)
        scaled = scaled[: self.settings.num_checked]
        trust = judge_draws(
            getattr(Status, row["status"]),
            self.target.parameters,
            scaled,
            np.asarray(checked.chi_squared),
            observation.num_detected,
            floor_mag=float(POGSON * self.settings.fit.floor),
            prior_sd=self.prior_sd,
        )
        if self.belonging is not None:
            trust = self._compared(trust, observation, evidence)
            row |= describe_belonging(trust.belonging)
        quantiles = np.quantile(checked.temperature, [0.16, 0.5, 0.84])
        names = ("dust_temperature_q16", "dust_temperature_q50", "dust_temperature_q84")
        row |= dict(zip(names, quantiles.tolist(), strict=True))
        if observation.num_detected:  # else there is nothing to compare
            row["chi_squared"] = trust.chi_squared
            row["predictive_probability"] = trust.predictive_probability
        return row | {"trust": trust.verdict}

    def _compared(
        self, trust: Trust, observation: Observation, evidence: float
    ) -> Trust:
        """The verdict with how usual the object is among simulated ones."""
        assert self.belonging is not None
        score = self.belonging.score(
            observation, trust.floor_mag, trust.predictive_probability, evidence
        )
        return replace(trust, belonging=score)
