"""What a simulator of one's own must be able to do."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, Key

from grainlight.core import Parameters, SimulatorError

_NEEDED = ("parameters", "bands", "__call__")


@runtime_checkable
class Simulator(Protocol):
    """Turns the parameters of one object into its photometry.

    Parameters are physical, in the units that `parameters` states: a dust mass on the
    `log10` scale comes as 1e-4 Msun, not as -4. There is no batch axis. A simulator
    without noise takes the key and leaves it. All noise comes from the key: numbers of
    another source are the same for every object once JAX has compiled them.

    Attributes:
        parameters: Names, units, scales and bounds of what `theta` holds.
        bands: Names of the bands, best the canonical ones of filters.
    """

    parameters: Parameters
    bands: tuple[str, ...]

    def __call__(
        self, key: Key[Array, ""], theta: Float[Array, " param"]
    ) -> Float[Array, " band"]:
        """Draw noisy band fluxes [nJy]; the same key gives the same fluxes."""
        ...


def check_simulator(simulator: object) -> Simulator:
    """The simulator itself; raises `SimulatorError` if it lacks what it must have."""
    missing = [name for name in _NEEDED if not hasattr(simulator, name)]
    if missing or isinstance(simulator, type):
        got = f"one without {', '.join(missing)}" if missing else "a class"
        raise SimulatorError(
            "Expected a simulator with the attributes parameters and bands, and a "
            f"__call__(key, theta); got {got} ({simulator!r}). Add what is missing, "
            "and give an object, not its class."
        )
    bands = tuple(simulator.bands)  # pyright: ignore[reportAttributeAccessIssue]
    if not bands or len(set(bands)) != len(bands) or isinstance(simulator.bands, str):
        raise SimulatorError(
            f"Expected the names of one band or more, each once; got "
            f"{simulator.bands!r}. Give a tuple of names."
        )
    return simulator  # pyright: ignore[reportReturnType]
