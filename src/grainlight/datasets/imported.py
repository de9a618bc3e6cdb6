"""Finished runs of MOCASSIN: as a data set, and beside this package's own answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, Table
from jaxtyping import Float

from grainlight.core import FileFormatError, OutputExistsError, ParameterError
from grainlight.datasets.dataset import Dataset, magnitudes
from grainlight.datasets.generate import write_shard
from grainlight.datasets.recipe import TABLE, Recipe
from grainlight.photometry import FilterSet
from grainlight.simulators import (
    MocassinRun,
    MocassinShell,
    RunRecord,
    ShellSimulator,
    ShellSpectra,
    finished_runs,
    read_record,
    read_run,
)
from grainlight.simulators.shell import FAINTEST
from grainlight.transfer import wavelength_grid

PROGRAM = "MOCASSIN"
#: Bands are compared where the bins of the spectrum have less noise than this.
LARGEST_NOISE = 0.1


def import_runs(folder: Path, out: Path, *, prior: str = TABLE) -> Dataset:
    """Make a data set of the finished runs in a folder; unfinished ones are left out.

    Parents are numbered in the order of the runs. Spectra are interpolated onto the
    wavelengths of the format; `dataset.json` states origin and settings.

    Args:
        folder: Where `run_shells` left its runs.
        out: Where the data set goes: a new folder, or an empty one.
        prior: Name of the prior that the shells were drawn from, if they were.

    Raises:
        FileFormatError: There is no finished run, or one is broken.
        OutputExistsError: There are files in `out`.
        ParameterError: The runs differ in more than the parameters, or are not of
            uniform shells; or the prior is not known.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(
            f"Expected a new folder for the data set; got {out}, which holds other "
            "files. Name another folder."
        )
    places = finished_runs(folder)
    records = [read_record(place) for place in places]
    simulator = _common(folder, records)
    theta = np.array([_theta(record.shell) for record in records])
    recipe = Recipe(
        num_parents=len(places),
        seed=0,
        priors={prior: 1.0},
        simulator=simulator,
        origin={
            "program": PROGRAM,
            "settings": asdict(records[0].settings),
            "shells": hashlib.sha256(theta.tobytes()).hexdigest()[:16],
        },
    )
    out.mkdir(parents=True, exist_ok=True)
    for shard in range(recipe.num_shards):
        first = shard * recipe.shard_size
        rows = slice(first, first + recipe.shard_rows(shard))
        spectra = run_spectra(places[rows])
        origin = np.full(len(spectra.theta), prior)
        write_shard(out, recipe, shard, spectra, origin)
    recipe.save(out)
    return Dataset.open(out)


def run_spectra(places: Sequence[Path]) -> ShellSpectra:
    """Spectra and outcomes of finished runs of uniform shells, on our wavelengths."""
    runs = [read_run(place) for place in places]
    shells = [read_record(place).shell for place in places]
    means = [dict(zip(run.species, run.mean_temperature, strict=True)) for run in runs]
    kinds = [_simulator(shell) for shell in shells]
    return ShellSpectra(
        theta=np.array([_theta(shell) for shell in shells]),
        wave=wavelength_grid(),
        log_luminosity=np.array([resample(run) for run in runs], dtype=np.float32),
        dust_temperature=np.array([run.dust_temperature for run in runs]),
        carbon_temperature=np.array(
            [mean.get(k.carbon, np.nan) for mean, k in zip(means, kinds, strict=True)]
        ),
        silicate_temperature=np.array(
            [mean.get(k.silicate, np.nan) for mean, k in zip(means, kinds, strict=True)]
        ),
        sublimated=np.array(
            [list(run.mass_fraction.values()) @ run.sublimated for run in runs]
        ),
        optical_depth=np.array([run.optical_depth for run in runs]),
        energy_error=np.array([run.energy - 1 for run in runs]),
        resolution=np.zeros(len(runs)),
        is_settled=np.ones(len(runs), bool),
    )


def resample(run: MocassinRun) -> Float[np.ndarray, " wave"]:
    """log10 luminosity densities of a run [erg s^-1 Hz^-1] on our wavelengths.

    They are interpolated in the logarithms of both; beside a bin that no packet
    reached, in the luminosity itself.
    """
    place, wanted = np.log(run.wave), np.log(wavelength_grid())
    tiny = 10**FAINTEST
    logs = np.log10(np.maximum(run.luminosity, tiny))
    left = np.clip(np.searchsorted(place, wanted, side="right") - 1, 0, len(place) - 2)
    lit = (run.luminosity[left] > 0) & (run.luminosity[left + 1] > 0)
    linear = np.maximum(np.interp(wanted, place, run.luminosity), tiny)
    return np.where(lit, np.interp(wanted, place, logs), np.log10(linear))


def compare_runs(folder: Path, filters: FilterSet) -> Table:
    """The finished runs in a folder beside this package's answer for the same shells.

    Sublimated grains are removed in both. Differences are this package minus MOCASSIN.

    Args:
        folder: Where `run_shells` left its runs.
        filters: Bands in which the light is compared, at redshift zero; left out are
            those where more than a tenth of MOCASSIN's spectrum is noise.

    Returns:
        A row a run: its number counted from one, temperatures and their difference
        [%], the median absolute difference of the magnitudes and its number of bands,
        then optical depth, escaped over emitted energy and CPU seconds of MOCASSIN.

    Raises:
        FileFormatError: There is no finished run, or one is broken.
        ParameterError: The runs differ in more than the parameters.
    """
    places = finished_runs(folder)
    records = [read_record(place) for place in places]
    simulator = _common(folder, records)
    theirs = run_spectra(places)
    ours = simulator.simulate(theirs.theta)
    rest = np.zeros(len(places))
    light = [magnitudes(filters, s.log_luminosity, rest) for s in (ours, theirs)]
    noise = np.array([_band_noise(read_run(place), filters) for place in places])
    off = np.where(noise < LARGEST_NOISE, np.abs(light[0] - light[1]), np.nan)
    warmer = 100 * (ours.dust_temperature / theirs.dust_temperature - 1)
    median = np.ma.median(np.ma.masked_invalid(off), axis=1).filled(np.nan)
    table = Table()
    table["row"] = [int(place.name.removeprefix("run-")) + 1 for place in places]
    for name, values, unit in (
        ("dust_temperature", theirs.dust_temperature, u.K),
        ("our_temperature", ours.dust_temperature, u.K),
        ("temperature_difference", warmer, u.percent),
        ("magnitude_difference", median, u.mag),
    ):
        table[name] = MaskedColumn(values, mask=~np.isfinite(values), unit=unit)
    table["num_bands"] = np.isfinite(off).sum(axis=1)
    table["optical_depth"] = theirs.optical_depth
    table["energy"] = [record.energy for record in records]
    table["cpu_seconds"] = [record.cpu_seconds for record in records] * u.s
    return table


def _band_noise(run: MocassinRun, filters: FilterSet) -> np.ndarray:
    """Relative noise of the bins that each band is read from."""
    noise = np.minimum(run.noise, 1e9)
    return np.interp(filters.pivot, run.wave, noise)


def _theta(shell: MocassinShell) -> list[float]:
    return [
        shell.dust_mass,
        shell.grain_radius,
        sum(v for k, v in shell.mass_fraction.items() if k.startswith("silicate")),
        shell.luminosity,
        shell.source_temperature,
        shell.outer_radius,
    ]


def _simulator(shell: MocassinShell) -> ShellSimulator:
    """Species and geometry of a shell, as our simulator states them."""
    names = sorted(shell.mass_fraction)
    kinds = {name.partition("_")[0]: name for name in names}
    if len(kinds) < len(names):
        raise ParameterError(
            f"Expected one carbon and one silicate species; got {', '.join(names)}. "
            "Leave out the runs of other mixtures."
        )
    usual = ShellSimulator()
    return ShellSimulator(
        shell.geometry.inner,
        carbon=kinds.get("carbon", usual.carbon),
        silicate=kinds.get("silicate", usual.silicate),
        remove_sublimated=True,
    )


def _common(folder: Path, records: Sequence[RunRecord]) -> ShellSimulator:
    """The simulator that states all runs; they may differ in the parameters alone."""
    if not records:
        raise FileFormatError(
            f"Expected finished runs of {PROGRAM} in {folder}; got none. Make some "
            "with `grainlight mocassin --at`."
        )
    simulator = _simulator(records[0].shell)
    for record in records:
        shell = record.shell
        if record.grid is not None or shell.geometry.density_power != 0:
            raise ParameterError(
                f"Expected uniform shells in {folder}; got one of another density. "
                "Leave it out: a data set states six parameters alone."
            )
        if _simulator(shell) != simulator or record.settings != records[0].settings:
            raise ParameterError(
                f"Expected runs of the same species, inner radius and settings in "
                f"{folder}; got {simulator} with {records[0].settings}, and "
                f"{_simulator(shell)} with {record.settings}. Keep them apart."
            )
    return simulator
