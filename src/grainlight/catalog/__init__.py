"""Many objects: a table of any length in, one row of posterior each out."""

from grainlight.catalog.calibration import calibrate_belonging, observe_at_random
from grainlight.catalog.run import CatalogRun, run_catalog
from grainlight.catalog.source import Source
from grainlight.catalog.tables import open_source
from grainlight.catalog.worker import CatalogSettings, Method

__all__ = [
    "CatalogRun",
    "CatalogSettings",
    "Method",
    "Source",
    "calibrate_belonging",
    "observe_at_random",
    "open_source",
    "run_catalog",
]
