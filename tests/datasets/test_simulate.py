"""Simulations of a simulator of one's own: drawn, kept, resumed, split."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import kstest

from grainlight.core import (
    FileFormatError,
    OutputExistsError,
    Parameter,
    ParameterError,
    Parameters,
    SimulatorError,
)
from grainlight.datasets import Dataset, Simulations, simulate, split_of
from grainlight.datasets.shards import shard_path

FALSE_ALARM = 1e-6
PARAMETERS = Parameters(
    (
        Parameter("mass", 1e-6, 1e-2, "Msun", "log10"),
        Parameter("slope", -1.0, 2.0),
    )
)
BANDS = ("F770W", "F1000W", "F2100W")
WAVE = np.array([7.7, 10.0, 21.0])


@dataclass
class Traced:
    """A power law with noise; below `dark` Msun there is no answer."""

    noise: float = 0.0
    dark: float = 0.0
    bright: float = 1e9
    parameters = PARAMETERS
    bands = BANDS

    def __call__(self, key, theta):
        mass, slope = theta
        flux = self.bright * mass * (jnp.asarray(WAVE) / 10) ** slope
        flux = flux + self.noise * jr.normal(key, (3,))
        return jnp.where(mass < self.dark, jnp.nan, flux)


@dataclass
class Plain:
    """The same without noise and without JAX; may fail, or be interrupted."""

    dark: float = 0.0
    calls_left: float = np.inf
    parameters = PARAMETERS
    bands = BANDS

    def __call__(self, key, theta):
        self.calls_left -= 1
        if self.calls_left < 0:
            raise KeyboardInterrupt
        mass, slope = float(theta[0]), float(theta[1])
        if mass < self.dark:
            raise ZeroDivisionError("no dust")
        return 1e9 * mass * (WAVE / 10) ** slope


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_key_gives_the_same_and_another_others():
    one, same, other = (
        simulate(jr.key(seed), Traced(noise=1e3), num_sims=50) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.flux, same.flux)
    assert not np.any(one.flux == other.flux)
    assert not np.any(one.theta == other.theta)


@pytest.mark.parametrize("shard_size", [7, 50, 1000])
def test_more_of_them_keep_the_earlier_whatever_the_shards(shard_size):
    few = simulate(jr.key(1), Traced(noise=1e3), num_sims=20)
    many = simulate(jr.key(1), Traced(noise=1e3), num_sims=60, shard_size=shard_size)
    np.testing.assert_array_equal(many.theta[:20], few.theta)
    np.testing.assert_allclose(many.flux[:20], few.flux, rtol=1e-6)


def test_draws_are_even_on_the_scaled_axes_and_not_on_the_physical_one():
    data = simulate(jr.key(3), Traced(), num_sims=4000)
    low, high = np.asarray(PARAMETERS.lower), np.asarray(PARAMETERS.upper)
    unit = (data.theta - low) / (high - low)
    for column in unit.T:
        assert kstest(column, "uniform").pvalue > FALSE_ALARM
    mass = (10 ** data.theta[:, 0] - 1e-6) / (1e-2 - 1e-6)
    assert kstest(mass, "uniform").pvalue < FALSE_ALARM


def test_the_simulator_sees_physical_parameters():
    data = simulate(jr.key(1), Traced(), num_sims=30)
    expected = 1e9 * 10 ** data.theta[:, :1] * (WAVE / 10) ** data.theta[:, 1:]
    np.testing.assert_allclose(data.flux, expected, rtol=1e-5)
    np.testing.assert_allclose(
        simulate(jr.key(1), Plain(), num_sims=30, jit=False).flux, expected, rtol=1e-9
    )


def test_a_prior_of_ones_own_is_drawn_from():
    def narrow(key):
        return jnp.array([1e-4, 0.5]) * (1 + 0.01 * jr.normal(key, (2,)))

    for jit in (True, False):
        data = simulate(jr.key(1), Traced(), num_sims=40, prior=narrow, jit=jit)
        assert np.all(np.abs(data.theta - [-4.0, 0.5]) < 0.05)
        assert data.prior == "own"
    with pytest.raises(ParameterError, match="2 physical parameters"):
        simulate(jr.key(1), Traced(), num_sims=4, prior=lambda key: jnp.zeros(3))


@pytest.mark.parametrize("jit", [True, False])
def test_what_has_no_finite_flux_is_left_out_and_counted(jit):
    simulator = Traced(dark=1e-4) if jit else Plain(dark=1e-4)
    data = simulate(jr.key(1), simulator, num_sims=200, jit=jit)
    whole = simulate(jr.key(1), Traced(), num_sims=200)
    dark = whole.theta[:, 0] < -4
    assert 50 < data.num_left_out == dark.sum() < 150
    assert set(data.left_out) == set(np.flatnonzero(dark).tolist())
    np.testing.assert_array_equal(data.parent, np.flatnonzero(~dark))
    np.testing.assert_array_equal(data.theta, whole.theta[~dark])
    reason = "fluxes that are not finite" if jit else "ZeroDivisionError: no dust"
    assert set(data.left_out.values()) == {reason}
    assert str(data.num_left_out) in repr(data)


def test_magnitudes_are_ab_where_bright_and_finite_where_negative():
    data = simulate(jr.key(1), Traced(noise=1.0, bright=1e3), num_sims=500)
    assert np.any(data.flux < 0)
    x = np.concatenate([data.split(name).x for name in ("train", "validation", "test")])
    order = np.concatenate(
        [data.split(name).parent for name in ("train", "validation", "test")]
    )
    flux = data.flux[order]
    exact = 31.4 - 2.5 / np.log(10) * (np.arcsinh(flux / 0.2) + np.log(0.1))
    np.testing.assert_allclose(x, exact, atol=1e-4)
    seen = flux > 1
    ab = 31.4 - 2.5 * np.log10(flux[seen])
    assert 0 < np.max(np.abs(x[seen] - ab)) < 0.0111
    softer = simulate(
        jr.key(1), Traced(noise=1.0), num_sims=20, softening=(1.0, 1.0, 50.0)
    )
    assert softer.softening.tolist() == [1.0, 1.0, 50.0]


def test_splits_are_by_number_and_hold_every_simulation():
    data = simulate(jr.key(1), Traced(dark=1e-5), num_sims=400)
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    for name, pairs in parts.items():
        assert np.all(split_of(pairs.parent) == name)
        assert pairs.condition.shape == (len(pairs), 0)
        assert pairs.parameters == PARAMETERS
    assert sum(map(len, parts.values())) == len(data) == 400 - data.num_left_out


def test_a_folder_holds_what_memory_would(tmp_path):
    given = {"num_sims": 25, "shard_size": 10}
    calls = []
    kept = simulate(
        jr.key(1),
        Traced(noise=1e3, dark=1e-5),
        folder=tmp_path / "sims",
        progress=lambda *done: calls.append(done),
        **given,
    )
    memory = simulate(jr.key(1), Traced(noise=1e3, dark=1e-5), **given)
    opened = Simulations.open(tmp_path / "sims")
    for one in (kept, opened):
        np.testing.assert_array_equal(one.flux, memory.flux)
        np.testing.assert_array_equal(one.theta, memory.theta)
        assert one.left_out == memory.left_out
    assert calls == [(0, 25), (10, 25), (20, 25), (25, 25)]


def test_an_interrupted_call_resumes_to_the_same_bytes(tmp_path):
    given = {"num_sims": 25, "shard_size": 10, "jit": False}
    simulate(jr.key(1), Plain(), folder=tmp_path / "whole", **given)
    expected = contents(tmp_path / "whole")
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        simulate(jr.key(1), Plain(calls_left=17), folder=folder, **given)
    assert sorted(contents(folder)) == ["dataset.json", "shard-00000.parquet"]
    with pytest.raises(FileFormatError, match="2 are missing"):
        Simulations.open(folder)
    (folder / "shard-00001.99.part").write_bytes(b"half")
    shard_path(folder, 2).write_bytes(b"PAR1 cut off")
    # one call makes the first simulation again, 15 are missing
    simulate(jr.key(1), Plain(calls_left=16), folder=folder, **given)
    assert contents(folder) == expected
    simulate(jr.key(1), Plain(calls_left=1), folder=folder, **given)
    assert contents(folder) == expected


def test_a_folder_grows(tmp_path):
    few = {"shard_size": 10, "folder": tmp_path / "sims"}
    simulate(jr.key(1), Traced(noise=1e3), num_sims=15, **few)
    grown = simulate(jr.key(1), Traced(noise=1e3), num_sims=32, **few)
    fresh = simulate(jr.key(1), Traced(noise=1e3), num_sims=32, shard_size=10)
    np.testing.assert_array_equal(grown.flux, fresh.flux)


@dataclass
class Renamed(Traced):
    bands = ("F560W", "F1000W", "F2100W")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"key": jr.key(2)}, "another key"),
        ({"simulator": Renamed()}, "another bands"),
        ({"simulator": Traced(bright=1.1e9)}, "another simulator"),
        ({"prior": lambda key: jnp.array([1e-3, 0.0])}, "another prior"),
        ({"shard_size": 6}, "another shard_size"),
        ({"num_sims": 11}, "more than 11"),
    ],
)
def test_other_simulations_are_not_mixed(tmp_path, change, match):
    given = {"key": jr.key(1), "simulator": Traced(), "num_sims": 12, "shard_size": 5}
    folder = tmp_path / "sims"
    simulate(**given, folder=folder)
    before = contents(folder)
    with pytest.raises(OutputExistsError, match=match):
        simulate(**(given | change), folder=folder)
    assert contents(folder) == before


def test_two_priors_of_ones_own_are_told_apart(tmp_path):
    given = {"num_sims": 5, "folder": tmp_path / "sims"}
    for mass in (1e-3, 1e-3):
        simulate(
            jr.key(1), Traced(), prior=lambda key, m=mass: jnp.array([m, 0.0]), **given
        )
    with pytest.raises(OutputExistsError, match="parameters of another prior"):
        simulate(jr.key(1), Traced(), prior=lambda key: jnp.array([2e-3, 0.0]), **given)


def test_other_files_and_other_data_sets_are_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OutputExistsError, match="other files"):
        simulate(jr.key(1), Traced(), num_sims=5, folder=tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(OutputExistsError, match=r"readable dataset\.json"):
        simulate(jr.key(1), Traced(), num_sims=5, folder=tmp_path)
    with pytest.raises(FileFormatError, match=r"readable dataset\.json"):
        Simulations.open(tmp_path)
    simulate(jr.key(1), Traced(), num_sims=5, folder=tmp_path / "sims")
    with pytest.raises(FileFormatError, match="one of simulations. Use `Simulations"):
        Dataset.open(tmp_path / "sims")


def test_what_jax_cannot_trace_is_told_how_to_run(tmp_path):
    with pytest.raises(SimulatorError, match="Give jit=False"):
        simulate(jr.key(1), Plain(), num_sims=5, folder=tmp_path / "sims")
    assert not (tmp_path / "sims").exists()


class TooMany(Plain):
    bands = (*BANDS, "F560W")


class TooManyTraced(Traced):
    bands = (*BANDS, "F560W")


@pytest.mark.parametrize(
    ("simulator", "jit", "match"),
    [
        (TooManyTraced(), True, r"4 bands; got an array of shape \(3,\)"),
        (TooMany(), False, r"4 bands; got an array of shape \(3,\)"),
        (Traced(dark=1.0), True, "none from 5 simulations. Number 0: fluxes that are"),
        (Plain(dark=1.0), False, "Number 0: ZeroDivisionError: no dust"),
    ],
)
def test_a_simulator_without_any_flux_stops_at_once(tmp_path, simulator, jit, match):
    with pytest.raises(SimulatorError, match=match):
        simulate(jr.key(1), simulator, num_sims=5, jit=jit, folder=tmp_path / "sims")
    assert not (tmp_path / "sims").exists()


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"num_sims": 0}, ParameterError, "num_sims of one or more; got 0"),
        ({"shard_size": 0}, ParameterError, "shard_size"),
        ({"workers": 0}, ParameterError, "workers"),
        ({"softening": -1.0}, ParameterError, "positive softening"),
        ({"softening": (1.0, 1.0)}, ParameterError, r"one a band \(3\)"),
    ],
)
def test_impossible_settings_are_refused(given, error, match):
    with pytest.raises(error, match=match):
        simulate(jr.key(1), Traced(), **({"num_sims": 5} | given))


def test_reserved_names_are_refused():
    class Parent(Traced):
        parameters = Parameters((PARAMETERS["mass"], Parameter("parent", 0.0, 1.0)))

    with pytest.raises(ParameterError, match="Rename them"):
        simulate(jr.key(1), Parent(), num_sims=5)


def test_a_simulator_that_cannot_travel_is_told_so():
    class Local(Plain):
        pass

    with pytest.raises(SimulatorError, match="workers=1"):
        simulate(jr.key(1), Local(), num_sims=5, jit=False, workers=2)


SCRIPT = """
import sys, time
import jax.random as jr
import numpy as np
import grainlight as gl

class Slow:
    parameters = gl.Parameters((gl.Parameter("a", 1.0, 2.0),))
    bands = ("F770W",)

    def __call__(self, key, theta):
        time.sleep(float(sys.argv[3]))
        return np.array([theta[0] + float(jr.normal(key))])

if __name__ == "__main__":
    gl.simulate(jr.key(1), Slow(), num_sims=40, shard_size=4, jit=False,
                workers=int(sys.argv[2]), folder=sys.argv[1])
"""


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes_in_any_number_of_processes(tmp_path):
    script, folder = tmp_path / "make.py", tmp_path / "killed"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script)]
    process = subprocess.Popen([*command, folder, "1", "0.1"], start_new_session=True)
    limit = time.monotonic() + 120
    while not shard_path(folder, 1).exists() and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= len(list(folder.glob("*.parquet"))) < 10
    subprocess.run([*command, folder, "2", "0"], check=True)
    subprocess.run([*command, tmp_path / "whole", "1", "0"], check=True)
    assert contents(folder) == contents(tmp_path / "whole")
