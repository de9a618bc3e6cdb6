"""Chains of other programs are read as they were written."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import (
    FileFormatError,
    Parameter,
    ParameterError,
    Parameters,
    Samples,
    Status,
)
from grainlight.estimators import Support
from grainlight.marginal import Chains, read_chains
from grainlight.sampling import save_posterior

# as anesthetic 2.13 writes them
NESTED = """,,a,b,logL,logL_birth,nlive
labels,,$a$,$b$,$\\ln\\mathcal{L}$,$\\ln\\mathcal{L}_\\mathrm{birth}$,$n_\\mathrm{live}$
,weights,,,,,
0,0.1,-0.4,1.5,-2.3,-inf,2
1,0.3,0.2,1.1,-1.3,-inf,2
2,0.6,0.1,1.2,-1.2,-2.3,1
"""
BARE = """,weights,0,1,logL
0,1,-0.2,-1.0,-2.3
1,3,0.6,-1.3,-1.2
"""


def test_anesthetic(tmp_path):
    (tmp_path / "ns.csv").write_text(NESTED)
    chains = read_chains(tmp_path / "ns.csv")
    assert chains.names == ("a", "b")
    assert chains.order == "nested"
    np.testing.assert_allclose(chains.weight, [0.1, 0.3, 0.6])
    np.testing.assert_allclose(chains.theta[:, 1], [1.5, 1.1, 1.2])
    assert chains.log_birth[0] == -np.inf
    np.testing.assert_allclose(chains.log_likelihood, [-2.3, -1.3, -1.2])
    (tmp_path / "mc.csv").write_text(BARE)
    bare = read_chains(tmp_path / "mc.csv", ["1"])
    assert bare.order == "chain"
    np.testing.assert_allclose(bare.weight, [0.25, 0.75])
    np.testing.assert_allclose(bare.theta, [[-1.0], [-1.3]])


def write_getdist(folder):
    rows = np.array([[1, 2.0, 0.1, 5.0], [3, 1.0, 0.2, 6.0], [2, 1.5, 0.3, 7.0]])
    np.savetxt(folder / "run_1.txt", rows)
    np.savetxt(folder / "run_2.txt", rows + [0, 0, 0.5, 0])
    (folder / "run.paramnames").write_text("omega  \\Omega\nphase*  \\phi\n")
    (folder / "run.ranges").write_text("omega 0 N\nphase -10 10 P\nother 0 1\n")
    return folder / "run"


def test_getdist_with_ranges_and_burn_in(tmp_path):
    root = write_getdist(tmp_path)
    chains = read_chains(root)
    assert chains.names == ("omega", "phase")
    assert chains.num_draws == 6
    np.testing.assert_allclose(chains.weight[:3] * 12, [1, 3, 2])
    assert chains.support.lower.tolist() == [0, -10]
    assert chains.support.upper[0] == np.inf
    assert chains.support.periodic.tolist() == [False, True]
    assert read_chains(root, burn_in=0.5).num_draws == 4
    one = read_chains(tmp_path / "run_1.txt", ["phase"])
    assert one.num_draws == 3
    assert one.support.periodic.tolist() == [True]


def test_polychord_draws_its_weights(tmp_path):
    generator = np.random.default_rng(0)
    death = np.sort(generator.normal(size=200))
    birth = np.concatenate([np.full(50, -np.inf), death[:150]])
    table = np.column_stack([generator.normal(size=(200, 2)), death, birth])
    np.savetxt(tmp_path / "run_dead-birth.txt", table)
    chains = read_chains(tmp_path / "run_dead-birth.txt")
    sets = chains.draw_weights(generator, 40)
    assert sets.shape == (40, 200)
    np.testing.assert_allclose(sets.sum(axis=1), 1)
    np.testing.assert_allclose(chains.weight, sets.mean(axis=0), atol=0.02)


def test_arviz_and_our_samples_agree(tmp_path):
    members = (Parameter("mass", 0.1, 10.0, "", "log10"), Parameter("age", 0.0, 9.0))
    theta = jr.uniform(jr.key(0), (40, 2), minval=1.0, maxval=9.0)
    weight = jr.normal(jr.key(1), (40,))
    ours = Samples(theta, weight, Status.ok, Parameters(members), 4)
    save_posterior(tmp_path / "post.nc", ours)
    read = read_chains(tmp_path / "post.nc")
    assert read.names == ("mass", "age")
    np.testing.assert_allclose(read.theta, theta, rtol=1e-6)
    direct = Chains.from_samples(ours)
    np.testing.assert_allclose(read.weight, direct.weight, rtol=1e-5)
    np.testing.assert_allclose(direct.theta[:, 0], jnp.log10(theta[:, 0]), rtol=1e-5)
    np.testing.assert_allclose(direct.support.lower, [-1, 0])


def test_numpy(tmp_path):
    theta = np.arange(12.0).reshape(6, 2)
    np.save(tmp_path / "a.npy", theta)
    chains = read_chains(tmp_path / "a.npy", support=Support.free(2))
    assert chains.names == ("p0", "p1")
    assert chains.num_effective == pytest.approx(6)
    np.savez(tmp_path / "b.npz", theta=theta, weight=np.arange(6), names=["x", "y"])
    chains = read_chains(tmp_path / "b.npz", ["y"])
    np.testing.assert_allclose(chains.weight, np.arange(6) / 15)
    np.testing.assert_array_equal(chains.theta, theta[:, 1:])


def test_what_is_no_chain_is_refused(tmp_path):
    for name in ("a.csv", "a.npy", "a.npz", "a.nc", "a_dead-birth.txt"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n")
        with pytest.raises(FileFormatError, match="Expected"):
            read_chains(tmp_path / name)
    for name in ("none.csv", "none", "none.txt"):
        with pytest.raises(FileFormatError, match="Expected"):
            read_chains(tmp_path / name)
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileFormatError, match="Expected"):
        read_chains(tmp_path / "o.npy")
    root = write_getdist(tmp_path)
    with pytest.raises(ParameterError, match="got tau"):
        read_chains(root, ["tau"])


def test_the_error_of_a_mean_knows_of_neighbors():
    """A chain that repeats every draw 20 times has a twentieth of them."""
    generator = np.random.default_rng(2)
    values = np.repeat(generator.normal(size=1_000), 20)
    free = Support.free(1)
    for order, expected in (
        ("chain", 1 / 1_000**0.5),
        ("independent", 1 / 20_000**0.5),
    ):
        chains = Chains.from_draws(values[:, None], free, order=order)
        assert chains.standard_error(values) == pytest.approx(expected, rel=0.35)


def test_chains_without_weight_are_refused():
    theta = np.zeros((3, 1))
    with pytest.raises(ParameterError, match="positive weight"):
        Chains.from_draws(theta, Support.free(1), np.zeros(3))
    with pytest.raises(ParameterError, match="one name"):
        Chains.from_draws(theta, Support.free(2))


def test_a_nested_run_knows_its_evidence_with_its_error():
    """Uniform prior on (0, 1), L = exp(-x / 0.1): Z = 0.1 (1 - e^-10)."""
    generator = np.random.default_rng(5)
    pulls, wrong = [], []
    for _ in range(40):
        alive, dead, birth = generator.random(100), [], []
        born = np.full(100, -np.inf)
        for _ in range(900):
            worst = np.argmax(alive)
            dead.append(-alive[worst] / 0.1)
            birth.append(born[worst])
            born[worst] = dead[-1]
            alive[worst] = generator.uniform(0, alive[worst])
        death = np.concatenate([dead, -alive / 0.1])
        chains = Chains(
            ("x",),
            -0.1 * death[:, None],
            np.zeros(death.size),
            Support.between([0.0], [1.0]),
            "nested",
            death,
            np.concatenate([birth, born]),
        )
        draws = chains.draw_log_evidence(generator, 100)
        pulls.append((np.mean(draws) - np.log(0.1)) / np.std(draws))
        wrong.append(pulls[-1] + 2.0)
    chi = np.sum(np.square(pulls))
    assert 12 < chi < 95  # 40 degrees of freedom, a chance of 1e-6
    assert np.sum(np.square(wrong)) > 95
