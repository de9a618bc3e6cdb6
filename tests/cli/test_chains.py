"""The commands on chains."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from grainlight.estimators import load_estimator
from grainlight.marginal import read_chains

KERNEL = ("--kind", "kernel", "--bounds", "t=-8:8")


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """Two experiments of one parameter, with a nuisance each."""
    folder = tmp_path_factory.mktemp("chains")
    generator = np.random.default_rng(1)
    for name, mean in (("one", -0.3), ("two", 0.4)):
        theta = np.stack(
            [generator.normal(mean, 0.5, 2_000), generator.normal(size=2_000)], axis=1
        )
        np.savez(folder / f"{name}.npz", theta=theta, names=["t", f"nuisance_{name}"])
    np.savez(folder / "lone.npz", theta=theta, names=["t", "u"])
    return folder


@pytest.mark.slow
def test_marginals_are_learned_ranked_and_kept(grainlight, chains, tmp_path):
    out = tmp_path / "out"
    files = (chains / "one.npz", chains / "two.npz")
    words = ("marginal", *files, "--parameters", "t", *KERNEL, "--out", out)
    status, shown, _ = grainlight(*words)
    assert status == 0
    assert "nats, dimensionality" in shown
    found = json.loads((out / "marginal.json").read_text())
    exact = np.log(16) - 0.5 * np.log(2 * np.pi * np.e * 0.25)
    for name in ("one", "two"):
        divergence = found["statistics"][name]["divergence"]
        assert abs(divergence["value"] - exact) < 5 * divergence["error"]
    names = {path.name for path in out.iterdir()}
    assert names == {"marginal.json", "power.png", "one", "two"}
    assert (out / "one" / "chains.png").is_file()
    saved = load_estimator(out / "two")
    assert saved.meta == {"parameters": ["t"]}
    peak = saved.estimator.log_prob(jnp.array([0.4]))
    assert peak == pytest.approx(-0.5 * np.log(2 * np.pi * 0.25), abs=0.2)
    assert grainlight(*words)[0] == 2


@pytest.mark.slow
def test_experiments_are_combined(grainlight, chains, tmp_path):
    out = tmp_path / "out"
    files = (chains / "one.npz", chains / "two.npz")
    evidence = ("--evidence=-1.5:0.1", "--evidence=-2")
    words = ("combine", *files, "--parameters", "t", *KERNEL, *evidence, "--out", out)
    status, shown, _ = grainlight(*words)
    assert status == 0
    assert "ln Z" in shown
    found = json.loads((out / "combine.json").read_text())
    value = found["log_evidence"]["value"] - found["log_ratio"]["value"]
    assert value == pytest.approx(-3.5)
    joint = np.load(out / "joint.npz")
    weight = np.exp(joint["log_weight"] - joint["log_weight"].max())
    mean = weight @ joint["theta"][:, 0] / weight.sum()
    assert mean == pytest.approx(0.05, abs=0.05)
    again = read_chains(out / "joint.npz")
    assert again.names == ("t",)
    assert again.weight @ again.theta[:, 0] == pytest.approx(mean)


@pytest.mark.slow
def test_tension_by_chains(grainlight, chains, tmp_path):
    out = tmp_path / "out"
    files = (chains / "one.npz", chains / "two.npz")
    status, shown, _ = grainlight(
        "tension", *files, "--parameters", "t", *KERNEL, "--out", out
    )
    assert status == 0
    assert "sigma" in shown
    found = json.loads((out / "tension.json").read_text())
    assert found["calibrated"] is None
    assert 0 < found["chains"]["pvalue"] < 1
    assert (out / "chains.png").is_file()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("marginal", "none.csv"), "Expected chains"),
        (("marginal", "one.npz"), "two bounds"),
        (("marginal", "one.npz", "--bounds", "t=a:b"), "name=low:high"),
        (("marginal", "one.npz", "--bounds", "x=0:1"), "got some of 'x'"),
        (("combine", "one.npz", *KERNEL), "two experiments"),
        (("combine", "one.npz", "lone.npz", "--evidence=x", *KERNEL), "value:error"),
        (("combine", "one.npz", "two.npz", "--evidence=1", *KERNEL), "of each of 2"),
        (("tension", "one.npz", "two.npz", "--simulations", "one.npz"), "observed_a"),
    ],
)
def test_bad_input_is_refused(grainlight, chains, tmp_path, monkeypatch, words, match):
    monkeypatch.chdir(chains)
    more = (
        ()
        if "--bounds" not in words or words[-1] != KERNEL[-1]
        else (
            "--parameters",
            "t",
        )
    )
    before = sorted(tmp_path.rglob("*"))
    status, shown, error = grainlight(*words, *more, "--out", tmp_path / "out")
    assert status == 2
    assert match in error
    assert "Traceback" not in error
    assert shown == ""
    assert sorted(tmp_path.rglob("*")) == before
