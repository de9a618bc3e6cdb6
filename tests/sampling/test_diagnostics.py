"""Diagnostics agree with ArviZ, and see what is wrong."""

import arviz
import jax.numpy as jnp
import numpy as np
import pytest

from grainlight.core import Status
from grainlight.sampling import Gate, bulk_ess, diagnose, rank_rhat, tail_ess

NUM_DRAWS = 501


def walks(memory, seed=0, num_chains=4, num_draws=NUM_DRAWS):
    """Stationary autoregressive chains of unit variance."""
    rng = np.random.default_rng(seed)
    chains = np.empty((num_chains, num_draws))
    state = rng.normal(size=num_chains)
    for index in range(num_draws):
        kick = rng.normal(size=num_chains)
        state = memory * state + np.sqrt(1 - memory**2) * kick
        chains[:, index] = state
    return chains


CASES = {
    "independent": walks(0.0),
    "slow": walks(0.95),
    "alternating": walks(-0.8),
    "heavy": np.tan(0.49 * np.pi * np.tanh(walks(0.5))),
    "shifted": walks(0.3) + np.arange(4)[:, None],
    "stuck": np.where(np.abs(walks(0.5)) < 1.5, 0.0, walks(0.5)),
    "even": walks(0.7)[:, :500],
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_arviz(name):
    chains = CASES[name]
    assert rank_rhat(chains) == pytest.approx(arviz.rhat(chains), rel=1e-4)
    assert bulk_ess(chains) == pytest.approx(arviz.ess(chains), rel=1e-4)
    tail = arviz.ess(chains, method="tail")
    assert tail_ess(chains) == pytest.approx(tail, rel=1e-4)


def test_batches_are_their_members():
    both = np.stack([CASES["slow"], CASES["heavy"]])
    for check in (rank_rhat, bulk_ess, tail_ess):
        np.testing.assert_allclose(check(both), [check(one) for one in both])


def test_the_worst_chain_counts_alone():
    chains = walks(0.0)
    chains[2] = walks(0.99, num_chains=1)[0]
    worst = arviz.ess(chains[2:3])
    found = diagnose(chains[..., None], 0.3)
    assert found.ess_chain[0] == pytest.approx(worst, rel=1e-4)


@pytest.mark.parametrize(
    ("chains", "status"),
    [
        (walks(0.0), Status.ok),
        (walks(0.0) + np.array([0, 0, 0, 1])[:, None], Status.not_converged),
        (walks(0.0) * np.array([1, 1, 1, 3])[:, None], Status.not_converged),
        (walks(0.0, num_draws=60), Status.low_ess),
        (np.full((4, 50), np.nan), Status.not_converged),
    ],
)
def test_the_gate_stops_what_is_wrong(chains, status):
    gate = Gate(rhat=1.01 if chains.shape[1] > 60 else 1.1)
    assert bool(gate.status(diagnose(chains[..., None], 0.3)) == status)


def test_one_poor_chain_fails_the_gate():
    found = diagnose(walks(0.0)[..., None], 0.3)
    assert bool(Gate(ess_chain=1e4).status(found) == Status.low_ess)
    assert bool(jnp.all(found.ess_chain > 50))


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="num_draws"):
        rank_rhat(walks(0.0, num_draws=5))
