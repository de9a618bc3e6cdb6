r"""Whether an observation looks like what the simulations make: a calibrated score.

Simulations that nothing was trained on were observed at random and fitted as any object
is. Two numbers are kept of each: the posterior predictive probability of its
chi-squared, and the density of the observation under the simulations, which is its
evidence $Z$, in units of the errors,

$$ s = \ln Z + \sum_{i\ \rm detected} \ln \sqrt{2 \pi\, (\sigma_i^2 + f^2)} , $$

with the errors $\sigma_i$ of asinh magnitudes and the floor $f$. What is usual depends
on what was observed: an object is laid beside the simulations whose numbers of
detections and limits, share of detections in the mid infrared and errors are nearest to
its own. The share of these that fit as badly, or are as improbable, is a p-value. The
density depends so much on the conditions that the neighbors' own differences count: it
is compared after a fit to their conditions, straight lines and squares, is taken off
(regression adjustment: Beaumont, Zhang & Balding 2002, Genetics 162, 2025).

Two p-values are two chances of a false alarm: twice the smaller one is the answer.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from grainlight.core import FileFormatError, ParameterError
from grainlight.photometry import Observation

FILE = "belonging.npz"
NEIGHBORS = 300
SOFTENING = 3.0  # of asinh magnitudes, in errors
NUM_FEATURES = 5
_POGSON = 2.5 / np.log(10)
_KEYS = ("features", "fit", "density", "prior")


@dataclass(frozen=True)
class BelongingScore:
    """How usual an observation is among simulations under like conditions.

    Attributes:
        fit: Share of these with a fit as bad.
        density: Share of these that are as improbable; nan without an evidence.
    """

    fit: float
    density: float

    @property
    def probability(self) -> float:
        """Chance of a score as small for an object that the simulations make."""
        known = [p for p in (self.fit, self.density) if np.isfinite(p)]
        return min(1.0, len(known) * min(known)) if known else float("nan")

    def words(self) -> dict[str, float]:
        """Plain numbers for a file; nan where one is not known."""
        return {
            "belonging": self.probability,
            "belonging_fit": self.fit,
            "belonging_density": self.density,
        }


@dataclass(frozen=True, eq=False)
class Belonging:
    """Simulated objects that were fitted as any object is.

    Attributes:
        features: Conditions under which each was observed, as of `describe_conditions`.
        fit: Posterior predictive probability of its chi-squared.
        density: Density under the simulations, in units of the errors [nat].
        prior: Name of the prior that they were drawn from.
    """

    features: Float[np.ndarray, "sim feature"]
    fit: Float[np.ndarray, " sim"]
    density: Float[np.ndarray, " sim"]
    prior: str

    def __post_init__(self) -> None:
        if len(self.features) < NEIGHBORS:
            raise ParameterError(
                f"Expected {NEIGHBORS} simulated objects or more to compare with; got "
                f"{len(self.features)}. Simulate more."
            )

    def __len__(self) -> int:
        return len(self.features)

    def score(
        self,
        observation: Observation,
        floor_mag: float,
        predictive_probability: float,
        log_evidence: float = np.nan,
    ) -> BelongingScore:
        """Lay an object beside simulations that were observed alike.

        Args:
            observation: The object, corrected for Galactic extinction.
            floor_mag: Model error of every band in its fit [mag].
            predictive_probability: Posterior predictive probability of its chi-squared.
            log_evidence: Log-evidence of its fit; nan if it is not known.
        """
        if observation.num_detected == 0:
            return BelongingScore(np.nan, np.nan)
        density = log_evidence + log_volume(observation, floor_mag)
        features = describe_conditions(observation, floor_mag)
        return self.place(features, predictive_probability, density)

    def place(
        self, features: Float[np.ndarray, " feature"], fit: float, density: float
    ) -> BelongingScore:
        """Shares of the simulations under the nearest conditions that are as unusual.

        Args:
            features: Conditions, as of `describe_conditions`.
            fit: Posterior predictive probability of chi-squared.
            density: Density in units of the errors [nat]; nan if it is not known.
        """
        spread = np.maximum(self.features.std(axis=0), 1e-6)
        apart = (self.features - features) / spread
        near = np.argpartition(np.sum(apart**2, axis=1), NEIGHBORS - 1)[:NEIGHBORS]
        return BelongingScore(
            _share_below(self.fit[near], fit),
            _share_below(_adjusted(apart[near], self.density[near]), density),
        )

    def save(self, folder: Path) -> None:
        """Write into the folder of a model."""
        np.savez_compressed(
            folder / FILE,
            features=self.features.astype(np.float32),
            fit=self.fit.astype(np.float32),
            density=self.density.astype(np.float32),
            prior=np.array(self.prior),
        )

    @classmethod
    def load(cls, folder: Path) -> "Belonging":
        """Read from the folder of a model; raises `FileFormatError`."""
        path = folder / FILE
        try:
            with np.load(path, allow_pickle=False) as file:
                features, fit, density, prior = (file[key] for key in _KEYS)
        except (KeyError, ValueError, OSError) as error:
            raise FileFormatError(
                f"Expected the scores of simulated objects in {path}; got {error}. "
                "Make them with `grainlight calibrate`."
            ) from error
        numbers = (np.asarray(part, float) for part in (features, fit, density))
        return cls(*numbers, str(prior))


def _adjusted(
    apart: Float[np.ndarray, "sim feature"], density: Float[np.ndarray, " sim"]
) -> Float[np.ndarray, " sim"]:
    """Densities as they would be under the conditions of the object, by least squares.

    Args:
        apart: Conditions less those of the object.
        density: Densities of the simulations.
    """
    design = np.concatenate([apart, apart**2], axis=1)
    slopes = np.linalg.lstsq(design - design.mean(axis=0), density, rcond=None)[0]
    return density - design @ slopes


def _share_below(known: np.ndarray, value: float) -> float:
    """P-value of a value among known ones; nan if it is not known."""
    if not np.isfinite(value):
        return float("nan")
    return float((1 + np.sum(known <= value)) / (1 + known.size))


def describe_conditions(
    observation: Observation, floor_mag: float
) -> Float[np.ndarray, " feature"]:
    """Numbers of detections and limits, share of the former in MIRI, typical errors.

    Args:
        observation: An object with a detection.
        floor_mag: Model error of every band [mag].
    """
    detected = observation.detected
    error = np.log10(_errors(observation, floor_mag))
    miri = np.array([band.startswith("MIRI") for band in observation.bands])
    features = [
        3 * np.log10(detected.sum()),  # counts most
        np.log10(1 + observation.num_limits),
        np.mean(miri[detected]),
        np.mean(error),
        np.min(error),
    ]
    return np.array(features)


def log_volume(observation: Observation, floor_mag: float) -> float:
    """Log of the product of the errors of detections: what evidences are relative to.

    Args:
        observation: An object with a detection.
        floor_mag: Model error of every band [mag].
    """
    error = _errors(observation, floor_mag)
    return float(np.sum(np.log(np.sqrt(2 * np.pi) * error)))


def _errors(observation: Observation, floor_mag: float) -> Float[np.ndarray, " band"]:
    """Errors of the asinh magnitudes of detections, floor included [mag]."""
    detected = observation.detected
    flux, error = observation.flux[detected], observation.error[detected]
    noise = _POGSON * error / np.hypot(flux, 2 * SOFTENING * error)
    return np.hypot(noise, floor_mag)
