"""How usual an observation is: p-values that are even, under its own conditions."""

import numpy as np
import pytest
from scipy.stats import kstest

from grainlight.core import FileFormatError, ParameterError
from grainlight.estimators.belonging import (
    FILE,
    Belonging,
    describe_conditions,
    log_volume,
)
from grainlight.photometry import Observation

BANDS = ("NIRCam.F150W", "NIRCam.F356W", "MIRI.F770W", "MIRI.F1500W", "MIRI.F2100W")
FLOOR = 0.05
FALSE_ALARM = 1e-6


def observe(rng):
    """An object in some of five bands, with any errors."""
    chosen = np.sort(rng.permutation(5)[: rng.integers(2, 6)])
    flux = 10 ** rng.uniform(2, 4, chosen.size)
    error = flux * 10 ** rng.uniform(-2, -0.5)
    return Observation(
        name="one",
        bands=tuple(BANDS[i] for i in chosen),
        flux=flux,
        error=error,
        is_limit=rng.random(chosen.size) < 0.2,
        redshift=0.002,
        distance=10.0,
    )


def fitted(rng, observation):
    """Made-up results of a fit, which depend on the conditions."""
    precision = -np.mean(describe_conditions(observation, FLOOR)[3:])
    fit = rng.beta(1 + observation.num_detected, 2)
    density = -10 * precision + rng.normal()
    return fit, density - log_volume(observation, FLOOR)


def draw_objects(rng, num):
    found = []
    while len(found) < num:
        one = observe(rng)
        if one.num_detected:
            found.append((one, *fitted(rng, one)))
    return found


@pytest.fixture(scope="module")
def belonging():
    objects = draw_objects(np.random.default_rng(1), 2_500)
    return Belonging(
        np.array([describe_conditions(one, FLOOR) for one, _, _ in objects]),
        np.array([fit for _, fit, _ in objects]),
        np.array([z + log_volume(one, FLOOR) for one, _, z in objects]),
        "thesis2023",
    )


def test_pvalues_of_what_belongs_are_even(belonging):
    objects = draw_objects(np.random.default_rng(2), 400)
    scores = [belonging.score(one, FLOOR, fit, z) for one, fit, z in objects]
    for column in ("fit", "density"):
        values = np.array([getattr(score, column) for score in scores])
        assert kstest(values, "uniform").pvalue > FALSE_ALARM
    probability = np.array([score.probability for score in scores])
    assert np.mean(probability < 0.05) < 0.1  # of 400, 4 sigma


def test_a_pvalue_is_that_of_like_conditions(belonging):
    """What is usual of precise data is far too improbable of poor ones."""
    flux = np.array([1e3, 2e3, 4e3, 4e3, 3e3])

    def density_of(relative, density):
        one = Observation("one", BANDS, flux, relative * flux, redshift=0.002)
        return belonging.score(one, FLOOR, 0.7, density - log_volume(one, FLOOR))

    precise = Observation("one", BANDS, flux, 0.011 * flux, redshift=0.002)
    usual = fitted(np.random.default_rng(3), precise)[1] + log_volume(precise, FLOOR)
    assert np.mean(belonging.density <= usual) > 0.02  # among all it passes
    assert density_of(0.011, usual).density > 0.02
    odd = density_of(0.25, usual)
    assert odd.density < 0.01
    assert odd.probability == pytest.approx(2 * min(odd.density, odd.fit))


def test_what_is_not_known_is_left_out(belonging):
    one, fit, _ = draw_objects(np.random.default_rng(4), 1)[0]
    score = belonging.score(one, FLOOR, fit)
    assert np.isnan(score.density)
    assert score.probability == score.fit
    dark = Observation(
        "dark", BANDS[:1], np.ones(1), np.ones(1), np.ones(1, bool), 0.01
    )
    assert np.isnan(belonging.score(dark, FLOOR, np.nan, -3.0).probability)


def test_it_is_kept_in_a_folder(belonging, tmp_path):
    belonging.save(tmp_path)
    again = Belonging.load(tmp_path)
    assert len(again) == len(belonging)
    assert again.prior == "thesis2023"
    one, fit, z = draw_objects(np.random.default_rng(5), 1)[0]
    known = belonging.score(one, FLOOR, fit, z)
    assert again.score(one, FLOOR, fit, z).fit == pytest.approx(known.fit, abs=0.02)
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="grainlight calibrate"):
        Belonging.load(tmp_path)


def test_few_objects_are_refused():
    few = np.ones(10)
    with pytest.raises(ParameterError, match="300 simulated objects"):
        Belonging(np.ones((10, 5)), few, few, "thesis2023")
