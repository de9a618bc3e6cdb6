r"""Amortized posteriors of standard problems, beside exact draws.

Two moons, a Gaussian mixture, a linear Gaussian under a uniform prior, and a simple
likelihood with a complex posterior (SLCP), as Lueckmann et al. (2021, arXiv:2101.04653)
state them, with 10,000 simulations each. Reference draws are exact; those of SLCP come
from long chains in the quadrant of positive scales, with random signs. A classifier
tells the two samples apart (C2ST): 0.5 is perfect, 1 the worst.

    python benchmarks/sbi_tasks.py --out results/sbi --task two_moons
"""

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from grainlight.estimators import (
    FlowPosterior,
    TrainingSettings,
    fit_estimator,
    learn_simulations,
)
from grainlight.evaluation.two_sample import classify_samples

NUM_SIMS, NUM_HELD = 10_000, 1_000
NUM_DRAWS = 4_000
CHAINS, STEPS = 4_000, 2_000


class TwoMoons:
    """A crescent, folded: two crescents."""

    lower, upper = -np.ones(2), np.ones(2)

    def noise(self, rng, num):
        angle = rng.uniform(-np.pi / 2, np.pi / 2, num)
        radius = rng.normal(0.1, 0.01, num)
        return np.stack([radius * np.cos(angle) + 0.25, radius * np.sin(angle)], 1)

    def simulate(self, rng, theta):
        both, apart = theta.sum(1), theta[:, 1] - theta[:, 0]
        moved = np.stack([-np.abs(both), apart], 1) / np.sqrt(2)
        return self.noise(rng, len(theta)) + moved

    def reference(self, rng, x, num):
        moved = (x - self.noise(rng, 20 * num)) * np.sqrt(2)
        both = -moved[:, 0] * rng.choice([-1, 1], len(moved))
        theta = np.stack([both - moved[:, 1], both + moved[:, 1]], 1) / 2
        good = (moved[:, 0] <= 0) & np.all(np.abs(theta) <= 1, axis=1)
        return theta[good][:num]


class GaussianMixture:
    """A point seen through a mixture of a wide and a narrow Gaussian."""

    lower, upper = -10 * np.ones(2), 10 * np.ones(2)

    def noise(self, rng, num):
        width = np.where(rng.random((num, 1)) < 0.5, 1.0, 0.1)
        return width * rng.normal(size=(num, 2))

    def simulate(self, rng, theta):
        return theta + self.noise(rng, len(theta))

    def reference(self, rng, x, num):
        theta = x - self.noise(rng, 20 * num)
        return theta[np.all(np.abs(theta) <= 10, axis=1)][:num]


class UniformLinear:
    """Ten parameters, each seen with noise, under a uniform prior."""

    lower, upper = -np.ones(10), np.ones(10)

    def simulate(self, rng, theta):
        return theta + np.sqrt(0.1) * rng.normal(size=theta.shape)

    def reference(self, rng, x, num):
        columns = []
        for value in x:
            draws = value + np.sqrt(0.1) * rng.normal(size=400 * num)
            columns.append(draws[np.abs(draws) <= 1][:num])
        return np.stack(columns, 1)


class ComplexPosterior:
    """Four points of a Gaussian whose five parameters enter by squares (SLCP)."""

    lower, upper = -3 * np.ones(5), 3 * np.ones(5)

    def simulate(self, rng, theta):
        noise = rng.normal(size=(len(theta), 4, 2))
        first, second = theta[:, 2, None] ** 2, theta[:, 3, None] ** 2
        tilt = np.tanh(theta[:, 4, None])
        across = tilt * noise[..., 0] + np.sqrt(1 - tilt**2) * noise[..., 1]
        x = np.stack([first * noise[..., 0], second * across], -1)
        return (x + theta[:, None, :2]).reshape(len(theta), 8)

    def log_likelihood(self, theta, x):
        offset = x.reshape(4, 2) - theta[:, None, :2]
        white = offset / np.maximum(theta[:, None, 2:4] ** 2, 1e-12)
        tilt = np.tanh(theta[:, 4, None])
        rest = np.maximum(1 - tilt**2, 1e-12)
        squared = white[..., 0] ** 2 + white[..., 1] ** 2
        squared = (squared - 2 * tilt * white[..., 0] * white[..., 1]) / rest
        log_det = 2 * np.log(np.maximum(np.abs(theta[:, 2:4]), 1e-6)).sum(1)
        return -0.5 * squared.sum(1) - 4 * log_det - 2 * np.log(rest[:, 0])

    def reference(self, rng, x, num):
        """Chains that move by differences of each other, in the positive quadrant."""
        low, high = np.array([-3, -3, 0, 0, -3.0]), 3 * np.ones(5)
        start = low + (high - low) * rng.random((400_000, 5))
        logs = self.log_likelihood(start, x)
        share = np.exp(logs - logs.max())
        theta = start[rng.choice(len(start), CHAINS, p=share / share.sum())]
        theta = np.clip(theta + 0.02 * rng.normal(size=theta.shape), low, high)
        logs = self.log_likelihood(theta, x)
        half = CHAINS // 2
        for step in range(2 * STEPS):
            now = np.arange(half) + half * (step % 2)
            other = np.arange(half) + half * (1 - step % 2)
            pair = rng.choice(other, (2, half))
            scale = np.where(rng.random((half, 1)) < 0.1, 1.0, 0.5)
            moved = theta[now] + scale * (theta[pair[0]] - theta[pair[1]])
            moved = moved + 1e-3 * rng.normal(size=moved.shape)
            inside = np.all((moved >= low) & (moved <= high), axis=1)
            new = np.where(inside, self.log_likelihood(moved, x), -np.inf)
            take = np.log(rng.random(half)) < new - logs[now]
            theta[now[take]], logs[now[take]] = moved[take], new[take]
        signs = rng.choice([-1, 1], (CHAINS, 2))
        theta[:, 2:4] *= signs
        return theta[:num]


TASKS = {
    "two_moons": TwoMoons(),
    "gaussian_mixture": GaussianMixture(),
    "uniform_linear": UniformLinear(),
    "slcp": ComplexPosterior(),
}
#: What differs from problem to problem, chosen by the loss on fresh simulations: the
#: architecture, and how many simulations a learned likelihood adds to the 10,000.
ARCHITECTURE = {
    "two_moons": {"flow": "autoregressive"},
    "gaussian_mixture": {"flow": "autoregressive"},
    "slcp": {"widths": (128, 128), "num_layers": 5, "width": 96},
    "uniform_linear": {"widths": (64,), "num_layers": 2, "width": 32},
}
LEARNED = {"slcp": 200_000, "uniform_linear": 200_000}
SETTINGS = TrainingSettings(
    num_epochs=150, batch_size=128, learning_rate=1e-3, weight_decay=1e-4, patience=150
)
#: With twenty times as many simulations.
LARGE = TrainingSettings(num_epochs=6, learning_rate=3e-3)


def make_data(task, seed):
    """10,000 simulations: parameters, no conditions, outcomes."""
    rng = np.random.default_rng(seed)
    shape = (NUM_SIMS, task.lower.size)
    theta = task.lower + (task.upper - task.lower) * rng.random(shape)
    data = [theta, np.zeros((NUM_SIMS, 0)), task.simulate(rng, theta)]
    return [jnp.asarray(column, jnp.float32) for column in data]


def train(name, seed, num_learned=None):
    """Train on 10,000 simulations; gives the posterior and its record.

    Args:
        name: The problem.
        seed: Of simulations and training.
        num_learned: Simulations that a learned likelihood adds; those of the problem if
            not given.
    """
    task = TASKS[name]
    data = make_data(task, seed)
    rows = tuple(column[NUM_HELD:] for column in data)
    held = tuple(column[:NUM_HELD] for column in data)
    bounds = {"lower": task.lower, "upper": task.upper}
    blank = FlowPosterior.from_data(jr.key(seed), *rows, **bounds, **ARCHITECTURE[name])
    more = LEARNED.get(name, 0) if num_learned is None else num_learned
    if more:
        made = learn_simulations(jr.key(seed + 2), rows, held, more, **bounds)
        rows = made.joined(rows)
    settings = LARGE if more else SETTINGS
    return fit_estimator(jr.key(seed + 1), blank, rows, held, settings)


def judge(task, posterior, seed, num_observations):
    """C2ST for new observations, and the share of draws outside the prior."""
    rng = np.random.default_rng((seed, 1))
    draw = eqx.filter_jit(lambda k, x: posterior.draw(k, NUM_DRAWS, x, jnp.zeros(0)))
    found, outside = [], 0
    for number in range(num_observations):
        truth = task.lower + (task.upper - task.lower) * rng.random(
            (1, task.lower.size)
        )
        x = task.simulate(rng, truth)[0]
        exact = task.reference(rng, x, NUM_DRAWS)
        key = jr.key(1_000 * seed + number)
        theta = np.asarray(draw(key, jnp.asarray(x, jnp.float32)).theta, float)
        outside += int(
            np.sum(np.any((theta < task.lower) | (theta > task.upper), axis=1))
        )
        count = min(len(exact), len(theta))
        test = classify_samples(jr.fold_in(key, 1), theta[:count], exact[:count])
        found.append(test.accuracy)
    return found, outside


def main() -> None:
    """Run the tasks and save what they give."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, default=Path("results/sbi-tasks"))
    words.add_argument("--task", choices=TASKS, action="append")
    words.add_argument("--learned", type=int, help="Simulations of a likelihood.")
    words.add_argument("--observations", type=int, default=5)
    words.add_argument("--seed", type=int, default=1)
    given = words.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.task or TASKS:
        started = time.process_time()
        trained = train(name, given.seed, given.learned)
        seconds = time.process_time() - started
        c2st, outside = judge(
            TASKS[name], trained.estimator, given.seed, given.observations
        )
        record = trained.record
        result = {
            "task": name,
            "c2st": c2st,
            "mean_c2st": float(np.mean(c2st)),
            "scatter": float(np.std(c2st)),
            "draws_outside": outside,
            "epochs": record.num_epochs,
            "best_epoch": record.best_epoch,
            "loss": record.best_loss,
            "training_cpu_seconds": seconds,
            "backend": jax.default_backend(),
            "seed": given.seed,
        }
        print(json.dumps(result), flush=True)
        (given.out / f"{name}.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
