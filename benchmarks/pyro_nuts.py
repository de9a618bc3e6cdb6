r"""Our chains and Pyro's NUTS on the same network, side by side.

The thesis sampled its posteriors with the no-U-turn sampler of Pyro. Here its weights
are carried over to PyTorch, checked to give the same density, and both samplers get the
same objects, the same flat prior in the same unconstrained coordinates and starts drawn
from that prior. What counts is the time of the processor for an effective draw, of the
worst parameter. Pyro is cut off after `--limit` seconds an object, as in the thesis.

    python benchmarks/pyro_nuts.py RESULTS --out results/pyro

RESULTS is a folder of `grainlight reproduce thesis`. Pyro comes with the extra `peers`.
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
import pyro
import torch
from pyro.infer import MCMC, NUTS

from grainlight.estimators import GaussianLikelihood, load_estimator
from grainlight.estimators.thesis_rows import ThesisRows, thesis_parameters
from grainlight.report.reproduction import NOTE, SAMPLER
from grainlight.sampling import Gate, bulk_ess, rank_rhat, sample_posterior
from grainlight.sampling.family import ExactData

SEED = 7


class FlatTarget(eqx.Module):
    """A likelihood under a flat prior."""

    likelihood: GaussianLikelihood
    parameters: object = eqx.field(static=True)

    def log_prior(self, scaled):
        return jnp.zeros(())

    def log_likelihood(self, scaled, data):
        return self.likelihood.log_prob(data.x, scaled, data.condition)


def tensor(array):
    """An array as a tensor in single precision."""
    return torch.tensor(np.array(array, np.float32))


def linear(layer):
    """One dense layer."""
    weight = tensor(layer.weight)
    bias = None if layer.bias is None else tensor(layer.bias)
    return lambda x: torch.nn.functional.linear(x, weight, bias)


def block(member):
    """A residual block; none passes its input on."""
    if member is None:
        return lambda x: x
    first, second = linear(member.first), linear(member.second)
    shortcut = (lambda x: x) if member.shortcut is None else linear(member.shortcut)
    silu = torch.nn.functional.silu
    return lambda x: shortcut(x) + second(silu(first(silu(x))))


class TorchPotential:
    """Minus the log-posterior in unconstrained coordinates, in PyTorch."""

    def __init__(self, likelihood, parameters, x, condition):
        inputs, outputs = likelihood.inputs, likelihood.outputs
        self.mixing, self.gain = tensor(inputs.mixing), tensor(outputs.gain)
        self.center, self.spread = map(
            tensor, (inputs.scaling.center, inputs.scaling.spread)
        )
        self.out_center, self.out_spread = map(
            tensor, (outputs.scaling.center, outputs.scaling.spread)
        )
        self.stem = linear(likelihood.trunk.stem)
        self.blocks = [block(one) for one in likelihood.trunk.blocks]
        self.mean_branch = block(likelihood.branches.mean)
        self.covariance_branch = block(likelihood.branches.covariance)
        self.mean, self.packed = (
            linear(likelihood.mean),
            linear(likelihood.cholesky.linear),
        )
        self.head, self.floor = likelihood.cholesky, likelihood.floor
        self.lower, self.upper = tensor(parameters.lower), tensor(parameters.upper)
        self.x, self.condition = tensor(x), tensor(condition)
        self.normal = torch.distributions.Normal(0.0, 1.0)

    def log_prob(self, theta):
        """The likelihood at scaled parameters."""
        dim, head = self.head.dim, self.head
        joined = torch.cat([theta, self.condition])
        hidden = self.stem((self.mixing @ joined - self.center) / self.spread)
        for one in self.blocks:
            hidden = one(hidden)
        hidden = torch.nn.functional.silu(hidden)
        y = (self.x - self.gain @ theta - self.out_center) / self.out_spread
        packed = self.packed(self.covariance_branch(hidden))
        raw = torch.cat([packed[dim:], packed.flip(0)]).reshape(dim, dim).tril()
        offset = np.log(np.expm1(head.beta * head.initial_scale))
        soft = torch.nn.functional.softplus(head.beta * raw.diagonal() + offset)
        diagonal = torch.sqrt(self.floor + (soft / head.beta) ** 2)
        scaled = (y - self.mean(self.mean_branch(hidden))) / diagonal
        white = scaled + raw.tril(-1) @ scaled
        log_det = torch.log(diagonal).sum() + torch.log(self.out_spread).sum()
        return -0.5 * ((white**2).sum() + dim * np.log(2 * np.pi)) - log_det

    def __call__(self, values):
        y = values["y"]
        theta = self.lower + (self.upper - self.lower) * self.normal.cdf(y)
        return -self.log_prob(theta) + 0.5 * (y**2).sum()


def run_pyro(potential, starts, num_warmup, num_draws, limit):
    """Chains one after another; those begun after the limit are left out."""
    begun, chains = time.process_time(), []
    for start in starts:
        if chains and time.process_time() - begun > limit:
            break
        kernel = NUTS(potential_fn=potential, max_tree_depth=8, full_mass=True)
        chain = MCMC(
            kernel,
            num_samples=num_draws,
            warmup_steps=num_warmup,
            initial_params={"y": tensor(start)},
            disable_progbar=True,
        )
        chain.run()
        chains.append(chain.get_samples()["y"].numpy())
    return np.stack(chains), time.process_time() - begun


def worth(chains):
    """Effective draws and R-hat of the worst parameter."""
    by_param = np.moveaxis(np.asarray(chains, float), -1, 0)
    return float(bulk_ess(by_param).min()), float(rank_rhat(by_param).max())


def run_ours(target, data, num):
    """All objects together, twice: the second time nothing is compiled."""
    for seed in (SEED, SEED + 1):
        begun = time.process_time()
        samples = sample_posterior(
            jr.key(seed), target, data, gate=Gate(), settings=SAMPLER
        )
        seconds = (time.process_time() - begun) / num
    return samples, seconds


def compare(options):
    """Both samplers on the first objects."""
    sizes = json.loads((options.results / NOTE).read_text())
    saved = load_estimator(options.results / "families" / options.family)
    rows = ThesisRows.load(options.results / "rows-test.npz")
    rows = rows.noisy(sizes["noise_mag"], sizes["seed"]).first(options.objects)
    parameters = thesis_parameters()
    target = FlatTarget(saved.estimator, parameters)
    theta, condition, x = rows.columns()
    samples, ours = run_ours(target, ExactData(x, condition), len(rows))
    found = []
    for number in range(len(rows)):
        potential = TorchPotential(
            saved.estimator, parameters, x[number], condition[number]
        )
        same = float(
            saved.estimator.log_prob(x[number], theta[number], condition[number])
        )
        carried = float(potential.log_prob(tensor(theta[number])))
        assert abs(same - carried) < 1e-2 + 1e-4 * abs(same), (same, carried)
        pyro.set_rng_seed(SEED + number)
        starts = np.random.default_rng(SEED + number).normal(size=(4, len(parameters)))
        chains, seconds = run_pyro(
            potential, starts, options.warmup, options.draws, options.limit
        )
        theirs, rhat = worth(chains)
        diagnostics = samples[number].diagnostics
        found.append(
            {
                "seconds": ours,
                "ess": float(jnp.min(diagnostics.ess_bulk)),
                "rhat": float(jnp.max(diagnostics.rhat)),
                "pyro_seconds": seconds,
                "pyro_ess": theirs,
                "pyro_rhat": rhat,
                "pyro_chains": len(chains),
            }
        )
        print(json.dumps(found[-1]), flush=True)
    return found


def main():
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", default="thesis-dense")
    parser.add_argument("--objects", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--limit", type=float, default=5520.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    found = compare(options)
    rates = [
        [one["ess"] / one["seconds"], one["pyro_ess"] / one["pyro_seconds"]]
        for one in found
    ]
    ratio = float(np.median([a / b for a, b in rates]))
    words = {"objects": found, "ratio_of_ess_a_second": ratio}
    (options.out / "pyro_nuts.json").write_text(json.dumps(words, indent=1) + "\n")
    print(f"effective draws a second: {ratio:.3g} times those of Pyro")


if __name__ == "__main__":
    jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "jax"))
    main()
