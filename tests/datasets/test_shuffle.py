"""Rows are written in random order, whole or not at all, and go on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.stats import chisquare

from grainlight.core import OutputExistsError, ParameterError
from grainlight.datasets import shuffle, write_rows, write_shuffled
from grainlight.photometry import jwst_filters

FALSE_ALARM = 1e-6
SIZES = (700, 0, 400, 900)
TOTAL = sum(SIZES)
STARTS = np.cumsum((0, *SIZES))


def part(number):
    place = np.arange(STARTS[number], STARTS[number + 1], dtype=float)[:, None]
    return place, np.concatenate([place + 0.5, -place], axis=1)


def write(folder, make_part=part, *, seed=3, **others):
    options = {"num_parts": len(SIZES), "num_rows": TOTAL, "seed": seed} | others
    return write_shuffled(folder, {"of": "numbers"}, ("a", "b"), make_part, **options)


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch):
    monkeypatch.setattr(shuffle, "BUCKET_SIZE", 250)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_row_is_written_once_and_stays_whole(tmp_path):
    rows = write(tmp_path / "rows")
    assert (rows.num_rows, rows.columns) == (TOTAL, (1, 2))
    a, b = rows.block(0)
    assert a.dtype == b.dtype == np.float32
    np.testing.assert_array_equal(np.sort(a[:, 0]), np.arange(TOTAL))
    np.testing.assert_array_equal(b, np.concatenate([a + 0.5, -a], axis=1))
    assert sorted(contents(tmp_path / "rows")) == ["rows.json", "rows.npy"]
    np.testing.assert_array_equal(
        np.load(tmp_path / "rows" / "rows.npy")[:, :1], a
    )  # any reader of .npy reads it


def order_of(folder, seed):
    return write(folder, seed=seed).block(0)[0][:, 0].astype(int)


def test_the_order_is_random(tmp_path):
    """Rows of each tenth of the parts are spread evenly over tenths of the file."""
    order = order_of(tmp_path / "rows", 3)
    table = np.histogram2d(np.arange(TOTAL), order, bins=10)[0]
    spread = (table - TOTAL / 100) ** 2 / (TOTAL / 100)
    expected = np.full(100, TOTAL / 100)
    assert chisquare(table.ravel(), expected, ddof=18).pvalue > FALSE_ALARM
    assert spread.max() < 40
    neighbors = np.corrcoef(order[:-1], order[1:])[0, 1]
    assert abs(neighbors) < 5.5 / np.sqrt(TOTAL)
    plain = np.histogram2d(np.arange(TOTAL), np.arange(TOTAL), bins=10)[0]
    assert chisquare(plain.ravel(), expected, ddof=18).pvalue < FALSE_ALARM


def test_a_seed_gives_the_same_order_and_another_does_not(tmp_path):
    one, same, other = (
        order_of(tmp_path / str(i), seed) for i, seed in enumerate((3, 3, 4))
    )
    np.testing.assert_array_equal(one, same)
    assert np.mean(one == other) < 0.05


def test_a_run_that_broke_off_goes_on_to_the_same_rows(tmp_path):
    whole = write(tmp_path / "whole").block(0)
    made = []

    def broken(number):
        if number == 2 and 2 not in made:
            made.append(number)
            raise KeyboardInterrupt
        made.append(number)
        return part(number)

    folder = tmp_path / "rows"
    with pytest.raises(KeyboardInterrupt):
        write(folder, broken)
    assert not (folder / "rows.json").exists()
    (folder / "rows.npy.77.part").write_bytes(b"left by a kill")
    rows = write(folder, broken)
    assert made == [0, 1, 2, 2, 3]
    for found, expected in zip(rows.block(0), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert contents(folder) == contents(tmp_path / "whole")
    write(folder, broken)  # finished rows are kept
    assert made == [0, 1, 2, 2, 3]


KILLED = """
import time, sys
from pathlib import Path
import numpy as np
from grainlight.datasets import write_shuffled

def part(number):
    time.sleep(0.2)
    return (np.full((50, 1), float(number)), np.zeros((50, 2)))

write_shuffled(
    Path(sys.argv[1]), {"of": "numbers"}, ("a", "b"), part,
    num_parts=100, num_rows=5_000, seed=0,
)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_whole_parts_alone(tmp_path, monkeypatch):
    monkeypatch.undo()
    folder = tmp_path / "rows"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)])
    until = time.monotonic() + 300
    while len(list(folder.glob("parts/part-*.npy"))) < 3:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = len(list(folder.glob("parts/part-*.npy")))
    made = []

    def rest(number):
        made.append(number)
        return np.full((50, 1), float(number)), np.zeros((50, 2))

    rows = write(folder, rest, num_parts=100, num_rows=5_000, seed=0)
    assert made == list(range(left, 100))
    counts = np.bincount(rows.block(0)[0][:, 0].astype(int))
    np.testing.assert_array_equal(counts, 50)


def test_little_is_held_at_once(tmp_path, monkeypatch):
    """No array that is written is longer than a part or a bucket."""
    longest = []
    gather = shuffle._bucket
    monkeypatch.setattr(
        shuffle,
        "_bucket",
        lambda *given: longest.append(len(gather(*given))) or gather(*given),
    )
    write(tmp_path / "rows")
    assert sum(longest) == TOTAL
    assert max(longest) < 250 + 5.5 * np.sqrt(250)


def test_rows_of_something_else_are_refused(tmp_path):
    folder = tmp_path / "rows"
    write(folder)
    with pytest.raises(OutputExistsError, match="rows with seed 4; .* with seed 3"):
        write(folder, seed=4)
    strange = tmp_path / "strange"
    (strange / "parts").mkdir(parents=True)
    (strange / "parts" / "letter.txt").write_text("keep me")
    with pytest.raises(OutputExistsError, match="other files"):
        write(strange)
    assert (strange / "parts" / "letter.txt").read_text() == "keep me"


def test_unfinished_rows_of_something_else_are_replaced(tmp_path):
    def broken(number):
        raise KeyboardInterrupt

    folder = tmp_path / "rows"
    with pytest.raises(KeyboardInterrupt):
        write(folder, broken, seed=9)
    rows = write(folder)
    assert rows.stated["seed"] == 3


def test_wrong_numbers_of_rows_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="one row or more"):
        write(tmp_path / "none", num_rows=0)
    with pytest.raises(ParameterError, match="Expected 1999 rows; got 2000"):
        write(tmp_path / "less", num_rows=1_999)
    assert not (tmp_path / "less" / "rows.npy").exists()


def test_the_rows_of_a_data_set_are_its_pairs(tmp_path, invented):
    filters = jwst_filters().subset(["F200W", "F1000W"])
    options = {"split": "train", "seed": 5}
    rows = write_rows(tmp_path / "rows", [(invented, 4)], filters, **options)
    pairs = invented.pairs(filters, variants=4, **options)
    expected = np.concatenate([pairs.theta, pairs.condition, pairs.x], axis=1)
    found = np.concatenate(rows.block(0), axis=1)
    assert rows.columns == (6, 1, 2)
    assert len(found) == len(expected) == rows.num_rows
    order, other = np.argsort(found[:, 6]), np.argsort(expected[:, 6])
    np.testing.assert_array_equal(found[order], expected[other].astype(np.float32))
    stated = json.loads((tmp_path / "rows" / "rows.json").read_text())["stated"]
    assert stated["datasets"][0]["dataset"] == invented.recipe.identity
    assert stated["datasets"][0]["variants"] == 4
    assert (stated["split"], stated["seed"]) == ("train", 5)
    with pytest.raises(OutputExistsError, match="'variants': 3.*'variants': 4.*. Name"):
        write_rows(tmp_path / "rows", [(invented, 3)], filters, **options)
