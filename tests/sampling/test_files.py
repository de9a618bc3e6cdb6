"""Posteriors survive the way to disk, whole or not at all."""

import arviz
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import Parameter, ParameterError, Parameters, Samples, Status
from grainlight.sampling import save_posterior, to_arviz, to_table

PARAMETERS = Parameters(
    (Parameter("mass", 0.1, 10.0, "Msun", "log10"), Parameter("age", 0.0, 9.0, "Gyr"))
)
UNITS = {"dust_temperature": "K"}


def samples(seed=0, num_draws=200):
    theta = jr.uniform(jr.key(seed), (num_draws, 2), minval=1.0, maxval=9.0)
    derived = {"dust_temperature": 100 + theta[:, 0]}
    weight = jnp.zeros(num_draws)
    return Samples(theta, weight, Status.ok, PARAMETERS, 4, None, derived)


def test_netcdf_round_trip_of_one_object(tmp_path):
    one = samples()
    save_posterior(tmp_path / "posterior.nc", one, derived_units=UNITS)
    read = arviz.from_netcdf(tmp_path / "posterior.nc").posterior
    assert dict(read.sizes) == {"chain": 4, "draw": 50}
    assert read["dust_temperature"].attrs["units"] == "K"
    assert read.attrs["status"] == "ok"
    second = one.theta[50:100, 0]
    np.testing.assert_allclose(read["mass"].sel(chain=1), second, rtol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == ["posterior.nc"]


def test_several_objects_share_a_file(tmp_path):
    save_posterior(tmp_path / "all.nc", [samples(0), samples(1)], ["a", "b"])
    read = arviz.from_netcdf(tmp_path / "all.nc")
    expected = samples(1).columns()["age"].reshape(4, 50)
    np.testing.assert_allclose(read.posterior["age"].sel(object="b"), expected)
    assert read.sample_stats["log_weight"].shape == (4, 50, 2)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "posterior.nc"
    path.write_text("old")

    def fail(self, name, engine):
        raise OSError("disk full")

    monkeypatch.setattr(arviz.InferenceData, "to_netcdf", fail)
    with pytest.raises(OSError, match="disk full"):
        save_posterior(path, samples())
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_unlike_objects_are_refused():
    with pytest.raises(ParameterError, match="equal"):
        to_arviz([samples(), samples(num_draws=100)])
    with pytest.raises(ParameterError, match="names"):
        to_arviz([samples()], ["a", "b"])
    with pytest.raises(ParameterError, match="none"):
        to_arviz([])


def test_table_of_intervals():
    one = samples(num_draws=4000)
    table = to_table(one, derived_units=UNITS)
    row = table[2]
    assert list(table["parameter"]) == ["mass", "age", "dust_temperature"]
    assert list(table["unit"]) == ["Msun", "Gyr", "K"]
    assert row["median"] == pytest.approx(105, abs=0.3)
    assert row["sd"] == pytest.approx(8 / np.sqrt(12), rel=0.05)
    assert row["lower_95"] < row["lower_68"] < row["upper_68"] < row["upper_95"]
    assert row["rhat"] == pytest.approx(1, abs=0.01)
    assert table.meta["status"] == "ok"


def test_table_of_a_failed_object_is_all_nan():
    failed = Samples(
        jnp.full((80, 2), jnp.nan), jnp.zeros(80), Status.nonfinite, PARAMETERS, 4
    )
    table = to_table(failed)
    assert np.all(np.isnan(table["median"]))
    assert table.meta["status"] == "nonfinite"
