"""What `dataset.json` states of a data set, of whatever kind."""

import hashlib
import json
import os
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from grainlight.core import FileFormatError, Parameter, ParameterError, Parameters

NAME = "dataset.json"
#: How each kind of data set is opened and made into pairs.
WAYS = {
    "shell-spectra": "`Dataset.open(folder)`, or `grainlight train`",
    "grid-spectra": "`GridDataset.open(folder).pairs(...)` in Python",
    "simulations": "`Simulations.open(folder)` in Python",
}


def check_kind(folder: Path, stated: object, kind: str) -> None:
    """Raise `FileFormatError` if a data set says that it is of another kind.

    Args:
        folder: Where it is.
        stated: What its `dataset.json` holds.
        kind: What it should be.
    """
    found = stated.get("kind", kind) if isinstance(stated, dict) else kind
    if found == kind:
        return
    way = WAYS.get(str(found))
    mend = f"Use {way}" if way else "Update Grainlight"
    if way and kind == "shell-spectra":
        mend += ", then train with `estimators.fit_estimator`: docs/bring-your-own.md"
    raise FileFormatError(
        f"Expected a data set of {kind} in {folder}; got one of {found}. {mend}."
    )


def read_statement(folder: Path, kind: str) -> dict:
    """Read `dataset.json` of a data set of a kind; raises `FileFormatError`."""
    path = Path(folder) / NAME
    try:
        stated = json.loads(path.read_text())
        got = "" if isinstance(stated, dict) and "kind" in stated else "other words"
    except (OSError, ValueError) as error:
        stated, got = {}, f"{type(error).__name__}: {error}"
    if got:
        raise FileFormatError(
            f"Expected a data set with a readable {NAME} in {folder}; got {got}. Check "
            "the path, or make it again."
        )
    check_kind(folder, stated, kind)
    return stated


def write_statement(folder: Path, stated: dict) -> None:
    """Write `dataset.json`, whole or not at all, with the version of the package."""
    try:
        own = version("grainlight")
    except PackageNotFoundError:
        own = "not installed"
    text = json.dumps(stated | {"versions": {"grainlight": own}}, indent=1)
    partial = Path(folder) / f"{NAME}.part"
    partial.write_text(text)
    os.replace(partial, Path(folder) / NAME)


def identity_of(stated: dict) -> str:
    """Hash of what the numbers of a data set depend on."""
    text = json.dumps(stated, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def parameters_to_json(parameters: Parameters) -> list[dict]:
    """Parameters as `dataset.json` states them."""
    return [asdict(member) for member in parameters.members]


def parameters_from_json(stated: list[dict]) -> Parameters:
    """Undo `parameters_to_json`."""
    return Parameters(tuple(Parameter(**member) for member in stated))


def check_names(parameters: Parameters, reserved: tuple[str, ...]) -> None:
    """Raise `ParameterError` if a parameter has the name of a column of the shards."""
    taken = [name for name in parameters.names if name in reserved]
    if taken:
        raise ParameterError(
            f"Expected parameters with names other than {', '.join(reserved)}, which "
            f"are columns of a data set; got {', '.join(taken)}. Rename them."
        )


def scaled_theta(
    table: pa.Table, parameters: Parameters
) -> Float[np.ndarray, "object param"]:
    """Scaled parameters of a shard that has a column for each, physical."""
    columns = [table[name].to_numpy().astype(float) for name in parameters.names]
    return scale_columns(np.stack(columns, axis=1), parameters)


def scale_columns(
    theta: Float[np.ndarray, "object param"], parameters: Parameters
) -> Float[np.ndarray, "object param"]:
    """Physical to scaled values in double precision; nan where there is no log."""
    scaled = np.array(theta, dtype=float)
    for i, member in enumerate(parameters.members):
        if member.scale == "log10":
            positive = np.where(scaled[:, i] > 0, scaled[:, i], np.nan)
            scaled[:, i] = np.log10(positive)
    return scaled
