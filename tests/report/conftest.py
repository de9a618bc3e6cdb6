"""A curved posterior, an observation with limits, and what the fit expects of it."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

from grainlight.core import Diagnostics, Parameter, Parameters, Samples, Status
from grainlight.evaluation import predict_sed
from grainlight.photometry import Observation, jwst_filters

PARAMETERS = Parameters(
    (
        Parameter("dust_mass", 1e-6, 1e-1, "Msun", "log10", r"M_\mathrm{d}"),
        Parameter("grain_radius", 0.005, 5.0, "um", "log10", "a"),
        Parameter("silicate_fraction", 0.0, 1.0, "", "linear", r"f_\mathrm{sil}"),
        Parameter("sn_luminosity", 1e3, 3e8, "Lsun", "log10", r"L_\star"),
        Parameter("sn_temperature", 4000.0, 14000.0, "K", "linear", r"T_\star"),
        Parameter("outer_radius", 1e15, 1e18, "cm", "log10", r"R_\mathrm{out}"),
    )
)
DETECTED = ("F560W", "F1000W", "F1280W", "F1500W", "F1800W", "F2100W")
FLUX = (6_390.0, 58_120.0, 43_300.0, 63_260.0, 117_000.0, 128_200.0)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def samples() -> Samples:
    """Seven columns, the dust mass a bent function of the grain radius."""
    generator = np.random.default_rng(1)
    num_draws = 3_000
    radius = np.clip(generator.normal(-1.2, 0.4, num_draws), -2.3, 0.69)
    mass = -3.3 + 0.25 * generator.normal(size=num_draws) + 0.35 * np.sin(2 * radius)
    scaled = [
        mass,
        radius,
        1 - np.clip(np.abs(generator.normal(0, 0.12, num_draws)), 0, 1),
        generator.normal(5.6, 0.05, num_draws),
        generator.uniform(4000, 14000, num_draws),
        generator.normal(16.9, 0.3, num_draws),
    ]
    worst = [1.004, 1840.0, 1560.0, 300.0]
    return Samples(
        theta=PARAMETERS.unscale(jnp.asarray(np.stack(scaled, axis=1))),
        log_weight=jnp.asarray(generator.normal(0, 0.1, num_draws)),
        status=Status.ok,
        parameters=PARAMETERS,
        num_chains=4,
        diagnostics=Diagnostics(*(jnp.full(6, x) for x in worst), jnp.array(0.3)),
        derived={"dust_temperature": jnp.asarray(160 - 30 * (mass + 3.3))},
    )


@pytest.fixture
def observation() -> Observation:
    """Six detections, two limits, one band missing."""
    names = [f"JWST/MIRI.{band}" for band in DETECTED]
    names += ["JWST/NIRCam.F444W", "JWST/NIRCam.F200W", "JWST/NIRCam.F150W"]
    flux = np.array([*FLUX, 900.0, 150.0, np.nan])
    is_limit = np.array([False] * 6 + [True, True, False])
    return Observation(
        "SN 2017eaw", tuple(names), flux, 0.03 * flux, is_limit, distance=7.12
    )


@pytest.fixture(scope="session")
def prediction():
    """Fluxes near the observed ones in all 38 bands."""
    filters = jwst_filters()
    nodes = [0.7, *(filters[f"JWST/MIRI.{band}"].pivot for band in DETECTED)]
    log_flux = np.interp(np.log(filters.pivot), np.log(nodes), np.log([3.0, *FLUX]))
    scatter = np.random.default_rng(5).normal(0, 0.05, (500, len(filters)))
    magnitudes = 31.4 - 2.5 * (log_flux + scatter) / np.log(10)
    return predict_sed(magnitudes, filters.names, filters.pivot)
