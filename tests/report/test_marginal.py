"""Figures of chains, surveys and tensions."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from grainlight.estimators import Support
from grainlight.marginal import Chains, MarginalStatistics, Measured, SurveyPower
from grainlight.report import (
    plot_chains,
    plot_sigmas,
    plot_survey_power,
    plot_tension,
)
from grainlight.tension import calibrate

GENERATOR = np.random.default_rng(4)
LAW = GENERATOR.normal(1.5, 1.0, 2_000)


def chains(mean):
    theta = GENERATOR.normal(mean, 1, (500, 2))
    return Chains.from_draws(theta, Support.free(2), GENERATOR.random(500), ["a", "b"])


def test_chains_are_drawn_in_a_triangle():
    figure = plot_chains({"one": chains(0.0), "two": chains(1.0)})
    panels = np.array(figure.axes).reshape(2, 2)
    assert panels[1, 0].get_xlabel() == "a"
    assert panels[1, 0].get_ylabel() == "b"
    assert not panels[0, 1].axison
    points = panels[1, 0].lines[0].get_xdata()
    assert points.size == 2_000
    assert [text.get_text() for text in figure.legends[0].texts] == ["one", "two"]
    assert len(plot_chains({"one": chains(0.0).select(["b"])}).axes) == 1


def test_surveys_have_a_bar_each_the_most_telling_on_top():
    found = [
        MarginalStatistics(
            ("a",), Measured(v, 0.1), Measured(v, 0.1), Measured(1.0, 0.1), 100.0, 1
        )
        for v in (2.0, 1.0)
    ]
    ax = plot_survey_power(SurveyPower(("good", "poor"), tuple(found)))
    assert [bar.get_width() for bar in ax.patches] == [2.0, 1.0]
    assert ax.patches[0].get_y() > ax.patches[1].get_y()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["good", "poor"]


def test_the_observed_ratio_stands_among_those_in_concordance():
    tension = calibrate(-1.0, LAW)
    ax = plot_tension(tension)
    assert ax.lines[0].get_xdata()[0] == -1.0
    assert str(tension.tension) in ax.get_title()
    _, given = plt.subplots()
    assert plot_tension(calibrate(-9.0, LAW), ax=given) is given
    assert given.get_xlim()[0] < -9
    assert ">" in given.get_title()


@pytest.mark.parametrize("observed", [-1.0, -9.0])
def test_sigmas_have_bars_and_limits_have_arrows(observed):
    ax = plot_sigmas({"pair": calibrate(observed, LAW)})
    assert len(ax.containers) == 2
    assert ax.get_xlabel() == "standard deviations"
