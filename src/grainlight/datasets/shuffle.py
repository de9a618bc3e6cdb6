"""Write rows to disk in random order, with little of them in memory.

Each part throws every row into one of many buckets at random and is written by itself;
then one bucket after the other is gathered from all parts, shuffled and appended. Every
order is equally likely, and no more than a part or a bucket is in memory. A part that
is there is not made again, so that a rerun resumes.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from grainlight.core import OutputExistsError, ParameterError
from grainlight.datasets.row_blocks import ROWS, WORDS, RowBlocks
from grainlight.simulators import Progress

FORMAT = 1
BUCKET_SIZE = 50_000  # rows
LONGEST = 80  # letters of one word in a message
PARTS, STATED, WIDTHS = "parts", "stated.json", "columns.json"

#: The columns of one part of the rows.
MakePart = Callable[[int], Sequence[Float[np.ndarray, "row _"]]]


def write_shuffled(
    folder: Path,
    stated: dict[str, Any],
    names: Sequence[str],
    make_part: MakePart,
    *,
    num_parts: int,
    num_rows: int,
    seed: int,
    progress: Progress | None = None,
) -> RowBlocks:
    """Write rows in random order, whole or not at all; finished ones are kept.

    Args:
        folder: Where they go.
        stated: Plain words on what they are of; a folder with others is refused.
        names: Names of the columns.
        make_part: Columns of a part, from its number.
        num_parts: Number of parts.
        num_rows: Rows of all parts.
        seed: Seed of the order.
        progress: Called with the parts done and their number.
    """
    folder = Path(folder)
    stated = {"format": FORMAT, "bucket": BUCKET_SIZE, "seed": seed, **stated}
    if num_rows < 1 or num_parts < 1:
        raise ParameterError(
            f"Expected one row or more to write; got {num_rows} in {num_parts} parts. "
            "Simulate more."
        )
    if _is_finished(folder, stated):
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        return RowBlocks.open(folder)
    parts = _claim(folder, stated)
    num_buckets = -(-num_rows // BUCKET_SIZE)
    for number in range(num_parts):
        if not _part_path(parts, number).exists():
            _write_part(parts, number, names, make_part(number), seed, num_buckets)
        if progress is not None:
            progress(number + 1, num_parts)
    _gather(folder, parts, num_parts, num_rows, num_buckets, seed)
    widths = json.loads((parts / WIDTHS).read_text())
    _put_json(
        folder / WORDS, {"num_rows": num_rows, "columns": widths, "stated": stated}
    )
    shutil.rmtree(parts)
    return RowBlocks.open(folder)


def _is_finished(folder: Path, stated: dict[str, Any]) -> bool:
    if not (folder / WORDS).exists():
        return False
    found, asked = RowBlocks.open(folder).stated, json.loads(json.dumps(stated))
    if found != asked:
        other = [name for name in asked if found.get(name) != asked[name]]
        wanted, there = (
            ", ".join(f"{name} {str(words.get(name))[:LONGEST]}" for name in other)
            for words in (asked, found)
        )
        raise OutputExistsError(
            f"Expected a folder for rows with {wanted}; {folder} holds those with "
            f"{there}. Name another folder, or delete that one."
        )
    return True


def _claim(folder: Path, stated: dict[str, Any]) -> Path:
    """A folder of parts of these very rows; parts of others are removed."""
    parts, text = folder / PARTS, json.dumps(stated, indent=1)
    note = parts / STATED
    if folder.exists() and not note.exists():
        if not folder.is_dir() or any(folder.iterdir()):
            raise OutputExistsError(
                f"Expected a new folder for rows; got {folder}, which holds other "
                "files. Name another folder."
            )
    if note.exists() and note.read_text() != text:
        shutil.rmtree(parts)
    for stale in folder.glob(f"{ROWS}.*.part"):
        stale.unlink()
    if not note.exists():
        partial = folder / f"{PARTS}.{os.getpid()}"
        partial.mkdir(parents=True)
        (partial / STATED).write_text(text)
        partial.rename(parts)
    return parts


def _part_path(parts: Path, number: int) -> Path:
    return parts / f"part-{number:05d}.npy"


def _write_part(
    parts: Path,
    number: int,
    names: Sequence[str],
    columns: Sequence[Float[np.ndarray, "row _"]],
    seed: int,
    num_buckets: int,
) -> None:
    """Write the rows of a part, those of each bucket together."""
    widths = [column.shape[1] for column in columns]
    _put_json(parts / WIDTHS, dict(zip(names, widths, strict=True)))
    rows = np.concatenate(columns, axis=1).astype(np.float32)
    bucket = _buckets(seed, number, len(rows), num_buckets)
    _put(_part_path(parts, number), rows[np.argsort(bucket, kind="stable")])


def _buckets(
    seed: int, part: int, num_rows: int, num_buckets: int
) -> Int[np.ndarray, " row"]:
    """Bucket of each row of a part: the same whenever it is asked for."""
    generator = np.random.default_rng(np.random.SeedSequence((seed, 0, part)))
    return generator.integers(num_buckets, size=num_rows)


def _gather(
    folder: Path,
    parts: Path,
    num_parts: int,
    num_rows: int,
    num_buckets: int,
    seed: int,
) -> None:
    """Append bucket after bucket, each in random order."""
    paths = [_part_path(parts, number) for number in range(num_parts)]
    shapes = [np.load(path, mmap_mode="r").shape for path in paths]
    ends = np.zeros((num_parts, num_buckets + 1), dtype=np.int64)
    for number, shape in enumerate(shapes):
        bucket = _buckets(seed, number, shape[0], num_buckets)
        ends[number, 1:] = np.cumsum(np.bincount(bucket, minlength=num_buckets))
    if ends[:, -1].sum() != num_rows:
        raise ParameterError(
            f"Expected {num_rows} rows; got {ends[:, -1].sum()} in all parts. State "
            "the number of rows that the parts have."
        )
    partial = folder / f"{ROWS}.{os.getpid()}.part"
    shape = (num_rows, shapes[0][1])
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    try:
        with partial.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for number in range(num_buckets):
                rows = _bucket(paths, ends[:, number], ends[:, number + 1])
                mixed = np.random.default_rng(np.random.SeedSequence((seed, 1, number)))
                stream.write(rows[mixed.permutation(len(rows))].tobytes())
        os.replace(partial, folder / ROWS)
    finally:
        partial.unlink(missing_ok=True)


def _bucket(
    paths: list[Path], first: Int[np.ndarray, " part"], last: Int[np.ndarray, " part"]
) -> Float32[np.ndarray, "row width"]:
    return np.concatenate(
        [
            np.load(path, mmap_mode="r")[start:stop]
            for path, start, stop in zip(paths, first, last, strict=True)
        ]
    )


def _put(path: Path, rows: Float32[np.ndarray, "row width"]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with partial.open("wb") as stream:
        np.save(stream, rows, allow_pickle=False)
    os.replace(partial, path)


def _put_json(path: Path, words: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(json.dumps(words, indent=1) + "\n")
    os.replace(partial, path)
