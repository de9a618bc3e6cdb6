"""Folders of results: written beside their place, then put there whole."""

import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from grainlight.core import Certificate, OutputExistsError, Status, status_name
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
#: What a folder of one fit holds; the first file marks it.
FILES = (WORDS, "summary.ecsv", "posterior.nc", "corner.png", "sed.png")
UNITS = {"dust_temperature": "K"}
PACKAGES = ("grainlight", "jax", "equinox", "numba", "numpy", "arviz", "astropy")
DPI = 150
LONGEST_NAME = 80


@contextmanager
def new_folder(path: Path, files: Sequence[str], *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, put at `path` once it is whole and removed if it fails.

    Args:
        path: Where the folder goes.
        files: Files of such a folder, the first of which marks it. A folder that
            holds anything else is never overwritten.
        overwrite: Whether a folder of results at `path` is replaced.

    Raises:
        OutputExistsError: Something is at `path` that may not be replaced, or nothing
            can be written there.
    """
    check_folder(path, files, overwrite=overwrite)
    place = Path(path).resolve()
    made = _make_parents(place)
    partial = _beside(place, "part")
    try:
        partial.mkdir()
        yield partial
        _put(partial, place)
        made = []
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _remove_empty(made)


def _put(partial: Path, place: Path) -> None:
    if not place.exists():
        partial.rename(place)
        return
    old = _beside(place, "old")
    place.rename(old)
    try:
        partial.rename(place)
    except BaseException:
        old.rename(place)
        raise
    shutil.rmtree(old)


def _beside(place: Path, suffix: str) -> Path:
    return place.with_name(f".{place.name[:LONGEST_NAME]}.{os.getpid()}.{suffix}")


def _make_parents(place: Path) -> list[Path]:
    """Make the folders above a place; returns those that were not there, deepest first.

    Raises `OutputExistsError` if this, or a file in them, is not possible.
    """
    missing = [parent for parent in place.parents if not parent.exists()]
    made: list[Path] = []
    try:
        for parent in reversed(missing):
            parent.mkdir()
            made.insert(0, parent)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".grainlight-"):
            pass
    except OSError as error:
        _remove_empty(made)
        raise OutputExistsError(
            f"Expected a place where a folder can be made; got {place} "
            f"({error.strerror or error}). Name another one."
        ) from error
    return made


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def check_folder(path: Path, files: Sequence[str], *, overwrite: bool) -> None:
    """Raise `OutputExistsError` if a folder may not be written at `path`.

    Args:
        path: Where the folder shall go.
        files: Files of such a folder, the first of which marks it.
        overwrite: Whether a folder of results at `path` may be replaced.
    """
    place = Path(path).resolve()
    if not _is_there(place):
        _remove_empty(_make_parents(place))
        return
    here = Path.cwd()
    if place == here or place in here.parents:
        raise OutputExistsError(
            f"Expected a folder for the results; got {path}, in which you are. Name a "
            "new folder inside it."
        )
    if place.is_dir() and not any(place.iterdir()):
        _remove_empty(_make_parents(place))
        return
    if not overwrite:
        raise OutputExistsError(
            f"Expected a new folder for the results; got {path}, which is already "
            "there and was kept. Name another one, or give --overwrite."
        )
    if not place.is_dir() or not (place / files[0]).is_file():
        raise OutputExistsError(
            f"Expected a folder of results to overwrite; got {path}, which holds no "
            f"{files[0]}. It was kept. Name another folder."
        )
    strange = _strangers(place, files)
    if strange:
        raise OutputExistsError(
            f"Expected a folder of results and nothing else to overwrite; {path} holds "
            f"{strange[0].relative_to(place)} too. It was kept. Move that file away, "
            "or name another folder."
        )
    _remove_empty(_make_parents(place))


def _is_there(place: Path) -> bool:
    try:
        return os.path.lexists(place) or place.exists()
    except OSError as error:
        raise OutputExistsError(
            f"Expected a place where a folder can be made; got {place} "
            f"({error.strerror}). Name another one."
        ) from error


def _strangers(folder: Path, files: Sequence[str]) -> list[Path]:
    """What a folder of results and its subfolders of results do not hold."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        start = f"{path.name}/"
        inner = [one.removeprefix(start) for one in files if one.startswith(start)]
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder and (inner or (path / files[0]).is_file()):
            found += _strangers(path, inner or files)
        elif path.name not in files or not path.is_file():
            found.append(path)
    return found


def trust_of(fit: Fit) -> Trust:
    """The verdict on a fit that has a posterior."""
    if fit.samples is None or fit.chi_squared is None:
        raise OutputExistsError(f"Expected a fit with a posterior; got {fit.message}")
    floor_mag = float(POGSON * fit.settings.floor)
    trust = judge_fit(
        fit.samples,
        fit.chi_squared,
        fit.num_detected,
        floor_mag=floor_mag,
        prior_sd=fit.settings.prior.scaled_sd,
    )
    if fit.belonging is None:
        return trust
    certificate = trust.certificate
    evidence = float("nan") if certificate is None else certificate.sound_evidence
    score = fit.belonging.score(
        fit.observation, floor_mag, trust.predictive_probability, evidence
    )
    return replace(trust, belonging=score)


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
    write_words(folder / WORDS, stated)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure and let go of it."""
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def write_words(path: Path, words: dict[str, Any]) -> None:
    """Write JSON; a number that is not finite is refused, as JSON knows none."""
    text = json.dumps(words, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


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
        with warnings.catch_warnings():
            # the name of an object may have letters that the font has not
            warnings.filterwarnings("ignore", "Glyph", UserWarning)
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
            "redshift_used": observation.resolved_redshift,
            "distance_mpc": observation.luminosity_distance,
            "distance_err_mpc": observation.distance_err,
            "galactic_av_removed": fit.galactic_av,
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
        **({} if trust.belonging is None else trust.belonging.words()),
        **_certificate_words(trust.certificate),
    }
    # JSON knows no nan
    return {
        name: None if isinstance(word, float) and not np.isfinite(word) else word
        for name, word in words.items()
    }


def _certificate_words(certificate: Certificate | None) -> dict[str, Any]:
    """Which step of the ladder answered; nothing without a ladder."""
    if certificate is None:
        return {}
    return {
        "rung": certificate.rung,
        "efficiency": certificate.efficiency,
        "pareto_shape": certificate.shape,
        "num_weighed": certificate.num_weighed,
        "log_evidence": certificate.log_evidence,
        "log_evidence_error": certificate.log_evidence_error,
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


def folder_names(names: Sequence[str]) -> list[str]:
    """Names of objects as names of folders, which differ even without their case."""
    taken: set[str] = set()
    found = []
    for name in names:
        plain = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "object"
        plain = first = plain.encode()[:LONGEST_NAME].decode(errors="ignore")
        number = 1
        while plain.casefold() in taken:
            number += 1
            plain = f"{first}-{number}"
        taken.add(plain.casefold())
        found.append(plain)
    return found
