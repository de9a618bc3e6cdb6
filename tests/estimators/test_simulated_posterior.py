"""A posterior of anyone's simulator in five lines."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import grainlight as gl
from grainlight.core import BandMismatchError, ModelError, ObservationError
from grainlight.estimators import GaussianLikelihood, TrainingSettings, save_estimator
from grainlight.estimators.simulated_posterior import SimulatedPosterior

NOISE = 0.1


class Slope:
    """Two bands of a power law, with relative noise."""

    parameters = gl.Parameters(
        (
            gl.Parameter("brightness", 1e3, 1e5, "nJy", "log10"),
            gl.Parameter("slope", -2.0, 2.0),
        )
    )
    bands = ("blue", "red")

    def __call__(self, key, theta):
        flux = theta[0] * jnp.array([1.0, 2.0]) ** theta[1]
        return flux * 10 ** (-0.4 * NOISE * jr.normal(key, (2,)))


@pytest.fixture(scope="module")
def posterior():
    data = gl.simulate(jr.key(1), Slope(), num_sims=10_000)
    settings = TrainingSettings(num_epochs=30, learning_rate=3e-3)
    small = {"widths": (32, 32), "num_layers": 3, "width": 16, "num_context": 8}
    return gl.train(jr.key(2), gl.FlowPosterior, data, settings, **small)


@pytest.mark.slow
def test_fluxes_give_the_posterior_of_the_simulator(posterior):
    flux = np.array([1e4, 2e4])
    samples = posterior.sample(jr.key(3), flux, num_draws=4_000)
    # both magnitudes are known to NOISE: the exact posterior is Gaussian
    brightness = np.log10(np.asarray(samples.theta[:, 0], float))
    slope = np.asarray(samples.theta[:, 1], float)
    sd = np.array([0.4 * NOISE, 0.4 * NOISE * np.sqrt(2) / np.log10(2)])
    for draws, truth, width in zip((brightness, slope), (4.0, 1.0), sd, strict=True):
        assert abs(draws.mean() - truth) < 0.4 * width
        assert 0.75 < draws.std() / width < 1.35
    lower, upper = (
        np.asarray(Slope.parameters.lower),
        np.asarray(Slope.parameters.upper),
    )
    scaled = np.asarray(Slope.parameters.scale(samples.theta))
    assert np.all((scaled > lower - 1e-5) & (scaled < upper + 1e-5))
    # without the red band the slope is not known: it has its prior
    blue = posterior.sample(jr.key(3), np.array([1e4, np.nan]), num_draws=4_000)
    assert np.asarray(blue.theta[:, 1]).std() == pytest.approx(4 / 12**0.5, rel=0.1)


@pytest.mark.slow
def test_what_is_saved_answers_the_same(posterior, tmp_path):
    posterior.save(tmp_path / "mine")
    again = SimulatedPosterior.load(tmp_path / "mine")
    flux, theta = np.array([1e4, 2e4]), np.array([[1e4, 1.0]])
    assert again.log_prob(theta, flux) == posterior.log_prob(theta, flux)
    assert again.parameters == posterior.parameters
    other = GaussianLikelihood.from_data(
        jr.key(0), np.ones((5, 1)), np.ones((5, 0)), np.ones((5, 1)), widths=(4,)
    )
    save_estimator(tmp_path / "other", other)
    with pytest.raises(ModelError, match=r"gl\.train"):
        SimulatedPosterior.load(tmp_path / "other")


@pytest.mark.slow
def test_fluxes_that_cannot_be_answered_for_are_refused(posterior):
    with pytest.raises(BandMismatchError, match="blue, red"):
        posterior.sample(jr.key(0), np.ones(3))
    with pytest.raises(ObservationError, match="finite flux"):
        posterior.sample(jr.key(0), np.full(2, np.nan))


@pytest.mark.slow
def test_simulations_of_a_learned_likelihood_are_added_to_the_training(tmp_path):
    data = gl.simulate(jr.key(1), Slope(), num_sims=500)
    settings = TrainingSettings(num_epochs=1, batch_size=100)
    small = {"widths": (8,), "num_layers": 2, "width": 8, "num_context": 4}
    for num_learned in (0, 2_000):
        trained = gl.train(
            jr.key(2),
            gl.FlowPosterior,
            data,
            settings,
            num_learned=num_learned,
            folder=tmp_path / str(num_learned),
            **small,
        )
        rows = len(data.train.theta) + num_learned
        assert trained.record.num_steps == rows // 100
        made = tmp_path / str(num_learned) / "likelihood" / "checkpoint.npz"
        assert made.exists() == bool(num_learned)
