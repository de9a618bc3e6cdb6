"""Generation resumes: the same shards whatever happened before."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from grainlight.core import FileFormatError, OutputExistsError, ParameterError
from grainlight.datasets import Dataset, Recipe, generate
from grainlight.datasets.generate import draw_shard, make_shard
from grainlight.datasets.shards import shard_path
from grainlight.simulators import ShellSimulator

PRIORS = {"thesis2023": 0.75, "ansari2022": 0.25}
RECIPE = Recipe(7, seed=3, priors=PRIORS, shard_size=3)


def fill(folder, recipe, shards=None):
    """Make shards in this process, as the workers of `generate` do."""
    folder.mkdir(exist_ok=True)
    recipe.save(folder)
    for shard in shards if shards is not None else range(recipe.num_shards):
        make_shard(folder, recipe, shard)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("data") / "whole", RECIPE)


def test_shards_hold_every_parent_once(whole):
    parents = np.concatenate(
        [
            pq.read_table(path)["parent"].to_numpy()
            for path in sorted(whole.glob("shard*"))
        ]
    )
    np.testing.assert_array_equal(parents, np.arange(7))


def test_the_order_of_work_changes_nothing(whole, tmp_path):
    other = fill(tmp_path / "other", RECIPE, shards=(2, 0, 1))
    assert contents(other) == contents(whole)


def test_another_seed_changes_every_shard(whole, tmp_path):
    recipe = Recipe(7, seed=4, priors=PRIORS, shard_size=3)
    for shard in range(3):
        same = draw_shard(recipe, shard).theta == draw_shard(RECIPE, shard).theta
        assert not np.any(same[:, 0])


def test_more_parents_keep_the_earlier_ones(whole):
    grown = Recipe(30, seed=3, priors=PRIORS, shard_size=3)
    for shard in range(RECIPE.num_shards):
        rows = RECIPE.shard_rows(shard)
        before, after = draw_shard(RECIPE, shard), draw_shard(grown, shard)
        np.testing.assert_array_equal(before[0], after[0][:rows])
        np.testing.assert_array_equal(before[1], after[1][:rows])
    assert grown.identity == RECIPE.identity


def test_a_finished_folder_is_left_alone(whole):
    times = {path: path.stat().st_mtime_ns for path in whole.glob("*.parquet")}
    calls = []
    generate(whole, RECIPE, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(7, 7)]
    assert times == {path: path.stat().st_mtime_ns for path in whole.glob("*.parquet")}


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"shard_size": 4}, {"priors": {"thesis2023": 1.0}}]
)
def test_another_recipe_is_refused(whole, change):
    given = {"num_parents": 7, "seed": 3, "priors": PRIORS, "shard_size": 3} | change
    before = contents(whole), (whole / "dataset.json").read_bytes()
    with pytest.raises(OutputExistsError, match="Name another folder"):
        generate(whole, Recipe(**given))
    assert before == (contents(whole), (whole / "dataset.json").read_bytes())


def test_fewer_parents_are_refused(whole):
    with pytest.raises(OutputExistsError, match="got seed 3, 5 parents"):
        generate(whole, Recipe(5, seed=3, priors=PRIORS, shard_size=3))


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OutputExistsError, match="holds other files"):
        generate(tmp_path, RECIPE)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputExistsError):
        generate(tmp_path / "file", RECIPE)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"num_parents": 3'])
def test_a_broken_recipe_is_refused(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(OutputExistsError):
        generate(tmp_path, RECIPE)
    with pytest.raises(FileFormatError, match=r"readable dataset\.json"):
        Dataset.open(tmp_path)


def test_an_unfinished_data_set_does_not_open(tmp_path):
    folder = fill(tmp_path / "part", RECIPE, shards=(0,))
    with pytest.raises(FileFormatError, match="2 are missing"):
        Dataset.open(folder)


@pytest.mark.parametrize(
    "given",
    [
        {"num_parents": 0},
        {"shard_size": 0},
        {"priors": {}},
        {"priors": {"thesis2023": -1.0}},
        {"priors": {"flat": 1.0}},
    ],
)
def test_an_impossible_recipe_is_refused(given):
    with pytest.raises(ParameterError):
        Recipe(**({"num_parents": 5, "seed": 1} | given))


def test_a_recipe_is_read_as_it_was_written(tmp_path):
    RECIPE.save(tmp_path)
    assert Recipe.load(tmp_path) == RECIPE


@pytest.mark.slow
def test_what_is_missing_or_broken_is_made_again(whole, tmp_path):
    folder = fill(tmp_path / "resumed", RECIPE, shards=(0, 1))
    shard_path(folder, 1).write_bytes(b"PAR1 cut off")
    (folder / "shard-00002.99.part").write_bytes(b"half")
    calls = []
    generate(folder, RECIPE, workers=1, progress=lambda *done: calls.append(done))
    assert contents(folder) == contents(whole)
    assert not list(folder.glob("*.part"))
    assert (calls[0], calls[-1]) == ((3, 7), (7, 7))


SCRIPT = """
import sys
from pathlib import Path
from grainlight.datasets import Recipe, generate
if __name__ == "__main__":
    recipe = Recipe(24, seed=9, shard_size=3)
    generate(Path(sys.argv[1]), recipe, workers=1)
"""


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path):
    script, folder = tmp_path / "make.py", tmp_path / "killed"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(folder)]
    process = subprocess.Popen(command, start_new_session=True)
    limit = time.monotonic() + 120
    while not shard_path(folder, 1).exists() and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(contents(folder))
    assert 2 <= done < 8
    subprocess.run(command, check=True)
    expected = fill(tmp_path / "whole", Recipe(24, seed=9, shard_size=3))
    assert contents(folder) == contents(expected)


@pytest.mark.slow
def test_shells_with_clumps_have_their_filling_factor(tmp_path):
    recipe = Recipe(
        2,
        seed=5,
        shard_size=1,
        simulator=ShellSimulator(clump_edge=0.2, clumps_mirrored=True),
        largest_filling_factor=0.4,
    )
    folder = fill(tmp_path / "clumps", recipe)
    tables = list(Dataset.open(folder).shards())
    share = np.concatenate([one["clump_filling_factor"].to_numpy() for one in tables])
    assert len(np.unique(share)) == 2
    assert np.all((share > 0) & (share < 0.4))
    assert np.all(np.isfinite([one["resolution"].to_numpy() for one in tables]))
    assert all(one["is_settled"].to_numpy(zero_copy_only=False).all() for one in tables)
    # parameters are those of smooth shells of the same seed, the light is not
    smooth = Recipe(2, seed=5, shard_size=1)
    np.testing.assert_array_equal(
        draw_shard(smooth, 1).theta, draw_shard(recipe, 1).theta
    )
    other = fill(tmp_path / "smooth", smooth)
    assert smooth.identity != recipe.identity
    assert contents(other) != contents(folder)


@pytest.mark.parametrize("share", [-0.1, 1.5, np.nan])
def test_an_impossible_filling_factor_is_refused(share):
    with pytest.raises(ParameterError, match="filling factor from 0 to 1"):
        Recipe(5, seed=1, largest_filling_factor=share)


CLUMPY_SCRIPT = """
import sys
from pathlib import Path
from grainlight.datasets import Recipe, generate
from grainlight.simulators import ShellSimulator
RECIPE = Recipe(
    60,
    seed=9,
    shard_size=1,
    simulator=ShellSimulator(clump_edge=0.2, clumps_mirrored=True),
    largest_filling_factor=0.5,
)
if __name__ == "__main__":
    generate(Path(sys.argv[1]), RECIPE, workers=2)
"""


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(tmp_path):
    script, folder = tmp_path / "make.py", tmp_path / "killed"
    script.write_text(CLUMPY_SCRIPT)
    command = [sys.executable, str(script), str(folder)]
    generator, counts = np.random.default_rng(), [0]
    for _ in range(10):
        process = subprocess.Popen(command, start_new_session=True)
        limit = time.monotonic() + 120
        while time.monotonic() < limit and len(contents(folder)) == counts[-1]:
            time.sleep(0.02)
        time.sleep(generator.uniform(0, 2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        counts.append(len(contents(folder)))
    assert 10 <= counts[-1] < 60  # they were killed while at work
    subprocess.run(command, check=True)
    spec = {}
    exec(CLUMPY_SCRIPT, spec | {"__name__": "recipe"}, spec)
    expected = fill(tmp_path / "whole", spec["RECIPE"])
    assert contents(folder) == contents(expected)


@pytest.mark.slow
def test_an_interrupt_does_not_wait_for_long_shards(tmp_path):
    script, folder = tmp_path / "make.py", tmp_path / "stopped"
    script.write_text(CLUMPY_SCRIPT.replace("shard_size=1", "shard_size=30"))
    command = [sys.executable, str(script), str(folder)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    while not (folder / "dataset.json").exists():
        time.sleep(0.02)
    time.sleep(10)  # the workers are at work
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=20)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in message
    assert not contents(folder)
