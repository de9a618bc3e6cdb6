"""Chains of many objects, kept in batches, and judged by the truth."""

from dataclasses import replace

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import ParameterError, Parameters
from grainlight.estimators.arrays import write_arrays
from grainlight.evaluation import chain_runs
from grainlight.evaluation.chain_quality import judge_chains
from grainlight.evaluation.chain_runs import ChainPlan, ChainRuns, run_chains
from grainlight.sampling import Gate, Settings
from grainlight.simulators import SHELL_PARAMETERS

FALSE_ALARM = 1e-6
NAMES = ("mass", "radius")


class OneMass:
    """A target that is never evaluated."""

    parameters = Parameters((SHELL_PARAMETERS["dust_mass"],))

    def log_prior(self, scaled):
        raise NotImplementedError

    def log_likelihood(self, scaled, data):
        raise NotImplementedError


def write_runs(folder, width, num=200):
    """Draws of Gaussian posteriors `width` times as wide as they should be."""
    rng = np.random.default_rng(0)
    for number in range(2):
        truth = rng.normal(size=(num // 2, 2))
        center = truth + 0.1 * rng.normal(size=truth.shape)
        draws = center[:, None] + width * 0.1 * rng.normal(size=(num // 2, 400, 2))

        def log_density(points, center=center):
            return -0.5 * np.sum((points - center[:, None]) ** 2, axis=-1)

        status = np.array(["ok"] * (num // 2), dtype="<U16")
        status[0] = "not_converged"
        write_arrays(
            folder / f"batch-{number * num // 2:06d}.npz",
            {
                "draws": draws,
                "log_density": log_density(draws),
                "truth_density": log_density(truth[:, None])[:, 0],
                "truth": truth,
                "status": status,
                "seconds": np.full(num // 2, 2.0 + number),
            },
        )


@pytest.mark.parametrize(
    ("width", "calibrated"), [(1.0, True), (0.6, False), (1.6, False)]
)
def test_chains_are_judged_by_the_truth(tmp_path, width, calibrated):
    write_runs(tmp_path, width)
    found = judge_chains(jr.key(0), ChainRuns.load(tmp_path, NAMES))
    assert (found.total, found.retained, found.filtered) == (200, 198, 2)
    assert found.seconds == pytest.approx(2.5)
    pvalue = (found.density.histogram().pvalue, found.ranks.adjusted_pvalue.min())
    assert bool(min(pvalue) > FALSE_ALARM) is calibrated
    if calibrated:
        assert found.narrowed < FALSE_ALARM
        assert found.coverage.fraction[0] == pytest.approx(0.68, abs=0.1)
    words = found.words()
    assert words["unfinished"] == 0
    assert set(words["rank_pvalue"]) == set(NAMES)
    some = judge_chains(jr.key(0), ChainRuns.load(tmp_path, NAMES), asked=1_000)
    assert (some.total, some.unfinished) == (1_000, 800)


def test_a_folder_without_batches_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="batches"):
        ChainRuns.load(tmp_path, NAMES)


def test_a_run_goes_on_in_batches_of_another_size(tmp_path, monkeypatch):
    done = []

    def one_batch(key, target, data, truth, plan):
        done.append(truth[:, 0].tolist())
        rows = len(truth)
        return {
            "draws": np.zeros((rows, 1, 1)),
            "log_density": np.zeros((rows, 1)),
            "truth_density": np.zeros(rows),
            "truth": np.asarray(truth),
            "status": np.full(rows, "ok"),
            "seconds": np.ones(rows),
        }

    monkeypatch.setattr(chain_runs, "_run_batch", one_batch)
    target = OneMass()
    truth = np.arange(7.0)[:, None]

    def run(num, batch, **limits):
        plan = ChainPlan(batch=batch)
        some = truth[:num]
        return run_chains(jr.key(0), target, (some,), some, tmp_path, plan, **limits)

    assert len(run(3, 3)) == 3
    assert run(7, 2).truth[:, 0].tolist() == truth[:, 0].tolist()
    assert done == [[0, 1, 2], [3, 4], [5, 6]]
    assert len(run(7, 1, most_seconds=0)) == 7


class Line:
    """A standard normal prior, and one measurement with an error of a tenth."""

    parameters = Parameters((SHELL_PARAMETERS["silicate_fraction"],))

    def log_prior(self, scaled):
        return jnp.zeros(()) + 0.0 * scaled.sum()

    def log_likelihood(self, scaled, data):
        return -0.5 * ((scaled[0] - data[0]) / 0.1) ** 2


def test_what_failed_is_run_anew_once(tmp_path, monkeypatch):
    runs = []
    run_batch = chain_runs._run_batch

    def counted(key, target, data, truth, plan):
        runs.append(truth[:, 0].tolist())
        found = run_batch(key, target, data, truth, plan)
        if plan.sampler == first:  # as if two had failed, one by its data
            found["status"] = np.array(["ok", "low_ess", "nonfinite", "ok"])
        return found

    monkeypatch.setattr(chain_runs, "_run_batch", counted)
    first = Settings(num_particles=32, num_climbs=0, num_retries=0)
    truth = np.array([-0.5, 0.0, 0.2, 0.5])[:, None]

    def run(total=4, **given):
        plan = ChainPlan(200, batch=4, gate=Gate(ess=50.0), sampler=first, **given)
        some = truth[:total]
        return run_chains(jr.key(0), Line(), jnp.asarray(some), some, tmp_path, plan)

    before = run()
    assert before.status.tolist() == ["ok", "low_ess", "nonfinite", "ok"]
    found = run(anew=replace(first, num_particles=64))
    assert found.status.tolist() == ["ok", "ok", "nonfinite", "ok"]
    assert runs == [truth[:, 0].tolist(), [0.0]]
    assert found.seconds[1] > before.seconds[1]
    for name in ("draws", "log_density", "truth_density", "truth"):
        old, new = getattr(before, name), getattr(found, name)
        np.testing.assert_array_equal(old[[0, 2, 3]], new[[0, 2, 3]])
    assert not np.array_equal(before.draws[1], found.draws[1])
    # the density of the truth is that of the same object, not of its place in the run
    assert found.truth_density[1] == pytest.approx(before.truth_density[1], abs=1e-5)
    run(anew=replace(first, num_particles=64))
    assert len(runs) == 2  # what failed twice is not run a third time


@pytest.mark.parametrize("num", [300, 200])
def test_what_failed_waits_for_the_last_batch_and_for_time(tmp_path, monkeypatch, num):
    write_runs(tmp_path, 1.0)
    monkeypatch.setattr(chain_runs, "_run_batch", None)  # would raise if called
    plan = ChainPlan(anew=Settings())
    truth = np.zeros((num, 2))
    found = run_chains(
        jr.key(0), OneMass(), (truth,), truth, tmp_path, plan, most_seconds=0
    )
    assert (found.status == "not_converged").sum() == 2


def later_run(folder, index, **changed):
    runs = ChainRuns.load(folder, NAMES)
    fields = {name: getattr(runs, name)[index] for name in chain_runs.FIELDS}
    status = np.array(["not_converged"] * len(index))
    later = {"index": np.array(index), **fields, "status": status, **changed}
    write_arrays(folder / "anew-000.npz", later)


def test_what_was_run_anew_takes_its_own_place(tmp_path):
    write_runs(tmp_path, 1.0)
    before = ChainRuns.load(tmp_path, NAMES)
    later_run(tmp_path, [3, 150], seconds=np.array([7.0, 8.0]))
    found = ChainRuns.load(tmp_path, NAMES)
    assert found.status[[0, 3, 100, 150]].tolist() == ["not_converged"] * 4
    assert found.seconds[[3, 150]].tolist() == [7, 8]
    others = np.setdiff1d(np.arange(200), [3, 150])
    np.testing.assert_array_equal(found.seconds[others], before.seconds[others])


def test_places_of_other_objects_are_refused(tmp_path):
    write_runs(tmp_path, 1.0)
    later_run(tmp_path, [3, 150])
    (tmp_path / "batch-000000.npz").unlink()
    with pytest.raises(ParameterError, match="anew"):
        ChainRuns.load(tmp_path, NAMES)
