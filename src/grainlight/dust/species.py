"""The grain species that ship with the package."""

from dataclasses import dataclass

from grainlight.core import ParameterError


@dataclass(frozen=True)
class Species:
    """A grain material.

    Attributes:
        name: Name in settings and tables.
        density: Density of the material [g cm^-3].
        sublimation: Temperature above which the grains are destroyed [K].
        citation: Where the optical constants come from.
    """

    name: str
    density: float
    sublimation: float
    citation: str


_ZUBKO = "Zubko et al. 1996, MNRAS 282, 1321"
SPECIES: dict[str, Species] = {
    member.name: member
    for member in (
        Species("carbon_be", 1.85, 2200.0, f"{_ZUBKO} (BE)"),
        Species("carbon_acar", 1.85, 2200.0, f"{_ZUBKO} (ACAR)"),
        Species("carbon_ach2", 1.85, 2200.0, f"{_ZUBKO} (ACH2)"),
        Species("carbon_hanner", 1.85, 2200.0, "Hanner 1988, NASA CP-3004, 22"),
        Species("silicate_dl", 3.6, 1400.0, "Draine & Lee 1984, ApJ 285, 89"),
        Species("silicate_laor", 3.3, 1400.0, "Laor & Draine 1993, ApJ 402, 441"),
        Species("silicate_d03", 3.5, 1400.0, "Draine 2003, ApJ 598, 1017"),
    )
}


def species(name: str) -> Species:
    """Look a species up by name; raises `ParameterError` if it is not shipped."""
    if name not in SPECIES:
        raise ParameterError(
            f"Expected one of the species {', '.join(SPECIES)}; got {name!r}."
        )
    return SPECIES[name]
