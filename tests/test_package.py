"""The face of the package, and what importing it must not do."""

import subprocess
import sys

import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

import grainlight
from grainlight.core import Parameter, Parameters, Samples, Status

SILENT_IMPORT = """
import os, jax
config, environ = dict(jax.config.values), dict(os.environ)
import grainlight
assert config == dict(jax.config.values), "the configuration of JAX has changed"
assert environ == dict(os.environ), "the environment has changed"
"""


def test_the_version_is_that_of_the_installed_package():
    assert grainlight.__version__[0].isdigit()


def test_importing_changes_nothing_outside():
    result = subprocess.run(
        [sys.executable, "-c", SILENT_IMPORT], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""


def test_shapes_are_checked_in_tests():
    parameters = Parameters((Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 1.0)))
    draws = {"theta": jnp.zeros((4, 2)), "status": Status.ok, "parameters": parameters}
    Samples(log_weight=jnp.zeros(4), **draws)
    with pytest.raises(TypeCheckError):
        Samples(log_weight=jnp.zeros(5), **draws)
