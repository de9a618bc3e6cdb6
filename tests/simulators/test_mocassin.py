"""Runs of MOCASSIN: they resume, fail alone, stop together, and agree with us."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from grainlight.core import FileFormatError, OutputExistsError, SimulatorMissingError
from grainlight.dust import mixture_opacity
from grainlight.simulators import (
    MocassinGrid,
    MocassinSettings,
    MocassinShell,
    ShellSimulator,
    finished_runs,
    read_record,
    read_run,
    run_path,
    run_shell,
    run_shells,
)
from grainlight.transfer import (
    Clumps,
    ShellGeometry,
    shell_density,
    solve_grid,
    wavelength_grid,
)

THETA = np.array([1e-3, 0.1, 0.5, 1e5, 6000.0, 1e17])
#: Those of the recorded run.
RECORDED = MocassinSettings(
    points=9, first_packets=5_000, first_steps=2, last_packets=20_000, last_steps=1
)
QUICK = MocassinSettings(
    points=13, first_packets=20_000, last_packets=60_000, last_steps=1
)
needs_mocassin = pytest.mark.skipif(
    shutil.which("mocassin") is None, reason="MOCASSIN is not installed"
)


def shell(**values):
    names = ShellSimulator().parameters.names
    row = THETA.copy()
    for name, value in values.items():
        row[names.index(name)] = value
    return MocassinShell.from_theta(row, ShellSimulator())


def calls(path):
    return len(path.read_text().splitlines())


def test_a_finished_run_is_read_as_it_was(stand_in, tmp_path):
    run_shell(tmp_path / "run", shell(), RECORDED)
    run, record = read_run(tmp_path / "run"), read_record(tmp_path / "run")
    assert record.shell == shell()
    assert record.settings == RECORDED
    assert run.energy == pytest.approx(1, abs=1e-4)
    assert run.species == ("silicate_dl", "carbon_be")
    counted = run.noise[np.isfinite(run.noise)] ** -2
    assert counted.sum() == pytest.approx(20_000)
    names = {path.name for path in (tmp_path / "run").rglob("*")}
    assert names == {
        "input",
        "input.in",
        "species.dat",
        "sizes.dat",
        "SED.out",
        "answer.npz",
        "grainlight.json",
    }


def test_what_is_finished_is_not_run_again(stand_in, tmp_path):
    shells = [shell(), shell(dust_mass=2e-3)]
    folder, seen = tmp_path / "runs", []
    answer = run_shells(
        folder, shells, RECORDED, workers=2, progress=lambda *n: seen.append(n)
    )
    assert answer.finished == (0, 1)
    assert (seen[0], seen[-1]) == ((0, 2), (2, 2))
    assert calls(stand_in) == 4
    run_shells(folder, shells, RECORDED)
    assert calls(stand_in) == 4
    # without its mark, a run was cut short
    (run_path(folder, 1) / "grainlight.json").unlink()
    run_shells(folder, [*shells, shell(dust_mass=3e-3)], RECORDED)
    assert calls(stand_in) == 8
    assert len(finished_runs(folder)) == 3


def test_a_bad_run_is_recorded_and_the_rest_finish(stand_in, tmp_path):
    shells = [shell(), shell(sn_temperature=6666.0), shell(dust_mass=2e-3)]
    for _ in range(2):
        answer = run_shells(tmp_path, shells, RECORDED, workers=1)
        assert answer.finished == (0, 2)
        assert "exit status 3" in answer.failures[1]
        assert "no such star" in answer.failures[1]
        assert "no such star" in (run_path(tmp_path, 1) / "failed.json").read_text()
    assert calls(stand_in) == 6


@pytest.mark.parametrize(
    ("shells", "settings", "match"),
    [
        ([shell(dust_mass=2e-3)], RECORDED, "dust_mass 0.002 .* got 0.001"),
        ([shell()], QUICK, "points 13 .* got 9"),
    ],
)
def test_runs_of_other_shells_are_kept(stand_in, tmp_path, shells, settings, match):
    run_shells(tmp_path, [shell()], RECORDED)
    with pytest.raises(OutputExistsError, match=match):
        run_shells(tmp_path, shells, settings)
    assert calls(stand_in) == 2
    assert len(finished_runs(tmp_path)) == 1


def test_files_of_others_are_kept(stand_in, tmp_path):
    place = run_path(tmp_path, 0)
    place.mkdir()
    (place / "letter.txt").write_text("dear")
    with pytest.raises(OutputExistsError, match=r"letter\.txt"):
        run_shells(tmp_path, [shell()], RECORDED)
    assert (place / "letter.txt").read_text() == "dear"


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SimulatorMissingError, match="apt-get install mocassin"):
        run_shells(tmp_path / "runs", [shell()], RECORDED)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["grainlight.json", "answer.npz"])
def test_broken_answers_are_refused(stand_in, tmp_path, name):
    run_shell(tmp_path / "run", shell(), RECORDED)
    (tmp_path / "run" / name).write_text("{}")
    with pytest.raises(FileFormatError, match="run it again"):
        read_run(tmp_path / "run")


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from grainlight.simulators import *
theta = np.array([1e-3, 0.1, 0.5, 1e5, 7777.0, 1e17])
shell = MocassinShell.from_theta(theta, ShellSimulator())
try:
    run_shells(Path(sys.argv[1]), [shell] * 2, MocassinSettings(points=9), workers=2)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slow
def test_an_interrupt_stops_the_programs(stand_in, tmp_path):
    (tmp_path / "go.py").write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, tmp_path / "go.py", tmp_path / "runs"])
    limit = time.monotonic() + 60
    while calls(stand_in) < 2 and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(2)
    # the programs would sleep for a minute
    assert process.wait(timeout=20) == 130
    assert not list((tmp_path / "runs").iterdir())


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    """A shell that the real program solved, on a coarse grid."""
    folder = tmp_path_factory.mktemp("real") / "run"
    run_shell(folder, shell(), QUICK)
    return folder


@needs_mocassin
def test_the_real_program_agrees_with_our_engine(real):
    run = read_run(real)
    ours = ShellSimulator().simulate(THETA[None])
    assert run.energy == pytest.approx(1, abs=1e-3)
    assert run.optical_depth == pytest.approx(ours.optical_depth[0], rel=0.05)
    assert run.dust_temperature == pytest.approx(ours.dust_temperature[0], rel=0.02)
    silicate, carbon = run.mean_temperature
    assert silicate == pytest.approx(ours.silicate_temperature[0], rel=0.03)
    assert carbon == pytest.approx(ours.carbon_temperature[0], rel=0.03)


@needs_mocassin
@pytest.mark.parametrize(
    ("name", "factor"), [("sn_luminosity", 1.3), ("outer_radius", 1.2)]
)
def test_another_shell_is_found_out(real, name, factor):
    row = THETA.copy()
    row[ShellSimulator().parameters.names.index(name)] *= factor
    other = ShellSimulator().simulate(row[None])
    run = read_run(real)
    assert run.dust_temperature != pytest.approx(other.dust_temperature[0], rel=0.04)


@needs_mocassin
def test_the_real_program_takes_a_grid_of_clumps(tmp_path):
    density = np.zeros((9,) * 3)
    density[2, 3, 4], density[6, 5, 3] = 1.0, 0.5
    grid = MocassinGrid(np.linspace(-1e17, 1e17, 9), density)
    asked = MocassinShell.from_theta(
        THETA * np.array([1e-2, 1, 1, 1, 1, 1]), ShellSimulator(), grid=grid
    )
    settings = MocassinSettings(points=9, first_packets=5_000, last_packets=5_000)
    run_shell(tmp_path / "run", asked, settings)
    run = read_run(tmp_path / "run")
    np.testing.assert_array_equal(run.density > 0, density > 0)
    assert run.density[2, 3, 4] == pytest.approx(2 * run.density[6, 5, 3], rel=1e-4)
    assert 30 < run.dust_temperature < 500
    # the answer belongs to this grid alone
    with pytest.raises(OutputExistsError, match="grid None"):
        run_shell(tmp_path / "run", shell(dust_mass=1e-5), settings)


@needs_mocassin
def test_clumps_of_this_package_are_as_in_the_real_program(tmp_path):
    """Fresh clumps, at the same cells: both are noisy, the program more."""
    mass, outer = 1e-4, 1e16
    density = shell_density(
        np.random.default_rng(5), mass, outer, ShellGeometry(0.4), Clumps(0.2), 0.1
    )
    shares = {"silicate_dl": 0.5, "carbon_be": 0.5}
    asked = MocassinShell(
        1e5, 6000.0, mass, outer, 0.1, shares, grid=MocassinGrid.from_density(density)
    )
    run_shell(tmp_path / "run", asked, MocassinSettings(last_packets=400_000))
    run = read_run(tmp_path / "run")
    opacity = mixture_opacity(shares, 0.1, wavelength_grid())
    ours = solve_grid(1e5, 6000.0, opacity, density, 1)
    assert run.dust_temperature == pytest.approx(ours.dust_temperature, rel=0.015)
    weight = np.abs(np.gradient(1 / run.wave))
    logs = np.interp(np.log(run.wave), np.log(ours.wave), np.log(ours.luminosity))
    for low, high in ((0.6, 1), (1, 2), (2, 4), (4, 8), (8, 13), (13, 20), (20, 30)):
        kept = (run.wave >= low) & (run.wave < high)
        theirs = weight[kept] @ run.luminosity[kept]
        assert weight[kept] @ np.exp(logs[kept]) == pytest.approx(theirs, rel=0.05)
