"""Populations from posteriors of single objects: exact answers and worked examples.

    python benchmarks/population.py [--objects 1000] [--draws 1000]
        [--cases normal luminosity dust]

`normal`: objects scattered around a mean; the exact posterior is on a grid.
`luminosity`: a Schechter function, whose luminosities are known to 0.2 dex.
`dust`: log dust mass that rises with log epoch, scattered, known to 0.3 dex under the
flat interim prior of the shells (1e-6 .. 1e-1 Msun): invented supernovae with normal
posteriors, not fits of photometry.
"""

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from grainlight.estimators import Support
from grainlight.marginal import (
    NormalDensity,
    ObjectDraws,
    PopulationFit,
    UniformDensity,
    fit_population,
)


class Normals(eqx.Module):
    """Values scattered around a mean."""

    names: tuple[str, ...] = eqx.field(static=True, default=("mean", "scatter"))

    def log_prob(
        self,
        hyper: Float[Array, " hyper"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, ""]:
        """A normal distribution."""
        return norm.logpdf(theta[0], hyper[0], hyper[1])


class DustOfEpoch(eqx.Module):
    """Log dust mass: a line in the log of the epoch, with scatter."""

    names: tuple[str, ...] = eqx.field(
        static=True, default=("at_1000_days", "slope", "scatter")
    )

    def log_prob(
        self,
        hyper: Float[Array, " hyper"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, ""]:
        """A normal distribution around the line."""
        mean = hyper[0] + hyper[1] * condition[0]
        return norm.logpdf(theta[0], mean, hyper[2])


class Schechter(eqx.Module):
    """Log luminosity after Schechter (1976), above a least luminosity."""

    least: float = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True, default=("log_knee", "slope"))

    def log_prob(
        self,
        hyper: Float[Array, " hyper"],
        theta: Float[Array, " param"],
        condition: Float[Array, " cond"],
    ) -> Float[Array, ""]:
        """The Schechter function per dex, normalized on a grid."""
        grid = jnp.linspace(self.least, self.least + 6, 241)
        log_norm = logsumexp(self._shape(hyper, grid)) + jnp.log(grid[1] - grid[0])
        inside = theta[0] >= self.least
        return jnp.where(inside, self._shape(hyper, theta[0]) - log_norm, -jnp.inf)

    def _shape(self, hyper: Array, log_luminosity: Array) -> Array:
        x = (log_luminosity - hyper[0]) * np.log(10)
        return (hyper[1] + 1) * x - jnp.exp(x)


def _posteriors(
    generator: np.random.Generator,
    data: np.ndarray,
    error: float,
    bounds: tuple[float, float],
    num: int,
) -> ObjectDraws:
    """Draws of normal posteriors cut at the bounds of a flat interim prior."""
    low, high = bounds
    drawn = data[:, None] + error * generator.normal(size=(data.size, 3 * num))
    good = (drawn > low) & (drawn < high)
    order = np.argsort(~good, axis=1, kind="stable")[:, :num]
    kept = np.clip(np.take_along_axis(drawn, order, axis=1), low, high)
    prior = UniformDensity(Support.between([low], [high]))
    return ObjectDraws.from_draws(kept[..., None], prior)


def _row(name: str, fit: PopulationFit, truth: list[float], seconds: float) -> dict:
    mean = fit.chains.weight @ fit.chains.theta
    spread = np.sqrt(fit.chains.weight @ (fit.chains.theta - mean) ** 2)
    return {
        "case": name,
        "names": list(fit.chains.names),
        "truth": truth,
        "mean": mean.tolist(),
        "sd": spread.tolist(),
        "variance": fit.variance,
        "trust": fit.trust,
        "seconds": seconds,
    }


def normal(num: int, draws: int) -> dict:
    """Mean and scatter of normal objects, beside the exact posterior."""
    generator = np.random.default_rng(1)
    truth, error = [0.7, 0.8], 0.5
    data = generator.normal(*truth, num) + error * generator.normal(size=num)
    variance = 1 / (1 / 9 + 1 / error**2)
    noise = np.sqrt(variance) * generator.normal(size=(num, draws))
    theta = (variance * data[:, None] / error**2 + noise)[..., None]
    started = time.process_time()
    objects = ObjectDraws.from_draws(theta, NormalDensity.of([0.0], [[9.0]]))
    prior = UniformDensity(Support.between([-3.0, 0.05], [3.0, 3.0]))
    fit = fit_population(jr.key(1), Normals(), objects, prior, num_draws=500)
    row = _row("normal", fit, truth, time.process_time() - started)
    mean, scatter = np.linspace(0, 1.4, 401), np.linspace(0.4, 1.2, 401)
    total = np.sqrt(scatter**2 + error**2)
    square = np.sum((data - mean[:, None]) ** 2, axis=1)[:, None]
    log_like = -0.5 * square / total**2 - num * np.log(total)
    weight = np.exp(log_like - log_like.max())
    weight /= weight.sum()
    exact = [weight.sum(1) @ mean, weight.sum(0) @ scatter]
    spread = [
        np.sqrt(weight.sum(1) @ (mean - exact[0]) ** 2),
        np.sqrt(weight.sum(0) @ (scatter - exact[1]) ** 2),
    ]
    return row | {"exact_mean": np.array(exact).tolist(), "exact_sd": spread}


def luminosity(num: int, draws: int) -> dict:
    """Knee and slope of a luminosity function."""
    generator = np.random.default_rng(2)
    truth, least = [10.3, -0.8], 8.0
    drawn = truth[0] + np.log10(generator.gamma(truth[1] + 1.0, 1.0, 400 * num))
    true = drawn[drawn > least][:num]
    data = true + 0.2 * generator.normal(size=true.size)
    started = time.process_time()
    objects = _posteriors(generator, data, 0.2, (6.0, 13.0), draws)
    prior = UniformDensity(Support.between([9.0, -1.5], [12.0, 1.0]))
    population = Schechter(least)
    fit = fit_population(jr.key(2), population, objects, prior, num_draws=500)
    return _row("luminosity", fit, truth, time.process_time() - started)


def dust(num: int, draws: int) -> dict:
    """Dust mass against epoch."""
    generator = np.random.default_rng(3)
    truth = [-3.6, 1.0, 0.4]  # within the interim prior at all epochs
    epoch = generator.uniform(2.3, 4.3, num) - 3  # log10 of thousands of days
    true = truth[0] + truth[1] * epoch + truth[2] * generator.normal(size=num)
    data = true + 0.3 * generator.normal(size=num)
    started = time.process_time()
    objects = _posteriors(generator, data, 0.3, (-6.0, -1.0), draws)
    objects = eqx.tree_at(
        lambda one: one.condition, objects, jnp.asarray(epoch[:, None], jnp.float32)
    )
    prior = UniformDensity(Support.between([-6.0, -2.0, 0.05], [-1.0, 5.0, 2.0]))
    fit = fit_population(jr.key(3), DustOfEpoch(), objects, prior, num_draws=500)
    return _row("dust", fit, truth, time.process_time() - started)


CASES = {"normal": normal, "luminosity": luminosity, "dust": dust}


def main() -> None:
    """Measure every case and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", type=Path, default=Path("results/population.json"))
    given = parser.parse_args()
    rows = []
    for name in given.cases:
        rows.append(CASES[name](given.objects, given.draws))
        print(json.dumps(rows[-1]), flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
