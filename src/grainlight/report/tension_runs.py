"""What the command on tension does: chains and simulations in, a folder out."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import jax.random as jr
import numpy as np

from grainlight.core import FileFormatError
from grainlight.report.chain_options import ChainOptions
from grainlight.report.folder import (
    check_folder,
    new_folder,
    save_figure,
    write_words,
)
from grainlight.report.marginal import plot_chains, plot_tension
from grainlight.tension import ChainTension, NeuralRatio, Tension, compare_chains
from grainlight.tension import train_ratio as train_neural

#: Files of such a folder; the first marks it.
TENSION_FILES = ("tension.json", "chains.png", "ratio.png")


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
        write_words(folder / TENSION_FILES[0], options.words(seed, words))
        save_figure(plot_chains(drawn), folder / TENSION_FILES[1])
        if calibrated is not None:
            save_figure(plot_tension(calibrated).figure, folder / TENSION_FILES[2])
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
