"""A table with good and broken rows, by a posterior that was hardly trained."""

import json

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from grainlight.catalog import CatalogSettings, open_source, run_catalog
from grainlight.catalog.source import names_of
from grainlight.catalog.summary import describe_mixture, summarize
from grainlight.core import (
    FileFormatError,
    OutputExistsError,
    Parameter,
    Parameters,
    RangeError,
)
from grainlight.estimators.shell_model import ShellModel
from grainlight.sampling.mixture import fit_gaussians

FEW = CatalogSettings(num_draws=800, rows=4)
BANDS = ("F560W", "F1000W", "F2100W")


@pytest.fixture(scope="module")
def model(amortized_model_folder):
    return ShellModel.load(amortized_model_folder)


def columns():
    """Ten objects; what is wrong with them stands in `BROKEN`."""
    table = {"object": [f"SN {i}" for i in range(10)], "redshift": [0.002] * 10}
    flux = np.array([6e3, 5.8e4, 1.2e5]) * np.ones((10, 3))
    error = 0.05 * flux
    limit = np.zeros((10, 3), bool)
    flux[1] = np.nan
    error[2, 0] = -1.0
    flux[3, 1:] = np.nan  # one band only: a good one
    flux[4], error[4] = 1e35, 1e33
    table["redshift"][5] = 0.5
    limit[6] = True
    flux[7, 0] = np.inf
    table["redshift"][8] = float("nan")
    for i, band in enumerate(BANDS):
        table[f"{band}_ujy"] = (1e-3 * flux[:, i]).tolist()
        table[f"{band}_err_ujy"] = (1e-3 * error[:, i]).tolist()
        table[f"{band}_limit"] = limit[:, i].tolist()
    return table


BROKEN = {
    1: ("unusable", "usable band"),
    2: ("unusable", "positive"),
    4: ("outside", "1e30 nJy"),
    5: ("outside", "redshift"),
    7: ("unusable", "finite"),
    8: ("unusable", "redshift or a distance"),
}


def results(folder):
    return pa.concat_tables(
        [pq.read_table(path) for path in sorted(folder.glob("shard-*.parquet"))]
    ).to_pylist()


@pytest.mark.slow
def test_every_row_has_its_status_and_a_killed_run_goes_on(model, tmp_path):
    path, out = tmp_path / "table.parquet", tmp_path / "out"
    pq.write_table(pa.table(columns()), path, row_group_size=3)
    source = open_source(path)
    seen = []
    run = run_catalog(
        1, model, source, out, FEW, progress=lambda *step: seen.append(step)
    )
    assert seen == [(4, 10), (8, 10), (10, 10)]
    rows = results(out)
    assert [row["object"] for row in rows] == [f"SN {i}" for i in range(10)]
    assert [row["row"] for row in rows] == list(range(10))
    for i, row in enumerate(rows):
        if i in BROKEN:
            status, why = BROKEN[i]
            assert row["status"] == status
            assert why in row["message"]
            assert row["dust_mass_q50"] is None
            assert row["trust"] == "do not trust"
        else:
            assert row["status"] in ("ok", "low_ess", "nonfinite")
            assert row["rung"] == "corrected"
            assert 0 <= row["efficiency"] <= 1
            assert row["belonging"] is None  # this model has no objects to compare with
    good = rows[0]
    masses = [good[f"dust_mass_{q}"] for q in ("q025", "q16", "q50", "q84", "q975")]
    assert masses == sorted(masses)
    assert 1e-6 < masses[0]
    assert masses[-1] < 0.1
    assert len(good["covariance"]) == 21
    spread = rows[3]  # of the others next to no draws have weight: no Gaussians then
    assert sum(spread["mixture_weight"]) == pytest.approx(1, abs=1e-5)
    assert len(spread["mixture_mean"]) == 6 * len(spread["mixture_weight"])
    assert good["num_detected"] == 3
    assert rows[6]["num_limits"] == 3
    assert sum(run.status.values()) == 10
    assert run.num_failed == 10 - run.status.get("ok", 0)

    # a run that was killed goes on, and ends where it would have ended
    (out / "shard-00001.parquet").unlink()
    run_catalog(1, model, source, out, FEW)
    assert results(out) == rows
    with pytest.raises(OutputExistsError, match="Name another folder"):
        run_catalog(2, model, source, out, FEW)
    stated = json.loads((out / "catalog.json").read_text())
    assert stated["source"]["num_rows"] == 10
    with pytest.raises(OutputExistsError, match="something else"):
        run_catalog(1, model, source, tmp_path, FEW)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "rungs"),
    [("amortized", {"amortized"}), ("refined", {"corrected", "refined"})],
)
def test_a_method_says_how_its_rows_came(model, tmp_path, method, rungs):
    path, out = tmp_path / "table.parquet", tmp_path / "out"
    pq.write_table(pa.table(columns()), path)
    settings = CatalogSettings(num_draws=800, rows=16, method=method)
    run_catalog(1, model, open_source(path), out, settings)
    rows = results(out)
    assert {row["rung"] for i, row in enumerate(rows) if i not in BROKEN} <= rungs
    assert all(rows[i]["dust_mass_q50"] > 0 for i in (0, 3, 6, 9))


def test_tables_of_every_kind_give_the_same_cells(tmp_path):
    given = columns()
    table = Table({name: np.asarray(column) for name, column in given.items()})
    pq.write_table(pa.table(given), tmp_path / "a.parquet", row_group_size=4)
    table.write(tmp_path / "a.fits")
    table.write(tmp_path / "a.ecsv")
    table.write(tmp_path / "a.csv")
    wanted = open_source(tmp_path / "a.parquet").read(3, 9)
    assert wanted.num_rows == 6
    for kind in ("fits", "ecsv", "csv"):
        source = open_source(tmp_path / f"a.{kind}")
        assert source.num_rows == 10
        piece = source.read(3, 9)
        assert names_of(piece, 3) == [f"SN {i}" for i in range(3, 9)]
        for band in BANDS:
            name = next(n for n in piece.columns if band in n and "err" in n)
            cells = np.array(piece.columns[name], float)
            expected = np.array(wanted.columns[f"{band}_err_ujy"], float)
            np.testing.assert_allclose(cells, expected)


def test_tables_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(FileFormatError, match="no file there"):
        open_source(tmp_path / "nothing.fits")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(FileFormatError, match="Write it again"):
        open_source(tmp_path / "broken.parquet")
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE  = and nothing else")
    with pytest.raises(FileFormatError):
        open_source(tmp_path / "broken.fits")
    with pytest.raises(RangeError, match="800 draws"):
        CatalogSettings(num_draws=10)
    with pytest.raises(RangeError, match="64 draws"):
        CatalogSettings(num_draws=10, method="amortized")


def test_a_prior_without_amortized_posterior_needs_chains(shell_model_folder, tmp_path):
    bare = ShellModel.load(shell_model_folder)
    pq.write_table(pa.table(columns()), tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    with pytest.raises(RangeError, match="--method ladder"):
        run_catalog(1, bare, source, tmp_path / "out", FEW)


def test_a_few_gaussians_keep_two_modes():
    rng = np.random.default_rng(2)
    draws = np.concatenate([rng.normal(-3, 0.5, (160, 2)), rng.normal(3, 1, (96, 2))])
    center, spread = draws.mean(axis=0), draws.std(axis=0)
    white = jnp.asarray((draws - center) / spread)
    row = describe_mixture(draws, fit_gaussians(jr.key(0), white, 3))
    weight = np.array(row["mixture_weight"])
    mean = np.array(row["mixture_mean"]).reshape(3, 2)
    low = mean[:, 0] < 0
    assert weight[low].sum() == pytest.approx(160 / 256, abs=0.05)
    # mean and variance of the whole, and no component between the modes
    np.testing.assert_allclose(weight @ mean, center, atol=0.1)
    covariance = np.array(row["mixture_covariance"]).reshape(3, 3)[:, [0, 2]]
    whole = weight @ (covariance + mean**2) - (weight @ mean) ** 2
    np.testing.assert_allclose(whole, spread**2, rtol=0.15)
    assert np.all(np.abs(mean).max(axis=1) > 1.5)


def test_a_summary_has_the_moments_of_weighted_draws():
    parameters = Parameters(
        (Parameter("mass", 1e-3, 1e3, "Msun", "log10"), Parameter("slope", -5.0, 5.0))
    )
    rng = np.random.default_rng(1)
    draws = rng.normal([0.5, 1.0], [0.2, 0.5], (40_000, 2))
    # weights turn the mean of the slope from 1 to 1.5
    row = summarize(parameters, draws, 2.0 * draws[:, 1])
    assert row["mass_q50"] == pytest.approx(10**0.5, rel=0.02)
    assert row["mass_q84"] == pytest.approx(10**0.7, rel=0.03)
    assert row["mass_mean"] == pytest.approx(0.5, abs=0.02)
    assert row["slope_mean"] == pytest.approx(1.5, abs=0.03)
    assert row["slope_sd"] == pytest.approx(0.5, abs=0.03)
    expected = [0.04, 0.0, 0.25]
    assert row["covariance"] == pytest.approx(expected, abs=0.02)
