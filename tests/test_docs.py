"""The pages in `docs` do what they show: their code is run, with smaller numbers."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from grainlight.cli import app

DOCS = Path(__file__).parents[1] / "docs"
SMALLER = {
    "num_sims=20_000": "num_sims=1_000",
    "num_epochs=60": "num_epochs=2",
    "widths=(64, 64)": "widths=(8,)",
    "jr.key(5), (50_000, 3)": "jr.key(5), (500, 3)",
}


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def commands(page):
    lines = page.replace("\\\n", " ").splitlines()
    start = "    grainlight "
    return [
        line.removeprefix(start).split() for line in lines if line.startswith(start)
    ]


def test_the_page_on_simulators_runs(tmp_path, monkeypatch, capsys):
    page = (DOCS / "bring-your-own.md").read_text()
    for shown, small in SMALLER.items():
        assert page.count(shown) == 1
        page = page.replace(shown, small)
    monkeypatch.chdir(tmp_path)
    names = {}
    for number, code in enumerate(blocks(page)):
        exec(compile(code, f"block {number} of the page", "exec"), names)
    shown = capsys.readouterr().out
    assert "Simulations(1000 of dust_mass, temperature, beta in 5 bands" in shown
    assert "3204 pairs in 19 bands" in shown
    assert np.all(np.isfinite(names["rms"]))
    assert float(names["weight"].sum()) == pytest.approx(1, abs=1e-4)


def test_the_simulator_has_fifteen_lines():
    first = blocks((DOCS / "bring-your-own.md").read_text())[0]
    lines = [line for line in first.partition("class ")[2].splitlines() if line.strip()]
    assert len(lines) == 15
    assert max(map(len, lines)) <= 88


def write_planck_and_desi():
    """Chains as anesthetic writes them, of two experiments that agree."""
    generator = np.random.default_rng(7)
    for name, spread in (("planck", 0.01), ("desi", 0.02)):
        rows = generator.normal([0.3, 0.7], spread, (1_000, 2))
        lines = [f"{n},1,{x:.6f},{y:.6f}" for n, (x, y) in enumerate(rows)]
        Path(f"{name}.csv").write_text("\n".join([",weights,omega,h", *lines]) + "\n")


@pytest.mark.slow
def test_the_page_on_chains_runs(tmp_path, monkeypatch):
    """Its commands too, with kernels in the place of flows."""
    page = (DOCS / "marginal.md").read_text()
    monkeypatch.chdir(tmp_path)
    write_planck_and_desi()
    *parts, last = blocks(page)
    code = "\n".join(parts)
    assert code.count("DensitySettings()") == 1
    small = 'DensitySettings(kind="kernel", num_members=2)'
    names = {}
    exec(compile(code.replace("DensitySettings()", small), "the page", "exec"), names)
    assert names["joint"].is_trusted
    exact = [np.log(0.24 / (2 * np.pi * np.e * s**2)) for s in (0.01, 0.02)]
    assert names["found"].divergence.value == pytest.approx(exact[0], abs=0.2)
    assert names["compared"].sigma < 2.5
    shown = commands(page)
    assert len(shown) == 3
    for words in shown:
        ended = CliRunner().invoke(app.app, [*words, "--kind", "kernel"])
        assert ended.exit_code == 0, ended.output
    exec(compile(last, "the page", "exec"), names)
    assert names["density"].dim == 2
    assert names["joint"].names == ("omega", "h")


def seeds_line(case, rows):
    """One line of the errors over seeds."""
    words = []
    for name in ("divergence", "dimensionality"):
        off = np.array([row[f"{name}_off"] for row in rows])
        words.append(f"{off.mean():+.1%} +- {off.std(ddof=1):.1%}")
    for name in ("divergence", "dimensionality"):
        pull = np.array([row[f"{name}_pull"] for row in rows])
        words.append(f"{np.sqrt(np.mean(pull**2)):.2f}")
    return f"| {case} | {' | '.join(words)} |"


def statistics_line(row, peer):
    d, of_d = (row[f"{name}_error"] for name in ("divergence", "dimensionality"))
    beside = "" if peer is None else f"{peer['divergence']:.3f}, "
    beside += "" if peer is None else f"{peer['dimensionality']:.2f}"
    time = f"{row['seconds']:.0f}"
    time += "" if peer is None else f", {peer['seconds']:.0f}"
    return (
        f"| {row['case']} | {row['divergence']:.4f} +- {d:.4f} | "
        f"{row['divergence_off']:+.1%} | {row['dimensionality']:.3f} +- {of_d:.3f} | "
        f"{row['dimensionality_off']:+.1%} | {beside} | {time} |"
    )


def tension_line(row):
    read = [f"{mean:.2f} +- {sd:.2f}" for mean, sd in row["tension"].values()]
    return (
        f"| {row['dim']} | {row['prior_sd']:g} | {row['information']:.2f} | "
        f"{row['information_learned']:.2f} | {row['rms']:.3f} | {row['rms_tense']:.3f} "
        f"| {' | '.join(read)} | {row['health']} |"
    )


def population_line(row):
    found = [
        f"{name} {mean:.3f} +- {sd:.3f}"
        for name, mean, sd in zip(row["names"], row["mean"], row["sd"], strict=True)
    ]
    return (
        f"| {row['case']} | {', '.join(found)} | "
        f"{', '.join(f'{value:g}' for value in row['truth'])} | "
        f"{row['variance']:.2f} | {row['seconds']:.1f} |"
    )


def measured(name):
    return json.loads((DOCS / "figures" / f"{name}.json").read_text())


def test_the_tables_of_the_page_on_chains_are_those_measured():
    page = (DOCS / "marginal.md").read_text()
    rows = measured("marginal_statistics")
    peers = {row["case"]: row for row in rows if row["method"] == "margarine"}
    ours = [row for row in rows if row["method"] == "autoregressive"]
    lines = [statistics_line(row, peers.get(row["case"])) for row in ours]
    seeds = {}
    for row in measured("marginal_seeds"):
        seeds.setdefault(row["case"], []).append(row)
    lines += [seeds_line(case, rows) for case, rows in seeds.items()]
    lines += map(tension_line, measured("tension_linear"))
    lines += map(population_line, measured("population"))
    assert [line for line in lines if line not in page] == []
    assert len(lines) > 12
