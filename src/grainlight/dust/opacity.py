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
    """Opacities of a mixture, per gram of all dust.

    Attributes:
        wave: Wavelength [um].
        names: Species of the mixture.
        mass_fraction: Share of the dust mass of each species.
        absorption: Absorption opacity per gram *of that species* [cm^2 g^-1].
        scattering: Scattering opacity of the mixture [cm^2 g^-1].
        asymmetry: Mean cosine of scattering of the mixture.
    """

    wave: Float[np.ndarray, " wave"]
    names: tuple[str, ...]
    mass_fraction: Float[np.ndarray, " species"]
    absorption: Float[np.ndarray, "species wave"]
    scattering: Float[np.ndarray, " wave"]
    asymmetry: Float[np.ndarray, " wave"]

    @property
    def total_absorption(self) -> Float[np.ndarray, " wave"]:
        """Absorption opacity of the mixture [cm^2 g^-1]."""
        return self.mass_fraction @ self.absorption

    @property
    def extinction(self) -> Float[np.ndarray, " wave"]:
        """Absorption plus scattering [cm^2 g^-1]."""
        return self.total_absorption + self.scattering

    @property
    def albedo(self) -> Float[np.ndarray, " wave"]:
        """Share of the extinction that is scattering."""
        return self.scattering / self.extinction


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
    absorb, scatter, forward = [], 0.0, 0.0
    for name, share in shares.items():
        grain = grain_efficiencies(name, grain_radius, wave)
        per_gram = 3 / (4 * grain_radius * MICRON_CM * species(name).density)
        absorb.append(per_gram * grain.absorption)
        scatter = scatter + share * per_gram * grain.scattering
        forward = forward + share * per_gram * grain.scattering * grain.asymmetry
    fraction = np.array(list(shares.values()))
    return Opacity(
        wave=np.asarray(wave, dtype=float),
        names=tuple(shares),
        mass_fraction=fraction,
        absorption=np.array(absorb),
        scattering=np.asarray(scatter),
        asymmetry=np.asarray(forward) / np.maximum(scatter, 1e-300),
    )
