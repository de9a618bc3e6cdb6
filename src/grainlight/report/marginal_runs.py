"""What the commands on chains do: read, learn, measure, write a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Key

from grainlight.core import FileFormatError, ParameterError
from grainlight.estimators import (
    DensitySettings,
    Support,
    fit_weighted,
    save_estimator,
)
from grainlight.estimators.files import WEIGHTS, WORDS
from grainlight.estimators.weighted import DensityKind
from grainlight.marginal import (
    Chains,
    Density,
    Experiment,
    Joint,
    Marginal,
    Measured,
    SurveyPower,
    combine,
    learn_marginal,
    rank_surveys,
    read_chains,
)
from grainlight.report.evaluation_folder import plain
from grainlight.report.folder import (
    DPI,
    check_folder,
    new_folder,
    versions,
    write_words,
)
from grainlight.report.marginal import (
    plot_chains,
    plot_marginal,
    plot_survey_power,
    plot_tension,
)
from grainlight.tension import ChainTension, NeuralRatio, Tension, compare_chains
from grainlight.tension import train_ratio as train_neural

#: Files of the folders of the three commands; the first marks each.
MARGINAL_FILES = ("marginal.json", "power.png")
COMBINE_FILES = ("combine.json", "joint.npz", "joint.png")
TENSION_FILES = ("tension.json", "chains.png", "ratio.png")


@dataclass(frozen=True)
class ChainOptions:
    """How chains are read and learned.

    Attributes:
        parameters: Those that are kept; all if none are named.
        bounds: Bounds of the prior by parameter, instead of those of the files.
        prior: Chains of the prior; it is uniform within the bounds if there are none.
        kind: Flows or kernels.
        burn_in: Fraction left out at the start of getdist chains.
    """

    parameters: tuple[str, ...] = ()
    bounds: tuple[tuple[str, float, float], ...] = ()
    prior: Path | None = None
    kind: DensityKind = "autoregressive"
    burn_in: float = 0.0

    def read(self, path: Path) -> Chains:
        """Chains of a file, with the bounds that were given."""
        chains = read_chains(path, self.parameters or None, burn_in=self.burn_in)
        lower = np.array(chains.support.lower, float)
        upper = np.array(chains.support.upper, float)
        for name, low, high in self.bounds:
            if name not in chains.names:
                raise ParameterError(
                    f"Expected bounds of {', '.join(chains.names)}; got some of "
                    f"{name!r}. Leave these out."
                )
            at = chains.names.index(name)
            lower[at], upper[at] = low, high
        turns = np.asarray(chains.support.periodic)
        return chains.within(Support.between(lower, upper, turns))

    def learn(self, key: Key[Array, ""], paths: Sequence[Path]) -> dict[str, Marginal]:
        """Marginal posteriors of several files, by name."""
        names = _short_names(paths)
        read = [self.read(path) for path in paths]
        settings = DensitySettings(kind=self.kind)
        prior_key, *keys = jr.split(key, len(paths) + 1)
        prior = self._prior(prior_key, settings)
        return {
            name: learn_marginal(one, chains, prior, settings)
            for one, name, chains in zip(keys, names, read, strict=True)
        }

    def _prior(self, key: Key[Array, ""], settings: DensitySettings) -> Density | None:
        if self.prior is None:
            return None
        chains = self.read(self.prior)
        return fit_weighted(
            key,
            chains.theta,
            chains.weight,
            chains.support,
            settings,
            ordered=chains.order == "chain",
        ).density


def _short_names(paths: Sequence[Path]) -> list[str]:
    names = [path.name.split(".")[0] for path in paths]
    if len(set(names)) == len(names):
        return names
    return [f"{name}-{number + 1}" for number, name in enumerate(names)]


def run_marginal(
    seed: int,
    paths: Sequence[Path],
    out: Path,
    options: ChainOptions,
    *,
    overwrite: bool = False,
) -> SurveyPower:
    """Learn the marginal posteriors of chains, measure them, and write a folder.

    Each has its density as a model in the folder, and a figure beside its chains.

    Args:
        seed: Seed of every random number.
        paths: Files of chains.
        out: Folder of the results.
        options: How they are read and learned.
        overwrite: Whether results that are there are replaced.
    """
    names = _short_names(paths)
    models = [
        f"{name}{end}" for name in names for end in ("-model.json", ".npz", ".png")
    ]
    files = (*MARGINAL_FILES, *models)
    check_folder(out, files, overwrite=overwrite)
    learn_key, rank_key, draw_key = jr.split(jr.key(seed), 3)
    marginals = options.learn(learn_key, paths)
    power = rank_surveys(rank_key, marginals)
    found = dict(zip(power.surveys, power.statistics, strict=True))
    words = {
        "files": {name: str(path) for name, path in zip(names, paths, strict=True)},
        "statistics": {name: found[name].words() for name in names},
    }
    with new_folder(out, files, overwrite=overwrite) as folder:
        write_words(folder / files[0], _words(seed, options, words))
        _save(plot_survey_power(power).figure, folder / files[1])
        for name, marginal in marginals.items():
            _save(plot_marginal(draw_key, marginal), folder / f"{name}.png")
            _keep_density(folder, name, marginal)
    return power


def _keep_density(folder: Path, name: str, marginal: Marginal) -> None:
    """The two files of a saved density, side by side with those of the others."""
    place = folder / name
    meta = {"parameters": list(marginal.chains.names)}
    save_estimator(place, marginal.density, meta=meta)
    (place / WORDS).rename(folder / f"{name}-model.json")
    (place / WEIGHTS).rename(folder / f"{name}.npz")
    place.rmdir()


def run_combine(
    seed: int,
    paths: Sequence[Path],
    out: Path,
    options: ChainOptions,
    log_evidences: Sequence[Measured] = (),
    *,
    overwrite: bool = False,
) -> Joint:
    """Combine the experiments of chains, their prior used once, and write a folder.

    Args:
        seed: Seed of every random number.
        paths: Files of chains, one an experiment.
        out: Folder of the results.
        options: How they are read and learned.
        log_evidences: Log-evidences in the same order, if they are known.
        overwrite: Whether results that are there are replaced.
    """
    if log_evidences and len(log_evidences) != len(paths):
        raise ParameterError(
            f"Expected a log-evidence of each of {len(paths)} experiments; got "
            f"{len(log_evidences)}. Give all of them, or none."
        )
    check_folder(out, COMBINE_FILES, overwrite=overwrite)
    learn_key, key = jr.split(jr.key(seed))
    marginals = options.learn(learn_key, paths)
    given = list(log_evidences) or [None] * len(paths)
    experiments = [
        Experiment.of(name, marginal, evidence)
        for (name, marginal), evidence in zip(marginals.items(), given, strict=True)
    ]
    joint = combine(key, experiments)
    words = {
        "experiments": list(joint.experiments),
        "log_ratio": joint.log_ratio.words(),
        "log_evidence": joint.log_evidence.words() if log_evidences else None,
        "divergence": joint.divergence.words(),
        "dimensionality": joint.dimensionality.words(),
        "num_effective": joint.chains.num_effective,
        "shape": joint.shape,
        "trusted": joint.is_trusted,
    }
    drawn = {name: one.chains for name, one in marginals.items()}
    with new_folder(out, COMBINE_FILES, overwrite=overwrite) as folder:
        write_words(folder / COMBINE_FILES[0], _words(seed, options, words))
        np.savez(
            folder / COMBINE_FILES[1],
            theta=joint.chains.theta,
            log_weight=joint.chains.log_weight,
            names=np.array(joint.chains.names),
        )
        _save(plot_chains({"joint": joint.chains} | drawn), folder / COMBINE_FILES[2])
    return joint


@dataclass(frozen=True)
class TensionRun:
    """What the command on tension found.

    Attributes:
        chains: Tension of the chains.
        neural: A ratio learned from simulations, if there were any.
        calibrated: The observed log-ratio among those in concordance.
    """

    chains: ChainTension
    neural: NeuralRatio | None
    calibrated: Tension | None


def run_tension(
    seed: int,
    paths: tuple[Path, Path],
    out: Path,
    options: ChainOptions,
    simulations: Path | None = None,
    *,
    overwrite: bool = False,
) -> TensionRun:
    """Tension of two chains, calibrated by simulations if there are any.

    Args:
        seed: Seed of every random number.
        paths: Files of the chains.
        out: Folder of the results.
        options: How they are read and learned.
        simulations: `.npz` with tables `a` and `b` of matched simulated data sets and
            the observed ones, `observed_a` and `observed_b`.
        overwrite: Whether results that are there are replaced.
    """
    check_folder(out, TENSION_FILES, overwrite=overwrite)
    learn_key, key, train_key = jr.split(jr.key(seed), 3)
    given = None if simulations is None else _read_simulations(simulations)
    marginals = options.learn(learn_key, paths)
    first, second = marginals.values()
    names = tuple(marginals)
    chains = compare_chains(key, first, second, names=(names[0], names[1]))
    neural, calibrated = None, None
    if given is not None:
        neural = train_neural(train_key, given["a"], given["b"])
        calibrated = neural.tension(given["observed_a"], given["observed_b"])
    run = TensionRun(chains, neural, calibrated)
    words = {
        "chains": chains.words(),
        "neural": None if neural is None else neural.health.verdict,
        "calibrated": None if calibrated is None else calibrated.words(),
    }
    drawn = {"joint": chains.joint.chains}
    drawn |= {name: one.chains for name, one in marginals.items()}
    with new_folder(out, TENSION_FILES, overwrite=overwrite) as folder:
        write_words(folder / TENSION_FILES[0], _words(seed, options, words))
        _save(plot_chains(drawn), folder / TENSION_FILES[1])
        if calibrated is not None:
            _save(plot_tension(calibrated).figure, folder / TENSION_FILES[2])
    return run


def _read_simulations(path: Path) -> dict[str, np.ndarray]:
    needed = ("a", "b", "observed_a", "observed_b")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.asarray(stored[name], float) for name in needed}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise FileFormatError(
            f"Expected {', '.join(needed)} in {path}; got a file that does not read as "
            f"such ({error}). Write it by numpy.savez."
        ) from error


def _words(seed: int, options: ChainOptions, found: dict[str, Any]) -> dict[str, Any]:
    how = {
        "parameters": list(options.parameters),
        "bounds": [list(one) for one in options.bounds],
        "prior": None if options.prior is None else str(options.prior),
        "kind": options.kind,
    }
    return plain(found | {"seed": seed, "options": how, "versions": versions()})


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
