"""Filters and photometry: band fluxes, units, limits, noise, observations, readers."""

from grainlight.photometry.bands import band_flux, band_fluxes, model_fluxes
from grainlight.photometry.filters import (
    Filter,
    FilterSet,
    jwst_filters,
    jwst_names,
    read_filter,
)
from grainlight.photometry.library import load_filters
from grainlight.photometry.limits import BandLimits, band_limits, filter_table
from grainlight.photometry.magnitudes import (
    ab_magnitude,
    flux_from_ab,
    flux_from_luptitude,
    luptitude,
    luptitude_slope,
)
from grainlight.photometry.names import canonical_name, nearest_names
from grainlight.photometry.noise import NoisyPhotometry, add_noise, background_noise
from grainlight.photometry.observation import Observation
from grainlight.photometry.readers import ObservationTable, read_observations, read_rows
from grainlight.photometry.units import (
    AB_ZERO_POINT_NJY,
    FluxUnit,
    flux_density_from_luminosity,
    flux_unit,
)

__all__ = [
    "AB_ZERO_POINT_NJY",
    "BandLimits",
    "Filter",
    "FilterSet",
    "FluxUnit",
    "NoisyPhotometry",
    "Observation",
    "ObservationTable",
    "ab_magnitude",
    "add_noise",
    "background_noise",
    "band_flux",
    "band_fluxes",
    "band_limits",
    "canonical_name",
    "filter_table",
    "flux_density_from_luminosity",
    "flux_from_ab",
    "flux_from_luptitude",
    "flux_unit",
    "jwst_filters",
    "jwst_names",
    "load_filters",
    "luptitude",
    "luptitude_slope",
    "model_fluxes",
    "nearest_names",
    "read_filter",
    "read_observations",
    "read_rows",
]
