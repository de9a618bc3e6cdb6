"""Blocks of rows on disk."""

import json

import numpy as np
import pytest

from grainlight.core import FileFormatError, ParameterError
from grainlight.datasets import RowBlocks, write_shuffled


@pytest.fixture
def folder(tmp_path):
    def part(number):
        row = np.arange(10.0)[:, None] + 10 * number
        return row, np.zeros((10, 0)), np.tile(row, 3)

    names = ("theta", "condition", "x")
    folder = tmp_path / "rows"
    write_shuffled(folder, {}, names, part, num_parts=2, num_rows=20, seed=0)
    return folder


def test_blocks_are_of_one_size_and_go_round_the_end(folder):
    rows = RowBlocks.open(folder, block_size=8)
    whole = np.load(folder / "rows.npy")
    for start in (0, 7, 12, 15, 19, 20, 35):
        theta, condition, x = rows.block(start)
        expected = np.roll(whole, -start, axis=0)[:8]
        np.testing.assert_array_equal(theta, expected[:, :1])
        np.testing.assert_array_equal(x, expected[:, 1:])
        assert condition.shape == (8, 0)


def test_a_block_is_never_longer_than_all_rows(folder):
    rows = RowBlocks.open(folder)
    assert rows.block_size == rows.num_rows == 20
    assert len(rows.block(3)[0]) == 20
    with pytest.raises(ParameterError, match="one row or more"):
        RowBlocks.open(folder, block_size=0)


def test_a_block_is_a_copy_of_its_own(folder):
    rows = RowBlocks.open(folder, block_size=8)
    theta = rows.block(0)[0]
    before = theta.copy()
    theta[:] = -1
    np.testing.assert_array_equal(rows.block(0)[0], before)


@pytest.mark.parametrize("harm", ["no words", "cut", "other shape", "no columns"])
def test_broken_rows_are_refused(folder, harm):
    if harm == "no words":
        (folder / "rows.json").unlink()
    elif harm == "cut":
        path = folder / "rows.npy"
        path.write_bytes(path.read_bytes()[:200])
    elif harm == "other shape":
        np.save(folder / "rows.npy", np.zeros((20, 4)))
    else:
        words = json.loads((folder / "rows.json").read_text())
        del words["columns"]
        (folder / "rows.json").write_text(json.dumps(words))
    with pytest.raises(FileFormatError, match="Expected finished rows"):
        RowBlocks.open(folder)
