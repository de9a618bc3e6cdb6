"""The no-U-turn sampler, by name: gradients, no archive, nothing shared.

References:
    Hoffman & Gelman (2014), JMLR 15, 1593; Cabezas et al. (2024), arXiv:2402.10797
    (BlackJAX).
"""

from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from grainlight.sampling.chains import Chain
from grainlight.sampling.target import Target, log_density


def run_nuts(
    key: Key[Array, ""],
    target: Target,
    data: Any,
    start: Float[Array, " param"],
    *,
    num_draws: int,
    num_warmup: int,
    max_doublings: int,
) -> Chain:
    """Run one chain of one object; step size and dense metric adapt in the warm-up."""

    def posterior(y: Float[Array, " param"]) -> Float[Array, ""]:
        return log_density(target, data, y).posterior

    warm_key, draw_key = jr.split(key)
    adaptation = blackjax.window_adaptation(
        blackjax.nuts,
        posterior,
        is_mass_matrix_diagonal=False,
        initial_step_size=0.1,
        max_num_doublings=max_doublings,
    )
    (state, tuned), _ = adaptation.run(warm_key, start, num_steps=num_warmup)
    kernel = blackjax.nuts(posterior, **tuned)

    def draw(state, step_key):
        state, info = kernel.step(step_key, state)
        return state, (state.position, info.acceptance_rate)

    _, (ys, acceptance) = jax.lax.scan(draw, state, jr.split(draw_key, num_draws))
    return Chain(ys, jnp.mean(acceptance))
