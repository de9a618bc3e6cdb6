import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from grainlight.networks import Decoder, Proposal, Recognition, normal_log_prob

BLOCK = {"activation": "silu"}


def test_the_divergence_of_a_proposal_is_that_of_its_draws():
    proposal = Proposal(jnp.array([0.5, -1.0]), jnp.array([0.3, 1.4]))
    noise = jr.normal(jr.key(0), (100_000, 2))
    draws = proposal.mean + proposal.scale * noise
    ratio = jax.vmap(proposal.log_prob)(draws) - jax.vmap(normal_log_prob)(draws)
    np.testing.assert_allclose(jnp.mean(ratio), proposal.divergence, atol=0.02)
    still = Proposal(jnp.zeros(2), jnp.ones(2))
    np.testing.assert_allclose(still.divergence, 0.0, atol=1e-6)


def test_an_untrained_recognition_is_nearly_a_standard_normal():
    proposal = Recognition(jr.key(0), 5, 3, (8,), **BLOCK)(jnp.linspace(-1, 1, 5))
    np.testing.assert_allclose(proposal.mean, 0, atol=0.2)
    np.testing.assert_allclose(proposal.scale, 1, atol=0.2)


@pytest.mark.parametrize("covariance", ["linear", "dense"])
def test_both_networks_of_a_decoder_count(covariance):
    decoder = Decoder(jr.key(0), (3, 2, 4), (8,), (8,), (covariance, (5, 6)), **BLOCK)
    condition = jnp.zeros(0)

    def mean(inputs, v):
        split = decoder.finish(decoder.begin(inputs), v, condition)
        assert decoder.cholesky(split.covariance, 1e-6).shape == (4, 4)
        return decoder.mean(split.mean)

    answers = [
        mean(jnp.full(3, first), jnp.full(2, second))
        for first, second in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    ]
    assert not np.allclose(answers[0], answers[1])
    assert not np.allclose(answers[0], answers[2])
