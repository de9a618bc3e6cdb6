"""Objects drawn from a model and observed at random, for other benchmarks.

A floor of the model error of every object's own is part of what was observed of it.

Simulated errors follow the fluxes. A likelihood takes errors as given, so where an
error tells more of the flux than the measurement does, answers of the likelihood are
not those of the simulation. That is so for limits of many sigma in noise of the source:
what is bright, but has large errors, is a limit, and its error says how bright it is.
With `sky_limits` there are few of these: at the largest flux that is a limit the noise
of the source is typically `SOURCE_SHARE` of the error at most.
"""

import time
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from grainlight.estimators import Kind, PhotometricLikelihood
from grainlight.estimators.amortized_training import draw_pool
from grainlight.estimators.random_observing import LIMITS, Observing, observe_pool
from grainlight.sampling.correction import CorrectionSettings, weigh_draws
from grainlight.sampling.photometric_target import PhotometricTarget
from grainlight.sampling.prior import PriorChoice
from grainlight.simulators import named_prior

#: Typical noise of the source at the largest flux that is a limit, over the error.
SOURCE_SHARE = 0.3


class FloorTarget(eqx.Module):
    """The target of an object whose floor is part of its data."""

    target: PhotometricTarget
    parameters: object = eqx.field(static=True)

    def log_prior(self, scaled):
        return self.target.log_prior(scaled)

    def sample_prior(self, key, num_draws):
        return self.target.sample_prior(key, num_draws)

    def log_likelihood(self, scaled, given):
        data, floor = given
        likelihood = eqx.tree_at(
            lambda one: one.floor_mag, self.target.likelihood, floor
        )
        return likelihood.log_prob(data, scaled)


class FloorProposal(eqx.Module):
    """The amortized posterior, likewise."""

    posterior: eqx.Module

    def draw(self, key, num_draws, given):
        return self.posterior.draw(key, num_draws, *given)

    def log_prob(self, scaled, given):
        return self.posterior.log_prob(scaled, *given)


def observe(key, model, pool, *, sky_limits=False, **fixed):
    """Observations of random objects, and the conditions that they were made under.

    Conditions may be fixed by name; the others are drawn at random.
    """
    condition_key, measure_key = jr.split(key)
    given = condition_key, measure_key, Observing.of_bands(model.bands)
    seen = pool.magnitude, pool.redshift
    data, conditions = observe_pool(*given, *seen, **fixed)
    if sky_limits:
        fixed["limit_sigma"] = significance_in_sky(conditions)
        data, conditions = observe_pool(*given, *seen, **fixed)
    return detections_first(data), conditions


def detections_first(data):
    """The same with detections before limits, as of real observations."""
    order = jnp.argsort(
        jnp.where(data.kind == Kind.missing, 3, data.kind), axis=1, stable=True
    )

    def sort(column):
        return jnp.take_along_axis(column, order, axis=1)

    columns = ("index", "flux", "error", "kind")
    return replace(data, **{name: sort(getattr(data, name)) for name in columns})


def significance_in_sky(conditions):
    """Significance of limits, lowered so far that they are limits in noise of the sky.

    Objects for which that is below what the model was trained for report all fluxes.
    """
    relative = 0.4 * np.log(10) * conditions.error
    largest = SOURCE_SHARE / relative
    lowered = jnp.minimum(conditions.limit_sigma, largest)
    return jnp.where(largest < LIMITS[0], -jnp.inf, lowered)


def random_objects(key, model, number, *, sky_limits=False):
    """Objects drawn from the prior of a model, and what was observed of them."""
    pool_key, key = jr.split(key)
    pool = draw_pool(pool_key, model, named_prior(model.posterior.prior), number)
    return pool, *observe(key, model, pool, sky_limits=sky_limits)


def slices(conditions, data, model_bands):
    """Which objects are in which slice."""
    bands = np.asarray(conditions.mask).sum(axis=1)
    error = np.asarray(conditions.error)
    miri = np.array(["MIRI" in band for band in model_bands])
    has_miri = np.asarray(conditions.mask)[:, miri].any(axis=1)
    has_nircam = np.asarray(conditions.mask)[:, ~miri].any(axis=1)
    limits = (np.asarray(data.kind) == Kind.limit).sum(axis=1) / bands
    return {
        "all": bands > 0,
        "1-5 bands": bands <= 5,
        "6-12 bands": (bands > 5) & (bands <= 12),
        "13-38 bands": bands > 12,
        "error below 0.03 mag": error < 0.03,
        "error 0.03-0.15 mag": (error >= 0.03) & (error < 0.15),
        "error above 0.15 mag": error >= 0.15,
        "error 0.05-0.1 mag, floor above 0.04 mag": (error >= 0.05)
        & (error < 0.1)
        & (np.asarray(conditions.floor) > 0.04),
        "error below 0.015 mag": error < 0.015,
        "NIRCam alone": ~has_miri,
        "MIRI alone": ~has_nircam,
        "no limits": limits == 0,
        "up to half limits": (limits > 0) & (limits <= 0.5),
        "more limits": limits > 0.5,
    }


def floor_target(model):
    """The target of objects whose floors are part of their data."""
    choice = PriorChoice.read(model.posterior.prior)
    return FloorTarget(
        PhotometricTarget(
            PhotometricLikelihood(model.likelihood, model.bands),
            choice.prior(model),
            choice.parameters,
        ),
        choice.parameters,
    )


def weigh(key, model, few, num_draws, *, time_it=False):
    """Weighed draws of some objects, their target and the seconds an object."""
    target = floor_target(model)
    settings = CorrectionSettings(num_draws=num_draws, most_rounds=1)
    proposal = FloorProposal(model.posterior)
    if time_it:
        weigh_draws(key, target, proposal, few, settings)  # compiles
    cpu = time.process_time()
    weighed = weigh_draws(key, target, proposal, few, settings)
    seconds = (time.process_time() - cpu) / len(weighed)
    return weighed, target, seconds
