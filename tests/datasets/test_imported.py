"""Runs of MOCASSIN as a data set: it opens, gives pairs, and says where it is from."""

import json

import numpy as np
import pytest

from grainlight.core import FileFormatError, OutputExistsError, ParameterError
from grainlight.datasets import Dataset, Recipe, compare_runs, import_runs
from grainlight.datasets.imported import resample
from grainlight.photometry import jwst_filters
from grainlight.simulators import (
    MocassinSettings,
    MocassinShell,
    ShellSimulator,
    finished_runs,
    read_run,
    run_path,
    run_shells,
)
from grainlight.transfer import ShellGeometry, wavelength_grid

THETA = np.array([1e-3, 0.1, 0.5, 1e5, 6000.0, 1e17])
#: Of `Recipe(7, seed=3)`, from before data sets could be imported.
IDENTITY = "30740db49d0af7f0"
SETTINGS = MocassinSettings(
    points=9, first_packets=5_000, first_steps=2, last_packets=20_000, last_steps=1
)


def shells(num=3, simulator=None):
    rows = THETA * np.array([[1 + 1e-6 * i, 1, 1, 1, 1, 1] for i in range(num)])
    return [MocassinShell.from_theta(r, simulator or ShellSimulator()) for r in rows]


@pytest.fixture
def runs(stand_in, tmp_path):
    run_shells(tmp_path / "runs", shells(), SETTINGS)
    return tmp_path / "runs"


def test_the_data_set_opens_and_gives_pairs(runs, tmp_path):
    import_runs(runs, tmp_path / "data")
    data = Dataset.open(tmp_path / "data")
    filters = jwst_filters().subset(["JWST/MIRI.F1000W", "JWST/MIRI.F2100W"])
    pairs = [
        data.pairs(filters, split=split, variants=2, seed=1)
        for split in ("train", "validation", "test")
    ]
    assert sum(len(part) for part in pairs) == 6
    train = pairs[0]
    assert 10 ** train.theta[0, 0] == pytest.approx(1e-3, rel=1e-4)
    assert set(train.prior) == {"table"}
    assert 100 < train.outcomes["dust_temperature"][0] < 200
    ours = ShellSimulator().simulate(THETA[None])
    theirs = next(data.shards())["log_luminosity"][0].values.to_numpy()
    infrared = (wavelength_grid() > 12) & (wavelength_grid() < 25)
    off = np.median(np.abs(theirs - ours.log_luminosity[0])[infrared])
    # 9 points an axis; 0.4 dex would be the factor of pi
    assert off < 0.1


def test_the_origin_is_stated(runs, tmp_path):
    recipe = import_runs(runs, tmp_path / "data", prior="thesis2023").recipe
    stated = json.loads((tmp_path / "data/dataset.json").read_text())
    assert stated["origin"]["program"] == "MOCASSIN"
    assert stated["origin"]["settings"]["last_packets"] == 20_000
    assert stated["num_parents"] == 3
    assert Dataset.open(tmp_path / "data").recipe == recipe
    ours = Recipe(3, seed=0, simulator=recipe.simulator)
    assert recipe.identity != ours.identity
    assert "origin" not in ours.to_json()


def test_recipes_without_origin_keep_their_identity():
    assert Recipe(7, seed=3).identity == IDENTITY


def test_unfinished_runs_are_left_out(runs, tmp_path):
    (run_path(runs, 1) / "grainlight.json").unlink()
    assert len(finished_runs(runs)) == 2
    assert import_runs(runs, tmp_path / "data").recipe.num_parents == 2


def test_dark_bins_do_not_spoil_their_neighbors(runs):
    run = read_run(run_path(runs, 0))
    light = 10 ** resample(run)
    grid = wavelength_grid()
    highest = np.array(
        [run.luminosity[np.abs(np.log(run.wave / w)) < 0.13].max() for w in grid]
    )
    assert np.all(light <= highest * (1 + 1e-9) + 1e-50)
    bright = np.interp(grid, run.wave, run.noise) < 0.05
    linear = np.interp(grid, run.wave, run.luminosity)
    np.testing.assert_allclose(light[bright], linear[bright], rtol=0.1)


def test_a_comparison_names_its_rows(runs):
    (run_path(runs, 1) / "grainlight.json").unlink()
    table = compare_runs(runs, jwst_filters())
    assert list(table["row"]) == [1, 3]
    # a grid this coarse is a few per cent off; another shell is much more
    assert np.all(np.abs(table["temperature_difference"]) < 8)
    assert np.all(table["magnitude_difference"] < 0.4)
    assert np.all(table["num_bands"] > 5)


def test_runs_that_differ_are_not_mixed(runs, tmp_path):
    other = shells(4, ShellSimulator(inner=0.5))[3]
    run_shells_at(runs, 3, other, SETTINGS)
    with pytest.raises(ParameterError, match="same species, inner radius"):
        import_runs(runs, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_other_shapes_are_not_imported(runs, tmp_path):
    falling = MocassinShell.from_theta(THETA, ShellSimulator(), density_power=2.0)
    assert falling.geometry == ShellGeometry(0.8, 2.0)
    run_shells_at(runs, 3, falling, SETTINGS)
    with pytest.raises(ParameterError, match="uniform shells"):
        import_runs(runs, tmp_path / "data")


def run_shells_at(folder, number, shell, settings):
    from_other = folder.parent / "other"
    run_shells(from_other, [shell], settings)
    run_path(from_other, 0).rename(run_path(folder, number))


def test_places_and_folders_that_do_not_fit_are_refused(runs, tmp_path):
    with pytest.raises(FileFormatError, match="got none"):
        import_runs(tmp_path / "nowhere", tmp_path / "data")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("dear")
    with pytest.raises(OutputExistsError, match="holds other"):
        import_runs(runs, tmp_path / "full")
    with pytest.raises(ParameterError, match="one of the priors"):
        import_runs(runs, tmp_path / "data", prior="flat")
