"""A catalogue of many objects, one in twenty broken: does it finish, and how fast?

    python benchmarks/catalog_size.py --rows 100000 --method amortized --draws 256
        --out results/catalog

Objects are drawn from the prior and the likelihood of the model and seen in fifteen
bands of JWST, three to all of them each, with errors of 2 to 20 per cent and limits
at 3 sigma. Of the broken rows some have no flux, some a negative error, a limit flag
that is no word, no distance, an infinite or an absurd flux, a redshift that the model
does not know; some have one band alone, which is no fault. Every row must have the
status that it should. Printed are objects and draws a second of processor time, and
objects a second of the clock (the first pieces, which compile, left out: one for each
worker), shares of the statuses, coverage of the truth and the largest memory after the
first pieces and at the end. The same command goes on where it was interrupted.
`--workers 2` has two processes do it, with `--dask local` of Dask; their time and
memory are not counted. `--every 20` leaves all rows of a piece without fluxes but in
one of twenty pieces: a very long table whose sound rows are done in minutes.
"""

import argparse
import json
import resource
import time
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grainlight.catalog import CatalogSettings, open_source, run_catalog
from grainlight.estimators import Kind
from grainlight.estimators.amortized_training import draw_pool
from grainlight.estimators.random_observing import Conditions, Observing
from grainlight.estimators.shell_model import ShellModel
from grainlight.simulators import SHELL_PARAMETERS, named_prior

PIECE = 8192  # rows of the table that are made together
BROKEN = 0.05
BANDS = (
    *("JWST/NIRCam.F115W", "JWST/NIRCam.F150W", "JWST/NIRCam.F200W"),
    *("JWST/NIRCam.F277W", "JWST/NIRCam.F356W", "JWST/NIRCam.F444W"),
    *("JWST/MIRI.F560W", "JWST/MIRI.F770W", "JWST/MIRI.F1000W", "JWST/MIRI.F1130W"),
    *("JWST/MIRI.F1280W", "JWST/MIRI.F1500W", "JWST/MIRI.F1800W"),
    *("JWST/MIRI.F2100W", "JWST/MIRI.F2550W"),
)
#: What may be wrong with a row, and the status that it must get.
FAULTS = {
    "nothing": "unusable",
    "negative error": "unusable",
    "unknown word": "unusable",
    "no distance": "unusable",
    "infinite": "unusable",
    "absurd": "outside",
    "far": "outside",
    "one band": "a posterior",
}
ANSWERED = ("ok", "low_ess", "not_converged", "nonfinite")


def make_table(path, truth_path, model, kinds, seed):
    """Write the table piece by piece, with what is wrong with each row."""
    rng, rows = np.random.default_rng((seed, 1)), len(kinds)
    measure = jax.jit(jax.vmap(Observing.of_bands(model.bands).measure))
    if path.is_file():
        return
    writer, truths = None, []
    for start in range(0, rows, PIECE):
        some = kinds[start : start + PIECE]
        key = jr.fold_in(jr.key(seed), start)
        columns, truth = observe(key, model, rng, some, measure)
        table = pa.table({"object": [f"o{start + i}" for i in range(len(some))]})
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values))
        writer = writer or pq.ParquetWriter(path.with_suffix(".part"), table.schema)
        writer.write_table(table, row_group_size=2048)
        truths.append(truth)
    writer.close()
    path.with_suffix(".part").rename(path)
    np.save(truth_path, np.concatenate(truths))


def choose_faults(rows, piece, every, seed):
    """What is wrong with each row; sound ones are in one piece of `every` alone."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(list(FAULTS), rows)
    kinds[rng.random(rows) > BROKEN] = ""
    kinds[np.arange(rows) // piece % every != 0] = "nothing"
    return kinds


def observe(key, model, rng, kinds, measure):
    """Columns of some rows, and their true scaled parameters."""
    number, keys = len(kinds), jr.split(key, 2)
    pool = draw_pool(keys[0], model, named_prior("thesis2023"), PIECE)
    order = jnp.asarray([model.bands.index(band) for band in BANDS])
    seen = np.zeros((PIECE, len(model.bands)), bool)
    for row, count in zip(seen, rng.integers(3, len(BANDS) + 1, PIECE), strict=True):
        row[rng.choice(np.asarray(order), count, replace=False)] = True
    error = 10 ** rng.uniform(np.log10(0.02), np.log10(0.2), PIECE)
    fixed = dict(floor=0.054, distance_error=0.05, depth=0.0, limit_sigma=3.0)
    same = {n: jnp.full(PIECE, v) for n, v in fixed.items()}
    conditions = Conditions(error=jnp.asarray(error), mask=jnp.asarray(seen), **same)
    data = measure(jr.split(keys[1], PIECE), conditions, pool.magnitude, pool.redshift)
    flux, sigma, kind = (
        np.array(part)[:number, np.asarray(order)]
        for part in (data.flux, data.error, data.kind)
    )
    flux[kind == Kind.missing] = np.nan
    redshift = np.array(pool.redshift, float)[:number]
    return spoil(kinds, flux.astype(float), sigma.astype(float), kind, redshift), (
        np.asarray(pool.theta, float)[:number]
    )


def spoil(kinds, flux, sigma, kind, redshift):
    """Columns of the table, with the faults that the rows shall have."""
    words = np.where(kind == Kind.limit, "true", "false").astype(object)
    distance, places = np.full(len(kinds), 10.0), [np.flatnonzero(r) for r in kind]
    for i, fault in enumerate(kinds):
        first = places[i][0]
        if fault == "nothing":
            flux[i] = np.nan
        elif fault == "negative error":
            # of a limit it is a habit of some catalogues, and no fault
            sigma[i, first], words[i, first] = -abs(sigma[i, first]), "false"
        elif fault == "unknown word":
            words[i, first] = "perhaps"
        elif fault == "no distance":
            redshift[i], distance[i] = np.nan, np.nan
        elif fault == "infinite":
            flux[i, first] = np.inf
        elif fault == "absurd":
            flux[i], sigma[i] = 1e36 * flux[i], 1e36 * sigma[i]
        elif fault == "far":
            redshift[i] = 0.4
        elif fault == "one band":
            flux[i, np.arange(len(BANDS)) != first] = np.nan
    columns = {"redshift": redshift, "distance": distance}
    columns["distance_err"] = 0.05 * np.log(10) / 5 * distance
    for j, band in enumerate(BANDS):
        columns[f"{band}_njy"] = flux[:, j]
        columns[f"{band}_err_njy"] = sigma[:, j]
        columns[f"{band}_limit"] = words[:, j].tolist()
    return columns


class Watch:
    """Processor time and largest memory, piece by piece."""

    def __init__(self):
        """Start now."""
        self.marks = []

    def __call__(self, done, total):
        """Note a piece that is done."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        now = time.process_time(), time.monotonic()
        self.marks.append((done, *now, memory))
        if len(self.marks) % 20 == 0:
            print(f"{done} of {total} rows, {memory:.0f} MB at most", flush=True)


def judge(folder, kinds, truth):
    """Rows with another status than they should have, and coverage of the sound."""
    wrong, status, inside, missing = Counter(), Counter(), [], 0
    names = SHELL_PARAMETERS.names
    logged = [m.scale == "log10" for m in SHELL_PARAMETERS.members]
    wanted = ["row", "status", "message"]
    wanted += [f"{n}_{q}" for n in names for q in ("q025", "q16", "q84", "q975")]
    for path in sorted(folder.glob("shard-*.parquet")):
        for row in pq.read_table(path, columns=wanted).to_pylist():
            fault, found = kinds[row["row"]], row["status"]
            status[found] += 1
            expected = FAULTS.get(fault, "a posterior")
            good = found in ANSWERED if expected == "a posterior" else found == expected
            if not good:
                wrong[f"{fault or 'sound'}: {found}"] += 1
            missing += found in ("unusable", "outside") and not row["message"]
            if not fault and row[f"{names[0]}_q16"] is not None:
                true = truth[row["row"]]
                true = np.where(logged, 10 ** np.where(logged, true, 0), true)
                edges = np.array([[row[f"{n}_{q}"] for q in QUANTILES] for n in names])
                inside.append(np.sum(edges < true[:, None], axis=1))
    inside = np.array(inside)
    return {
        "status": dict(status),
        "wrong": dict(wrong),
        "without_message": missing,
        "coverage": {
            "0.68": np.mean((inside == 2), axis=0).round(4).tolist(),
            "0.95": np.mean((inside > 0) & (inside < 4), axis=0).round(4).tolist(),
        },
    }


QUANTILES = ("q025", "q16", "q84", "q975")


def main() -> None:
    """Make the table, fit it, judge and save."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=2048)
    words.add_argument("--method", default="amortized")
    words.add_argument("--draws", type=int, default=256)
    words.add_argument("--model", default="ccsn-dust")
    words.add_argument("--seed", type=int, default=5)
    words.add_argument("--piece", type=int, default=512, help="rows of a piece")
    words.add_argument("--every", type=int, default=1, help="pieces with sound rows")
    words.add_argument("--workers", type=int, default=1)
    words.add_argument("--dask")
    words.add_argument("--out", type=Path, default=Path("results/catalog"))
    given = words.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = ShellModel.load(given.model)
    part = f"-{given.every}" if given.every > 1 else ""
    table = given.out / f"table-{given.rows}{part}.parquet"
    truth = table.with_suffix(".npy")
    smooth = model.under(clumpy=False)
    kinds = choose_faults(given.rows, given.piece, given.every, given.seed)
    make_table(table, truth, smooth, kinds, given.seed)
    title = f"{given.method}-{given.rows}{part}"
    if given.workers > 1 or given.dask:
        title += f"-{given.workers}-{'dask' if given.dask else 'processes'}"
    watch = Watch()
    run = run_catalog(
        given.seed,
        model,
        open_source(table),
        given.out / title,
        CatalogSettings(num_draws=given.draws, method=given.method, rows=given.piece),
        progress=watch,
        workers=given.workers,
        dask=given.dask,
    )
    print(run)
    parts = [np.array(part) for part in zip(*watch.marks, strict=True)]
    rows, seconds, clock, memory = parts
    first = given.workers - 1
    done = rows[-1] - rows[first]
    others = given.dask or given.workers > 1
    rate = float(done / np.ptp(seconds[first:])) if done and not others else None
    result = {
        "rows": given.rows,
        "every": given.every,
        "method": given.method,
        "draws": given.draws,
        "identity": model.identity,
        "seed": given.seed,
        "backend": jax.default_backend(),
        "workers": given.workers,
        "dask": given.dask,
        "rows_a_second": float(done / np.ptp(clock[first:])) if done else None,
        "objects_a_cpu_second": rate,
        "draws_a_cpu_second": rate and rate * given.draws,
        "memory_mb_after_three_pieces": float(memory[min(2, len(memory) - 1)]),
        "memory_mb_at_the_end": float(memory[-1]),
        **judge(given.out / title, kinds, np.load(truth)),
    }
    print(json.dumps(result, indent=1))
    path = given.out / f"{title}.json"
    path.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
