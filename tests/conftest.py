"""What all tests share: quiet figures, a warm compiler, optional reference data."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"

import jax
import numba
import pytest

ROOT = Path(__file__).parents[1]

# Compiled functions are kept between runs: compiling takes most of the time.
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

compile_kernel = numba.njit


def njit(*functions: Callable, **options) -> Callable:
    """Compile a kernel as it is written, without the type check of its shapes."""
    if functions:
        return compile_kernel(inspect.unwrap(functions[0]), **options)
    return lambda function: compile_kernel(inspect.unwrap(function), **options)


# jaxtyping's import hook wraps every function, which Numba cannot compile.
numba.njit = njit


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
