"""Chains of other programs: anesthetic, PolyChord, getdist, ArviZ, NumPy.

Nothing is executed and nothing is unpickled. Bounds come from a `.ranges` file where
there is one; all others are open until the caller gives them.
"""

import csv
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from grainlight.core import FileFormatError
from grainlight.estimators import Support
from grainlight.marginal.chains import Chains

with warnings.catch_warnings():
    # ArviZ 0.23 announces its next major version once a day
    warnings.simplefilter("ignore", FutureWarning)
    import arviz

_BROKEN = (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile)
_DEAD = "_dead-birth.txt"
#: Columns of anesthetic that are no parameters.
_KNOWN = ("logL", "logL_birth", "nlive", "logX", "logw", "chain", "insertion")


def read_chains(
    path: str | Path,
    names: Sequence[str] | None = None,
    *,
    support: Support | None = None,
    burn_in: float = 0.0,
) -> Chains:
    """Read weighted draws, told by the ending of the file.

    `.csv` is anesthetic's, `.nc` ArviZ's, `_dead-birth.txt` PolyChord's, `.txt` or a
    root without ending getdist's, `.npy` a table of draws, `.npz` one with `theta` and,
    if need be, `weight` or `log_weight` and `names`.

    Args:
        path: The file, or the root of getdist files.
        names: Parameters to keep; all if none are named.
        support: Bounds of the parameters that are kept, instead of those of the file.
        burn_in: Fraction left out at the start of every getdist chain.
    """
    path = Path(path)
    try:
        chains = _reader(path)(path, burn_in)
    except FileFormatError:
        raise
    except _BROKEN as error:
        raise FileFormatError(
            f"Expected chains in {path}; got a file that does not read as such "
            f"({error}). Give .csv of anesthetic, .nc of ArviZ, a root of getdist or "
            "PolyChord, .npy or .npz."
        ) from error
    chains = chains if names is None else chains.select(names)
    return chains if support is None else chains.within(support)


def _reader(path: Path) -> Callable[[Path, float], Chains]:
    by_ending = {".csv": _anesthetic, ".nc": _arviz, ".npy": _table, ".npz": _tables}
    if path.suffix in by_ending:
        return by_ending[path.suffix]
    return _polychord if path.name.endswith(_DEAD) else _getdist


def _open(dim: int) -> Support:
    return Support.free(dim)


def _anesthetic(path: Path, burn_in: float) -> Chains:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    head = rows[0]
    if len(head) < 3 or "weights" not in {*rows[0][:2], *rows[min(2, len(rows) - 1)]}:
        raise FileFormatError(
            f"Expected a table that anesthetic wrote in {path}; got a header {head}. "
            "Write it by `samples.to_csv`."
        )
    start = 1 if head[1] == "weights" else 3
    table = np.array([[float(x or "nan") for x in row[1:]] for row in rows[start:]])
    columns = {name: table[:, i] for i, name in enumerate(head[1:])}
    weight = table[:, 0]
    names = [name for name in head[2:] if name not in _KNOWN]
    theta = np.stack([columns[name] for name in names], axis=1)
    birth = columns.get("logL_birth")
    with np.errstate(divide="ignore"):
        return Chains(
            tuple(names),
            theta,
            np.log(weight),
            _open(len(names)),
            "chain" if birth is None else "nested",
            columns.get("logL"),
            birth,
        )


def _polychord(path: Path, burn_in: float) -> Chains:
    table = np.loadtxt(path, ndmin=2)
    theta, death, birth = table[:, :-2], table[:, -2], table[:, -1]
    root = path.with_name(path.name.removesuffix(_DEAD))
    names, support = _getdist_words(root, theta.shape[1])
    bare = Chains(names, theta, np.zeros(len(theta)), support, "nested", death, birth)
    return bare.reweighted(np.random.default_rng(len(theta)))


def _getdist(path: Path, burn_in: float) -> Chains:
    root = path.with_suffix("") if path.suffix == ".txt" else path
    files = sorted(root.parent.glob(f"{root.name}_[0-9]*.txt"))
    files = [file for file in files if file.stem.rpartition("_")[2].isdigit()]
    single = root.with_name(root.name + ".txt")
    files = [single] if single.is_file() else files
    if not files:
        raise FileFormatError(
            f"Expected getdist chains {root.name}.txt or {root.name}_1.txt in "
            f"{root.parent}; got none. Give their root, without number and ending."
        )
    tables = [np.loadtxt(file, ndmin=2) for file in files]
    table = np.concatenate([part[int(burn_in * len(part)) :] for part in tables])
    base = root
    if not root.with_name(root.name + ".paramnames").is_file():
        base = root.with_name(root.name.rpartition("_")[0] or root.name)
    names, support = _getdist_words(base, table.shape[1] - 2)
    with np.errstate(divide="ignore"):
        log_weight = np.log(table[:, 0])
    return Chains(names, table[:, 2:], log_weight, support, "chain")


def _getdist_words(root: Path, dim: int) -> tuple[tuple[str, ...], Support]:
    """Names and bounds that stand beside the chains of getdist or PolyChord."""
    place = root.with_name(root.name + ".paramnames")
    names = [f"p{i}" for i in range(dim)]
    if place.is_file():
        lines = place.read_text(encoding="utf-8").splitlines()
        names = [line.split()[0].rstrip("*") for line in lines if line.strip()]
        if len(names) != dim:
            raise FileFormatError(
                f"Expected {dim} names in {place}, one a column; got {len(names)}. "
                "Give the file that belongs to the chains."
            )
    return tuple(names), read_ranges(root.with_name(root.name + ".ranges"), names)


def read_ranges(path: Path, names: Sequence[str]) -> Support:
    """Bounds of parameters in a getdist `.ranges` file; `N` is none, `P` a period."""
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    turns = np.zeros(len(names), bool)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        words = line.split()
        if len(words) < 3 or words[0] not in names:
            continue
        at = list(names).index(words[0])
        lower[at] = -np.inf if words[1] == "N" else float(words[1])
        upper[at] = np.inf if words[2] == "N" else float(words[2])
        turns[at] = len(words) > 3 and words[3] == "P"
    return Support.between(lower, upper, turns)


def _arviz(path: Path, burn_in: float) -> Chains:
    data = arviz.from_netcdf(str(path))
    names, columns = [], []
    for name, variable in data.posterior.data_vars.items():
        flat = np.asarray(variable, float)
        flat = flat.reshape(flat.shape[0] * flat.shape[1], -1)
        several = flat.shape[1] > 1
        names += [f"{name}[{i}]" if several else name for i in range(flat.shape[1])]
        columns.append(flat)
    theta = np.concatenate(columns, axis=1)
    log_weight = np.zeros(len(theta))
    chains = data.posterior.sizes["chain"]
    stats = getattr(data, "sample_stats", {})
    if "log_weight" in stats:
        log_weight = np.asarray(stats["log_weight"], float).reshape(len(theta))
    order = "chain" if chains > 1 or "log_weight" not in stats else "independent"
    return Chains(tuple(names), theta, log_weight, _open(len(names)), order)


def _table(path: Path, burn_in: float) -> Chains:
    theta = np.load(path, allow_pickle=False)
    if theta.ndim != 2 or theta.dtype.kind not in "fiu":
        raise FileFormatError(
            f"Expected a table of numbers, a draw a row, in {path}; got shape "
            f"{theta.shape} of {theta.dtype}. Save a two-dimensional array."
        )
    return Chains.from_draws(np.asarray(theta, float), _open(theta.shape[1]))


def _tables(path: Path, burn_in: float) -> Chains:
    with np.load(path, allow_pickle=False) as stored:
        theta = np.asarray(stored["theta"], float)
        weight = None
        if "weight" in stored.files:
            weight = np.asarray(stored["weight"], float)
        if "log_weight" in stored.files:
            log_weight = np.asarray(stored["log_weight"], float)
            weight = np.exp(log_weight - np.max(log_weight))
        names = [str(n) for n in stored["names"]] if "names" in stored.files else None
        return Chains.from_draws(theta, _open(theta.shape[1]), weight, names)
