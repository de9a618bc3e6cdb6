"""Every move leaves the posterior as it is, whatever proposes it.

A flat likelihood makes the posterior a standard normal in unconstrained coordinates.
Many chains that start as draws from it must end as draws from it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from grainlight.core import Parameter, Parameters
from grainlight.sampling import chains
from grainlight.sampling.chains import Guide, run_chain
from grainlight.sampling.mixture import fit_mixture

NUM_CHAINS = 20_000
BOX = Parameters((Parameter("u", 0.0, 1.0), Parameter("v", 0.0, 1.0)))


class Flat(eqx.Module):
    """Nothing is known."""

    parameters: Parameters = eqx.field(static=True, default=BOX)

    def log_prior(self, scaled):
        return jnp.zeros(())

    def log_likelihood(self, scaled, data):
        return jnp.zeros(())


@pytest.fixture(scope="module")
def guide():
    """A mixture of narrow and wide components, bent, and not the posterior."""
    narrow_key, wide_key, fit_key = jr.split(jr.key(0), 3)
    narrow = jnp.array([1.0, 0.5]) + 0.15 * jr.normal(narrow_key, (1_000, 2))
    wide = 1.5 * jr.normal(wide_key, (1_000, 2))
    wide = wide.at[:, 1].add(0.4 * wide[:, 0] ** 2)
    draws = jnp.concatenate([narrow, wide])
    mixture = fit_mixture(fit_key, draws, 4)
    return Guide(jax.vmap(mixture.straight)(draws), mixture)


def smallest_pvalue(guide, mixture_fraction):
    """Of the marginals and the radius of the last draws."""

    def one(key, start):
        chain = run_chain(
            key,
            Flat(),
            None,
            guide,
            start,
            jnp.asarray(5),
            num_draws=6,
            num_burn=0,
            mixture_fraction=mixture_fraction,
        )
        return chain.y[-1], chain.acceptance

    start = jr.normal(jr.key(1), (NUM_CHAINS, 2))
    keys = jr.split(jr.key(2), NUM_CHAINS)
    last, acceptance = jax.jit(jax.vmap(one))(keys, start)
    y = np.asarray(last, float)
    assert 0.05 < float(jnp.mean(acceptance)) < 0.95
    radius = np.sum(y**2, axis=1)
    found = [stats.kstest(column, "norm").pvalue for column in y.T]
    return min(*found, stats.kstest(radius, "chi2", args=(2,)).pvalue)


@pytest.mark.parametrize("mixture_fraction", [0.0, 0.5, 0.9])
def test_the_posterior_is_left_as_it_is(guide, mixture_fraction):
    assert smallest_pvalue(guide, mixture_fraction) > 1e-4


@pytest.mark.slow
def test_a_regional_step_without_its_way_back_is_seen(guide, monkeypatch):
    monkeypatch.setattr(chains, "_log_ratio_back", lambda *_: jnp.zeros(()))
    assert smallest_pvalue(guide, 0.0) < 1e-6


def test_a_draw_that_forgets_its_density_is_seen(guide):
    flat = eqx.tree_at(lambda g: g.mixture.inverse, guide, 0.8 * guide.mixture.inverse)
    assert smallest_pvalue(flat, 0.9) < 1e-6
