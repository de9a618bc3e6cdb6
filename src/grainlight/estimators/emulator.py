r"""A deterministic network for outcomes that the parameters fix.

Objective: the mean over simulations and outputs of the Huber loss of the standardized
residual $r$,

$$ h(r) = \tfrac12 r^2 \;\; (|r| \le \delta), \qquad \delta (|r| - \tfrac12 \delta)
   \;\; (|r| > \delta), $$

which is half the squared error for a large $\delta$.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.estimators.mixing import Inputs, Outputs
from grainlight.networks import ResidualNetwork


class Emulator(eqx.Module):
    """Predicts derived outcomes, such as the logarithm of a dust temperature.

    Attributes:
        inputs: What the network sees of parameters and conditions.
        outputs: Units of the outcome.
        trunk: Residual network.
        head: Its last, linear layer.
        delta: Standardized residual beyond which the loss grows linearly.
    """

    inputs: Inputs
    outputs: Outputs
    trunk: ResidualNetwork
    head: eqx.nn.Linear
    widths: tuple[int, ...] = eqx.field(static=True)
    normalization: Literal["none", "layer"] = eqx.field(static=True)
    delta: float = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        inputs: Inputs,
        outputs: Outputs,
        *,
        widths: Sequence[int] = (64, 64, 64),
        activation: str = "silu",
        normalization: Literal["none", "layer"] = "none",
        delta: float = 1.0,
    ) -> None:
        trunk, head = jr.split(key)
        self.inputs, self.outputs = inputs, outputs
        self.trunk = ResidualNetwork(
            trunk,
            inputs.mixing.shape[0],
            widths,
            activation=activation,
            normalization=normalization,
        )
        self.head = eqx.nn.Linear(self.trunk.out_size, outputs.gain.shape[0], key=head)
        self.widths, self.normalization = tuple(widths), normalization
        self.delta = delta

    @classmethod
    def from_data(
        cls,
        key: Key[Array, ""],
        theta: Float[np.ndarray, "sim param"] | Array,
        condition: Float[np.ndarray, "sim cond"] | Array,
        y: Float[np.ndarray, "sim dim"] | Array,
        *,
        mixing: Float[np.ndarray, "feature inp"] | None = None,
        gain: Float[np.ndarray, "dim param"] | None = None,
        softening: Float[np.ndarray, " inp"] | None = None,
        **settings: Any,
    ) -> "Emulator":
        """An untrained emulator, standardized on a training set."""
        inputs = Inputs.from_data(theta, condition, mixing, softening)
        return cls(key, inputs, Outputs.from_data(theta, y, gain), **settings)

    def config(self) -> dict[str, Any]:
        """The architecture, for a file."""
        return {
            **self.inputs.config(),
            "num_param": self.outputs.gain.shape[1],
            "dim": self.outputs.gain.shape[0],
            "widths": list(self.widths),
            "activation": self.trunk.activation,
            "normalization": self.normalization,
            "delta": self.delta,
        }

    @classmethod
    def from_config(
        cls,
        key: Key[Array, ""],
        *,
        num_feature: int,
        num_input: int,
        num_param: int,
        dim: int,
        softened: bool = False,
        **settings: Any,
    ) -> "Emulator":
        """An emulator of a saved architecture, its arrays to be filled."""
        inputs = Inputs.blank(num_feature, num_input, softened=softened)
        return cls(key, inputs, Outputs.blank(dim, num_param), **settings)

    def _standardized(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Float[Array, " dim"]:
        return self.head(self.trunk(self.inputs(theta, condition)))

    def __call__(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Float[Array, " dim"]:
        """The outcome at scaled parameters `theta`, in its units."""
        return self.outputs.restore(self._standardized(theta, condition), theta)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        y: Float[Array, " dim"],
    ) -> Float[Array, ""]:
        """Mean Huber loss of one object, in standardized units.

        Args:
            key: Not used: this loss is not random.
            progress: Not used: this loss is the same throughout.
            theta: Scaled parameters.
            condition: Conditions.
            y: The outcome.
        """
        del key, progress
        predicted = self._standardized(theta, condition)
        return mean_huber(self.outputs.standardize(y, theta) - predicted, self.delta)


def mean_huber(residual: Float[Array, " dim"], delta: float) -> Float[Array, ""]:
    """Mean of the Huber loss of some residuals.

    Args:
        residual: Standardized residuals.
        delta: Residual beyond which the loss grows linearly.
    """
    size = jnp.abs(residual)
    near = jnp.minimum(size, delta)
    return jnp.mean(near * (size - 0.5 * near))
