"""What the results in a folder depend on, written there before the first of them."""

import json
import os
from pathlib import Path
from typing import Any

from grainlight.catalog.source import Source
from grainlight.catalog.worker import CatalogSettings
from grainlight.core import OutputExistsError
from grainlight.estimators.shell_model import ShellModel

STATEMENT = "catalog.json"


def state(
    seed: int,
    model: ShellModel,
    source: Source,
    settings: CatalogSettings,
    reading: dict[str, Any],
) -> dict[str, Any]:
    """What the results depend on, for the record and for a resumed run."""
    return {
        "kind": "catalog",
        "source": {
            "file": str(source.path.resolve()),
            "bytes": source.num_bytes,
            "num_rows": source.num_rows,
        },
        "reading": {
            name: value for name, value in reading.items() if value is not None
        },
        "model": {"name": model.name, "identity": model.identity},
        "seed": seed,
        "settings": {
            "fit": settings.fit.words(),
            "num_draws": settings.num_draws,
            "rows": settings.rows,
            "method": settings.method,
        },
    }


def open_folder(folder: Path, stated: dict[str, Any]) -> None:
    """Make the folder, or make sure that it is of the same run."""
    path, text = folder / STATEMENT, json.dumps(stated, indent=1)
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != json.loads(text):
            raise OutputExistsError(
                f"Expected a folder of the same table, model, seed and settings to go "
                f"on; {folder} is of others. Name another folder."
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(
            f"Expected a new folder, or one of `grainlight catalog`; got {folder}, "
            "which holds something else. It was kept. Name another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, path)
