"""Observations of simulated shells whose parameters are known."""

from dataclasses import dataclass

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Bool, Float

from grainlight.core import ParameterError
from grainlight.datasets import Pairs
from grainlight.photometry import FilterSet, Observation, add_noise, background_noise

DISTANCE = 10.0  # Mpc
FEWEST_BANDS = 3
POGSON = 2.5 / np.log(10)
ZERO_POINT = 31.4  # AB magnitude of 1 nJy


@dataclass(frozen=True, eq=False)
class MockObjects:
    """Simulated observations, and the truth.

    Attributes:
        observations: What was observed, as of real objects.
        theta: True scaled parameters.
        dust_temperature: True dust temperature [K]; nan where no dust is left.
        is_full: Whether all bands were observed, not a random subset.
    """

    observations: tuple[Observation, ...]
    theta: Float[np.ndarray, "object param"]
    dust_temperature: Float[np.ndarray, " object"]
    is_full: Bool[np.ndarray, " object"]

    @property
    def mean_limits(self) -> float:
        """Mean number of bands with an upper limit."""
        return float(np.mean([each.num_limits for each in self.observations]))


def make_mock_objects(
    pairs: Pairs,
    filters: FilterSet,
    num: int,
    *,
    seed: int,
    floor: float,
    prior: str = "thesis2023",
) -> MockObjects:
    """Observe simulated shells of one prior; every second one in a random subset.

    Fluxes have the model error that a fit assumes, errors of 0.05 mag and the
    background of 10 ks; what is not detected at 3 sigma is a limit.

    Args:
        pairs: Parameters and photometry, one row a parent.
        filters: Bands of the photometry.
        num: Number of objects.
        seed: Seed of the choice of parents, of bands and of the noise.
        floor: Model error of every band, as a fraction of its flux.
        prior: Name of the prior of the parents.

    Raises:
        ParameterError: There are fewer parents of this prior.
    """
    known = np.flatnonzero(pairs.prior == prior)
    if num > known.size:
        raise ParameterError(
            f"Expected at most {known.size} objects, the test parents of the prior "
            f"{prior}; got {num}. Ask for fewer, or simulate more parents."
        )
    rng = np.random.default_rng(seed)
    rows = rng.permutation(known)[:num]
    scatter = POGSON * floor * rng.normal(size=pairs.x[rows].shape)
    flux = 10 ** (0.4 * (ZERO_POINT - pairs.x[rows] - scatter))
    noisy = add_noise(
        jr.key(seed), jnp.asarray(flux, jnp.float32), background_noise(filters.names)
    )
    flux, error = (np.asarray(v, dtype=float) for v in (noisy.flux, noisy.error))
    observations = []
    for i, row in enumerate(rows):
        keep = _choose_bands(rng, len(filters), everything=i % 2 == 0)
        observations.append(
            Observation(
                name=f"parent {pairs.parent[row]}",
                bands=tuple(filters.names[k] for k in keep),
                flux=flux[i, keep],
                error=error[i, keep],
                is_limit=np.asarray(noisy.is_limit)[i, keep],
                redshift=float(pairs.condition[row, 0]),
                distance=DISTANCE,
            )
        )
    return MockObjects(
        tuple(observations),
        pairs.theta[rows],
        pairs.outcomes["dust_temperature"][rows],
        np.arange(num) % 2 == 0,
    )


def _choose_bands(
    rng: np.random.Generator, num: int, *, everything: bool
) -> np.ndarray:
    if everything:
        return np.arange(num)
    count = rng.integers(FEWEST_BANDS, num)
    return np.sort(rng.choice(num, size=count, replace=False))
