"""Folders of results: written beside their place, then put there whole."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from grainlight.core import OutputExistsError, Status, status_name
from grainlight.evaluation import (
    SedPrediction,
    Trust,
    judge_fit,
    measure_residuals,
    predict_sed,
)
from grainlight.photometry import load_filters
from grainlight.report.corner import plot_corner
from grainlight.report.sed import plot_sed
from grainlight.report.table import write_reasons, write_trust
from grainlight.sampling import save_posterior, to_table
from grainlight.sampling.fit import POGSON, Fit

WORDS = "fit.json"
UNITS = {"dust_temperature": "K"}
PACKAGES = ("grainlight", "jax", "equinox", "numba", "numpy", "arviz", "astropy")
DPI = 150


@contextmanager
def new_folder(path: Path, marker: str, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, put at `path` once it is whole and removed if it fails.

    Args:
        path: Where the folder goes.
        marker: File that tells a folder of results, which alone may be overwritten.
        overwrite: Whether a folder of results at `path` is replaced.

    Raises:
        OutputExistsError: Something is at `path` that may not be replaced.
    """
    path = Path(path)
    check_folder(path, marker, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            partial.rename(path)
            shutil.rmtree(old)
        else:
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_folder(path: Path, marker: str, *, overwrite: bool) -> None:
    """Raise `OutputExistsError` if a folder may not be written at `path`."""
    if not path.exists() and not path.is_symlink():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    if not overwrite:
        raise OutputExistsError(
            f"Expected a new folder for the results; got {path}, which is already "
            "there and was kept. Name another one, or give --overwrite."
        )
    if not path.is_dir() or not any(path.rglob(marker)):
        raise OutputExistsError(
            f"Expected a folder of results to overwrite; got {path}, which holds no "
            f"{marker}. It was kept. Name another folder."
        )


def trust_of(fit: Fit) -> Trust:
    """The verdict on a fit that has a posterior."""
    if fit.samples is None or fit.chi_squared is None:
        raise OutputExistsError(f"Expected a fit with a posterior; got {fit.message}")
    return judge_fit(
        fit.samples,
        fit.chi_squared,
        fit.num_detected,
        floor_mag=float(POGSON * fit.settings.floor),
        prior_sd=fit.settings.prior.base.scaled_sd,
    )


def predicted_sed(fit: Fit) -> SedPrediction:
    """What the posterior of a fit expects in every band of the model."""
    filters = load_filters(fit.bands)
    return predict_sed(np.asarray(fit.magnitudes), fit.bands, filters.pivot)


def write_fit(folder: Path, fit: Fit, words: dict[str, Any]) -> None:
    """Write all files of one object into a folder that is there.

    Args:
        folder: The folder.
        fit: The fit; without posterior, `fit.json` alone is written.
        words: What `fit.json` states beside the fit: model, seed, versions.
    """
    stated = {**words, **_words(fit)}
    usable = fit.samples is not None and not bool(fit.status == Status.nonfinite)
    if usable and fit.samples is not None:
        stated["trust"] = _trust_words(trust_of(fit))
        save_posterior(folder / "posterior.nc", fit.samples, derived_units=UNITS)
        table = to_table(fit.samples, derived_units=UNITS)
        table.meta.update(object=fit.observation.name, trust=stated["trust"]["line"])
        table.write(folder / "summary.ecsv", format="ascii.ecsv")
        _draw(folder, fit)
    (folder / WORDS).write_text(json.dumps(stated, indent=1) + "\n")


def _draw(folder: Path, fit: Fit) -> None:
    if fit.samples is None:
        return
    prediction = predicted_sed(fit)
    floor = float(POGSON * fit.settings.floor)
    residuals = measure_residuals(fit.observation, prediction, floor)
    figures = {
        "corner.png": plot_corner(fit.samples),
        "sed.png": plot_sed(
            fit.observation, prediction, residuals, load_filters(fit.bands)
        ),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=DPI)
        plt.close(figure)


def _words(fit: Fit) -> dict[str, Any]:
    observation = fit.observation
    return {
        "object": observation.name,
        "status": status_name(fit.status),
        "status_text": fit.message or Status[fit.status],
        "settings": fit.settings.words(),
        "observation": {
            "bands": list(observation.bands),
            "flux_njy": _plain(observation.flux),
            "error_njy": _plain(observation.error),
            "is_limit": np.asarray(observation.is_limit).tolist(),
            "redshift": observation.redshift_origin,
            "distance": observation.distance_origin,
            "distance_err_mpc": observation.distance_err,
        },
        "num_detected": fit.num_detected,
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]


def _trust_words(trust: Trust) -> dict[str, Any]:
    words = {
        "line": write_trust(trust),
        "verdict": trust.verdict,
        "reasons": write_reasons(trust),
        "rhat": trust.rhat,
        "ess_bulk": trust.ess_bulk,
        "ess_tail": trust.ess_tail,
        "ess_chain": trust.ess_chain,
        "chi_squared": trust.chi_squared,
        "num_bands": trust.num_bands,
        "predictive_probability": trust.predictive_probability,
    }
    # JSON knows no nan
    return {
        name: None if isinstance(word, float) and not np.isfinite(word) else word
        for name, word in words.items()
    }


def versions() -> dict[str, str]:
    """Versions of the packages that the numbers depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def folder_name(name: str) -> str:
    """Name of an object as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._") or "object"
