"""Catalogues in the HATS layout, one partition a tile of the sky.

A folder `dataset` holds `Norder=K/Dir=D/Npix=P.parquet`, or a folder `Npix=P` with some
files; `hats.properties` says what they are, and `partition_info.csv` lists them. A
collection is a folder whose `collection.properties` names such a catalogue.

References:
    Caplar et al. (2025), HATS, IVOA Note 1.0.
"""

import csv
import re
from pathlib import Path

from grainlight.catalog.parquet import ParquetRows
from grainlight.catalog.source import Source
from grainlight.core import FileFormatError
from grainlight.photometry.columns import roles_of

PROPERTIES = ("hats.properties", "properties")
COLLECTION, PARTITIONS = "collection.properties", "partition_info.csv"
DEEPEST = 29  # order of the curve along which the tiles are sorted
_TILE = re.compile(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)(?:\.[^/]*)?(?:/[^/]+)?")


def is_hats(folder: Path) -> bool:
    """Whether a folder says that it is a HATS catalogue, or a collection of one."""
    return any((folder / name).is_file() for name in (*PROPERTIES, COLLECTION))


def open_hats(folder: Path) -> Source:
    """A HATS catalogue of objects, tile after tile along the curve of its pixels.

    Position, pixel and the object's own name are taken over by the results.
    """
    if (folder / COLLECTION).is_file():
        folder = folder / _primary(folder / COLLECTION)
    properties = _properties(folder)
    kind = properties.get("dataproduct_type", "object")
    if kind not in ("object", "source"):
        raise FileFormatError(
            f"Expected a HATS catalogue of objects in {str(folder)!r}; got one of kind "
            f"{kind!r}. Give the catalogue that it belongs to."
        )
    files = _files(folder)
    rows = ParquetRows(files)
    stated = properties.get("hats_nrows", "")
    if stated.isdigit() and int(stated) != rows.num_rows:
        raise FileFormatError(
            f"Expected {stated} rows in {str(folder)!r}, as its properties say; got "
            f"{rows.num_rows}. Copy it again."
        )
    names = _kept(properties, rows.schema.names)
    return Source(
        folder,
        sum(file.stat().st_size for file in files),
        rows.num_rows,
        tuple(rows.schema.names),
        rows.read,
        lambda low, high: rows.take(names, low, high),
    )


def _kept(properties: dict[str, str], names: list[str]) -> list[str]:
    """Columns that the results take over: name, pixel and position."""
    roles = roles_of(names)
    wanted = [roles["object"].name] if "object" in roles else []
    usual = {"healpix": f"_healpix_{DEEPEST}", "ra": "ra", "dec": "dec"}
    wanted += [properties.get(f"hats_col_{k}", name) for k, name in usual.items()]
    return [name for name in dict.fromkeys(wanted) if name in names]


def _files(folder: Path) -> list[Path]:
    """The files of all tiles, sorted along the sky."""
    found: list[tuple[int, int, str, Path]] = []
    for path in (folder / "dataset").rglob("*"):
        place = path.relative_to(folder / "dataset").as_posix()
        match = _TILE.fullmatch(place)
        if match and path.is_file() and not path.name.startswith(("_", ".")):
            order, pixel = int(match[1]), int(match[2])
            start = pixel << 2 * (DEEPEST - order)
            found.append((start, order, place, path))
    tiles = {(order, start >> 2 * (DEEPEST - order)) for start, order, *_ in found}
    missing = _listed(folder) - tiles
    if missing or not found:
        raise FileFormatError(
            f"Expected the tiles of a HATS catalogue in {str(folder / 'dataset')!r}; "
            f"got {len(tiles)}, and {len(missing)} that {PARTITIONS} lists are not "
            "there. Copy it again."
        )
    return [path for *_, path in sorted(found)]


def _listed(folder: Path) -> set[tuple[int, int]]:
    """Order and pixel of the tiles that the catalogue lists; none without a list."""
    path = folder / PARTITIONS
    if not path.is_file():
        return set()
    with path.open(encoding="utf-8", newline="") as file:
        try:
            return {(int(r["Norder"]), int(r["Npix"])) for r in csv.DictReader(file)}
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"Expected columns Norder and Npix of numbers in {str(path)!r}; it "
                f"does not read ({error!r}). Copy it again."
            ) from error


def _primary(path: Path) -> str:
    name = _read(path).get("hats_primary_table_url", "")
    if not name or "://" in name:
        raise FileFormatError(
            f"Expected a folder as hats_primary_table_url in {str(path)!r}; got "
            f"{name!r}. Give the folder of the catalogue itself."
        )
    return name


def _properties(folder: Path) -> dict[str, str]:
    for name in PROPERTIES:
        if (folder / name).is_file():
            return _read(folder / name)
    raise FileFormatError(
        f"Expected {PROPERTIES[0]} in {str(folder)!r}; got none. Copy the catalogue "
        "again."
    )


def _read(path: Path) -> dict[str, str]:
    """Properties by key, of lines `key = value`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if line.strip()[:1] not in "#!"]
    return {k.strip(): v.strip().replace("\\", "") for k, _, v in pairs}
