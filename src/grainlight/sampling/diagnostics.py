"""How far chains agree and how many independent draws they are worth.

Rank-normalized split R-hat, bulk and tail effective sample sizes, for all objects
and parameters at once.

References:
    Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021), arXiv:1903.08008.
"""

import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from grainlight.core import Diagnostics

TAILS = (0.05, 0.95)  # quantiles whose effective number is the tail one
FEWEST_DRAWS = 8  # four a half-chain: fewer have no autocorrelation to speak of


def diagnose(draws: np.ndarray, acceptance: float) -> Diagnostics:
    """Every check of the gate on the chains of one object.

    Args:
        draws: Draws in order of time, axes (chain, draw, param), on any monotonic
            scale: all checks depend on ranks only.
        acceptance: Mean acceptance probability.

    Returns:
        The diagnostics, one value a parameter.
    """
    by_param = np.moveaxis(np.asarray(draws, dtype=float), -1, 0)
    alone = np.moveaxis(by_param, 1, 0)[:, :, None, :]
    return Diagnostics(
        rhat=jnp.asarray(rank_rhat(by_param)),
        ess_bulk=jnp.asarray(bulk_ess(by_param)),
        ess_tail=jnp.asarray(tail_ess(by_param)),
        ess_chain=jnp.asarray(np.min(bulk_ess(alone), axis=0)),
        acceptance=jnp.asarray(acceptance, dtype=float),
    )


def rank_rhat(chains: np.ndarray) -> np.ndarray:
    """Rank-normalized split R-hat, the larger of bulk and folded.

    Args:
        chains: Axes (..., chain, draw).
    """
    halves = _split(chains)
    median = np.median(halves, axis=(-2, -1), keepdims=True)
    folded = np.abs(halves - median)
    both = [_rhat(_normal_scores(halves)), _rhat(_normal_scores(folded))]
    return np.asarray(np.maximum(*both))


def bulk_ess(chains: np.ndarray) -> np.ndarray:
    """Effective number of draws for the center of the distribution.

    Args:
        chains: Axes (..., chain, draw).
    """
    return _ess(_normal_scores(_split(chains)))


def tail_ess(chains: np.ndarray) -> np.ndarray:
    """Effective number of draws for the 5 % and 95 % quantiles, the smaller.

    Args:
        chains: Axes (..., chain, draw).
    """
    flat = chains.reshape(*chains.shape[:-2], -1)
    edges = np.quantile(flat, TAILS, axis=-1)[..., None, None]
    below = chains[None] <= edges
    return np.asarray(np.min(_ess(_split(below.astype(float))), axis=0))


def _split(chains: np.ndarray) -> np.ndarray:
    """Halve each chain; the middle draw of an odd number is left out."""
    if chains.shape[-1] < FEWEST_DRAWS:
        raise ValueError(
            f"Expected {FEWEST_DRAWS} draws or more a chain; got {chains.shape[-1]}. "
            "Raise `num_draws`."
        )
    half = chains.shape[-1] // 2
    return np.concatenate([chains[..., :half], chains[..., -half:]], axis=-2)


def _normal_scores(chains: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks among all chains."""
    flat = chains.reshape(*chains.shape[:-2], -1)
    rank = rankdata(flat, method="average", axis=-1, nan_policy="propagate")
    score = ndtri((rank - 0.375) / (flat.shape[-1] + 0.25))
    return score.reshape(chains.shape)


def _rhat(chains: np.ndarray) -> np.ndarray:
    count = chains.shape[-1]
    between = count * np.var(np.mean(chains, axis=-1), axis=-1, ddof=1)
    within = np.mean(np.var(chains, axis=-1, ddof=1), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((between / within + count - 1) / count))


def _autocovariance(chains: np.ndarray) -> np.ndarray:
    """Autocovariance at every lag, by a zero-padded Fourier transform."""
    count = chains.shape[-1]
    centered = chains - np.mean(chains, axis=-1, keepdims=True)
    padded = 2 ** int(np.ceil(np.log2(2 * count)))
    power = np.abs(np.fft.rfft(centered, n=padded, axis=-1)) ** 2
    return np.fft.irfft(power, n=padded, axis=-1)[..., :count] / count


def _ess(chains: np.ndarray) -> np.ndarray:
    """Effective number from Geyer's initial monotone sequence.

    Pairs of autocorrelations are summed until one is negative, each at most the
    pair before it; the even member of that last pair still counts once.
    """
    num_chains, count = chains.shape[-2:]
    covariance = np.mean(_autocovariance(chains), axis=-2)
    within = covariance[..., :1] * count / (count - 1)
    total = covariance[..., :1]
    if num_chains > 1:
        means = np.mean(chains, axis=-1)
        total = total + np.var(means, axis=-1, ddof=1)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1 - (within - covariance) / total
    rho[..., 0] = 1.0
    num_pairs = (count - 3) // 2 + 1
    pairs = rho[..., : 2 * num_pairs].reshape(*rho.shape[:-1], num_pairs, 2)
    sums = np.sum(pairs, axis=-1)
    negative = sums < 0
    negative[..., -1] = True
    last = np.argmax(negative, axis=-1)[..., None]
    monotone = np.minimum.accumulate(sums, axis=-1)
    before = np.arange(num_pairs) < last
    even = np.take_along_axis(pairs[..., 0], last, axis=-1)[..., 0]
    tau = -1 + 2 * np.sum(np.where(before, monotone, 0.0), axis=-1)
    tau = tau + np.maximum(even, 0.0)
    size = num_chains * count
    tau = np.maximum(tau, 1 / np.log10(size))
    constant = np.ptp(chains, axis=(-2, -1)) < np.finfo(float).resolution
    return np.where(constant, float(size), size / tau)
