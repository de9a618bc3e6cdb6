"""How far the photometric likelihood is from the integral that it stands for.

    python benchmarks/likelihood_accuracy.py --objects 200

Objects are drawn from the model and observed at random, as in `amortized.py`. At draws
near the posterior of each (those of the network, weighed) the log-likelihood is laid
beside the integral over all magnitudes and the distance, by importance sampling: the
most probable magnitudes by Newton's method, Student draws with the curvature there. A
constant does not matter to a posterior; what does is the standard deviation over the
draws of an object. Its control is the likelihood with its tangents at the expected
magnitudes. In double precision; three minutes of processor time.
"""

import argparse
import json
import time
from pathlib import Path
from unittest import mock

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import gammaln, log_ndtr, logsumexp
from mock_photometry import random_objects, weigh

from grainlight.estimators import Kind, flux_detections
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import AB_ZERO_POINT_NJY
from grainlight.sampling.correction import resample

DRAWS = 8  # parameters of each object
SAMPLES = 1024  # draws of magnitudes, each used with both signs
FREEDOM = 30.0
STEPS, LENGTHS = 20, (1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.0)
GRID = np.linspace(-5, 5, 201)  # errors of the distance that Newton may start from
POGSON = 2.5 / np.log(10)
LEVELS = (0.1, 0.5, 0.9, 0.95, 1.0)


def log_posterior_of(model, data, floor, scaled):
    """Density of standard normal values: scatter of every band, error of distance."""
    condition = data.redshift[None][: model.num_cond]
    mean, covariance = model.moments_at(scaled, condition, data.index)
    mean = mean + data.distance_modulus
    own = covariance + (floor**2 + 1e-8) * jnp.eye(mean.size)
    factor = jnp.linalg.cholesky(own)

    def log_posterior(z):
        magnitude = mean + factor @ z[:-1] + data.distance_modulus_error * z[-1]
        flux = jnp.exp((AB_ZERO_POINT_NJY - magnitude) / POGSON)
        off = (data.flux - flux) / data.error
        seen = -0.5 * (off**2 + jnp.log(2 * jnp.pi))
        below = log_ndtr(jnp.where(data.kind == Kind.limit, off, 0.0))
        each = jnp.where(data.kind == Kind.detected, seen, 0.0)
        each = each + jnp.where(data.kind == Kind.limit, below, 0.0)
        return jnp.sum(each) - 0.5 * jnp.sum(z**2)

    return log_posterior, mean.size + 1


def most_probable(log_posterior, dim):
    """Newton's method, along eigenvectors of the curvature, its steps shortened."""
    along = jax.vmap(lambda t: log_posterior(jnp.zeros(dim).at[-1].set(t)))
    grid = jnp.asarray(GRID)
    start = jnp.zeros(dim).at[-1].set(grid[jnp.argmax(along(grid))])

    def step(_, z):
        value, vector = jnp.linalg.eigh(-jax.hessian(log_posterior)(z))
        pull = vector.T @ jax.grad(log_posterior)(z)
        move = vector @ (pull / jnp.maximum(jnp.abs(value), 1.0))
        lengths = jnp.array(LENGTHS)
        tried = jax.vmap(lambda t: log_posterior(z + t * move))(lengths)
        return z + lengths[jnp.nanargmax(tried)] * move

    return jax.lax.fori_loop(0, STEPS, step, start)


def exact_log_prob(key, log_posterior, dim):
    """The integral, and how many effective draws it is made of."""
    center = most_probable(log_posterior, dim)
    value, vector = jnp.linalg.eigh(-jax.hessian(log_posterior)(center))
    value = jnp.maximum(value, 0.5)
    normal_key, tail_key = jr.split(key)
    normal = jr.normal(normal_key, (SAMPLES, dim))
    tail = 2 * jr.gamma(tail_key, FREEDOM / 2, (SAMPLES, 1)) / FREEDOM
    white = jnp.concatenate([normal, -normal]) / jnp.sqrt(jnp.tile(tail, (2, 1)))
    z = center + (white / jnp.sqrt(value)) @ vector.T
    half = (FREEDOM + dim) / 2
    log_proposal = gammaln(half) - gammaln(FREEDOM / 2)
    log_proposal = log_proposal - dim / 2 * jnp.log(FREEDOM * jnp.pi)
    log_proposal = log_proposal + 0.5 * jnp.sum(jnp.log(value))
    spread = jnp.log1p(jnp.sum(white**2, axis=1) / FREEDOM)
    log_weight = jax.vmap(log_posterior)(z) - (log_proposal - half * spread)
    log_weight = log_weight - 0.5 * dim * jnp.log(2 * jnp.pi)
    total, square = logsumexp(log_weight), logsumexp(2 * log_weight)
    return total - jnp.log(2 * SAMPLES), jnp.exp(2 * total - square)


def expected_magnitudes(data, mean, variance):
    """The control: nothing that was observed moves the tangents."""
    return flux_detections.Deviations(jnp.zeros_like(mean), jnp.zeros(()))


def compare(key, target, objects, scaled, *, plain=False):
    """The likelihood less the integral at all draws of all objects [nats]."""

    def one(given):
        key, member, draws = given
        data, floor = member

        def at(key, draw):
            model = target.target.likelihood.model
            exact = exact_log_prob(key, *log_posterior_of(model, data, floor, draw))
            mine = target.log_likelihood(draw, member)
            return mine + flux_detections.log_unit(data) - exact[0], exact[1]

        return jax.vmap(at)(jr.split(key, DRAWS), draws)

    keys = jr.split(key, len(scaled))
    steps = mock.patch.object(flux_detections, "NUM_POLISH", 0)
    start = mock.patch.object(flux_detections, "_start", expected_magnitudes)
    run = eqx.filter_jit(lambda *given: jax.lax.map(one, given))
    if not plain:
        return run(keys, objects, scaled)
    with steps, start:
        return run(keys, objects, scaled)


def main() -> None:
    """Measure, print and save."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--model", default="ccsn-dust")
    words.add_argument("--objects", type=int, default=200)
    words.add_argument("--seed", type=int, default=5)
    words.add_argument("--out", type=Path, default=Path("results/likelihood.json"))
    given = words.parse_args()
    jax.config.update("jax_enable_x64", True)
    began = time.monotonic()
    model = ShellModel.load(given.model).under(clumpy=False)
    keys = jr.split(jr.key(given.seed), 3)
    _, data, conditions = random_objects(keys[0], model, given.objects)
    objects = (data, jnp.asarray(conditions.floor))
    weighed, target, _ = weigh(keys[1], model, objects, 4096)
    generator = np.random.default_rng(given.seed)
    scaled = jnp.stack([resample(generator, one, DRAWS) for one in weighed])
    result = {"objects": given.objects, "seed": given.seed, "quantiles": LEVELS}
    for name, plain in (("likelihood", False), ("expected magnitudes", True)):
        off, effective = compare(keys[2], target, objects, scaled, plain=plain)
        spread = np.asarray(off).std(axis=1)
        result[name] = {
            "rms_sd": float(np.sqrt(np.mean(spread**2))),
            "sd": np.quantile(spread, LEVELS).round(4).tolist(),
        }
        result["least_effective"] = float(np.min(effective))
    result["seconds"] = time.monotonic() - began
    print(json.dumps(result, indent=1))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
