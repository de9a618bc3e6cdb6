"""Opacities of mixtures of single-size grains."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError
from grainlight.dust.efficiencies import grain_efficiencies
from grainlight.dust.species import species

MICRON_CM = 1e-4


class Opacity(NamedTuple):
    """Opacities of a mixture; those of a species are per gram *of that species*.

    Attributes:
        wave: Wavelength [um].
        names: Species of the mixture.
        mass_fraction: Share of the dust mass of each species.
        absorption: Absorption opacity of each species [cm^2 g^-1].
        scattering: Scattering opacity of each species [cm^2 g^-1].
        asymmetry: Mean cosine of scattering of each species.
    """

    wave: Float[np.ndarray, " wave"]
    names: tuple[str, ...]
    mass_fraction: Float[np.ndarray, " species"]
    absorption: Float[np.ndarray, "species wave"]
    scattering: Float[np.ndarray, "species wave"]
    asymmetry: Float[np.ndarray, "species wave"]

    @property
    def total_absorption(self) -> Float[np.ndarray, " wave"]:
        """Absorption opacity of the mixture [cm^2 g^-1]."""
        return self.mass_fraction @ self.absorption

    @property
    def total_scattering(self) -> Float[np.ndarray, " wave"]:
        """Scattering opacity of the mixture [cm^2 g^-1]."""
        return self.mass_fraction @ self.scattering

    @property
    def mean_asymmetry(self) -> Float[np.ndarray, " wave"]:
        """Mean cosine of scattering of the mixture."""
        forward = self.mass_fraction @ (self.scattering * self.asymmetry)
        return forward / np.maximum(self.total_scattering, 1e-300)

    @property
    def extinction(self) -> Float[np.ndarray, " wave"]:
        """Absorption plus scattering of the mixture [cm^2 g^-1]."""
        return self.total_absorption + self.total_scattering

    @property
    def albedo(self) -> Float[np.ndarray, " wave"]:
        """Share of the extinction of the mixture that is scattering."""
        return self.total_scattering / self.extinction


def mixture_opacity(
    mass_fraction: Mapping[str, float],
    grain_radius: float,
    wave: Float[np.ndarray, " wave"],
) -> Opacity:
    r"""Opacities of a mixture of spheres of one radius.

    $$ \kappa_s = \frac{3 Q_s}{4 a \rho_s} $$

    Args:
        mass_fraction: Share of the dust mass of each species; the shares sum to one.
        grain_radius: Grain radius [um].
        wave: Wavelength [um].

    Raises:
        ParameterError: The shares are negative or do not sum to one, or a species,
            radius or wavelength is not in the table.
    """
    shares = {name: share for name, share in mass_fraction.items() if share != 0}
    total = sum(shares.values())
    positive = all(share > 0 for share in shares.values())
    if not (shares and positive and abs(total - 1) <= 1e-6):
        raise ParameterError(
            "Expected mass fractions of at least zero that sum to one; got "
            f"{dict(mass_fraction)}. Divide them by their sum."
        )
    grains = [grain_efficiencies(name, grain_radius, wave) for name in shares]
    density = np.array([species(name).density for name in shares])
    per_gram = 3 / (4 * grain_radius * MICRON_CM * density[:, None])
    return Opacity(
        wave=np.asarray(wave, dtype=float),
        names=tuple(shares),
        mass_fraction=np.array(list(shares.values())),
        absorption=per_gram * np.array([grain.absorption for grain in grains]),
        scattering=per_gram * np.array([grain.scattering for grain in grains]),
        asymmetry=np.array([grain.asymmetry for grain in grains]),
    )
