"""What the commands on marginals and joints do: chains in, a folder out."""

from collections.abc import Sequence
from pathlib import Path

import jax.random as jr
import numpy as np

from grainlight.core import ParameterError
from grainlight.estimators import save_estimator
from grainlight.estimators.files import WEIGHTS, WORDS
from grainlight.marginal import (
    Experiment,
    Joint,
    Measured,
    SurveyPower,
    combine,
    rank_surveys,
)
from grainlight.report.chain_options import ChainOptions, short_names
from grainlight.report.folder import (
    check_folder,
    new_folder,
    save_figure,
    write_words,
)
from grainlight.report.marginal import plot_chains, plot_marginal, plot_survey_power

#: Files of the folders of the two commands; the first marks each.
MARGINAL_FILES = ("marginal.json", "power.png")
COMBINE_FILES = ("combine.json", "joint.npz", "joint.png")
#: In the folder of each of the chains: its density, as a model, and its figure.
DENSITY_FILES = (WORDS, WEIGHTS, "chains.png")


def run_marginal(
    seed: int,
    paths: Sequence[Path],
    out: Path,
    options: ChainOptions,
    *,
    overwrite: bool = False,
) -> SurveyPower:
    """Learn the marginal posteriors of chains, measure them, and write a folder.

    Each has a folder of its own in it, with its density, which `load_estimator` reads,
    and a figure of it over its chains.

    Args:
        seed: Seed of every random number.
        paths: Files of chains.
        out: Folder of the results.
        options: How they are read and learned.
        overwrite: Whether results that are there are replaced.
    """
    names = short_names(paths)
    inner = [f"{name}/{file}" for name in names for file in DENSITY_FILES]
    files = (*MARGINAL_FILES, *inner)
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
        write_words(folder / files[0], options.words(seed, words))
        save_figure(plot_survey_power(power).figure, folder / files[1])
        for name, marginal in marginals.items():
            meta = {"parameters": list(marginal.chains.names)}
            save_estimator(folder / name, marginal.density, meta=meta)
            drawn = plot_marginal(draw_key, marginal)
            save_figure(drawn, folder / name / DENSITY_FILES[2])
    return power


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
        write_words(folder / COMBINE_FILES[0], options.words(seed, words))
        np.savez(
            folder / COMBINE_FILES[1],
            theta=joint.chains.theta,
            log_weight=joint.chains.log_weight,
            names=np.array(joint.chains.names),
        )
        save_figure(
            plot_chains({"joint": joint.chains} | drawn), folder / COMBINE_FILES[2]
        )
    return joint
