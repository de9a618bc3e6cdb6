r"""Training of the amortized posterior of smooth shells, on draws from their model.

Parameters come from a named prior, magnitudes from the Gaussian likelihood that the
model has learned, its scatter included, and observations of them are drawn afresh in
every step (`random_observing`). What is learned is the posterior of exactly the
likelihood and prior that correct it afterwards, and no simulation is seen twice alike.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from grainlight.core import ParameterError
from grainlight.estimators.band_summary import BandSummary
from grainlight.estimators.files import save_estimator
from grainlight.estimators.flow_posterior import FlowPosterior
from grainlight.estimators.photometric_posterior import (
    NUM_CHANNELS,
    PhotometricPosterior,
)
from grainlight.estimators.random_observing import (
    FAR,
    FLOORS,
    Observing,
    observe_afresh,
)
from grainlight.estimators.settings import TrainingSettings
from grainlight.estimators.shell_model import DENSITY_PRIOR, POSTERIOR, ShellModel
from grainlight.estimators.training import Training, fit_estimator
from grainlight.simulators import SHELL_PARAMETERS, ShellPrior, named_prior

#: Magnitudes beyond this are never detected, and do not shape the summary.
FAINTEST_SEEN = 38.0
ONWARD = "onward"  # folder of the checkpoints of a run that starts from another
BLOCK = 4096  # objects whose magnitudes are drawn together
STANDARDIZE = 20_000  # objects that inputs are standardized on


@dataclass(frozen=True)
class AmortizedSizes:
    """Sizes of the network and of its training set.

    Attributes:
        num_draws: Draws from the prior that are trained on, each observed many times.
        num_held: Others, which decide what weights are kept.
        num_components: Components of the summary.
        widths: Widths of the encoder's blocks.
        num_context: Numbers that the flow sees of the observation.
        num_layers: Layers of the flow.
        width: Width of its networks.
        depth: Their hidden layers.
        encoder: `masked` or `token`.
    """

    num_draws: int = 1_000_000
    num_held: int = 10_000
    num_components: int = 12
    widths: tuple[int, ...] = (192, 192, 192, 192, 192)
    num_context: int = 48
    num_layers: int = 6
    width: int = 96
    depth: int = 1
    encoder: str = "masked"


class Pool(eqx.Module):
    """Draws from the prior, with what the model makes of them.

    Attributes:
        theta: Scaled parameters.
        redshift: Redshifts, even over the range of the model.
        magnitude: AB magnitudes at 10 Mpc, with the scatter of the model.
    """

    theta: Float[Array, "sim param"]
    redshift: Float[Array, " sim"]
    magnitude: Float[Array, "sim band"]


def draw_pool(
    key: Key[Array, ""], model: ShellModel, prior: ShellPrior, num: int
) -> Pool:
    """Draw parameters, redshifts and magnitudes under a model of smooth shells."""
    seed_key, redshift_key, scatter_key = jr.split(key, 3)
    seed = np.asarray(jr.key_data(seed_key)).tolist()
    theta = prior.sample(np.random.default_rng(seed), num)
    scaled = SHELL_PARAMETERS.scale(jnp.asarray(theta, jnp.float32))
    low, high = model.redshifts
    redshift = jr.uniform(redshift_key, (num,), minval=low, maxval=high)
    draw = _magnitudes(model)
    parts = [
        np.asarray(
            draw(
                jr.fold_in(scatter_key, start),
                scaled[start : start + BLOCK],
                redshift[start : start + BLOCK],
            )
        )
        for start in range(0, num, BLOCK)
    ]
    return Pool(scaled, redshift, jnp.asarray(np.concatenate(parts)))


def _magnitudes(model: ShellModel):
    likelihood = model.likelihood

    @eqx.filter_jit
    def draw(key: Array, scaled: Array, redshift: Array) -> Array:
        keys = jr.split(key, scaled.shape[0])
        return jax.vmap(likelihood.sample)(keys, scaled, redshift[:, None])

    return draw


def support_of(prior: str) -> Float[np.ndarray, "2 param"]:
    """Lower and upper bounds of the scaled parameters under a named prior."""
    choice = named_prior(prior)
    bounds = np.array([choice.lower, choice.upper], float)
    logged = np.array([one.scale == "log10" for one in SHELL_PARAMETERS.members])
    bounds[:, logged] = np.log10(bounds[:, logged])
    return bounds


def blank_posterior(
    key: Key[Array, ""],
    model: ShellModel,
    pool: Pool,
    prior: str,
    sizes: AmortizedSizes,
) -> PhotometricPosterior:
    """An untrained posterior, standardized on observations of a pool."""
    observe_key, build_key = jr.split(key)
    few = slice(0, STANDARDIZE)
    seen = jnp.clip(pool.magnitude[few], None, FAINTEST_SEEN)
    summary = BandSummary.from_data(np.asarray(seen), sizes.num_components)
    augment = observe_afresh(Observing.of_bands(model.bands), summary)
    theta, condition, x, mask = augment(
        observe_key, pool.theta[few], pool.redshift[few], pool.magnitude[few]
    )
    channels = np.array(x).reshape(len(x), -1, NUM_CHANNELS)
    channels[~np.asarray(mask)] = np.nan
    bounds = support_of(prior)
    # what rounding moves beyond a bound lies on it
    low, high = bounds.astype(np.float32)
    theta = np.clip(np.asarray(theta), low, high)
    posterior = FlowPosterior.from_data(
        build_key,
        theta,
        condition,
        channels.reshape(len(x), -1),
        lower=bounds[0],
        upper=bounds[1],
        num_channels=NUM_CHANNELS,
        encoder=sizes.encoder,
        widths=sizes.widths,
        floor=1e-6,
        initial_floor=0.3,
        num_context=sizes.num_context,
        num_layers=sizes.num_layers,
        width=sizes.width,
        depth=sizes.depth,
    )
    return PhotometricPosterior(summary, posterior, prior, FLOORS[1], FAR[1])


def train_shell_posterior(
    key: Key[Array, ""],
    model: ShellModel,
    folder: Path,
    settings: TrainingSettings,
    *,
    prior: str = DENSITY_PRIOR,
    sizes: AmortizedSizes | None = None,
    start: PhotometricPosterior | None = None,
    progress: bool = False,
) -> Training:
    """Train the amortized posterior of smooth shells, and save it beside the model.

    The same call goes on where it was interrupted.

    Args:
        key: Random key.
        model: The trained model.
        folder: Folder of the model; the posterior goes into its subfolder.
        settings: How it is trained.
        prior: Name of the prior.
        sizes: Sizes of the network and of the training set.
        start: A trained posterior under the same prior to begin with, in place of the
            sizes of the network; its encoder gets as many blocks as these have.
        progress: Whether to show a progress bar.
    """
    sizes = sizes or AmortizedSizes()
    model = model.under(clumpy=False)
    if start is not None and start.prior != prior:
        raise ParameterError(
            f"Expected a posterior under the prior {prior} to go on from; got one "
            f"under {start.prior}. Train anew."
        )
    if sizes.num_draws < 1 or sizes.num_held < 1:
        raise ParameterError(
            f"Expected draws to train and to validate on; got {sizes.num_draws} and "
            f"{sizes.num_held}. A million and ten thousand serve well."
        )
    pool_key, held_key, blank_key, train_key = jr.split(key, 4)
    pool = draw_pool(pool_key, model, named_prior(prior), sizes.num_draws)
    held = draw_pool(held_key, model, named_prior(prior), sizes.num_held)
    if start is None:
        blank = blank_posterior(blank_key, model, pool, prior, sizes)
    else:
        inner = start.posterior.deepened(blank_key, len(sizes.widths))
        blank = replace(start, posterior=inner)
    place = Path(folder) / POSTERIOR
    trained = fit_estimator(
        train_key,
        blank,
        (pool.theta, pool.redshift, pool.magnitude),
        (held.theta, held.redshift, held.magnitude),
        settings,
        augment=observe_afresh(Observing.of_bands(model.bands), blank.summary),
        folder=Path(folder)
        / "checkpoints"
        / (ONWARD if start is not None else POSTERIOR),
        progress=progress,
    )
    if trained.record.stopped != "interrupted":
        meta = {"prior": prior, "model": model.identity, "num_draws": sizes.num_draws}
        save_estimator(place, trained.estimator, trained.record, meta)
    return trained
