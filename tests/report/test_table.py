"""The table on the terminal and the trust line."""

import io
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from grainlight.core import Certificate, GrainlightError, Status
from grainlight.evaluation import judge_fit
from grainlight.report import tabulate_posterior, write_reasons, write_trust
from grainlight.report.table import format_numbers


def show(table) -> str:
    console = Console(file=io.StringIO(), width=110)
    console.print(table)
    return console.file.getvalue()


@pytest.fixture
def trust(samples):
    chi_squared = 5.3 + np.random.default_rng(3).chisquare(3, samples.num_draws)
    floor_mag = 2.5 / np.log(10) * 0.05
    return judge_fit(samples, chi_squared, 8, floor_mag=floor_mag)


def test_the_table_has_a_row_a_column_with_unit_and_intervals(samples):
    text = show(tabulate_posterior(samples, title="SN 2017eaw"))
    lines = text.splitlines()
    assert "SN 2017eaw" in lines[0]
    rows = [line for line in lines if line.startswith("│")]
    assert len(rows) == 7
    quantiles = samples.quantile((0.16, 0.5))
    mass = rows[0].split("│")
    assert mass[2].strip() == "Msun"
    assert float(mass[3]) == pytest.approx(quantiles["dust_mass"][1], rel=5e-3)
    low = float(mass[4].split("..")[0])
    assert low == pytest.approx(quantiles["dust_mass"][0], rel=5e-3)
    assert rows[-1].split("│")[2].strip() == "K"


def test_a_failed_run_has_no_table(samples):
    failed = eqx.tree_at(
        lambda s: (s.theta, s.status),
        samples,
        (samples.theta * jnp.nan, Status.nonfinite),
    )
    with pytest.raises(GrainlightError, match="check the fluxes"):
        tabulate_posterior(failed)


@pytest.mark.parametrize(
    ("values", "is_log", "texts"),
    [
        ([9.59e-5, 3.48e-4, 1.64e-3], True, ["9.59e-5", "3.48e-4", "1.64e-3"]),
        ([0.00676, 0.0624, 0.584], True, ["0.00676", "0.0624", "0.584"]),
        ([3.09e16, 6.75e16, 1.44e17], True, ["3.09e16", "6.75e16", "1.44e17"]),
        ([0.734, 0.922, 0.9961], False, ["0.734", "0.922", "0.996"]),
        ([0.0, 1e-6, 0.5], False, ["0.00", "0.00", "0.50"]),
        ([133.9, 164.2, 194.3], False, ["134", "164", "194"]),
        ([4238.0, 8950.4, 13726.0], False, ["4238", "8950", "13726"]),
        ([0.0, 0.0, 0.0], False, ["0", "0", "0"]),
    ],
)
def test_numbers_of_a_row_are_written_alike(values, is_log, texts):
    assert format_numbers(np.array(values), is_log) == texts


def test_the_trust_line_states_every_check(trust):
    line = write_trust(trust)
    assert line.startswith("R-hat 1.004, ESS 1840 (bulk) 1560 (tail), chi2 5.3")
    assert "for 8 bands (model-error floor 5 %" in line
    assert line.endswith("inside the training range: ok")
    assert any("sn_temperature" in reason for reason in write_reasons(trust))


@pytest.mark.parametrize(
    ("change", "end", "reason"),
    [
        ({"predictive_probability": 1e-5}, "do not trust", "family does not fit"),
        ({"inside_range": False}, "outside the training range: do not trust", "range"),
        ({"status": Status.low_ess}, "do not trust", "Too few effective draws"),
        ({"predictive_probability": 5e-3}, "caution", "fit is poor"),
    ],
)
def test_the_trust_line_ends_with_the_verdict(trust, change, end, reason):
    changed = replace(trust, **change)
    assert write_trust(changed).endswith(end)
    assert reason in write_reasons(changed)[0]


def test_only_limits_and_no_chains_are_said_so(trust):
    bare = replace(
        trust, num_bands=0, predictive_probability=float("nan"), rhat=float("nan")
    )
    line = write_trust(bare)
    assert line.startswith("no chain diagnostics, no band detected")
    assert line.endswith("caution")


def test_the_trust_line_says_which_step_of_the_ladder_answered(trust):
    weights = {"efficiency": 0.41, "shape": 0.3, "num_weighed": 4096}
    corrected = replace(trust, certificate=Certificate("corrected", **weights))
    line = write_trust(replace(corrected, rhat=float("nan")))
    assert line.startswith("amortized and corrected: importance sampling efficiency 41")
    assert "k-hat 0.30, ESS 1679, chi2" in line
    guided = replace(trust, certificate=Certificate("guided", **weights))
    assert write_trust(guided).startswith("chains from amortized draws: R-hat 1.004")
    sampled = replace(trust, certificate=Certificate("sampled"))
    assert write_trust(sampled).startswith("R-hat 1.004")
