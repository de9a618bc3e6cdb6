"""The pages in `docs` do what they show: their code is run, with smaller numbers."""

import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
SMALLER = {
    "num_sims=20_000": "num_sims=1_000",
    "num_epochs=60": "num_epochs=2",
    "widths=(64, 64)": "widths=(8,)",
    "jr.key(5), (50_000, 3)": "jr.key(5), (500, 3)",
}


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


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
