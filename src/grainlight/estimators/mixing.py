r"""What a network sees of the parameters, and what it is asked to add.

A network learns best what physics leaves over. If an outcome depends on the parameters
only through combinations, or scales with one of them exactly, say so by two constant
matrices: the *mixing* $B$ of the inputs and the *gain* $G$ of the outputs. With scaled
parameters $s$, conditions $z$ and network $f$,

$$ x = c_x + \sigma_x\, f\big( (B [s, z] - c) / \sigma \big) + G s . $$

An input that acts by its ratios, but may be zero, enters as $\log_{10}(s + \epsilon)$
with its own *softening* $\epsilon$.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.estimators.scaling import Scaling
from grainlight.networks import AbstractConstant


class Inputs(AbstractConstant):
    """Standardized mixtures of the scaled parameters and the conditions.

    Attributes:
        mixing: Constant matrix.
        scaling: Standardization of its products.
        softening: Added to an input before its logarithm is taken; nan for those that
            enter as they are. None if all do.
    """

    mixing: Float[Array, "feature inp"]
    scaling: Scaling
    softening: Float[Array, " inp"] | None = None

    @classmethod
    def from_data(
        cls,
        theta: Float[np.ndarray, "sim param"] | Array,
        condition: Float[np.ndarray, "sim cond"] | Array,
        mixing: Float[np.ndarray, "feature inp"] | None = None,
        softening: Float[np.ndarray, " inp"] | None = None,
    ) -> "Inputs":
        """Measure the features of a training set; no `mixing` means the identity."""
        table = np.concatenate(
            [np.asarray(theta, float), np.asarray(condition, float)], axis=1
        )
        matrix = np.eye(table.shape[1]) if mixing is None else np.asarray(mixing, float)
        if matrix.shape[1] != table.shape[1]:
            raise ValueError(
                f"Expected a mixing of {table.shape[1]} columns (parameters, then "
                f"conditions); got {matrix.shape[1]}. Give every input a column."
            )
        soft = None if softening is None else jnp.asarray(softening, float)
        if soft is not None:
            table = np.asarray(_logarithm(jnp.asarray(table), soft))
        return cls(jnp.asarray(matrix), Scaling.from_data(table @ matrix.T), soft)

    @classmethod
    def blank(
        cls, num_feature: int, num_input: int, *, softened: bool = False
    ) -> "Inputs":
        """Inputs of the given sizes, to be filled from a file."""
        soft = jnp.zeros(num_input) if softened else None
        return cls(
            jnp.zeros((num_feature, num_input)), Scaling.identity(num_feature), soft
        )

    def config(self) -> dict[str, Any]:
        """The sizes, for a file."""
        num_feature, num_input = self.mixing.shape
        sizes: dict[str, Any] = {"num_feature": num_feature, "num_input": num_input}
        return sizes if self.softening is None else sizes | {"softened": True}

    def __call__(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Float[Array, " feature"]:
        """Features of one object."""
        joined = jnp.concatenate([theta, condition])
        if self.softening is not None:
            joined = _logarithm(joined, self.softening)
        mixed = jnp.matmul(self.mixing, joined, precision="highest")
        return self.scaling(mixed)


def _logarithm(
    inputs: Float[Array, "*batch inp"], softening: Float[Array, " inp"]
) -> Float[Array, "*batch inp"]:
    there = jnp.isfinite(softening)
    shifted = jnp.where(there, inputs + softening, 1.0)
    return jnp.where(there, jnp.log10(shifted), inputs)


class Outputs(AbstractConstant):
    """The affine map between an outcome in its units and what a network gives.

    Attributes:
        gain: Exact linear part of the outcome in the scaled parameters.
        scaling: Standardization of the rest.
    """

    gain: Float[Array, "dim param"]
    scaling: Scaling

    @classmethod
    def from_data(
        cls,
        theta: Float[np.ndarray, "sim param"] | Array,
        x: Float[np.ndarray, "sim dim"] | Array,
        gain: Float[np.ndarray, "dim param"] | None = None,
    ) -> "Outputs":
        """Measure the outcomes of a training set; no `gain` means zero."""
        table, outcome = np.asarray(theta, float), np.asarray(x, float)
        shape = (outcome.shape[1], table.shape[1])
        matrix = np.zeros(shape) if gain is None else np.asarray(gain, float)
        if matrix.shape != shape:
            raise ValueError(
                f"Expected a gain of shape {shape} (outputs, parameters); got "
                f"{matrix.shape}. Put a zero where a parameter has no exact effect."
            )
        return cls(jnp.asarray(matrix), Scaling.from_data(outcome - table @ matrix.T))

    @classmethod
    def blank(cls, dim: int, num_param: int) -> "Outputs":
        """Outputs of the given sizes, to be filled from a file."""
        return cls(jnp.zeros((dim, num_param)), Scaling.identity(dim))

    def _exact(self, theta: Float[Array, " param"]) -> Float[Array, " dim"]:
        return jnp.matmul(self.gain, theta, precision="highest")

    def standardize(
        self, x: Float[Array, " dim"], theta: Float[Array, " param"]
    ) -> Float[Array, " dim"]:
        """What the network should give for an outcome `x`."""
        return self.scaling(x - self._exact(theta))

    def restore(
        self, y: Float[Array, " dim"], theta: Float[Array, " param"]
    ) -> Float[Array, " dim"]:
        """The outcome of a network output `y`, in its units."""
        return self.scaling.inverse(y) + self._exact(theta)
