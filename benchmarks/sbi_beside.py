r"""Amortized posteriors of ours and of `sbi`, on the same simulations, in one run.

Both are trained on the 10,000 simulations of a problem of `sbi_tasks`, ours with the
settings that are there, `sbi` as it comes: neural posterior estimation with its neural
spline flow. Then both draw from the posteriors of the same observations. `sbi` draws
twice: with the rejection of what is outside the prior, which is how it answers, and
without, which shows how much that is. C2ST is against exact draws of the first few
observations. Seconds are of the processor, compilation included; draws a second are
those of a second call, and of the first beside them; `sbi` compiles nothing.

    python benchmarks/sbi_beside.py --out results/sbi --task two_moons --task slcp

`sbi` comes with the extra `peers`. A ratio above one says that ours is better.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import torch
from sbi.inference import NPE
from sbi.utils import BoxUniform
from sbi_tasks import NUM_HELD, NUM_SIMS, TASKS, make_data, train

from grainlight.evaluation.two_sample import classify_samples

CHUNK = 25  # observations drawn at once, so that a million draws fit the cache
MOST_AT_ONCE = 100  # the same of `sbi`, which warns above two million draws


class Silent:
    """A tracker of `sbi` that writes no files."""

    log_dir = None

    def log_metric(self, name, value, step=None):
        """Keep nothing."""

    log_metrics = log_params = add_figure = log_metric

    def flush(self):
        """Nothing to write."""


class Ours:
    """The posterior of this package."""

    def __init__(self, name, seed):
        self.posterior = train(name, seed).estimator

    def draw(self, seed, x, num_draws):
        """Draws of many observations: observation, draw, parameter."""
        return np.asarray(_draw(self.posterior, jr.key(seed), num_draws, x))


@eqx.filter_jit
def _draw(posterior, key, num_draws, x):
    def one(given):
        return posterior.draw(given[0], num_draws, given[1], jnp.zeros(0)).theta

    return jax.lax.map(one, (jr.split(key, len(x)), x), batch_size=CHUNK)


class Peer:
    """Neural posterior estimation of `sbi`, as it comes."""

    def __init__(self, name, seed):
        torch.manual_seed(seed)
        task = TASKS[name]
        theta, _, x = make_data(task, seed)
        low, high = (torch.tensor(b, dtype=torch.float32) for b in _bounds(task))
        inference = NPE(
            prior=BoxUniform(low, high),
            density_estimator="nsf",
            tracker=Silent(),
            show_progress_bars=False,
        )
        inference.append_simulations(*(torch.tensor(np.array(c)) for c in (theta, x)))
        inference.train(validation_fraction=NUM_HELD / NUM_SIMS)
        self.posterior = inference.build_posterior()

    def draw(self, seed, x, num_draws, *, reject=True):
        """Draws of many observations: observation, draw, parameter."""
        torch.manual_seed(seed)
        parts = []
        for some in torch.tensor(np.array(x)).split(MOST_AT_ONCE):
            theta = self.posterior.sample_batched(
                (num_draws,),
                some,
                show_progress_bars=False,
                reject_outside_prior=reject,
            )
            parts.append(theta.detach().numpy().swapaxes(0, 1))
        return np.concatenate(parts)


def _bounds(task):
    return task.lower, task.upper


def _timed(call):
    """What a call gives, and the seconds that it took the processor."""
    started = time.process_time()
    found = call()
    return found, time.process_time() - started


def _outside(task, theta):
    low, high = _bounds(task)
    slack = 1e-6 * (high - low)  # of rounding to single precision
    return float(np.mean(np.any((theta < low - slack) | (theta > high + slack), -1)))


def judge(task, draw, given, x, exact, *, compiles):
    """Seconds, share outside and C2ST of what one of the two draws."""
    theta, first = _timed(lambda: draw(given.seed, x, given.draws))
    again = first
    if compiles:
        _, again = _timed(lambda: draw(given.seed + 1, x, given.draws))
    rows, c2st = len(exact[0]), []
    few = draw(given.seed + 2, x[: len(exact)], rows)
    for number, (ours, sure) in enumerate(zip(few, exact, strict=True)):
        key = jr.key(1_000 * given.seed + number)
        c2st.append(classify_samples(key, ours, sure).accuracy)
    total = theta.shape[0] * theta.shape[1]
    return {
        "c2st": c2st,
        "mean_c2st": float(np.mean(c2st)),
        "outside": _outside(task, theta),
        "draws_per_second": total / again,
        "draws_per_second_first": total / first,
    }


def compare(name, given):
    """Both posteriors of one problem."""
    task = TASKS[name]
    rng = np.random.default_rng((given.seed, 1))
    truth = rng.random((given.observations, task.lower.size))
    x = task.simulate(rng, task.lower + (task.upper - task.lower) * truth)
    exact = [task.reference(rng, row, given.rows) for row in x[: given.judged]]
    x = jnp.asarray(x, jnp.float32)
    result = {"task": name, "seed": given.seed}
    ours, seconds = _timed(lambda: Ours(name, given.seed))
    result["ours"] = judge(task, ours.draw, given, x, exact, compiles=True)
    result["ours"]["training_seconds"] = seconds
    print(json.dumps(result), flush=True)
    peer, seconds = _timed(lambda: Peer(name, given.seed))
    result["sbi"] = judge(task, peer.draw, given, x, exact, compiles=False)
    result["sbi"]["training_seconds"] = seconds
    loose = peer.draw(given.seed, x, given.draws, reject=False)
    result["sbi"]["outside_without_rejection"] = _outside(task, loose)
    a, b = result["ours"], result["sbi"]
    result["ratios"] = {
        "c2st_above_half": (b["mean_c2st"] - 0.5) / max(a["mean_c2st"] - 0.5, 1e-3),
        "training": b["training_seconds"] / a["training_seconds"],
        "draws_per_second": a["draws_per_second"] / b["draws_per_second"],
    }
    return result


def main() -> None:
    """Compare on each problem and save what comes out."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, default=Path("results/sbi-beside"))
    words.add_argument("--task", choices=TASKS, action="append")
    words.add_argument("--observations", type=int, default=1_000)
    words.add_argument("--draws", type=int, default=1_000)
    words.add_argument("--judged", type=int, default=5)
    words.add_argument("--rows", type=int, default=4_000, help="Draws a C2ST.")
    words.add_argument("--seed", type=int, default=1)
    given = words.parse_args()
    torch.set_num_threads(1)  # threads that wait for each other would count as work
    warnings.filterwarnings("ignore", module=r"sbi\.")
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.task or ("two_moons", "slcp"):
        result = compare(name, given)
        print(json.dumps(result), flush=True)
        (given.out / f"beside-{name}.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
