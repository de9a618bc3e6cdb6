"""Observations as arrays that the photometric likelihood can batch."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from grainlight.core import BandMismatchError, ObservationError
from grainlight.estimators.observed import Kind
from grainlight.photometry import Observation

#: Distance modulus of 10 Mpc, where the model gives its magnitudes [mag].
REFERENCE_MODULUS = 30.0
#: Peculiar velocity of a galaxy in the Hubble flow, one standard deviation [km/s].
PECULIAR_KMS = 300.0
LIGHT_KMS = 299_792.458


class PhotometricData(eqx.Module):
    r"""What was observed of one object; arrays of many objects have a leading axis.

    Only observed bands are held: detections first, then limits, padded with missing
    ones to a common number.

    Attributes:
        index: Position of the band among those of the model.
        flux: Flux, or the limiting flux [nJy].
        error: Its standard error [nJy].
        kind: `Kind` of every band.
        distance_modulus: Relative to 10 Mpc, $5 \log_{10}(d / 10 {\rm Mpc})$ [mag].
        distance_modulus_error: Its standard error, shared by all bands [mag].
        redshift: Redshift of the spectrum.
        has_limits: Whether any object of the batch has a limit.
    """

    index: Int[Array, "*batch band"]
    flux: Float[Array, "*batch band"]
    error: Float[Array, "*batch band"]
    kind: Int[Array, "*batch band"]
    distance_modulus: Float[Array, "*batch"]
    distance_modulus_error: Float[Array, "*batch"]
    redshift: Float[Array, "*batch"]
    has_limits: bool = eqx.field(static=True)

    @classmethod
    def from_observations(
        cls,
        observations: Sequence[Observation],
        bands: Sequence[str],
        *,
        num_slots: int | None = None,
    ) -> "PhotometricData":
        """Gather the usable bands of every object.

        A distance that follows from the redshift has the error of a peculiar velocity
        of 300 km/s. Correct for Galactic extinction first (`Observation.dereddened`).

        Args:
            observations: The objects, one or more.
            bands: Names of the model's bands, in its order.
            num_slots: Bands to pad to; the largest number observed if none. A fixed
                number saves compilations.
        """
        position = {name: number for number, name in enumerate(bands)}
        rows = [_gather(each, position) for each in observations]
        widest = max(len(row["index"]) for row in rows)
        width = widest if num_slots is None else num_slots
        if width < widest:
            raise ObservationError(
                f"Expected at most num_slots = {num_slots} observed bands; got "
                f"{widest}. Raise num_slots."
            )
        columns = {
            name: np.stack([_pad(row[name], width, fill) for row in rows])
            for name, fill in (
                ("index", 0.0),
                ("flux", 1.0),
                ("error", 1.0),
                ("kind", 0.0),
            )
        }
        modulus = [each.distance_modulus - REFERENCE_MODULUS for each in observations]
        return cls(
            index=jnp.asarray(columns["index"], jnp.int32),
            flux=jnp.asarray(columns["flux"], float),
            error=jnp.asarray(columns["error"], float),
            kind=jnp.asarray(columns["kind"], jnp.int32),
            distance_modulus=jnp.array(modulus),
            distance_modulus_error=jnp.array([_modulus_error(o) for o in observations]),
            redshift=jnp.array([each.resolved_redshift for each in observations]),
            has_limits=bool(np.any(columns["kind"] == Kind.limit)),
        )

    def __getitem__(self, number: int) -> "PhotometricData":
        """One object of a batch."""
        return jax.tree.map(lambda leaf: leaf[number], self)

    @property
    def num_detected(self) -> Int[Array, "*batch"]:
        """Detected bands: the degrees of freedom of chi-squared."""
        return jnp.sum(self.kind == Kind.detected, axis=-1)


def _gather(
    observation: Observation, position: dict[str, int]
) -> dict[str, np.ndarray]:
    if observation.galactic_av != 0:
        raise ObservationError(
            f"Expected {observation.name} corrected for Galactic extinction; got A_V = "
            f"{observation.galactic_av:g} mag in its fluxes. Use `dereddened()`."
        )
    used = np.asarray(observation.usable)
    names = [observation.bands[row] for row in np.flatnonzero(used)]
    unknown = [name for name in names if name not in position]
    if unknown:
        raise BandMismatchError(
            f"Expected bands among {', '.join(position)}; {observation.name} has "
            f"{', '.join(unknown)}. Give these a nan flux, or train a model on them."
        )
    is_limit = np.asarray(observation.is_limit)[used]
    columns = {
        "index": np.array([position[name] for name in names]),
        "flux": np.asarray(observation.flux)[used],
        "error": np.asarray(observation.error)[used],
        "kind": np.where(is_limit, int(Kind.limit), int(Kind.detected)),
    }
    # the order of a file must not matter
    order = np.lexsort((columns["index"], is_limit))
    return {name: column[order] for name, column in columns.items()}


def _pad(values: np.ndarray, width: int, fill: float) -> np.ndarray:
    return np.pad(values, (0, width - values.size), constant_values=fill)


def _modulus_error(observation: Observation) -> float:
    if math.isfinite(observation.distance):
        return observation.distance_modulus_error
    velocity = LIGHT_KMS * observation.redshift
    return 5 / math.log(10) * PECULIAR_KMS / velocity
