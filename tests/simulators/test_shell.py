"""The shell simulator: rows in, spectra and temperatures out."""

import json

import numpy as np
import pytest

from grainlight.core import ParameterError
from grainlight.dust import GrainSizes, mixture_opacity
from grainlight.simulators import ShellSimulator
from grainlight.transfer import Shell, solve_shell, wavelength_grid

ROW = np.array([1e-4, 0.1, 0.4, 1e5, 6000.0, 1e16])


def changed(**values):
    names = ShellSimulator().parameters.names
    row = ROW.copy()
    for name, value in values.items():
        row[names.index(name)] = value
    return row


def test_a_row_is_what_the_engine_says():
    spectra = ShellSimulator().simulate(ROW[None])
    shares = {"silicate_dl": 0.4, "carbon_be": 0.6}
    opacity = mixture_opacity(shares, 0.1, wavelength_grid())
    answer = solve_shell(Shell(1e5, 6000.0, 1e-4, 1e16, opacity))
    np.testing.assert_allclose(
        spectra.log_luminosity[0], np.log10(answer.luminosity), rtol=1e-6
    )
    assert spectra.dust_temperature[0] == pytest.approx(answer.dust_temperature)
    assert spectra.silicate_temperature[0] == pytest.approx(answer.mean_temperature[0])
    assert spectra.carbon_temperature[0] == pytest.approx(answer.mean_temperature[1])
    assert spectra.optical_depth[0] == pytest.approx(answer.optical_depth)
    assert spectra.sublimated[0] == 0


def test_grains_that_do_not_survive_are_flagged():
    rows = np.stack([ROW, changed(sn_luminosity=1e6, outer_radius=1e15)])
    spectra = ShellSimulator().simulate(rows)
    assert spectra.sublimated[0] == 0
    # the silicate of the second shell is hotter than 1400 K, or a part of it
    assert 0 < spectra.sublimated[1] <= 1
    assert spectra.silicate_temperature[1] > 1000


def test_grains_that_do_not_survive_are_removed_if_asked_for():
    rows = np.stack(
        [
            ROW,
            changed(sn_luminosity=4e5, outer_radius=1e15, dust_mass=1e-6),
            changed(sn_luminosity=1e8, outer_radius=1e15, dust_mass=1e-7),
        ]
    )
    kept = ShellSimulator().simulate(rows)
    cleared = ShellSimulator(remove_sublimated=True).simulate(rows)
    np.testing.assert_array_equal(cleared.log_luminosity[0], kept.log_luminosity[0])
    assert 0 < cleared.sublimated[1] < 1
    assert cleared.optical_depth[1] < kept.optical_depth[1]
    assert cleared.silicate_temperature[1] < 1400
    # nothing survives: the star alone, and no temperature
    assert cleared.sublimated[2] == 1
    assert np.isnan(cleared.dust_temperature[2])
    assert np.isfinite(cleared.log_luminosity).all()


def test_data_sets_state_what_was_removed_only_if_it_was():
    assert "remove_sublimated" not in ShellSimulator().settings
    assert ShellSimulator(remove_sublimated=True).settings["remove_sublimated"]


def test_rows_do_not_know_of_each_other():
    rows = np.stack([ROW, changed(dust_mass=1e-2), changed(silicate_fraction=1.0)])
    together = ShellSimulator().simulate(rows)
    for i, row in enumerate(rows):
        alone = ShellSimulator().simulate(row[None])
        np.testing.assert_array_equal(
            together.log_luminosity[i], alone.log_luminosity[0]
        )


def test_a_species_without_mass_has_no_temperature():
    rows = np.stack([changed(silicate_fraction=0.0), changed(silicate_fraction=1.0)])
    spectra = ShellSimulator().simulate(rows)
    assert np.isnan(spectra.silicate_temperature).tolist() == [True, False]
    assert np.isnan(spectra.carbon_temperature).tolist() == [False, True]
    assert np.all(np.isfinite(spectra.dust_temperature))


def test_another_inner_radius_is_another_spectrum():
    near, far = (
        ShellSimulator(inner=inner).simulate(ROW[None]).dust_temperature[0]
        for inner in (0.3, 0.8)
    )
    assert abs(near / far - 1) > 0.02


def test_a_table_of_another_width_is_refused():
    with pytest.raises(ParameterError, match="Expected 6 columns .* got 5"):
        ShellSimulator().simulate(ROW[None, :5])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dust_mass", 0.0),
        ("dust_mass", np.nan),
        ("grain_radius", 7.0),
        ("grain_radius", np.nan),
        ("silicate_fraction", 1.2),
        ("silicate_fraction", np.nan),
        ("sn_luminosity", -1.0),
        ("sn_temperature", np.inf),
        ("outer_radius", 0.0),
    ],
)
def test_an_impossible_row_is_refused(name, value):
    with pytest.raises(ParameterError):
        ShellSimulator().simulate(changed(**{name: value})[None])


@pytest.mark.slow
def test_grains_of_many_radii_have_many_temperatures():
    """Bins enough: twice as many change nothing; one radius is another shell."""
    few, many = (
        ShellSimulator(sizes=GrainSizes(num_bins=n)).simulate(ROW[None])
        for n in (8, 16)
    )
    single = ShellSimulator().simulate(ROW[None])
    assert few.dust_temperature[0] == pytest.approx(many.dust_temperature[0], rel=1e-3)
    seen = (few.wave > 0.6) & (few.wave < 30)
    off = np.abs(few.log_luminosity - many.log_luminosity)[0, seen]
    assert off.max() < 0.01 / np.log(10)
    assert abs(few.silicate_temperature[0] / single.silicate_temperature[0] - 1) > 1e-3


def test_settings_remake_the_simulator():
    for simulator in (
        ShellSimulator(),
        ShellSimulator(inner=0.5, sizes=GrainSizes(0.01, 3.0), remove_sublimated=True),
        ShellSimulator(clump_edge=0.2, clump_contrast=0.1, clumps_mirrored=True),
    ):
        stated = json.loads(json.dumps(simulator.settings))
        assert ShellSimulator.from_settings(stated) == simulator


def test_clumps_change_the_light_and_nothing_else_does():
    rows = np.stack([ROW, ROW, ROW])
    quick = ShellSimulator(clumps_mirrored=True)
    spectra = quick.simulate(rows, np.array([0.0, 0.2, 1.0]), seed=4)
    smooth = ShellSimulator().simulate(ROW[None])
    for whole in (0, 2):
        np.testing.assert_array_equal(
            spectra.log_luminosity[whole], smooth.log_luminosity[0]
        )
        assert spectra.resolution[whole] == 0
    blue = (spectra.wave > 0.3) & (spectra.wave < 0.6)
    assert np.all(spectra.log_luminosity[1, blue] > smooth.log_luminosity[0, blue])
    assert spectra.dust_temperature[1] < smooth.dust_temperature[0]
    assert spectra.optical_depth[1] == pytest.approx(smooth.optical_depth[0], rel=0.2)
    assert 0 < abs(spectra.resolution[1]) < 0.05


@pytest.mark.slow
def test_clumps_lie_where_the_seed_and_the_row_say():
    rows, share = np.stack([ROW, ROW]), np.array([0.05, 0.05])
    first, same, other = (
        ShellSimulator(clump_edge=0.2, clumps_mirrored=True)
        .simulate(rows, share, seed=seed)
        .log_luminosity
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)
    assert np.any(first[0] != first[1])


def test_clumps_that_cannot_be_are_refused():
    with pytest.raises(ParameterError, match="for each of 1 rows"):
        ShellSimulator().simulate(ROW[None], np.array([0.1, 0.2]))
    with pytest.raises(ParameterError, match="Keep the grains"):
        ShellSimulator(remove_sublimated=True).simulate(ROW[None], np.array([0.1]))
    with pytest.raises(ParameterError, match="edge between"):
        ShellSimulator(clump_edge=3.0)
