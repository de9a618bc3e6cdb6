"""The command line in this process, and the photometry that it is given."""

import sys
from functools import partial

import pytest

from grainlight.cli import app, evaluate
from grainlight.cli import fit as command
from grainlight.sampling import Settings
from grainlight.sampling.fit import FitSettings

ONE = """# unit: uJy
# redshift: 0.002
filter,flux,flux_err
F560W,6,0.5
F1000W,58,2
F2100W,120,4
"""


@pytest.fixture
def grainlight(monkeypatch, capsys):
    """Run the command line; gives exit status, standard output and error."""
    monkeypatch.setattr(app, "_keep_programs", lambda: None)
    monkeypatch.setattr(app, "_watch_signals", lambda: None)
    quick = Settings(
        num_retries=0,
        num_particles=32,
        max_stages=20,
        stage_sweeps=4,
        num_components=4,
        refine_rounds=2,
        refine_blocks=1,
        archive_size=512,
    )
    monkeypatch.setattr(command, "FitSettings", partial(FitSettings, sampler=quick))
    few = partial(FitSettings, sampler=quick, num_draws=100)
    monkeypatch.setattr(evaluate, "FitSettings", few)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["grainlight", *map(str, words)])
        status = 0
        try:
            app.main()
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def one(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text(ONE)
    return path
