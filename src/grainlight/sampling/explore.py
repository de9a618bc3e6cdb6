"""Where particles annealed from the prior arrive, whatever a network knows."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.sampling.anneal import anneal
from grainlight.sampling.correction import padded_size
from grainlight.sampling.settings import Settings
from grainlight.sampling.target import Target


def explore(
    key: Key[Array, ""], target: Target, data: Any, settings: Settings
) -> Float[np.ndarray, "object draw param"]:
    """Scaled particles of one annealed group of every object; no posterior yet.

    Args:
        key: Random key.
        target: Prior and likelihood of one object.
        data: A pytree of arrays whose leading axis counts the objects.
        settings: How the particles are annealed.
    """
    number = jax.tree.leaves(data)[0].shape[0]
    keys = jax.vmap(lambda i: jr.fold_in(key, i))(jnp.arange(number))
    padded = np.resize(np.arange(number), padded_size(number))
    some = jax.tree.map(lambda leaf: leaf[padded], data)
    found = _anneal_all(keys[padded], target, some, settings)
    return np.asarray(found[:number], float)


@eqx.filter_jit
def _anneal_all(
    keys: Key[Array, " object"], target: Target, data: Any, settings: Settings
) -> Float[Array, "object draw param"]:
    def one(given: Any) -> Float[Array, "draw param"]:
        return target.parameters.constrain(anneal(given[0], target, given[1], settings))

    return jax.lax.map(one, (keys, data), batch_size=settings.together)
