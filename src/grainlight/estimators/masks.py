"""Bands hidden at random while an estimator is trained."""

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from grainlight.estimators.steps import Augment


def hide_bands(least: float = 0.0) -> Augment:
    """Make an `augment` for `train` that leaves out bands, others in every step.

    An object keeps a share of its bands, drawn evenly between `least` and one: each
    band is kept with that probability. The last band is never taken. Masks of the data
    are kept, and so are values that are not finite: what was missing stays missing.

    Args:
        least: Smallest share, from zero to one; with one, no band is hidden.
    """
    if not 0 <= least <= 1:
        raise ValueError(
            f"Expected a least share of bands from 0 to 1; got {least}. Use 0 to train "
            "for any number of bands."
        )

    def augment(
        key: Key[Array, ""],
        theta: Float[Array, "sim param"],
        condition: Float[Array, "sim cond"],
        x: Float[Array, "sim dim"],
        mask: Bool[Array, "sim dim"] | None = None,
    ) -> tuple[Array, ...]:
        share_key, band_key = jr.split(key)
        there = jnp.isfinite(x) if mask is None else mask & jnp.isfinite(x)
        share = jr.uniform(share_key, (x.shape[0], 1), minval=least)
        lot = jnp.where(there, jr.uniform(band_key, x.shape), 2.0)
        last = lot == jnp.min(lot, axis=1, keepdims=True)
        return theta, condition, x, there & ((lot < share) | last)

    return augment
