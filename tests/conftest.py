"""What all tests share: quiet figures, a warm compiler, optional reference data."""

import inspect
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ["MPLBACKEND"] = "Agg"
# Tests compile much and run little: quick code is not worth its compiling.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax
import jax.numpy as jnp
import jax.random as jr
import numba
import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# Compiled functions are kept between runs: compiling takes most of the time.
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

# The first example of a property pays for compiling: no limit on its time.
settings.register_profile("grainlight", deadline=None)
settings.load_profile("grainlight")

compile_kernel = numba.njit


def njit(*functions: Callable, **options) -> Callable:
    """Compile a kernel as it is written, without the type check of its shapes."""
    if functions:
        return compile_kernel(inspect.unwrap(functions[0]), **options)
    return lambda function: compile_kernel(inspect.unwrap(function), **options)


# jaxtyping's import hook wraps every function, which Numba cannot compile.
numba.njit = njit

from grainlight.datasets import Dataset, Recipe  # noqa: E402
from grainlight.datasets.generate import draw_shard, write_shard  # noqa: E402
from grainlight.estimators import (  # noqa: E402
    ClumpyLikelihood,
    EffectiveEmulator,
    EffectiveShell,
    Emulator,
    FlowDensity,
    FlowPosterior,
    GaussianLikelihood,
    Inputs,
    PhotometricPosterior,
    Scaling,
    Support,
    save_estimator,
)
from grainlight.estimators.amortized_training import support_of  # noqa: E402
from grainlight.estimators.band_summary import BandSummary  # noqa: E402
from grainlight.estimators.photometric_posterior import (  # noqa: E402
    NUM_CHANNELS,
    NUM_KNOWN,
)
from grainlight.estimators.shell_model import POSTERIOR, density_bounds  # noqa: E402
from grainlight.photometry import jwst_filters  # noqa: E402
from grainlight.simulators import (  # noqa: E402
    SHELL_PARAMETERS,
    THESIS2023,
    ShellSpectra,
    clump_softening,
    luminosity_gain,
    scale_free_mixing,
)
from grainlight.transfer import wavelength_grid  # noqa: E402

PRIORS = {"thesis2023": 0.75, "ansari2022": 0.25}


@pytest.fixture(scope="session")
def reference_data() -> Callable[[str], Path]:
    """Path of an optional reference file; the test skips if it is not there.

    The folder is that of the variable GRAINLIGHT_REFERENCE_DATA, or `shared/data`
    beside the repository.
    """
    default = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("GRAINLIGHT_REFERENCE_DATA", default))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"reference file {name} is not there")
        return path

    return find


class Invented(NamedTuple):
    """Made-up shells whose magnitudes follow the luminosity and a slope; no more."""

    theta: np.ndarray
    redshift: np.ndarray
    x: np.ndarray
    temperature: np.ndarray
    filling: np.ndarray

    @property
    def thesis(self) -> np.ndarray:
        """Parameters of the thesis, dust temperature among them."""
        parts = (self.theta[:, :3], self.temperature, self.theta[:, 3:5])
        return np.concatenate(parts, axis=1)


def invented_shells(num_bands: int) -> Invented:
    """Draw 400 of them."""
    generator = np.random.default_rng(0)
    theta = THESIS2023.sample(generator, 400)
    logged = [member.scale == "log10" for member in SHELL_PARAMETERS.members]
    theta[:, logged] = np.log10(theta[:, logged])
    slope = np.linspace(0, -4, num_bands)
    x = 32 - 2.5 * (theta[:, 3:4] - 5) + slope
    x = x + generator.normal(0, 0.3, (400, 1)) + generator.normal(0, 0.1, x.shape)
    redshift = generator.uniform(1e-4, 0.015, (400, 1))
    temperature = 2 + 0.25 * (theta[:, 3:4] - 5) + generator.normal(0, 0.1, (400, 1))
    filling = generator.uniform(0, 0.5, (400, 1))
    return Invented(theta, redshift, x, temperature, filling)


def _single(*parts: np.ndarray) -> tuple[jax.Array, ...]:
    return tuple(jnp.asarray(part, jnp.float32) for part in parts)


def untrained_model(folder: Path, *, clumpy: bool = False) -> Path:
    """A model of dusty supernovae that was never trained, for tests of what uses one.

    Args:
        folder: Where it is saved.
        clumpy: Whether it has a part that knows clumps.
    """
    bands = jwst_filters().names
    shells = invented_shells(len(bands))
    mixing = scale_free_mixing()
    added: dict = {"blur": (0.01, 0.1), "num_sources": 3} if clumpy else {}
    likelihood = GaussianLikelihood.from_data(
        jr.key(0),
        *_single(shells.theta, shells.redshift, shells.x),
        mixing=mixing,
        gain=luminosity_gain(len(bands)),
        widths=(8,),
        **added,
    )
    outcomes = Emulator.from_data(
        jr.key(1),
        *_single(shells.theta, np.zeros((400, 0)), shells.temperature),
        mixing=mixing[:-1, :-1],
        widths=(8,),
    )
    density = FlowDensity.from_data(
        jr.key(2), *_single(shells.thesis), *density_bounds()
    )
    meta = {"bands": list(bands), "redshifts": [1e-4, 0.015]}
    meta["density_prior"] = "thesis2023"
    save_estimator(folder, likelihood, meta=meta)
    save_estimator(folder / "outcomes", outcomes)
    save_estimator(folder / "density", density)
    if clumpy:
        _save_clumps(folder / "clumps", shells, likelihood, outcomes, meta)
    return folder


def _save_clumps(folder, shells, likelihood, outcomes, meta):
    """The part of a model that knows clumps."""
    theta = np.concatenate([shells.theta, shells.filling], axis=1)
    thesis = np.concatenate([shells.thesis, shells.filling], axis=1)
    mixing, softening = scale_free_mixing(clumpy=True), clump_softening()
    inputs = Inputs.from_data(theta, shells.redshift, mixing, softening)
    plain = Inputs.from_data(
        theta, np.zeros((400, 0)), mixing[:-1, :-1], softening[:-1]
    )
    residual = GaussianLikelihood.from_data(
        jr.key(4),
        *_single(theta, shells.redshift, shells.x - shells.x.mean(axis=1)[:, None]),
        mixing=mixing,
        softening=softening,
        widths=(8,),
        blur=(0.01, 0.1),
    )
    whole = ClumpyLikelihood(
        EffectiveShell(jr.key(5), likelihood, inputs, widths=(8,)), residual
    )
    emulator = EffectiveEmulator(jr.key(6), outcomes, plain, widths=(8,))
    density = FlowDensity.from_data(
        jr.key(3), *_single(thesis), *density_bounds(clumpy=True)
    )
    save_estimator(folder, whole, meta=meta | {"largest_filling_factor": 0.5})
    save_estimator(folder / "outcomes", emulator)
    save_estimator(folder / "density", density)


@pytest.fixture(scope="session")
def shell_model_folder(tmp_path_factory) -> Path:
    """An untrained model of smooth shells."""
    return untrained_model(tmp_path_factory.mktemp("model") / "a model")


@pytest.fixture(scope="session")
def amortized_model_folder(shell_model_folder, tmp_path_factory) -> Path:
    """The same with an amortized posterior, untrained as well."""
    folder = tmp_path_factory.mktemp("amortized") / "model"
    shutil.copytree(shell_model_folder, folder)
    sizes = (6, 38 * NUM_CHANNELS, NUM_KNOWN + 2 * 3)
    inner = FlowPosterior(
        jr.key(1),
        Support.between(*support_of("thesis2023")),
        *(Scaling.identity(size) for size in sizes),
        num_channels=NUM_CHANNELS,
        widths=(8,),
        num_context=4,
        num_layers=2,
        width=8,
    )
    summary = BandSummary.blank(38, 3)
    posterior = PhotometricPosterior(summary, inner, "thesis2023", 0.12, 2.0)
    save_estimator(folder / POSTERIOR, posterior)
    return folder


@pytest.fixture(scope="session")
def clumpy_model_folder(tmp_path_factory) -> Path:
    """An untrained model of shells with and without clumps."""
    return untrained_model(tmp_path_factory.mktemp("model") / "clumpy", clumpy=True)


#: Writes what one real run left; fails for a source of 6666 K, waits at one of 7777 K.
STAND_IN = """#!/bin/sh
echo "$0" >> "{calls}"
grep -q 'TStellar 6666' input/input.in && echo '! no such star' && exit 3
grep -q 'TStellar 7777' input/input.in && exec sleep 60
case "$0" in *Warm) ;; *) cp "{recorded}"/* output/ ;; esac
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Path:
    """A program in place of MOCASSIN; gives the file in which it notes every call."""
    place, calls = tmp_path / "bin", tmp_path / "calls.txt"
    place.mkdir()
    calls.touch()
    recorded = ROOT / "tests" / "reference" / "mocassin_run"
    for name in ("mocassin", "mocassinWarm"):
        (place / name).write_text(STAND_IN.format(calls=calls, recorded=recorded))
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return calls


def invent(folder, num_parents, *, shard_size=50, clumps=0.0, seed=1):
    """A data set of power laws as bright as their source, which need no simulation."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(
        num_parents,
        seed=seed,
        priors=PRIORS,
        shard_size=shard_size,
        largest_filling_factor=clumps,
    )
    wave = wavelength_grid()
    for shard in range(recipe.num_shards):
        drawn = draw_shard(recipe, shard)
        theta, num = drawn.theta, len(drawn.theta)
        slope = -1.5 * np.log10(theta[:, :1])
        light = 17 + np.log10(theta[:, 3:4]) + slope * np.log10(wave / 5)
        temperature = 100 * (theta[:, 3] / 1e4) ** 0.25
        temperature[drawn.theta[:, 2] > 0.95] = np.nan  # no dust left
        spectra = ShellSpectra(
            theta=theta,
            wave=wave,
            log_luminosity=light.astype(np.float32),
            dust_temperature=temperature,
            carbon_temperature=temperature,
            silicate_temperature=temperature,
            sublimated=np.zeros(num),
            optical_depth=10 * theta[:, 0],
            energy_error=np.zeros(num),
            resolution=np.zeros(num),
            is_settled=np.ones(num, bool),
        )
        extra = {"clump_filling_factor": drawn.filling_factor} if clumps else {}
        write_shard(folder, recipe, shard, spectra, drawn.prior, **extra)
    recipe.save(folder)
    return Dataset.open(folder)


@pytest.fixture(scope="session")
def invented(tmp_path_factory):
    """A data set of 330 parents in seven shards."""
    return invent(tmp_path_factory.mktemp("invented") / "set", 330)


@pytest.fixture(scope="session")
def invented_clumps(tmp_path_factory):
    """The same with clumps."""
    folder = tmp_path_factory.mktemp("invented") / "clumps"
    return invent(folder, 40, shard_size=20, clumps=0.5)


@pytest.fixture(scope="session")
def many_invented(tmp_path_factory):
    """The same of 800 parents, thirty of which test a posterior."""
    return invent(tmp_path_factory.mktemp("invented") / "many", 800, shard_size=400)
