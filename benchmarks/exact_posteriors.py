r"""How near each estimator comes to a posterior that is known exactly.

The conjugate Gaussian simulator has two parameters and three outcomes; its posterior is
a Gaussian. Every estimator is trained on its simulations. A likelihood becomes a
posterior by Bayes' theorem on a fine grid, so that no sampler stands between. Draws for
many outcomes, together with the outcomes, are told from exact ones by a classifier
(C2ST): an accuracy of 0.5 is perfect, and 0.52 is what is asked for. As a control, the
exact posterior with a tenth more width in every direction is judged likewise.

    python benchmarks/exact_posteriors.py --out results/exact
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
    FlowLikelihood,
    GaussianLikelihood,
    GaussianPosterior,
    TrainingSettings,
    VariationalLikelihood,
    fit_estimator,
)
from grainlight.evaluation import classify_samples
from grainlight.simulators import ConjugateGaussian, Gaussian

SIMULATOR = ConjugateGaussian(
    Gaussian(np.array([1.0, -2.0]), np.array([[1.0, 0.3], [0.3, 0.5]])),
    design=np.array([[1.0, 0.5], [0.0, 1.0], [-1.0, 2.0]]),
    offset=np.array([20.0, 21.0, 30.0]),
    noise=np.array([[0.4, 0.2, 0.0], [0.2, 0.3, 0.05], [0.0, 0.05, 0.2]]),
)
NUM_SIMS, NUM_HELD = 60_000, 3_000
NUM_OUTCOMES, NUM_DRAWS = 400, 20
GRID, REACH = 81, 6.0  # points an axis, exact standard deviations to either side
SETTINGS = TrainingSettings(
    num_epochs=30, learning_rate=3e-3, warmup_steps=50, batch_size=512, patience=30
)
WIDER = 1.1  # of the control
MAKERS = {
    "dense": (GaussianLikelihood, {}),
    "convolutional": (
        GaussianLikelihood,
        {"covariance": "convolutional", "branch_widths": (16, 4)},
    ),
    "variational": (
        VariationalLikelihood,
        {
            "generation_widths": (32,),
            "recognition_widths": (32,),
            "num_latent": 2,
            "num_loss_draws": 4,
        },
    ),
    "flow": (FlowLikelihood, {"num_layers": 2, "width": 16}),
    "standard": (GaussianPosterior, {}),
}


def simulate(num, seed):
    """Parameters, no conditions, and outcomes."""
    theta = SIMULATOR.prior.sample(np.random.default_rng(seed), num)
    theta = jnp.asarray(theta, jnp.float32)
    x = jax.vmap(SIMULATOR)(jr.split(jr.key(seed), num), theta)
    return theta, jnp.zeros((num, 0)), x


def train(name):
    """An estimator of this name, trained."""
    kind, settings = MAKERS[name]
    data = simulate(NUM_SIMS + NUM_HELD, 1)
    blank = kind.from_data(jr.key(1), *data, widths=(32,), **settings)
    parts = (
        tuple(column[rows] for column in data)
        for rows in (slice(NUM_SIMS), slice(NUM_SIMS, None))
    )
    return fit_estimator(jr.key(0), blank, *parts, SETTINGS).estimator


def draw_on_grid(estimator, key, x, exact):
    """Posterior draws under a likelihood, by its values on a grid around the exact."""
    scale = np.linalg.cholesky(exact.covariance)
    axis = np.linspace(-REACH, REACH, GRID)
    white = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    theta = exact.mean + white @ scale.T
    value = log_probs(estimator, x, jnp.asarray(theta, jnp.float32))
    log_density = np.asarray(value, float) + SIMULATOR.prior.log_prob(theta)
    pick_key, place_key = jr.split(key)
    picked = jr.categorical(pick_key, jnp.asarray(log_density), shape=(NUM_DRAWS,))
    jitter = np.asarray(jr.uniform(place_key, (NUM_DRAWS, 2))) - 0.5
    moved = white[np.asarray(picked)] + jitter * (axis[1] - axis[0])
    return exact.mean + moved @ scale.T


@eqx.filter_jit
def log_probs(estimator, x, theta):
    """The likelihood of one outcome at many parameters."""
    return jax.vmap(lambda t: estimator.log_prob(x, t, jnp.zeros(0)))(theta)


@eqx.filter_jit
def draw_direct(estimator, key, x):
    """Draws of a direct posterior."""
    keys = jr.split(key, NUM_DRAWS)
    return jax.vmap(lambda k: estimator.sample(k, x, jnp.zeros(0)))(keys)


def judge(draw):
    """Accuracy of a classifier between rows of exact draws and of others."""
    _, _, outcomes = simulate(NUM_OUTCOMES, 2)
    rng = np.random.default_rng(3)
    rows = ([], [])
    for number, x in enumerate(np.asarray(outcomes, float)):
        exact = SIMULATOR.posterior(x)
        unwhiten = np.linalg.inv(np.linalg.cholesky(exact.covariance))
        seen = np.tile((x - outcomes.mean(0)) / outcomes.std(0), (NUM_DRAWS, 1))
        draws = (
            exact.sample(rng, NUM_DRAWS),
            draw(jr.fold_in(jr.key(4), number), x, exact),
        )
        for part, some in zip(rows, draws, strict=True):
            part.append(np.hstack([(some - exact.mean) @ unwhiten.T, seen]))
    return classify_samples(jr.key(5), *(np.concatenate(part) for part in rows))


def drawer(name):
    """How an estimator of this name draws, or the control."""
    if name == "control":

        def widened(key, x, exact):
            noise = np.asarray(jr.normal(key, (NUM_DRAWS, 2)))
            return exact.mean + WIDER * noise @ np.linalg.cholesky(exact.covariance).T

        return widened
    estimator = train(name)
    if name == "standard":
        return lambda key, x, exact: np.asarray(
            draw_direct(estimator, key, jnp.asarray(x, jnp.float32)), float
        )
    return lambda key, x, exact: draw_on_grid(
        estimator, key, jnp.asarray(x, jnp.float32), exact
    )


def main():
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[*MAKERS, "control"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        path = options.out / f"{name}.json"
        if not path.exists():
            begun = time.process_time()
            found = judge(drawer(name))
            words = {
                "accuracy": found.accuracy,
                "error": found.error,
                "pvalue": found.pvalue,
                "cpu_seconds": time.process_time() - begun,
            }
            path.write_text(json.dumps(words, indent=1) + "\n")
        words = json.loads(path.read_text())
        print(f"{name:14s} C2ST {words['accuracy']:.4f} +- {words['error']:.4f}")


if __name__ == "__main__":
    main()
