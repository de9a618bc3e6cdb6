"""The folder of a data set card: its numbers and its figures."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from grainlight.datasets import DatasetCard
from grainlight.report.dataset_card import (
    plot_evenness,
    plot_magnitudes,
    plot_parameters,
    plot_undetected,
    plot_variants,
)
from grainlight.report.folder import DPI

#: What such a folder holds; the first file marks it.
CARD_FILES = (
    "card.json",
    "filters.png",
    "parameters.png",
    "undetected.png",
    "variants.png",
)


def write_card(card: DatasetCard, folder: Path) -> None:
    """Write numbers and figures of a card into a folder."""
    card.save(folder / CARD_FILES[0])
    figures = (
        _draw_filters(card),
        plot_parameters(card),
        plot_undetected(card).figure,
        _draw_variants(card),
    )
    for name, figure in zip(CARD_FILES[1:], figures, strict=True):
        assert isinstance(figure, Figure)
        figure.savefig(folder / name, dpi=DPI)
        plt.close(figure)


def _draw_filters(card: DatasetCard) -> Figure:
    figure, (top, below) = plt.subplots(
        2, 1, figsize=(11, 8.4), layout="constrained", sharex=True
    )
    plot_magnitudes(card, ax=top)
    plot_magnitudes(card, observed=False, ax=below)
    top.tick_params(axis="x", labelbottom=True)
    return figure


def _draw_variants(card: DatasetCard) -> Figure:
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(11, 3.4), layout="constrained"
    )
    plot_variants(card, ax=left)
    plot_evenness(card.redshift, ax=middle, xlabel="redshift", ylabel="rows")
    plot_evenness(
        card.luminosity,
        ax=right,
        xlabel=r"$\log_{10} L_\star$ [Lsun], parents of thesis2023",
        ylabel="parents in 0.25 dex",
    )
    return figure
