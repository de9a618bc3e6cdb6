"""What is fitted, and what is refused before."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.core import BandMismatchError, ParameterError, RangeError, Status
from grainlight.estimators.photometric_data import PhotometricData
from grainlight.estimators.shell_model import ShellModel
from grainlight.photometry import Observation
from grainlight.sampling import Settings
from grainlight.sampling.fit import (
    FitSettings,
    check_observation,
    fit_observations,
    photometric_target,
)

BANDS = ("JWST/MIRI.F560W", "JWST/MIRI.F1000W", "JWST/MIRI.F2100W")
FLUX = np.array([6e3, 5.8e4, 1.2e5])
QUICK = Settings(
    num_retries=0,
    num_particles=64,
    num_components=4,
    refine_rounds=2,
    refine_blocks=1,
    archive_size=512,
)


@pytest.fixture(scope="module")
def model(shell_model_folder):
    return ShellModel.load(shell_model_folder)


def observe(name="a", bands=BANDS, **place):
    return Observation(name, bands, FLUX, 0.05 * FLUX, **(place or {"redshift": 2e-3}))


def test_the_target_is_finite_at_every_draw_of_its_prior(model):
    target = photometric_target(model, FitSettings(floor=0.0))
    draws = target.sample_prior(jr.key(1), 64)
    data = PhotometricData.from_observations([observe()], model.bands, num_slots=8)[0]
    assert np.isfinite(jax.vmap(target.log_prior)(draws)).all()
    likelihood = jax.vmap(lambda s: target.log_likelihood(s, data))(draws)
    assert np.isfinite(likelihood).all()
    outside = draws[0].at[0].set(3.0)
    assert target.log_prior(outside) == -jnp.inf


@pytest.mark.parametrize(
    ("observation", "error", "match"),
    [
        (observe(redshift=0.5), RangeError, "grainlight train"),
        (observe(distance=0.1), RangeError, "Give its distance and a redshift"),
        (
            observe(bands=(*BANDS[:2], "SLOAN/SDSS.r")),
            BandMismatchError,
            "SLOAN/SDSS.r besides",
        ),
    ],
)
def test_what_the_model_cannot_answer_is_refused(model, observation, error, match):
    with pytest.raises(error, match=match):
        check_observation(model, observation)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"floor": -1.0}, "floor"),
        ({"floor": float("nan")}, "floor"),
        ({"num_draws": 3}, "draws"),
    ],
)
def test_settings_that_cannot_work_are_refused(options, match):
    with pytest.raises((RangeError, ParameterError), match=match):
        FitSettings(**options)


@pytest.mark.slow
def test_fits_of_a_table_hold_predictions_and_messages(model):
    objects = [observe("good"), observe("far", redshift=0.5)]
    settings = FitSettings(num_draws=100, sampler=QUICK)
    good, far = fit_observations(jr.key(1), model, objects, settings)
    assert good.magnitudes.shape == (400, 38)
    assert good.chi_squared.shape == (400,)
    assert set(good.samples.derived) == {"dust_temperature", "optical_depth"}
    assert np.isfinite(good.magnitudes).all()
    assert bool(far.status == Status.outside)
    assert far.samples is None
    assert "trained range" in far.message


@pytest.mark.slow
def test_objects_of_any_width_keep_their_place(model, monkeypatch):
    monkeypatch.setattr("grainlight.sampling.fit.WORTH_COMPILING", 1)
    bands = tuple(band for band in model.bands if "MIRI" in band)
    flux = np.geomspace(FLUX[0], FLUX[-1], len(bands))
    wide = Observation("wide", bands, flux, 0.05 * flux, redshift=2e-3)
    settings = FitSettings(num_draws=100, sampler=QUICK)
    seen = []
    fits = fit_observations(
        jr.key(1),
        model,
        [wide, observe("narrow"), wide],
        settings,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [fit.observation.name for fit in fits] == ["wide", "narrow", "wide"]
    assert [fit.num_detected for fit in fits] == [9, 3, 9]
    assert seen == sorted(seen)
    assert seen[-1] == (3, 3)
    together = np.concatenate(
        [fits[0].samples.theta[:, 0], fits[2].samples.theta[:, 0]]
    )
    assert np.unique(together).size > 400  # two places, two streams of draws


def test_a_fraction_that_leaves_no_room_is_refused():
    with pytest.raises(RangeError, match="mixture_fraction"):
        Settings(mixture_fraction=0.95)


def test_the_target_has_clumps_where_they_have_a_prior(clumpy_model_folder):
    model = ShellModel.load(clumpy_model_folder)
    data = PhotometricData.from_observations([observe()], model.bands, num_slots=8)[0]
    smooth = FitSettings()
    clumpy = replace(smooth, prior=smooth.prior.with_clumps())
    for settings, num_parameters in ((smooth, 6), (clumpy, 7)):
        target = photometric_target(model, settings)
        assert len(target.parameters) == num_parameters
        point = (target.parameters.lower + target.parameters.upper) / 2
        assert np.isfinite(target.log_likelihood(point, data))


@pytest.mark.slow
def test_clumps_are_fitted_where_they_have_a_prior(clumpy_model_folder):
    model = ShellModel.load(clumpy_model_folder)
    smooth = FitSettings(num_draws=100, sampler=QUICK)
    clumpy = replace(smooth, prior=smooth.prior.with_clumps())
    for settings, num_parameters in ((smooth, 6), (clumpy, 7)):
        fit = fit_observations(jr.key(1), model, [observe()], settings)[0]
        assert fit.samples.theta.shape == (400, num_parameters)
        assert np.isfinite(fit.samples.derived["dust_temperature"]).all()
        assert np.isfinite(fit.samples.derived["optical_depth"]).all()
        assert np.isfinite(fit.magnitudes).all()
    filling = np.asarray(fit.samples.theta[:, 6])
    assert filling.min() > 0
    assert filling.max() < 0.5
