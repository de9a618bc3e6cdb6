"""Shells that the tests of the transfer room share."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grainlight.dust import Opacity, mixture_opacity
from grainlight.transfer import Shell, ShellGeometry, wavelength_grid

REFERENCE = Path(__file__).parents[1] / "reference" / "mocassin_smooth.json"


def _mixture(silicate: float, radius: float) -> Opacity:
    shares = {"silicate_dl": silicate, "carbon_be": 1 - silicate}
    return mixture_opacity(shares, radius, wavelength_grid())


def _grains(
    silicate: float,
    radius: float,
    depth: float,
    *,
    temperature: float = 8000.0,
    luminosity: float = 1e5,
    geometry: ShellGeometry | None = None,
) -> Shell:
    """Shell of a carbon and silicate mixture with a given optical depth at 0.55 um."""
    opacity = _mixture(silicate, radius)
    geometry = geometry or ShellGeometry()
    shell = Shell(luminosity, temperature, 1.0, 1e16, opacity, geometry)
    mass = depth / shell.optical_depth(0.55)
    return Shell(luminosity, temperature, mass, 1e16, opacity, geometry)


def _flat_opacity(
    absorption: float, scattering: float, asymmetry: float = 0.0
) -> Opacity:
    wave = wavelength_grid()
    flat = np.ones_like(wave)
    return Opacity(
        wave,
        ("grey",),
        np.array([1.0]),
        absorption * flat[None],
        scattering * flat[None],
        asymmetry * flat[None],
    )


@pytest.fixture(scope="session")
def grains() -> Callable[..., Shell]:
    return _grains


@pytest.fixture(scope="session")
def flat_opacity() -> Callable[..., Opacity]:
    return _flat_opacity


@pytest.fixture(scope="session")
def integral() -> Callable[[np.ndarray, np.ndarray], float]:
    """Integral over frequency of a density on a wavelength grid, by trapezoids."""

    def integrate(wave, density):
        log_frequency = np.log(2.99792458e14 / wave)
        return float(-np.trapezoid(density * np.exp(log_frequency), log_frequency))

    return integrate


@pytest.fixture(scope="session")
def mocassin() -> dict:
    """The smooth shells of `tests/reference`, by name."""
    stored = json.loads(REFERENCE.read_text())
    shells = {shell["name"]: shell for shell in stored["shells"]}
    return {"wave": np.array(stored["wave_um"]), "shells": shells}
