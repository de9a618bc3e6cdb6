"""Figures of the reproduced thesis; each takes results and returns what it drew."""

from collections.abc import Iterator, Mapping

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grainlight.core import Samples, Status
from grainlight.estimators import SavedEstimator
from grainlight.estimators.family import visible_parameters
from grainlight.estimators.thesis_rows import BANDS, ThesisRows
from grainlight.evaluation import LossDistribution
from grainlight.evaluation.chain_quality import ChainQuality
from grainlight.evaluation.chain_runs import ChainRuns
from grainlight.evaluation.member_quality import MemberQuality
from grainlight.photometry import jwst_filters
from grainlight.report.card import plot_errors, plot_reliability
from grainlight.report.corner import plot_corner
from grainlight.report.quality import plot_correlation, plot_density_ranks, plot_losses
from grainlight.report.thesis_tables import STANDARD, ParameterErrors

NUM_COLUMNS = 3
SEARCHED = 100  # shells among which those far apart in redshift are shown


def _grid(num: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Panels in rows of three; those that are too many are taken away."""
    columns = min(num, NUM_COLUMNS)
    rows = -(-num // columns)
    figure, panels = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        layout="constrained",
        squeeze=False,
    )
    for ax in panels.flat[num:]:
        ax.remove()
    return figure, list(panels.flat[:num])


def draw_training(trained: Mapping[str, SavedEstimator]) -> Figure:
    """Loss and mean absolute error by epoch (figures 12, 13, 18 and 23)."""
    known = {n: one.record for n, one in trained.items() if one.record is not None}
    figure, panels = _grid(len(known), 4.6, 3.2)
    for ax, (name, record) in zip(panels, known.items(), strict=True):
        epoch = np.arange(1, record.num_epochs + 1)
        for color, words, loss in (
            ("C0", "training", record.train_loss),
            ("C1", "validation", record.validation_loss),
        ):
            ax.plot(epoch, loss[: epoch.size], color=color, lw=1.2, label=words)
        low, high = np.min(record.validation_loss), np.median(record.validation_loss)
        ax.set_ylim(low - 0.3 * (high - low) - 1, high + 2 * (high - low) + 5)
        ax.set(xlabel="epoch", ylabel="loss [nats]", title=name)
        right = ax.twinx()
        for color, error in (
            ("C0", record.train_error),
            ("C1", record.validation_error),
        ):
            right.plot(epoch[: len(error)], error, color=color, lw=1.0, ls=":")
        right.set_ylabel("mean absolute error (dotted)")
    panels[0].legend(frameon=False, fontsize="small")
    return figure


def draw_losses(judged: Mapping[str, MemberQuality]) -> Figure:
    """Losses and errors over the test split (figures 14 and 19)."""
    figure, panels = plt.subplots(
        len(judged),
        2,
        figsize=(10, 2.9 * len(judged)),
        layout="constrained",
        squeeze=False,
    )
    for row, (name, found) in zip(panels, judged.items(), strict=True):
        unit = "sd" if name == STANDARD else "mag"
        _draw_distribution(found.losses, row[0], f"{name}: NLL [nats]")
        _draw_distribution(
            found.deviations, row[1], f"{name}: MAE of an object [{unit}]"
        )
    return figure


def _draw_distribution(losses: LossDistribution, ax: Axes, label: str) -> None:
    plot_losses(losses, ax=ax, label=label)
    ax.title.set_fontsize("x-small")


def draw_errors(judged: Mapping[str, MemberQuality]) -> Figure:
    """Errors band by band (figures 15, 20 and 24a)."""
    figure, panels = plt.subplots(
        len(judged),
        1,
        figsize=(9, 3.1 * len(judged)),
        layout="constrained",
        squeeze=False,
    )
    for ax, (name, found) in zip(panels[:, 0], judged.items(), strict=True):
        plot_errors(found.errors, unit="sd" if name == STANDARD else "mag", ax=ax)
        ax.set_ylabel(f"{name}\n{ax.get_ylabel()}")
    return figure


def draw_reliability(judged: Mapping[str, MemberQuality]) -> Figure:
    """Calibration of the predictions (figures 16, 21 and 24b)."""
    figure, panels = _grid(len(judged), 3.9, 4.0)
    for ax, (name, found) in zip(panels, judged.items(), strict=True):
        plot_reliability(found.reliability, ax=ax)
        ax.set_title(f"{name}: {ax.get_title()}", fontsize="small")
    return figure


def draw_covariances(judged: Mapping[str, MemberQuality]) -> Figure:
    """Mean predicted covariances (figures 17 and 22), on a logarithmic scale."""
    some = {name: found for name, found in judged.items() if name != STANDARD}
    figure, panels = _grid(len(some), 5.0, 4.4)
    every = [found.correlation.covariance for found in some.values()]
    high = max(np.abs(one).max() for one in every)
    for ax, (name, found) in zip(panels, some.items(), strict=True):
        mesh = ax.pcolormesh(
            found.correlation.covariance,
            cmap="RdBu_r",
            norm="symlog",
            vmin=-high,
            vmax=high,
        )
        short = [band.rpartition(".")[2] for band in BANDS]
        ax.set_xticks(np.arange(0.5, len(short)), short, rotation=90, fontsize=5)
        ax.set_yticks(np.arange(0.5, len(short)), short, fontsize=5)
        ax.set(aspect="equal", title=name, ylim=(len(short), 0))
        figure.colorbar(mesh, ax=ax, label=r"covariance [mag$^2$]", shrink=0.8)
    return figure


def draw_correlation(judged: Mapping[str, MemberQuality]) -> Figure:
    """Correlations, predicted and found, of the first two likelihoods."""
    some = [item for item in judged.items() if item[0] != STANDARD][:2]
    figure, panels = plt.subplots(
        1,
        len(some),
        figsize=(7.2 * len(some), 6.6),
        layout="constrained",
        squeeze=False,
    )
    for ax, (name, found) in zip(panels[0], some, strict=True):
        plot_correlation(found.correlation, ax=ax)
        ax.set_title(f"{name}; {ax.get_title()}", fontsize="small")
    return figure


def draw_density_ranks(quality: Mapping[str, ChainQuality]) -> Figure:
    """The ten-bin test of chains (figures 25 and 28)."""
    figure, panels = _grid(len(quality), 4.4, 3.2)
    for ax, (name, found) in zip(panels, quality.items(), strict=True):
        plot_density_ranks(found.density, ax=ax)
        pvalue = found.density.histogram().pvalue
        ax.set_title(
            f"{name}: {found.total} objects, p = {pvalue:.2g}", fontsize="small"
        )
    return figure


def draw_parameter_errors(errors: Mapping[str, ParameterErrors]) -> Figure:
    """Errors of posterior means beside those of `standard` (figures 26, 27 and 29)."""
    figure, panels = _grid(len(errors), 4.6, 3.4)
    for ax, (name, found) in zip(panels, errors.items(), strict=True):
        place = np.arange(len(found.names))
        ax.bar(place - 0.2, found.ours, 0.38, label="chains", color="C0")
        ax.bar(place + 0.2, found.standard, 0.38, label="standard", color="C1")
        ax.errorbar(
            place - 0.2,
            found.ours,
            2 * found.paired.error,
            fmt="none",
            color="black",
            lw=1.0,
        )
        short = [word.replace("_", "\n") for word in found.names]
        ax.set_xticks(place, short, fontsize="x-small")
        ax.set_ylabel("mean absolute error [sd of prior]")
        ax.set_title(f"{name}: {found.paired.count.min()} objects", fontsize="small")
    panels[0].legend(frameon=False, fontsize="small")
    return figure


def draw_corners(chains: Mapping[str, ChainRuns]) -> Iterator[tuple[str, Figure]]:
    """Corner plots of a wide and a narrow posterior (figures 30, 31 and 32).

    Of every run with all bands or set F of the first family: the objects whose
    posteriors have the largest and the median generalized variance, chosen by their
    draws alone.
    """
    for name, runs in chains.items():
        volume = np.array([_log_volume(draws) for draws in runs.draws])
        order = np.argsort(np.where(np.isfinite(volume), volume, -np.inf))
        for words, place in (("wide", order[-1]), ("usual", order[len(order) // 2])):
            parameters = visible_parameters(runs.names)
            theta = parameters.unscale(jnp.asarray(runs.draws[place]))
            weight = jnp.zeros(theta.shape[0])
            samples = Samples(theta, weight, Status.ok, parameters)
            known = np.asarray(parameters.unscale(jnp.asarray(runs.truth[place])))
            truth = dict(zip(runs.names, known.tolist(), strict=True))
            yield f"{name} {words}", plot_corner(samples, truth=truth)


def _log_volume(draws: np.ndarray) -> float:
    return float(np.linalg.slogdet(np.cov(draws.astype(float), rowvar=False))[1])


def draw_redshifts(rows: ThesisRows, *, num: int = 3) -> Figure:
    """Magnitudes of the same shells at two redshifts (figure 7).

    Shown are those of the first hundred whose redshifts lie farthest apart.

    Args:
        rows: Rows in which parents occur at two redshifts or more.
        num: Number of shells.
    """
    figure, panels = plt.subplots(
        2, 1, figsize=(7, 6), layout="constrained", sharex=True
    )
    pivot = np.asarray(jwst_filters().subset(BANDS).pivot)
    names, count = np.unique(rows.parent, return_counts=True)
    pairs = np.stack(
        [np.flatnonzero(rows.parent == one)[:2] for one in names[count > 1][:SEARCHED]]
    )
    apart = np.abs(np.diff(rows.condition[pairs, 0], axis=1))[:, 0]
    for number, twice in enumerate(pairs[np.argsort(-apart)[:num]]):
        parent = rows.parent[twice[0]]
        for row, style in zip(twice, ("-", "--"), strict=True):
            label = f"shell {parent}, z = {rows.condition[row, 0]:.4f}"
            panels[0].plot(
                pivot, rows.x[row], style, color=f"C{number}", marker=".", label=label
            )
        change = rows.x[twice[1]] - rows.x[twice[0]]
        panels[1].plot(pivot, change, color=f"C{number}", marker=".")
    panels[0].invert_yaxis()
    panels[0].set_ylabel("AB magnitude at 10 Mpc")
    panels[0].legend(
        frameon=False,
        fontsize="x-small",
        ncols=num,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )
    panels[1].axhline(0, color="0.5", lw=0.8, ls="--")
    panels[1].set(xlabel="wavelength [um]", ylabel="difference [mag]", xscale="log")
    return figure
