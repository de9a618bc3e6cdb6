"""Noise of simulated photometry: a share of the flux, and the background."""

from collections.abc import Iterable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from grainlight.core import UnknownFilterError
from grainlight.photometry.limits import band_limits

_LIMIT_SIGMA = 10.0  # of the shipped limits
_LIMIT_EXPOSURE = 10_000.0  # of the shipped limits [s]
_MAG_ERROR = 0.4 * 2.302585092994046  # relative flux error of 1 mag


class NoisyPhotometry(eqx.Module):
    """Simulated measurements, in the convention of `Observation`.

    Attributes:
        flux: Measured flux, or the limiting one where `is_limit` [nJy].
        error: 1 sigma [nJy].
        is_limit: Where the band was not detected.
    """

    flux: Float[Array, "*object band"]
    error: Float[Array, "*object band"]
    is_limit: Bool[Array, "*object band"]


def background_noise(
    names: Iterable[str], exposure: float = _LIMIT_EXPOSURE
) -> Float[Array, " band"]:
    r"""Noise of an empty sky in JWST bands [nJy], $f_{10\sigma} / 10 \sqrt{10 ks / t}$.

    Args:
        names: Canonical names or aliases.
        exposure: Exposure time $t$ [s].
    """
    names = tuple(names)
    detection = band_limits(names).detection
    unknown = [n for n, f in zip(names, detection, strict=True) if not f > 0]
    if unknown:
        raise UnknownFilterError(
            f"Expected JWST imaging bands, whose limits are known; got "
            f"{', '.join(unknown)}. Give `add_noise` their background noise [nJy]."
        )
    scale = (_LIMIT_EXPOSURE / exposure) ** 0.5
    return jnp.asarray(detection / _LIMIT_SIGMA * scale)


def add_noise(
    key: Key[Array, ""],
    flux: Float[Array, "*object band"],
    background: Float[Array, " band"],
    *,
    mag_error: float | Float[Array, "*object band"] = 0.05,
    limit_sigma: float = 3.0,
) -> NoisyPhotometry:
    r"""Measure model fluxes.

    $$ \sigma^2 = (0.4 \ln 10\, \sigma_m f)^2 + \sigma_b^2 $$

    A band measured below `limit_sigma` times its error becomes a limit at that flux;
    `limit_sigma=0` leaves only negative fluxes as limits, `-inf` none.

    Args:
        key: Consumed here.
        flux: True fluxes of one object or many [nJy].
        background: Noise of the empty sky, as from `background_noise` [nJy].
        mag_error: Error $\sigma_m$ that grows with the flux [mag].
        limit_sigma: Significance below which a band counts as not detected.
    """
    flux = jnp.asarray(flux)
    error = jnp.hypot(_MAG_ERROR * mag_error * flux, background)
    measured = flux + error * jr.normal(key, flux.shape)
    is_limit = measured < limit_sigma * error
    shown = jnp.where(is_limit, limit_sigma * error, measured)
    return NoisyPhotometry(shown, error, is_limit)
