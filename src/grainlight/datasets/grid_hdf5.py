"""A model grid in HDF5: data sets of parameters, wavelengths and spectra."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from grainlight.core import FileFormatError
from grainlight.datasets.grid_source import (
    Column,
    GridSource,
    Wave,
    broken_file,
    given_wave,
    numbers,
    some_names,
    text_of,
)

HDF5 = (".h5", ".hdf5", ".hdf")


@contextmanager
def open_hdf5_grid(
    path: Path,
    names: Sequence[str],
    wave: Wave | None,
    spectrum: str | None,
    theta: str | None,
) -> Iterator[GridSource]:
    """Open a grid whose spectra are read by rows; see `import_grid`."""
    try:
        file = h5py.File(path)
    except OSError as error:
        raise broken_file(path, error) from error
    with file:
        yield _hdf5_grid(file, path, names, wave, spectrum, theta)


def _hdf5_grid(
    file: h5py.File,
    path: Path,
    names: Sequence[str],
    wave: Wave | None,
    spectrum: str | None,
    theta: str | None,
) -> GridSource:
    there: dict[str, h5py.Dataset] = {}
    file.visititems(
        lambda name, item: (
            there.__setitem__(name, item) if isinstance(item, h5py.Dataset) else None
        )
    )

    def find(name: str, what: str) -> h5py.Dataset:
        if name.strip("/") not in there:
            raise FileFormatError(
                f"Expected a data set of {what} named {name} in {path}; got "
                f"{some_names(there)}. Correct the name."
            )
        return there[name.strip("/")]

    if wave is None or spectrum is None:
        raise FileFormatError(
            f"Expected the names of the wavelengths and the spectra in {path}; got "
            f"{'no wavelengths' if wave is None else 'no spectra'}. Name them: there "
            f"is {some_names(there)}."
        )
    columns = _hdf5_theta(path, names, theta, find)
    if isinstance(wave, str) and wave.strip("/") in there:
        item = find(wave, "wavelengths")
        grid = Column(np.asarray(item, dtype=float), text_of(item.attrs.get("units")))
    else:
        grid = Column(given_wave(wave, path, there), None)
    spectra = find(spectrum, "spectra")
    return GridSource(
        np.stack([numbers(column.values) for column in columns], axis=1),
        tuple(column.unit or "" for column in columns),
        grid.values,
        grid.unit,
        spectra,
        text_of(spectra.attrs.get("units")),
    )


def _hdf5_theta(
    path: Path,
    names: Sequence[str],
    theta: str | None,
    find: Callable[[str, str], h5py.Dataset],
) -> list[Column]:
    if theta is None:
        found = [find(name, "parameters") for name in names]
        columns = [Column(np.asarray(d), text_of(d.attrs.get("units"))) for d in found]
        shapes = {column.values.shape for column in columns}
        if len(shapes) > 1 or len(next(iter(shapes))) != 1:
            raise FileFormatError(
                f"Expected one number a model of each parameter in {path}; got shapes "
                f"{', '.join(map(str, sorted(shapes)))}. Name the data set of all "
                "parameters as theta if there is one."
            )
        return columns
    table: Any = np.asarray(find(theta, "parameters"))
    if table.dtype.names is not None and set(names) <= set(table.dtype.names):
        return [Column(np.asarray(table[name]), None) for name in names]
    if table.dtype.names is not None or table.shape[1:] != (len(names),):
        raise FileFormatError(
            f"Expected {theta} in {path} with a column for each of "
            f"{', '.join(names)}; got {table.dtype.names or table.shape}. Name all its "
            "columns in order."
        )
    return [Column(table[:, i], None) for i in range(len(names))]
