"""Opacities of mixtures of grains: of one radius, or of a power law of radii."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grainlight.core import ParameterError
from grainlight.dust.efficiencies import grain_efficiencies
from grainlight.dust.species import species

MICRON_CM = 1e-4
BIN_NODES = 8  # radii in a bin, by Gauss-Legendre in the logarithm
NARROWEST = 1.001  # ratio of radii; below it grains are of one radius


@dataclass(frozen=True)
class GrainSizes:
    r"""A power law of grain radii, $dn/da \propto a^{-p}$, up to a largest radius.

    Small grains are warmer than large ones, so that each bin of radii has its own
    temperature.

    Attributes:
        smallest: Smallest radius [um].
        power: The power $p$; 3.5 is that of Mathis, Rumpl & Nordsieck (1977, ApJ 217,
            425).
        num_bins: Bins of equal width in the logarithm.
    """

    smallest: float = 0.005
    power: float = 3.5
    num_bins: int = 8

    def __post_init__(self) -> None:
        if not (self.smallest > 0 and math.isfinite(self.power) and self.num_bins > 0):
            raise ParameterError(
                "Expected a positive smallest radius, a finite power and at least one "
                f"bin; got {self.smallest:g} um, {self.power:g} and {self.num_bins}."
            )

    def bins(
        self, largest: float
    ) -> tuple[Float[np.ndarray, "bin node"], Float[np.ndarray, "bin node"]]:
        """Radii [um] in every bin, and the share of the mass of each.

        Args:
            largest: Largest radius [um].

        Raises:
            ParameterError: It is below the smallest radius.
        """
        if largest < self.smallest * (1 - 1e-9):
            raise ParameterError(
                f"Expected a largest radius of at least {self.smallest:g} um, the "
                f"smallest of the power law; got {largest:g}. Raise it."
            )
        if largest < self.smallest * NARROWEST:
            return np.array([[float(largest)]]), np.ones((1, 1))
        edges = np.linspace(
            math.log(self.smallest), math.log(largest), self.num_bins + 1
        )
        nodes, weights = np.polynomial.legendre.leggauss(BIN_NODES)
        middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
        radius = np.exp(middle[:, None] + half[:, None] * nodes)
        mass = half[:, None] * weights * (radius / largest) ** (4 - self.power)
        return radius, mass / mass.sum()


class Opacity(NamedTuple):
    """Opacities of a mixture; those of a species are per gram *of that species*.

    Attributes:
        wave: Wavelength [um].
        names: Species of the mixture; once for every bin of radii, if there are any.
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
    sizes: GrainSizes | None = None,
) -> Opacity:
    r"""Opacities of a mixture of spheres.

    $$ \kappa_s = \frac{3 Q_s}{4 a \rho_s} $$

    Args:
        mass_fraction: Share of the dust mass of each species; the shares sum to one.
        grain_radius: Grain radius, or the largest one [um].
        wave: Wavelength [um].
        sizes: Distribution of the radii; all grains are of one radius without it.

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
    radii, masses = np.array([[float(grain_radius)]]), np.ones((1, 1))
    if sizes is not None:
        radii, masses = sizes.bins(grain_radius)
    rows = [
        (name, share * mass.sum(), *_bin_opacity(name, radius, mass / mass.sum(), wave))
        for name, share in shares.items()
        for radius, mass in zip(radii, masses, strict=True)
    ]
    names, fraction, absorption, scattering, asymmetry = zip(*rows, strict=True)
    return Opacity(
        wave=np.asarray(wave, dtype=float),
        names=names,
        mass_fraction=np.array(fraction),
        absorption=np.array(absorption),
        scattering=np.array(scattering),
        asymmetry=np.array(asymmetry),
    )


def _bin_opacity(
    name: str,
    radii: Float[np.ndarray, " node"],
    masses: Float[np.ndarray, " node"],
    wave: Float[np.ndarray, " wave"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Absorption, scattering and mean cosine of grains whose masses sum to one."""
    absorb, scatter, forward = 0.0, 0.0, 0.0
    for radius, mass in zip(radii.tolist(), masses, strict=True):
        grain = grain_efficiencies(name, radius, wave)
        per_gram = mass * 3 / (4 * radius * MICRON_CM * species(name).density)
        absorb = absorb + per_gram * grain.absorption
        scatter = scatter + per_gram * grain.scattering
        forward = forward + per_gram * grain.scattering * grain.asymmetry
    return (
        np.asarray(absorb),
        np.asarray(scatter),
        np.asarray(forward) / np.maximum(scatter, 1e-300),
    )
