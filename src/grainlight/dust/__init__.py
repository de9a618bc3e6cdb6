"""Optical properties of grains: efficiencies, opacities, mixtures."""

from grainlight.dust.efficiencies import Efficiencies, grain_efficiencies
from grainlight.dust.opacity import GrainSizes, Opacity, mixture_opacity
from grainlight.dust.species import SPECIES, Species, species

__all__ = [
    "SPECIES",
    "Efficiencies",
    "GrainSizes",
    "Opacity",
    "Species",
    "grain_efficiencies",
    "mixture_opacity",
    "species",
]
