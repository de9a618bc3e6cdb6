"""What is asked of the draws of many objects whose truth is known."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from grainlight.evaluation.ranks import Ranks
from grainlight.sampling.target import Target

RANK_DRAWS = 99
NARROWED = 0.7  # width of the posteriors of the negative control


def thin_draws(
    draws: Float[np.ndarray, "*object draw param"], num: int
) -> Float[np.ndarray, "*object kept param"]:
    """Evenly spaced draws of all chains, or all if these are fewer."""
    last = draws.shape[-2] - 1
    kept = np.linspace(0, last, min(num, last + 1)).round().astype(int)
    return draws[..., kept, :]


def narrow_draws(
    draws: Float[np.ndarray, "object draw param"],
) -> Float[np.ndarray, "object draw param"]:
    """Draws moved towards their median: a posterior that must be found too narrow."""
    middle = np.median(draws, axis=1, keepdims=True)
    return middle + NARROWED * (draws - middle)


def rank_truth(
    names: tuple[str, ...],
    draws: Float[np.ndarray, "object draw param"],
    truth: Float[np.ndarray, "object param"],
) -> Ranks:
    """Ranks of the truth among 99 draws."""
    some = thin_draws(draws, RANK_DRAWS)
    return Ranks(names, np.sum(some < truth[:, None], axis=1), some.shape[1])


@eqx.filter_jit
def log_posteriors(
    target: Target, data: Any, points: Float[Array, "object point param"]
) -> Float[Array, "object point"]:
    """Log posterior densities of points of every object, up to its constant.

    Args:
        target: Prior and likelihood of one object.
        data: A pytree of arrays whose leading axis counts the objects.
        points: Scaled parameters.
    """

    def one(row: tuple[Any, Array]) -> Array:
        seen, some = row
        return jax.vmap(
            lambda scaled: (
                target.log_prior(scaled) + target.log_likelihood(scaled, seen)
            )
        )(some)

    return jax.lax.map(one, (data, points))
