r"""Is the photometric likelihood as sure as its own simulations allow?

    python benchmarks/likelihood_information.py --objects 5000

At the true parameters the score $s$ and the matrix of second derivatives $H$ of the
log-likelihood of whatever is observed obey the second identity of Bartlett,

$$ E[s s^T] = -E[H] , $$

if the observations are drawn from that likelihood. One that is too sure of itself has
the larger scores. No posterior is sampled, so thousands of objects take minutes.
Objects are drawn from the model and observed five times under the same conditions, all
fluxes reported. Four observations give the matrix $C$, the inverse of their mean $-H$
(plus that of a wide prior), by which the fifth is summed up, $\mathrm{tr}\, C s s^T$
beside $-\mathrm{tr}\, C H$, each in turn; objects whose four observations do not agree
on a curvature are left out, which is no selection by the fifth. The control takes
errors that are a tenth too small. Five minutes of processor time, most of it
compilation.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from mock_photometry import detections_first, floor_target

from grainlight.estimators.amortized_training import draw_pool
from grainlight.estimators.random_observing import Observing, observe_pool
from grainlight.estimators.shell_model import ShellModel
from grainlight.simulators import named_prior

REPEATS = 5  # observations of every object
TOGETHER = 250  # objects whose derivatives are found together
PRIOR = 5.0  # curvature of the wide prior, on the scaled axes
MOST = 12.0  # largest trace of an observation that agrees with the others; six is usual
TOO_SMALL = 0.9  # errors of the control
BOOTSTRAPS = 200


def observations(key, model, pool):
    """Observations of the same objects under the same conditions."""
    condition_key, key = jr.split(key)
    observing = Observing.of_bands(model.bands)
    sample = jax.jit(
        lambda keys: jax.lax.map(
            lambda given: model.likelihood.sample(*given),
            (keys, pool.theta, pool.redshift[:, None]),
            batch_size=TOGETHER,
        )
    )
    found = []
    for step in range(REPEATS):
        scatter_key, measure_key = jr.split(jr.fold_in(key, step))
        magnitude = sample(jr.split(scatter_key, len(pool.theta)))
        data, conditions = observe_pool(
            condition_key,
            measure_key,
            observing,
            magnitude,
            pool.redshift,
            limit_sigma=-jnp.inf,
        )
        found.append(detections_first(data))
    return found, conditions


def derivatives(target):
    """A compiled function: score and second derivatives of many objects."""

    def one(given):
        scaled, data, floor = given

        def log_prob(at):
            return target.log_likelihood(at, (data, floor))

        return jax.grad(log_prob)(scaled), jax.hessian(log_prob)(scaled)

    return jax.jit(lambda *given: jax.lax.map(one, given, batch_size=TOGETHER))


def summed_up(scores, curvatures):
    """Both traces of every observation of every object, and which of them count."""
    scores, curvatures = (np.asarray(part, float) for part in (scores, curvatures))
    curvatures = -0.5 * (curvatures + curvatures.swapaxes(-1, -2))
    rows = []
    for step in range(REPEATS):
        others = np.delete(curvatures, step, axis=0)
        value, vector = np.linalg.eigh(others.mean(axis=0))
        scale = 1 / (np.abs(value) + PRIOR)
        weight = np.einsum("nij,nj,nkj->nik", vector, scale, vector)
        each = np.einsum("nij,rnji->rn", weight, others)
        agree = (each.min(axis=0) > 0) & (each.max(axis=0) < MOST)
        squares = np.einsum("ni,nij,nj->n", scores[step], weight, scores[step])
        expected = np.einsum("nij,nji->n", weight, curvatures[step])
        rows.append((squares, expected, agree))
    return [np.stack(part) for part in zip(*rows, strict=True)]


def excess(generator, squares, expected, agree):
    """Squared scores over what they should be, less one, and its standard error."""
    top, bottom = ((part * agree).sum(axis=0) for part in (squares, expected))
    some = generator.integers(top.size, size=(BOOTSTRAPS, top.size))
    tries = top[some].sum(axis=1) / bottom[some].sum(axis=1)
    return {
        "observations": int(agree.sum()),
        "excess": float(top.sum() / bottom.sum() - 1),
        "error": float(tries.std()),
    }


def main() -> None:
    """Measure, print and save."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--model", default="ccsn-dust")
    words.add_argument("--objects", type=int, default=5000)
    words.add_argument("--seed", type=int, default=6)
    words.add_argument("--out", type=Path, default=Path("results/information.json"))
    given = words.parse_args()
    began = time.process_time()
    model = ShellModel.load(given.model).under(clumpy=False)
    pool_key, key = jr.split(jr.key(given.seed))
    prior = named_prior(model.posterior.prior)
    pool = draw_pool(pool_key, model, prior, given.objects)
    every, conditions = observations(key, model, pool)
    run, generator = derivatives(floor_target(model)), np.random.default_rng(given.seed)
    error, bands = np.asarray(conditions.error), np.asarray(conditions.mask).sum(axis=1)
    result = {"objects": given.objects, "seed": given.seed, "model": model.identity}
    for name, factor in (("likelihood", 1.0), ("errors a tenth too small", TOO_SMALL)):
        shrunk = [replace(one, error=factor * one.error) for one in every]
        both = [run(pool.theta, one, conditions.floor) for one in shrunk]
        traces = summed_up(*zip(*both, strict=True))
        parts = {
            "all": bands > 0,
            "error below 0.03 mag": error < 0.03,
            "error above 0.03 mag": error >= 0.03,
            "1-12 bands": bands <= 12,
            "13-38 bands": bands > 12,
        }
        result[name] = {
            part: excess(generator, *(row[:, chosen] for row in traces))
            for part, chosen in parts.items()
        }
    result["cpu_seconds"] = time.process_time() - began
    print(json.dumps(result, indent=1))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
