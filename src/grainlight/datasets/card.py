r"""What is in a data set, in numbers: the card that goes with it.

Shards are read one at a time and each is counted into histograms, which add up exactly;
the whole set is never in memory. Rows are those that training draws: some redshifts a
parent, with the seeds of `grainlight train`.

Magnitudes are given at 10 Mpc and as they would be observed, at the luminosity
distance of the redshift (Planck 2018): $m = m_{10} + 5 \log_{10}(d_L / 10\,{\rm Mpc})$.
The limit of the thesis, 42.5 mag in every filter, is one of observed magnitudes, as are
the 10-sigma limits of the filters (10 ks) and their saturation.
"""

import json
import math
from dataclasses import dataclass, replace
from functools import cache
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.cosmology import Planck18
from jaxtyping import Float, Int

from grainlight.core import Parameter, ParameterError, Parameters
from grainlight.datasets.dataset import (
    REDSHIFTS,
    SHARES,
    ZERO_POINT,
    Dataset,
    draw_redshifts,
    magnitudes,
    spectra_of,
    split_of,
)
from grainlight.datasets.histogram import Histogram
from grainlight.photometry import FilterSet, band_limits
from grainlight.simulators import FILLING, Progress, named_prior

#: AB magnitude from which on the thesis takes a band as undetected.
THESIS_LIMIT = 42.5
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MAGNITUDES = (0.0, 100.0, 20_000)  # bins of 0.005 mag
PARAMETER_BINS, REDSHIFT_BINS = 60, 30
BALANCED_PRIOR, BALANCE_STEP = "thesis2023", 0.25  # dex
#: What a shard may hold beside the parameters.
COLUMNS = (
    Parameter("dust_temperature", 10.0, 3e3, "K", "log10", r"T_\mathrm{d}"),
    Parameter("optical_depth", 1e-7, 1e3, "", "log10", r"\tau_{0.55}"),
    replace(FILLING, upper=1.0),
)


@dataclass(frozen=True, eq=False)
class DatasetCard:
    """Counts of everything that a data set holds; those of its parts add up to it.

    Attributes:
        dataset: Identity of the recipe.
        splits: Parents of each split.
        priors: Parents of each prior.
        at_10_mpc: AB magnitudes at 10 Mpc, by filter.
        observed: AB magnitudes at the distance of the redshift, by filter.
        beyond_thesis: Rows at 42.5 mag or fainter, by filter.
        below_limit: Rows fainter than the 10-sigma limit, by filter.
        saturated: Rows brighter than saturation, by filter.
        parameters: What `histograms` are of.
        histograms: Scaled values of parents, by prior.
        luminosity: log10 luminosities of the parents of `thesis2023`, each 0.25 dex.
        redshift: Redshifts of the rows.
        variants: Parents by the number of their redshift variants.
    """

    dataset: str
    splits: dict[str, int]
    priors: dict[str, int]
    at_10_mpc: Histogram
    observed: Histogram
    beyond_thesis: Int[np.ndarray, " band"]
    below_limit: Int[np.ndarray, " band"]
    saturated: Int[np.ndarray, " band"]
    parameters: Parameters
    histograms: tuple[Histogram, ...]
    luminosity: Histogram
    redshift: Histogram
    variants: dict[int, int]

    @property
    def bands(self) -> tuple[str, ...]:
        """The filters."""
        return self.at_10_mpc.names

    @property
    def num_parents(self) -> int:
        """Simulated spectra."""
        return sum(self.splits.values())

    @property
    def num_rows(self) -> int:
        """Redshift variants of all of them."""
        return sum(each * parents for each, parents in self.variants.items())

    def share(self, rows: Int[np.ndarray, " band"]) -> Float[np.ndarray, " band"]:
        """Counts by filter as shares of all rows."""
        return rows / max(self.num_rows, 1)

    def share_below_limit(self) -> Float[np.ndarray, " band"]:
        """Share of rows fainter than the 10-sigma limit; nan where none is known."""
        known = np.isfinite(band_limits(self.bands).detection)
        return np.where(known, self.share(self.below_limit), np.nan)

    def share_saturated(self) -> Float[np.ndarray, " band"]:
        """Share of rows brighter than saturation; nan where none is known."""
        known = np.isfinite(band_limits(self.bands).saturation)
        return np.where(known, self.share(self.saturated), np.nan)

    def __add__(self, other: "DatasetCard") -> "DatasetCard":
        """The card of both parts of a data set."""
        if (self.dataset, self.bands) != (other.dataset, other.bands):
            raise ParameterError(
                f"Expected two parts of one data set in the same filters; got "
                f"{self.dataset} and {other.dataset}. Describe each on its own."
            )
        return DatasetCard(
            self.dataset,
            _both(self.splits, other.splits),
            _both(self.priors, other.priors),
            self.at_10_mpc + other.at_10_mpc,
            self.observed + other.observed,
            self.beyond_thesis + other.beyond_thesis,
            self.below_limit + other.below_limit,
            self.saturated + other.saturated,
            self.parameters,
            tuple(map(add, self.histograms, other.histograms)),
            self.luminosity + other.luminosity,
            self.redshift + other.redshift,
            _both(self.variants, other.variants),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for a file; what is not known is null."""
        return {
            "dataset": self.dataset,
            "num_parents": self.num_parents,
            "num_rows": self.num_rows,
            "splits": self.splits,
            "priors": {
                name: {"parents": count, "share": count / max(self.num_parents, 1)}
                for name, count in self.priors.items()
            },
            "filters": self._filters_json(),
            "parameters": self._parameters_json(),
            "luminosity_balance": {
                "prior": BALANCED_PRIOR,
                **_histogram_json(self.luminosity),
            },
            "redshift": _histogram_json(self.redshift),
            "variants_per_parent": {str(n): k for n, k in self.variants.items()},
        }

    def _filters_json(self) -> dict[str, Any]:
        columns = {
            "magnitude_10_mpc": self.at_10_mpc.quantiles(LEVELS),
            "magnitude_observed": self.observed.quantiles(LEVELS),
        }
        shares = {
            f"undetected_{THESIS_LIMIT:g}_mag": self.share(self.beyond_thesis),
            "undetected_10_sigma": self.share_below_limit(),
            "saturated": self.share_saturated(),
        }
        return {
            band: {
                **{
                    name: {
                        f"{100 * level:g}%": _plain(value)
                        for level, value in zip(LEVELS, rows[i], strict=True)
                    }
                    for name, rows in columns.items()
                },
                **{name: _plain(values[i]) for name, values in shares.items()},
            }
            for i, band in enumerate(self.bands)
        }

    def _parameters_json(self) -> dict[str, Any]:
        return {
            member.name: {
                "unit": member.unit,
                "scale": member.scale,
                "lower": histogram.lower,
                "upper": histogram.upper,
                "counts": dict(
                    zip(histogram.names, histogram.count.tolist(), strict=True)
                ),
                "missing": int(histogram.missing.sum()),
            }
            for member, histogram in zip(
                self.parameters.members, self.histograms, strict=True
            )
        }

    def save(self, path: Path) -> None:
        """Write the numbers as JSON."""
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n")


def describe_dataset(
    dataset: Dataset,
    filters: FilterSet,
    *,
    variants: int,
    progress: Progress | None = None,
) -> DatasetCard:
    """Count what a data set holds, one shard after the other.

    Args:
        dataset: The data set.
        filters: Bands of the magnitudes.
        variants: Redshifts drawn for each parent.
        progress: Called with the parents done and their number.
    """
    if variants < 1:
        raise ParameterError(
            f"Expected one redshift a parent or more; got {variants}. Raise it."
        )
    card = None
    for table in dataset.shards():
        part = describe_shard(table, dataset, filters, variants)
        card = part if card is None else card + part
        if progress is not None:
            progress(card.num_parents, dataset.recipe.num_parents)
    assert card is not None  # a recipe has one parent or more
    return card


def describe_shard(
    table: pa.Table, dataset: Dataset, filters: FilterSet, variants: int
) -> DatasetCard:
    """The card of one shard."""
    recipe = dataset.recipe
    split = split_of(table["parent"].to_numpy())
    rows = _Rows(filters)
    for seed, name in enumerate(SHARES):
        chosen = table.filter(pa.array(split == name))
        redshift = draw_redshifts(chosen["parent"].to_numpy(), variants, seed)
        spectra = np.repeat(spectra_of(chosen), variants, axis=0)
        rows.count(magnitudes(filters, spectra, redshift), redshift)
    prior = np.array(table["prior"].to_pylist(), dtype=str)
    parameters = described_parameters(recipe.simulator.parameters, table.column_names)
    names = tuple(recipe.priors)
    return DatasetCard(
        recipe.identity,
        {name: int(np.count_nonzero(split == name)) for name in SHARES},
        {name: int(np.count_nonzero(prior == name)) for name in names},
        rows.at_10_mpc,
        rows.observed,
        rows.beyond_thesis,
        rows.below_limit,
        rows.saturated,
        parameters,
        tuple(_histogram(member, table, prior, names) for member in parameters.members),
        _luminosities(table["sn_luminosity"].to_numpy()[prior == BALANCED_PRIOR]),
        rows.redshift,
        {variants: len(table)},
    )


def described_parameters(parameters: Parameters, columns: list[str]) -> Parameters:
    """The parameters, and what else of interest is among the columns of a shard."""
    more = [member for member in COLUMNS if member.name in columns]
    return Parameters((*parameters.members, *more))


class _Rows:
    """Counts of rows, added up over the splits of a shard."""

    def __init__(self, filters: FilterSet) -> None:
        self.redshift = Histogram.blank(("redshift",), *REDSHIFTS, REDSHIFT_BINS)
        self.at_10_mpc = self.observed = Histogram.blank(filters.names, *MAGNITUDES)
        limits = band_limits(filters.names)
        self.faintest = ZERO_POINT - 2.5 * np.log10(limits.detection)
        self.brightest = ZERO_POINT - 2.5 * np.log10(limits.saturation)
        self.beyond_thesis = np.zeros(len(filters), dtype=np.int64)
        self.below_limit, self.saturated = self.beyond_thesis, self.beyond_thesis

    def count(
        self,
        x: Float[np.ndarray, "object band"],
        redshift: Float[np.ndarray, " object"],
    ) -> None:
        seen = x + relative_modulus(redshift)[:, None]
        self.redshift = self.redshift.counted(redshift)
        band = np.tile(np.arange(x.shape[1]), len(x))
        self.at_10_mpc = self.at_10_mpc.counted(x.ravel(), band)
        self.observed = self.observed.counted(seen.ravel(), band)
        self.beyond_thesis = self.beyond_thesis + (seen >= THESIS_LIMIT).sum(axis=0)
        self.below_limit = self.below_limit + (seen > self.faintest).sum(axis=0)
        self.saturated = self.saturated + (seen < self.brightest).sum(axis=0)


@cache
def _moduli() -> tuple[np.ndarray, np.ndarray]:
    """Log of the redshift and distance modulus, close enough for straight lines."""
    redshift = np.geomspace(*REDSHIFTS, 1000)
    distance = np.asarray(Planck18.luminosity_distance(redshift).to_value("Mpc"))
    return np.log(redshift), 5 * np.log10(distance / 10.0)


def relative_modulus(
    redshift: Float[np.ndarray, " object"],
) -> Float[np.ndarray, " object"]:
    """Distance modulus of a trained redshift, relative to 10 Mpc [mag]."""
    return np.interp(np.log(redshift), *_moduli())


def _histogram(
    member: Parameter, table: pa.Table, prior: np.ndarray, names: tuple[str, ...]
) -> Histogram:
    values = table[member.name].to_numpy().astype(float)
    if member.scale == "log10":
        values = np.log10(np.where(values > 0, values, np.nan))
    origin = np.array([names.index(name) for name in prior], dtype=np.int64)
    blank = Histogram.blank(names, *member.scaled_bounds, PARAMETER_BINS)
    return blank.counted(values, origin)


def _luminosities(luminosity: Float[np.ndarray, " parent"]) -> Histogram:
    prior = named_prior(BALANCED_PRIOR)
    row = prior.parameters.index("sn_luminosity")
    low, high = math.log10(prior.lower[row]), math.log10(prior.upper[row])
    blank = Histogram.blank(
        ("sn_luminosity",), low, high, round((high - low) / BALANCE_STEP)
    )
    return blank.counted(np.log10(luminosity))


def _both(first: dict[Any, int], second: dict[Any, int]) -> dict[Any, int]:
    return {key: first.get(key, 0) + second.get(key, 0) for key in {**first, **second}}


def _histogram_json(histogram: Histogram) -> dict[str, Any]:
    even = histogram.evenness()
    return {
        "lower": histogram.lower,
        "upper": histogram.upper,
        "counts": histogram.count[0].tolist(),
        "chi_squared": _plain(even.chi_squared),
        "degrees": even.degrees,
        "pvalue": _plain(even.pvalue),
    }


def _plain(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
