"""Tables as text: ECSV, CSV and their relatives, cell by cell, with units and notes."""

import csv
import re
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy.table import Table

from grainlight.core import FileFormatError

_KINDS = {
    b"SIMPLE  =": "a FITS file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 or netCDF file",
    b"PAR1": "a Parquet file",
    b"<?xml": "an XML file or VOTable",
    b"<VOTABLE": "a VOTable",
    b"{": "a JSON file",
}
_MEND = "Give a text table, ECSV or CSV, with one row a band or one row an object."
_VOSA = "object ra dec distance_pc av filter flux error pntopts objopts".split()
_DUSTYSN = {"flux", "flux_err", "ul", "filter", "telescope", "instrument"}


@dataclass(frozen=True)
class RawTable:
    """A table before anything in it is understood: texts, units, notes.

    Attributes:
        columns: Cells by column name; a masked cell is empty.
        units: Units by column name, where the file states them.
        meta: Notes by key, from the ECSV header or `# key: value` lines.
        default_unit: Unit of flux that the format itself implies, if any.
    """

    columns: dict[str, list[str]]
    units: dict[str, str] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    default_unit: str | None = None

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


def read_table(path: str | Path) -> RawTable:
    """Read a text table of any of the layouts that photometry comes in.

    ECSV; CSV by comma, semicolon, tab, bar or blanks, with its header in the first line
    or in a comment; the ten columns of VOSA, with or without a header.
    """
    path = Path(path)
    text = _text_of(path)
    if text.lstrip().startswith("# %ECSV"):
        table = _parse_ecsv(path, text)
    else:
        table = _parse_plain(path, text)
    if table.num_rows == 0:
        raise FileFormatError(
            f"Expected rows in {str(path)!r}; got a header alone. {_MEND}"
        )
    return _with_default_unit(table)


def plain_key(name: str) -> str:
    """A column name or key in lower case, its punctuation made underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _text_of(path: Path) -> str:
    if path.is_dir():
        raise FileFormatError(f"Expected a file; got the folder {str(path)!r}. {_MEND}")
    if not path.exists():
        raise FileFormatError(
            f"Expected a file at {str(path)!r}; got nothing there. Check the path."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileFormatError(
            f"Expected a readable file; got {error.strerror} for {str(path)!r}. Check "
            "its permissions."
        ) from error
    if not data.strip():
        raise FileFormatError(f"Expected a table; {str(path)!r} is empty. {_MEND}")
    for magic, kind in _KINDS.items():
        if data.startswith(magic):
            raise FileFormatError(
                f"Expected a text table; {str(path)!r} is {kind}. {_MEND}"
            )
    try:
        if b"\0" in data:
            raise UnicodeDecodeError("utf-8", data[:1], 0, 1, "zero byte")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"Expected a text table in UTF-8; {str(path)!r} is binary or in another "
            f"encoding. {_MEND}"
        ) from error


def _parse_ecsv(path: Path, text: str) -> RawTable:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd units are judged by `flux_unit`
            table = Table.read(text.lstrip().splitlines(), format="ascii.ecsv")
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileFormatError(
            f"Expected ECSV in {str(path)!r}; it breaks off with: {reason}. Check the "
            "header and that every row has every column."
        ) from error
    if not table.colnames:
        raise FileFormatError(f"Expected columns in {str(path)!r}; got none. {_MEND}")
    columns = {name: [_cell(v) for v in table[name]] for name in table.colnames}
    units = {n: str(table[n].unit) for n in table.colnames if table[n].unit is not None}
    notes = {
        str(key): str(value)
        for key, value in table.meta.items()
        if isinstance(value, str | int | float | bool)
    }
    return RawTable(columns, units, notes)


def _cell(value: object) -> str:
    if np.ma.is_masked(value) or value is None:
        return ""
    return repr(float(value)) if isinstance(value, np.floating) else str(value).strip()


def _parse_plain(path: Path, text: str) -> RawTable:
    notes, comments, lines = {}, [], []
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if bare.startswith(("#", "@")):
            notes.update(_note(bare))
            if not lines:
                comments.append(bare.lstrip("#").strip())
        elif bare:
            lines.append((number, bare))
    if not lines:
        raise FileFormatError(f"Expected rows in {str(path)!r}; got none. {_MEND}")
    delimiter = _delimiter(lines[0][1])
    rows = [(number, _split(line, delimiter)) for number, line in lines]
    header, rows = _header(rows, comments, delimiter)
    if len(set(header)) != len(header) or not all(header):
        raise FileFormatError(
            f"Expected distinct column names in {str(path)!r}; got "
            f"{', '.join(header)}. Name every column once."
        )
    for number, cells in rows:
        if len(cells) != len(header):
            raise FileFormatError(
                f"Expected {len(header)} columns in line {number} of {str(path)!r}; "
                f"got {len(cells)}. Write --- or nan for what is missing."
            )
    columns = {n: [cells[i] for _, cells in rows] for i, n in enumerate(header)}
    return _units_from_names(RawTable(columns, meta=notes))


def _note(line: str) -> dict[str, str]:
    """`# key: value`, `# key = value` or the `@key value` of sncosmo."""
    pattern = r"@(\w+)\s+(.+)" if line[0] == "@" else r"#+\s*([\w .]+?)\s*[:=]\s*(.+)"
    match = re.fullmatch(pattern, line)
    return {match.group(1): match.group(2).strip()} if match else {}


def _delimiter(line: str) -> str:
    return next((mark for mark in ",;\t|" if mark in line), " ")


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        line = line.replace("\t", " ")
    if delimiter == "|":
        line = line.strip("|")
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    return [cell.strip() for cell in cells]


def _header(rows: list, comments: list[str], delimiter: str) -> tuple:
    """The column names, from the first row, a comment above it or the VOSA layout."""
    first = rows[0][1]
    if not any(_is_number(cell) for cell in first):
        return (_VOSA if _is_vosa(first) else first), rows[1:]
    for comment in reversed(comments):
        names = _split(comment, _delimiter(comment) if "," in comment else delimiter)
        if len(names) == len(first) and not any(map(_is_number, names)):
            return (_VOSA if _is_vosa(names) else names), rows
    if len(first) == len(_VOSA) and re.fullmatch(r"\S+/\S+\.\S+", first[5]):
        return _VOSA, rows
    return first, rows[1:]


def _is_vosa(names: list[str]) -> bool:
    return len(names) == len(_VOSA) and plain_key(names[8]) == "pntopts"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() != "nan"


def _units_from_names(table: RawTable) -> RawTable:
    """Take units in brackets off the names: `flux [mJy]` or `flux (mJy)`."""
    columns, units = {}, dict(table.units)
    for name, cells in table.columns.items():
        match = re.fullmatch(r"(.+?)\s*[\[(]([^\])]+)[\])]", name)
        bare = match.group(1) if match else name
        if match:
            units[bare] = match.group(2)
        columns[bare] = cells
    return replace(table, columns=columns, units=units)


def _with_default_unit(table: RawTable) -> RawTable:
    names = {plain_key(name) for name in table.columns}
    if "pntopts" in names:
        return replace(table, default_unit="erg/s/cm2/A")
    if _DUSTYSN <= names:
        return replace(table, default_unit="Jy")
    return table
