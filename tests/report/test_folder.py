"""Folders of results appear whole or not at all, and nothing else is ever lost."""

import json
import os
from pathlib import Path

import pytest

from grainlight.core import OutputExistsError
from grainlight.report.folder import folder_names, new_folder, write_words

FILES = ("mark.json", "table.ecsv")


def fill(path, text="new", **options):
    with new_folder(path, FILES, **{"overwrite": False, **options}) as folder:
        for name in FILES:
            (folder / name).write_text(text)


def tree(root):
    return {
        str(path.relative_to(root)): path.read_text() if path.is_file() else None
        for path in root.rglob("*")
    }


def test_a_folder_is_made_with_the_folders_above(tmp_path):
    fill(tmp_path / "a" / "b")
    assert set(tree(tmp_path)) == {"a", "a/b", "a/b/mark.json", "a/b/table.ecsv"}


def test_a_folder_of_results_is_replaced_when_asked(tmp_path):
    fill(tmp_path / "a", "old")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        fill(tmp_path / "a")
    assert (tmp_path / "a" / "mark.json").read_text() == "old"
    fill(tmp_path / "a", overwrite=True)
    assert (tmp_path / "a" / "mark.json").read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["a", "new/b"])
def test_a_failure_leaves_all_as_it_was(tmp_path, error, place):
    fill(tmp_path / "a", "old")
    before = tree(tmp_path)

    def fail():
        with new_folder(tmp_path / place, FILES, overwrite=True) as folder:
            (folder / "mark.json").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert tree(tmp_path) == before


def test_other_files_are_never_overwritten(tmp_path):
    fill(tmp_path / "a")
    (tmp_path / "a" / "notes.txt").write_text("mine")
    (tmp_path / "home" / "a").mkdir(parents=True)
    (tmp_path / "home" / "a" / "mark.json").write_text("deep inside")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "home")
    before = tree(tmp_path)
    for name in ("a", "home", "file", "link"):
        with pytest.raises(OutputExistsError, match="kept"):
            fill(tmp_path / name, overwrite=True)
    with pytest.raises(OutputExistsError, match="can be made"):
        fill(tmp_path / "file" / "below", overwrite=True)
    assert tree(tmp_path) == before


def test_folders_of_results_may_hold_folders_of_named_files(tmp_path):
    files = ("mark.json", "one/model.json")

    def write():
        with new_folder(tmp_path / "a", files, overwrite=True) as folder:
            (folder / "one").mkdir()
            for name in files:
                (folder / name).write_text("new")

    write()
    write()
    (tmp_path / "a" / "one" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"one/notes\.txt too"):
        write()


def test_the_folder_one_is_in_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (".", "..", "/"):
        with pytest.raises(OutputExistsError, match="in which you are"):
            fill(Path(name), overwrite=True)


def test_an_empty_folder_is_filled_and_subfolders_of_results_are_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    fill(tmp_path / "a")
    (tmp_path / "a" / "one").mkdir()
    (tmp_path / "a" / "one" / "mark.json").write_text("old")
    fill(tmp_path / "a", overwrite=True)
    assert sorted(os.listdir(tmp_path / "a")) == sorted(FILES)


def test_folders_of_objects_differ():
    names = ["SN a", "sn A", "SN/a", "..", "超新星", "x" * 300]
    found = folder_names(names)
    assert found[:5] == ["SN_a", "sn_A-2", "SN_a-3", "object", "超新星"]
    assert len(found[5]) < 100


def test_json_holds_no_nan(tmp_path):
    write_words(tmp_path / "a.json", {"name": "超新星"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"name": "超新星"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_words(tmp_path / "a.json", {"value": float("nan")})
