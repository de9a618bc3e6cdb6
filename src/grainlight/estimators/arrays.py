"""Pytrees of arrays to and from one `.npz` file, never a pickle."""

import os
import zipfile
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from grainlight.core import ModelError

_BROKEN = (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile)


def named_arrays(tree: PyTree, prefix: str = "") -> dict[str, np.ndarray]:
    """The array leaves of a pytree by their path in it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {
        prefix + jax.tree_util.keystr(path, simple=True, separator="/"): _plain(leaf)
        for path, leaf in leaves
    }


def _plain(leaf: jax.Array) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        raise TypeError("Expected arrays of numbers; got a random key.")
    return np.asarray(leaf)


def fill_arrays(
    skeleton: PyTree, saved: dict[str, np.ndarray], prefix: str = ""
) -> PyTree:
    """Put named arrays into the array leaves of a pytree of the same structure.

    Args:
        skeleton: Tree whose array leaves are arrays or `jax.ShapeDtypeStruct`.
        saved: Arrays by path, as `named_arrays` gives them.
        prefix: Put before every path.
    """

    def fill(path: tuple, leaf: object) -> object:
        if not (eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)):
            return leaf
        name = prefix + jax.tree_util.keystr(path, simple=True, separator="/")
        if name not in saved or saved[name].shape != leaf.shape:
            got = saved[name].shape if name in saved else "nothing"
            raise ModelError(
                f"Expected an array {name!r} of shape {leaf.shape}; got {got}. The "
                "weights do not belong to this architecture: save the model again."
            )
        return jnp.asarray(saved[name], dtype=leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill, skeleton)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an `.npz` file; a reader sees the old file or the new one, no part."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]
    os.replace(partial, path)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read an `.npz` file; a truncated or foreign one raises `ModelError`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except _BROKEN as error:
        raise ModelError(
            f"Expected an .npz file of arrays in {path}; got a file that does not read "
            f"({error}). Copy it again, or train the model anew."
        ) from error
