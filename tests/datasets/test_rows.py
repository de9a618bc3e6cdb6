"""Shells listed in a table: units, missing columns, simulated magnitudes."""

from dataclasses import replace

import numpy as np
import pytest

from grainlight.core import FileFormatError, ParameterError, UnitError
from grainlight.datasets import read_rows, simulate_rows
from grainlight.photometry import jwst_filters
from grainlight.simulators import SHELL_PARAMETERS, ShellSimulator, shell
from grainlight.transfer import solve_clumpy

NAMES = ",".join(SHELL_PARAMETERS.names)
ROW = "1e-4,0.1,0.5,1e5,6000,1e17"
ECSV = """# %ECSV 1.0
# ---
# datatype:
# - {name: dust_mass, unit: kg, datatype: float64}
# - {name: grain_radius, unit: nm, datatype: float64}
# - {name: silicate_fraction, datatype: float64}
# - {name: sn_luminosity, unit: W, datatype: float64}
# - {name: sn_temperature, unit: K, datatype: float64}
# - {name: outer_radius, unit: km, datatype: float64}
# schema: astropy-2.0
dust_mass grain_radius silicate_fraction sn_luminosity sn_temperature outer_radius
1.988409870698051e26 100 0.5 3.828e31 6000 1e12
"""


def write(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_units_of_the_header_are_converted(tmp_path):
    plain = read_rows(write(tmp_path, f"{NAMES}\n{ROW}\n"))[1]
    united = read_rows(write(tmp_path, ECSV, "rows.ecsv"))[1]
    np.testing.assert_allclose(united, plain, rtol=1e-6)


def test_a_row_is_simulated_at_its_distance_and_redshift(tmp_path):
    text = f"{NAMES},distance,name\n{ROW},10,near\n{ROW},100,far\n"
    table, theta = read_rows(write(tmp_path, text))
    answer, spectra = simulate_rows(table, theta, ShellSimulator(), jwst_filters())
    band = "JWST/MIRI.F1000W"
    assert answer[band][1] - answer[band][0] == pytest.approx(5.0, abs=1e-6)
    assert list(answer["name"]) == ["near", "far"]
    assert 20 < answer["dust_temperature"][0] < 1000
    assert spectra.colnames == ["wave", "row_1", "row_2"]
    np.testing.assert_array_equal(spectra["row_1"], spectra["row_2"])


def test_rows_with_clumps_are_simulated_with_them(tmp_path):
    row = ROW.replace("1e17", "1e16")
    text = f"{NAMES},clump_filling_factor\n{row},0\n{row},0.2\n"
    table, theta = read_rows(write(tmp_path, text))
    simulator, seen = ShellSimulator(clumps_mirrored=True), []
    answer, _ = simulate_rows(
        table,
        theta,
        simulator,
        jwst_filters(),
        seed=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]
    assert answer["resolution"][0] == 0
    assert answer["resolution"][1] != 0
    assert np.all(answer["is_settled"])
    # light gets out between the clumps, which stay cool
    assert answer["dust_temperature"][1] < answer["dust_temperature"][0]
    band = "JWST/MIRI.F770W"
    assert answer[band][1] > answer[band][0] + 0.1


def test_a_shell_that_has_not_settled_is_said(tmp_path, monkeypatch):
    def early(*given, **options):
        return replace(solve_clumpy(*given, **options), is_settled=False)

    monkeypatch.setattr(shell, "solve_clumpy", early)
    text = f"{NAMES},clump_filling_factor\n{ROW},0\n{ROW},0.2\n"
    table, theta = read_rows(write(tmp_path, text))
    simulator = ShellSimulator(clumps_mirrored=True)
    answer, _ = simulate_rows(table, theta, simulator, jwst_filters())
    assert list(answer["is_settled"]) == [True, False]


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (f"{NAMES}\n", FileFormatError, "header alone"),
        ("", FileFormatError, "empty file"),
        ("dust_mass\n1e-4\n", ParameterError, "named grain_radius"),
        (f"{NAMES}\n{ROW.replace('0.5', '1.5')}\n", ParameterError, "from 0 to 1|-1e"),
        (f"{NAMES}\n{ROW.replace('6000', 'x')}\n", ParameterError, "'x' in row 1"),
        (f"{NAMES},redshift\n{ROW},-1\n", ParameterError, "redshift from 0"),
        (f"{NAMES},distance\n{ROW},0\n", ParameterError, "distance above 0"),
        (
            f"{NAMES},clump_filling_factor\n{ROW},1.5\n",
            ParameterError,
            "clump_filling_factor from 0 to 1; got 1.5 in row 1",
        ),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, error, match):
    with pytest.raises(error, match=match):
        read_rows(write(tmp_path, text))


@pytest.mark.parametrize("unit", ["Jy", "foo"])
def test_units_that_do_not_fit_are_refused(tmp_path, unit):
    text = ECSV.replace("unit: nm", f"unit: {unit}")
    with pytest.raises(UnitError, match=unit):
        read_rows(write(tmp_path, text, "rows.ecsv"))
