"""The files of a data set: Parquet shards, each written whole or not at all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from grainlight.core import FileFormatError


def shard_path(folder: Path, shard: int) -> Path:
    """Path of one shard."""
    return Path(folder) / f"shard-{shard:05d}.parquet"


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}.part")
    pq.write_table(table, partial, compression="zstd")
    os.replace(partial, path)


def is_whole(folder: Path, shard: int, num_rows: int) -> bool:
    """Whether a shard is there with all its rows."""
    path = shard_path(folder, shard)
    if not path.exists():
        return False
    try:
        return pq.read_metadata(path).num_rows == num_rows
    except (OSError, pa.ArrowInvalid):
        return False


def check_shards(folder: Path, num_shards: int, mend: str) -> None:
    """Raise `FileFormatError` if a shard is missing.

    Args:
        folder: Folder of the data set.
        num_shards: Number of its shards.
        mend: How to get those that are missing.
    """
    missing = sum(not shard_path(folder, n).exists() for n in range(num_shards))
    if missing:
        raise FileFormatError(
            f"Expected {num_shards} shards in {folder}; {missing} are missing. {mend}"
        )


def read_shards(folder: Path, num_shards: int) -> Iterator[pa.Table]:
    """The rows of a data set, one table a shard."""
    for shard in range(num_shards):
        yield pq.read_table(shard_path(folder, shard))
