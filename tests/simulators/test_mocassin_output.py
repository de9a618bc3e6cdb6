"""What MOCASSIN wrote is read with its units: energy, packets, mass, temperatures."""

from pathlib import Path

import numpy as np
import pytest

from grainlight.core import FileFormatError
from grainlight.dust import mixture_opacity
from grainlight.simulators import MocassinRun
from grainlight.simulators.mocassin_output import (
    PARSEC,
    read_converged,
    read_dust_grid,
    read_optical_depth,
    read_spectrum,
)

RECORDED = Path(__file__).parents[1] / "reference" / "mocassin_run"
LUMINOSITY, PACKETS = 1e5, 20_000


def made(temperature, density=None, names=("silicate_dl", "carbon_be"), num=7):
    """A run with known temperatures on a small grid."""
    axis = np.arange(num) - num // 2.0
    if density is None:
        density = np.zeros((7,) * 3)
        density[2:5, 2:5, 2:5] = 1.0
    share = np.array([0.75, 0.25][: len(names)])
    return MocassinRun(
        wave=np.array([1.0, 2.0]),
        luminosity=np.ones(2),
        noise=np.ones(2),
        axis=axis,
        density=density,
        temperature=np.asarray(temperature) * (density > 0),
        mass_fraction=dict(zip(names, share / share.sum(), strict=True)),
        optical_depth=1.0,
        energy=1.0,
        converged=1.0,
    )


def flat(*values):
    return np.ones((len(values), 7, 7, 7)) * np.array(values)[:, None, None, None]


def test_the_light_of_all_bins_is_that_of_the_star():
    spectrum = read_spectrum(RECORDED / "SED.out")
    star = LUMINOSITY * 3.828e33
    # every packet leaves; a factor of pi, as the manual has it, would be found out
    assert spectrum.total / star == pytest.approx(1.0, abs=1e-4)
    assert np.all(np.diff(spectrum.wave) > 0)
    assert len(spectrum.wave) == 215


def test_a_bin_holds_whole_packets():
    spectrum = read_spectrum(RECORDED / "SED.out")
    packets = spectrum.packets(LUMINOSITY, PACKETS)
    assert packets.sum() == PACKETS
    exact = spectrum.luminosity * spectrum.width * PACKETS / (LUMINOSITY * 3.828e33)
    np.testing.assert_allclose(exact, packets, rtol=1e-4)


def test_an_excerpt_is_read(tmp_path):
    path = tmp_path / "SED.out"
    path.write_text(
        " header\n  nu [Ryd]  lambda [um]\n\n"
        " 0.01 9.0 0.0\n 0.02 4.5 1.5E+01\n 0.03 3.0 0.0\n  \n Total: 3.0\n"
    )
    spectrum = read_spectrum(path)
    np.testing.assert_allclose(spectrum.wave, [3.0, 4.5, 9.0])
    expected = 15 * 4 * np.pi * PARSEC**2 * 1e-23
    np.testing.assert_allclose(spectrum.luminosity, [0, expected, 0])


@pytest.mark.parametrize("text", ["", "words\n", "1 2 nan\n" * 5, "1 2 3\n2 3 4\n"])
@pytest.mark.parametrize("reader", ["spectrum", "grid", "depth"])
def test_broken_files_are_refused(tmp_path, text, reader):
    path = tmp_path / "file.out"
    path.write_text(text)
    read = {
        "spectrum": read_spectrum,
        "grid": lambda place: read_dust_grid(place, 7, 2),
        "depth": read_optical_depth,
    }[reader]
    with pytest.raises(FileFormatError):
        read(path)
    with pytest.raises(FileFormatError):
        read(tmp_path / "none.out")


def test_the_grid_holds_the_mass_that_was_asked_for():
    dust = read_dust_grid(RECORDED / "dustGrid.out", 9, 2)
    run = made(dust.temperature, dust.density, num=9)
    volume = (1e17 / 3) ** 3
    # half of the mass, so two thirds of the grains, is carbon
    heavy, light = 0.5 / 3.6, 0.5 / 1.85
    density = (heavy * 3.6 + light * 1.85) / (heavy + light)
    grain = 4 / 3 * np.pi * (0.1e-4) ** 3 * density
    assert dust.density.sum() * volume * grain / 1.989e33 == pytest.approx(
        1e-3, rel=1e-3
    )
    assert run.num_grains == pytest.approx(dust.density.sum())
    # carbon is the warmer one
    silicate, carbon = run.mean_temperature
    assert 80 < silicate < 130 < 170 < carbon < 230


def test_the_order_of_cells_is_that_of_the_input(tmp_path):
    lines = []
    for i, j, k in np.ndindex(3, 3, 3):
        row = f"  {100 * i + 10 * j + k}. 0.5\n"
        lines += [f" {i}{j}{k}\n", row, row]
    (tmp_path / "dust.out").write_text("".join(lines) + "  \n Total dust: 1.0\n")
    with pytest.raises(FileFormatError, match="7 finite numbers"):
        read_dust_grid(tmp_path / "dust.out", 3, 2)
    dust = read_dust_grid(tmp_path / "dust.out", 3, 1)
    assert dust.density[2, 1, 0] == 210
    assert dust.temperature[0, 1, 2, 0] == 0.5


def test_the_depth_is_a_mean_along_the_axes(tmp_path):
    rows = "  8.0  0.1\n  0.6  2.0\n  0.5  {}\n"
    path = tmp_path / "tauNu.out"
    parts = [f" direction: {i}\n lambda  tau\n{rows.format(i)}" for i in (4, 5, 6)]
    path.write_text("\n\n".join(parts))
    assert read_optical_depth(path) == pytest.approx(3.5)


def test_the_depth_is_that_of_the_grains_along_an_axis():
    density = read_dust_grid(RECORDED / "dustGrid.out", 9, 2).density
    shares = {"silicate_dl": 0.5, "carbon_be": 0.5}
    extinction = mixture_opacity(shares, 0.1, np.array([0.55])).extinction[0]
    material = 1 / (0.5 / 3.6 + 0.5 / 1.85)
    column = density[4:, 4, 4].sum() * (1e17 / 3) * 4 / 3 * np.pi * 1e-15 * material
    depth = read_optical_depth(RECORDED / "tauNu.out")
    assert depth == pytest.approx(column * extinction, rel=0.01)


def test_convergence_is_a_share():
    assert 0 <= read_converged(RECORDED / "summary.out") <= 1


def test_means_are_by_mass():
    run = made(flat(100.0, 300.0))
    np.testing.assert_allclose(run.mean_temperature, [100, 300])
    assert run.dust_temperature == pytest.approx(0.75 * 100 + 0.25 * 300)
    np.testing.assert_allclose(run.sublimated, 0)


def test_grains_that_sublimate_are_not_in_the_means():
    temperature = flat(1000.0, 1500.0)
    temperature[0, 2] = 1500.0  # beyond the 1400 K of silicate, not the 2200 of carbon
    run = made(temperature)
    np.testing.assert_allclose(run.mean_temperature, [1000, 1500])
    np.testing.assert_allclose(run.sublimated, [1 / 3, 0], atol=1e-12)
    left = 0.75 * 2 / 3
    mean = (left * 1000 + 0.25 * 1500) / (left + 0.25)
    assert run.dust_temperature == pytest.approx(mean)


def test_without_grains_there_is_no_temperature():
    run = made(flat(1500.0), names=("silicate_dl",))
    assert np.isnan(run.dust_temperature)
    assert np.isnan(run.mean_temperature).all()
    np.testing.assert_allclose(run.sublimated, 1)


def test_the_profile_has_every_layer():
    place = np.linspace(-3.0, 3.0, 7) ** 2
    radius = np.sqrt(place[:, None, None] + place[:, None] + place)
    run = made(np.stack([1000 - 100 * radius, 1100 - 100 * radius]))
    profile = run.radial_temperature(3)
    assert np.all(np.diff(profile.radius) > 0)
    falls = np.diff(profile.temperature, axis=1)
    assert np.all(falls < 0)
    np.testing.assert_allclose(profile.temperature[1] - profile.temperature[0], 100)
