r"""What clumps change: a smooth shell of other parameters, and what that leaves.

Light finds its way between clumps, so that a shell with clumps looks much like a smooth
one of less dust. A network $g$ of the features $u$ of a shell, filling factor included,
says like which: it shifts the features $s$ that the network of smooth shells sees, and
corrects what that says of the sources,

$$ h_k(\theta) = h_k^{\rm smooth}\big( s + \Delta(u) \big) + \delta_k(u) , $$

which are added in flux as before (`SourcesHead`). The network of smooth shells stays as
it was trained, on a hundred times the simulations. Objective: with residuals $r_i$ of
the sum and white noise of a variance $n^2$ ($\ln n$ drawn evenly for every pair), the
mean over simulations of

$$ \tfrac12 \sum_i \ln (r_i^2 + n^2) . $$

It weighs a band by how well it is known so far, and has no scatter to learn: on few
simulations that would soon be too small.

References:
    Varosi & Dwek (1999), ApJ 523, 265 (shells with clumps as smooth ones of effective
    optical depth); Hobson & Padman (1993), MNRAS 264, 161.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from grainlight.core import ModelError
from grainlight.estimators.emulator import Emulator, mean_huber
from grainlight.estimators.gaussian import GaussianLikelihood, draw_noise
from grainlight.estimators.mixing import Inputs
from grainlight.networks import (
    AbstractConstant,
    ResidualNetwork,
    SourcesHead,
    add_sources,
)

#: Weights of the heads of an untrained network, against those of a usual one.
SMALL = 0.05


class FrozenLikelihood(AbstractConstant):
    """A likelihood that training leaves alone."""

    estimator: GaussianLikelihood


class FrozenEmulator(AbstractConstant):
    """An emulator that training leaves alone."""

    estimator: Emulator


class Shift(eqx.Module):
    """A network that shifts the features of another one.

    Attributes:
        inputs: What it sees of parameters and conditions.
        trunk: The network.
        head: Linear layer to the shifts, the conditions not among them.
    """

    inputs: Inputs
    trunk: ResidualNetwork
    head: eqx.nn.Linear

    def __init__(
        self,
        key: Key[Array, ""],
        inputs: Inputs,
        num_shifted: int,
        widths: Sequence[int],
    ) -> None:
        trunk, head = jr.split(key)
        self.inputs = inputs
        self.trunk = ResidualNetwork(trunk, inputs.mixing.shape[0], widths)
        self.head = small_linear(head, self.trunk.out_size, num_shifted)

    def features(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Float[Array, " feature"]:
        """Features of a shell, for the shifts and whatever else is read off them."""
        return self.trunk(self.inputs(theta, condition))

    def apply(
        self, features: Float[Array, " feature"], seen: Float[Array, " inp"]
    ) -> Float[Array, " inp"]:
        """Shift what the other network sees; conditions come last and stay."""
        shift = self.head(features)
        return seen.at[: shift.size].add(shift)


def small_linear(key: Key[Array, ""], num_in: int, num_out: int) -> eqx.nn.Linear:
    """A dense layer that gives next to nothing as long as it is untrained."""
    linear = eqx.nn.Linear(num_in, num_out, key=key)
    return jax.tree.map(lambda leaf: SMALL * leaf, linear)


class EffectiveShell(eqx.Module):
    """Mean of the magnitudes of shells with clumps, by those of smooth shells.

    Its parameters are those of the smooth shells and, last, the filling factor.

    Attributes:
        smooth: Likelihood of smooth shells.
        shift: Which smooth shell it looks like.
        change: Linear head of the corrections of the sources.
        widths: Widths of the blocks of the network.
        blur: Least and largest scatter of the noise of the objective [mag].
    """

    smooth: FrozenLikelihood
    shift: Shift
    change: eqx.nn.Linear
    widths: tuple[int, ...] = eqx.field(static=True)
    blur: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        smooth: GaussianLikelihood,
        inputs: Inputs,
        *,
        widths: Sequence[int] = (64, 64, 64),
    ) -> None:
        if smooth.blur is None or not isinstance(smooth.mean, SourcesHead):
            raise ModelError(
                "Expected a likelihood of smooth shells that adds sources and was "
                "trained under noise; got another. Train one with `grainlight train`."
            )
        shift, change = jr.split(key)
        self.smooth, self.blur = FrozenLikelihood(smooth), smooth.blur
        num_features = smooth.inputs.mixing.shape[0] - smooth.num_cond
        self.shift = Shift(shift, inputs, num_features, widths)
        size = self.shift.trunk.out_size
        self.change = small_linear(change, size, smooth.num_sources * smooth.dim)
        self.widths = tuple(widths)

    @property
    def base(self) -> GaussianLikelihood:
        """The likelihood of smooth shells."""
        return self.smooth.estimator

    def config(self) -> dict[str, Any]:
        """The architecture, without that of the smooth shells."""
        return {**self.shift.inputs.config(), "widths": list(self.widths)}

    @classmethod
    def from_config(
        cls,
        key: Key[Array, ""],
        smooth: GaussianLikelihood,
        *,
        num_feature: int,
        num_input: int,
        softened: bool = False,
        **settings: Any,
    ) -> "EffectiveShell":
        """A network of a saved architecture, its arrays to be filled."""
        inputs = Inputs.blank(num_feature, num_input, softened=softened)
        return cls(key, smooth, inputs, **settings)

    def __call__(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Float[Array, " dim"]:
        """Expected magnitudes of one shell."""
        base, shell = self.base, theta[: self.base.num_param]
        features = self.shift.features(theta, condition)
        seen = self.shift.apply(features, base.inputs(shell, condition))
        inner = base.branches(base.trunk(seen)).mean
        sources = base.mean.sources(inner)
        change = self.change(features).reshape(sources.shape)
        spread = base.outputs.scaling.spread
        return base.outputs.restore(add_sources(sources + change, spread), shell)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        x: Float[Array, " dim"],
    ) -> Float[Array, ""]:
        """Objective of one shell, as the module's text says.

        Args:
            key: Draws the noise.
            progress: Not used: nothing is annealed.
            theta: Scaled parameters.
            condition: Conditions.
            x: Its magnitudes.
        """
        del progress
        residual = x - self(theta, condition)
        noise = draw_noise(key, self.blur)
        return 0.5 * jnp.sum(jnp.log(residual**2 + noise**2))


class EffectiveEmulator(eqx.Module):
    """Emulator of an outcome of shells with clumps, by that of smooth shells.

    Attributes:
        smooth: Emulator of smooth shells.
        shift: Which smooth shell it looks like.
        change: Linear head of the correction, in units of the smooth emulator.
        widths: Widths of the blocks of the network.
    """

    smooth: FrozenEmulator
    shift: Shift
    change: eqx.nn.Linear
    widths: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        smooth: Emulator,
        inputs: Inputs,
        *,
        widths: Sequence[int] = (16, 16),
    ) -> None:
        shift, change = jr.split(key)
        self.smooth = FrozenEmulator(smooth)
        self.shift = Shift(shift, inputs, smooth.inputs.mixing.shape[0], widths)
        dim = smooth.outputs.gain.shape[0]
        self.change = small_linear(change, self.shift.trunk.out_size, dim)
        self.widths = tuple(widths)

    def config(self) -> dict[str, Any]:
        """The architecture, that of the smooth emulator included."""
        return {
            "smooth": self.smooth.estimator.config(),
            **self.shift.inputs.config(),
            "widths": list(self.widths),
        }

    @classmethod
    def from_config(
        cls,
        key: Key[Array, ""],
        *,
        smooth: dict[str, Any],
        num_feature: int,
        num_input: int,
        softened: bool = False,
        **settings: Any,
    ) -> "EffectiveEmulator":
        """An emulator of a saved architecture, its arrays to be filled."""
        inputs = Inputs.blank(num_feature, num_input, softened=softened)
        return cls(key, Emulator.from_config(key, **smooth), inputs, **settings)

    def __call__(
        self, theta: Float[Array, " param"], condition: Float[Array, " cond"]
    ) -> Float[Array, " dim"]:
        """The outcome, in its units."""
        smooth = self.smooth.estimator
        shell = theta[: smooth.outputs.gain.shape[1]]
        features = self.shift.features(theta, condition)
        seen = self.shift.apply(features, smooth.inputs(shell, condition))
        inner = smooth.head(smooth.trunk(seen)) + self.change(features)
        return smooth.outputs.restore(inner, shell)

    def loss(
        self,
        key: Key[Array, ""],
        progress: Float[Array, ""],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
        y: Float[Array, " dim"],
    ) -> Float[Array, ""]:
        """Mean Huber loss of one object, as of `Emulator`.

        Args:
            key: Not used: this loss is not random.
            progress: Not used: this loss is the same throughout.
            theta: Scaled parameters.
            condition: Conditions; may be empty.
            y: The outcome.
        """
        del key, progress
        smooth = self.smooth.estimator
        residual = (y - self(theta, condition)) / smooth.outputs.scaling.spread
        return mean_huber(residual, smooth.delta)
