"""Calls of a simulator for many draws: compiled by JAX, or one after another."""

from collections.abc import Callable
from concurrent.futures import Executor
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import SimulatorError
from grainlight.simulators import Simulator

NOT_FINITE = "fluxes that are not finite"
#: Fluxes of draws, and why there are none: `(keys, theta) -> Answers`.
Caller = Callable[[Key[Array, " sim"], np.ndarray], "Answers"]


class Answers(NamedTuple):
    """Fluxes of some simulations; nan where there are none, with the reason.

    Attributes:
        flux: Fluxes [nJy].
        reason: Why there are none; nothing where there are.
    """

    flux: Float[np.ndarray, "sim band"]
    reason: list[str | None]


def compiled_caller(key: Key[Array, ""], simulator: Simulator, size: int) -> Caller:
    """Call a simulator that JAX can trace for a fixed number of draws at once.

    Args:
        key: A key of the kind that the calls have; it is not used.
        simulator: The simulator.
        size: Draws in one compiled call; fewer are filled up.

    Raises:
        SimulatorError: JAX cannot trace it, or it does not give one flux a band.
    """
    num_param, num_bands = len(simulator.parameters), len(simulator.bands)
    theta = jax.ShapeDtypeStruct((num_param,), jnp.zeros(0).dtype)
    try:
        shape = jax.eval_shape(lambda k, t: simulator(k, t), key, theta).shape
    except Exception as error:
        raise SimulatorError(
            "Expected a simulator that JAX can trace; got "
            f"{_words(error)}. Give jit=False to call it for one object after another, "
            "with arrays of NumPy."
        ) from error
    if shape != (num_bands,):
        raise SimulatorError(_wrong_shape(num_bands, shape))
    together = jax.jit(jax.vmap(lambda k, t: simulator(k, t)))

    def call(keys: Key[Array, " sim"], theta: np.ndarray) -> Answers:
        filled = np.resize(np.arange(len(theta)), size)
        with np.errstate(over="ignore"):  # single precision ends at 3e38
            given = jnp.asarray(theta[filled], float)
        flux = np.asarray(together(keys[filled], given), dtype=float)[: len(theta)]
        return _judged(flux, [None] * len(theta))

    return call


def looping_caller(
    simulator: Simulator, pool: Executor | None = None, workers: int = 1
) -> Caller:
    """Call any simulator for one draw after another, here or in other processes.

    Args:
        simulator: The simulator. For other processes it must be importable there.
        pool: The processes; none for this one.
        workers: Their number.
    """

    def call(keys: Key[Array, " sim"], theta: np.ndarray) -> Answers:
        if pool is None:
            return call_rows(simulator, keys, theta)
        data, kind = np.asarray(jr.key_data(keys)), str(jr.key_impl(keys))
        shares = np.array_split(np.arange(len(theta)), min(4 * workers, len(theta)))
        futures = [
            pool.submit(_call_there, simulator, kind, data[rows], theta[rows])
            for rows in shares
        ]
        parts = [future.result() for future in futures]
        flux = np.concatenate([part.flux for part in parts])
        return Answers(flux, [why for part in parts for why in part.reason])

    return call


def check_travels(simulator: Simulator) -> None:
    """Raise `SimulatorError` if a simulator cannot be sent to other processes.

    A pool that is asked to send what cannot be sent may wait for ever.
    """
    try:
        ForkingPickler.dumps(simulator)
    except Exception as error:
        raise SimulatorError(
            "Expected a simulator that other processes can import; got "
            f"{_words(error)}. Define its class in a module, or give workers=1."
        ) from error


def call_rows(
    simulator: Simulator, keys: Key[Array, " sim"], theta: np.ndarray
) -> Answers:
    """Call a simulator row by row; one that fails does not stop the rest."""
    num_bands = len(simulator.bands)
    flux = np.full((len(theta), num_bands), np.nan)
    reason: list[str | None] = [None] * len(theta)
    for row in range(len(theta)):
        try:
            answer = np.asarray(simulator(keys[row], theta[row]), dtype=float)
        except Exception as error:
            reason[row] = _words(error)
            continue
        if answer.shape == (num_bands,):
            flux[row] = answer
        else:
            reason[row] = _wrong_shape(num_bands, answer.shape)
    return _judged(flux, reason)


def _call_there(simulator: Any, kind: str, data: np.ndarray, theta: Any) -> Answers:
    return call_rows(simulator, jr.wrap_key_data(jnp.asarray(data), impl=kind), theta)


def _judged(flux: np.ndarray, reason: list[str | None]) -> Answers:
    finite = np.asarray(np.isfinite(flux).all(axis=1))
    flux = np.where(finite[:, None], flux, np.nan)
    told = [
        None if good else (why or NOT_FINITE)
        for good, why in zip(finite.tolist(), reason, strict=True)
    ]
    return Answers(flux, told)


def _wrong_shape(num_bands: int, shape: tuple) -> str:
    return (
        f"Expected one flux for each of {num_bands} bands; got an array of shape "
        f"{shape}. Return them in the order of `bands`"
    )


def _words(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}"[:200]
