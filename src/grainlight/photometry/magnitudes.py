r"""AB magnitudes, and asinh magnitudes, finite for faint and negative fluxes."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from grainlight.photometry.units import AB_ZERO_POINT_NJY

_POGSON = 2.5 / jnp.log(10.0).item()


def ab_magnitude(flux: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""AB magnitude $31.4 - 2.5 \log_{10} f$ of a flux [nJy]."""
    return AB_ZERO_POINT_NJY - 2.5 * jnp.log10(flux)


def flux_from_ab(magnitude: Float[Array, "..."]) -> Float[Array, "..."]:
    """Flux [nJy] of an AB magnitude."""
    return 10 ** (0.4 * (AB_ZERO_POINT_NJY - jnp.asarray(magnitude)))


def luptitude(
    flux: Float[Array, "..."], softening: Float[Array, "..."]
) -> Float[Array, "..."]:
    r"""Asinh magnitude: the AB magnitude of bright fluxes, linear in faint ones.

    $$ \mu = 31.4 - \frac{2.5}{\ln 10} \Big[\sinh^{-1}\frac{f}{2b} + \ln b\Big] $$

    Args:
        flux: Any real flux [nJy].
        softening: Flux $b$ where the scale turns linear, about the error [nJy].

    References:
        Lupton, Gunn & Szalay (1999), AJ 118, 1406.
    """
    stretched = jnp.arcsinh(flux / (2 * softening)) + jnp.log(softening)
    return AB_ZERO_POINT_NJY - _POGSON * stretched


def luptitude_slope(
    flux: Float[Array, "..."], softening: Float[Array, "..."]
) -> Float[Array, "..."]:
    r"""Derivative $d\mu/df = -(2.5/\ln 10) / \sqrt{f^2 + 4 b^2}$ [mag/nJy]."""
    return -_POGSON / jnp.hypot(flux, 2 * softening)


def flux_from_luptitude(
    magnitude: Float[Array, "..."], softening: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Flux [nJy] of an asinh magnitude: the inverse of `luptitude`."""
    stretched = (AB_ZERO_POINT_NJY - magnitude) / _POGSON - jnp.log(softening)
    return 2 * softening * jnp.sinh(stretched)
