"""Dust mass against epoch, from photometry of simulated supernovae.

    python benchmarks/dust_population.py [--objects 1000] [--draws 8192]
        [--out results/dust_population]

Log dust masses rise with the log of the epoch, with scatter; all other properties are
those of the prior `thesis2023` at that mass. Every supernova is observed in 1 to 38
bands at random, with errors of 0.1 mag, a model error of 5 % and limits of 3 sigma. Its
posterior is the packaged one, corrected by weights and, where these are worth too few
draws, by a mixture that learns from them. The line and the scatter come from these
posteriors alone, the interim prior divided out. Beside it: what a line through the
posterior means says, and one through those of the better half of the objects, as is
often done.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
from mock_photometry import FloorProposal, observe, weigh
from population import DustOfEpoch

from grainlight.estimators import Support
from grainlight.estimators.amortized_training import Pool
from grainlight.estimators.shell_model import ShellModel
from grainlight.marginal import ObjectDraws, UniformDensity, fit_population
from grainlight.sampling.adaptive import adapt_draws
from grainlight.sampling.correction import CorrectionSettings
from grainlight.simulators import SHELL_PARAMETERS, named_prior

PRIOR = "thesis2023"
TRUTH = (-3.6, 1.0, 0.4)  # at 1,000 days [dex], slope, scatter [dex]
EPOCHS = (-0.7, 1.0)  # log of thousands of days
OBSERVED = {"error": 0.1, "floor": 0.054, "distance_error": 0.05, "limit_sigma": 3.0}
MASS = SHELL_PARAMETERS.index("dust_mass")
EFFECTIVE = 2_000  # draws that an object's weighed ones should be worth
BATCH = 8  # objects whose mixtures learn together


def bounds():
    """Lower and upper bounds of the scaled parameters under the prior."""
    prior = named_prior(PRIOR)
    logged = [one.scale == "log10" for one in SHELL_PARAMETERS.members]
    both = np.array([prior.lower, prior.upper])
    return np.where(logged, np.log10(np.where(logged, both, 1.0)), both)


def draw_at_masses(rng, mass):
    """Scaled parameters of shells of given log masses, the others from the prior."""
    low, high = bounds()
    log_prob = jax.jit(jax.vmap(named_prior(PRIOR).log_prob))
    theta = np.full((len(mass), low.size), np.nan)
    left = np.arange(len(mass))
    while left.size:
        tried = rng.uniform(
            low, high, (len(mass), low.size)
        )  # one shape, compiled once
        tried[:, MASS] = mass
        edge = log_prob(jnp.asarray(tried)) + np.sum(np.log(high - low))
        good = np.log(rng.random(len(mass))) < np.asarray(edge)
        chosen = left[good[left]]
        theta[chosen] = tried[chosen]
        left = left[~good[left]]
    return theta


def log_interim(rng, num=20_000):
    """The interim prior's marginal of the log mass: a grid and log-densities on it."""
    low, high = bounds()
    log_prob = jax.jit(jax.vmap(named_prior(PRIOR).log_prob))
    others = rng.uniform(low, high, (num, low.size))
    grid = np.linspace(low[MASS], high[MASS], 101)
    found = []
    for mass in grid:
        others[:, MASS] = np.clip(mass, low[MASS], high[MASS])
        found.append(np.mean(np.exp(np.asarray(log_prob(jnp.asarray(others))))))
    return grid, np.log(found)


def simulate(key, model, num):
    """Epochs, true parameters and photometry of supernovae."""
    seed_key, redshift_key, scatter_key, observe_key = jr.split(key, 4)
    rng = np.random.default_rng(np.asarray(jr.key_data(seed_key)).tolist())
    epoch = rng.uniform(*EPOCHS, num)
    mass = TRUTH[0] + TRUTH[1] * epoch + TRUTH[2] * rng.normal(size=num)
    theta = jnp.asarray(draw_at_masses(rng, mass), jnp.float32)
    low, high = model.redshifts
    redshift = jr.uniform(redshift_key, (num,), minval=low, maxval=high)
    magnitude = jax.jit(jax.vmap(model.likelihood.sample))(
        jr.split(scatter_key, num), theta, redshift[:, None]
    )
    pool = Pool(theta, redshift, magnitude)
    return epoch, pool, *observe(observe_key, model, pool, **OBSERVED)


def sample(key, model, given, num_draws):
    """Weighed draws of every object; mixtures where the first are worth too few.

    A population is narrower than most posteriors: few of their draws lie within it.
    """
    first_key, second_key = jr.split(key)
    weighed, target, _ = weigh(first_key, model, given, num_draws)
    settings = CorrectionSettings(num_draws=num_draws, least_effective=EFFECTIVE)
    few = [one.certificate.num_effective < EFFECTIVE for one in weighed]
    left = np.flatnonzero(few)
    for start in range(0, left.size, BATCH):
        some = np.resize(left[start : start + BATCH], BATCH)
        found = adapt_draws(
            jr.fold_in(second_key, start),
            target,
            jax.tree.map(lambda leaf, i=some: leaf[i], given),
            [weighed[i] for i in some],
            settings,
            proposal=FloorProposal(model.posterior),
        )
        for i, one in zip(some, found, strict=True):
            worth = (each.certificate.num_effective for each in (one, weighed[i]))
            if np.greater(*worth):
                weighed[i] = one
    return weighed


def gather(weighed, num_draws, interim, epoch):
    """Draws of the log mass of every object and what each of them counts for."""
    theta = np.zeros((len(weighed), num_draws, 1))
    log_weight = np.full((len(weighed), num_draws), -np.inf)
    for row, one in enumerate(weighed):
        mass, weight = one.theta[:, MASS], one.log_weight
        kept = np.argsort(-weight)[:num_draws]
        theta[row, : kept.size, 0] = mass[kept]
        log_weight[row, : kept.size] = (
            weight[kept] - weight.max() - np.interp(mass[kept], *interim)
        )
    return ObjectDraws(
        jnp.asarray(theta, jnp.float32),
        jnp.asarray(log_weight, jnp.float32),
        jnp.asarray(epoch[:, None], jnp.float32),
    )


def moments(weighed):
    """Mean and standard deviation of the log mass of every object."""
    found = []
    for one in weighed:
        weight = np.exp(one.log_weight - one.log_weight.max())
        weight /= weight.sum()
        mean = weight @ one.theta[:, MASS]
        found.append((mean, np.sqrt(weight @ (one.theta[:, MASS] - mean) ** 2)))
    return np.array(found).T


def line_through(epoch, mean):
    """A straight line through means, and the scatter around it."""
    slope, start = np.polyfit(epoch, mean, 1)
    return [start, slope, float(np.std(mean - start - slope * epoch))]


def plot(path, epoch, truth, seen, fit):
    """Means of the objects, the true line and the fitted ones."""
    mean, spread = seen
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    axes[0].errorbar(
        epoch, mean, spread, fmt=".", ms=3, lw=0.3, color="0.6", label="posteriors"
    )
    x = np.linspace(*EPOCHS, 50)
    axes[0].plot(x, TRUTH[0] + TRUTH[1] * x, "k--", label="truth", zorder=4)
    rng = np.random.default_rng(0)
    rows = rng.choice(len(fit.chains.theta), 200, p=fit.chains.weight)
    lines = fit.chains.theta[rows, :1] + fit.chains.theta[rows, 1:2] * x
    low, high = np.quantile(lines, [0.025, 0.975], axis=0)
    axes[0].fill_between(x, low, high, color="C1", alpha=0.6, label="population, 95 %")
    label = "log10 dust mass [Msun]"
    axes[0].set(xlabel="log10 epoch [1,000 days]", ylabel=label)
    axes[0].legend(fontsize=8)
    axes[1].errorbar(truth, mean, spread, fmt=".", ms=3, lw=0.3, color="0.6")
    axes[1].plot([-6, -1], [-6, -1], "k--")
    axes[1].set(xlabel=f"true {label}", ylabel=label)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Simulate, fit every object, fit the population, print and save."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--objects", type=int, default=1_000)
    words.add_argument("--draws", type=int, default=8_192)
    words.add_argument("--seed", type=int, default=11)
    words.add_argument("--out", type=Path, default=Path("results/dust_population"))
    asked = words.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    keys = jr.split(jr.key(asked.seed), 3)
    model = ShellModel.load("ccsn-dust").under(clumpy=False)
    epoch, pool, data, conditions = simulate(keys[0], model, asked.objects)
    cpu = time.process_time()
    weighed = sample(keys[1], model, (data, conditions.floor), asked.draws)
    sampling = time.process_time() - cpu
    interim = log_interim(np.random.default_rng(asked.seed))
    cpu = time.process_time()
    objects = gather(weighed, asked.draws, interim, epoch)
    prior = UniformDensity(Support.between([-6.0, -2.0, 0.05], [-1.0, 5.0, 2.0]))
    fit = fit_population(keys[2], DustOfEpoch(), objects, prior, num_draws=500)
    seconds = time.process_time() - cpu
    seen = moments(weighed)
    mean = fit.chains.weight @ fit.chains.theta
    spread = np.sqrt(fit.chains.weight @ (fit.chains.theta - mean) ** 2)
    better = seen[1] <= np.median(seen[1])
    result = {
        "objects": asked.objects,
        "draws": asked.draws,
        "names": list(fit.chains.names),
        "truth": TRUTH,
        "mean": mean.tolist(),
        "sd": spread.tolist(),
        "trust": fit.trust,
        "variance": fit.variance,
        "passed": float(np.mean([one.passed for one in weighed])),
        "median_posterior_sd": float(np.median(seen[1])),
        "line_through_means": line_through(epoch, seen[0]),
        "line_through_better_half": line_through(epoch[better], seen[0][better]),
        "cpu_seconds_of_the_objects": sampling,
        "cpu_seconds_of_the_population": seconds,
    }
    print(json.dumps(result, indent=1))
    (asked.out / "dust_population.json").write_text(json.dumps(result, indent=1))
    truth = np.asarray(pool.theta)[:, MASS]
    plot(asked.out / "dust_population.png", epoch, truth, seen, fit)


if __name__ == "__main__":
    main()
