"""Ranks, coverage and density ranks against models with exact answers."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from grainlight.core import ParameterError
from grainlight.evaluation import (
    Ranks,
    adjust_pvalues,
    density_rank,
    fraction_below,
    measure_coverage,
    measure_density_ranks,
    rank_densities,
    rank_of_truth,
    sbc_ranks,
    uniformity_pvalue,
)

FALSE_ALARM = 1e-6
WIDTHS = [(1.0, True), (0.8, False), (1.25, False)]


def gaussian_joint(key):
    theta_key, x_key = jr.split(key)
    theta = jr.normal(theta_key)
    return theta, theta + jr.normal(x_key)


@pytest.mark.parametrize(("width", "calibrated"), WIDTHS)
def test_ranks_accept_the_exact_posterior_and_no_other(width, calibrated):
    def posterior(key, x):
        return x / 2 + width * jnp.sqrt(0.5) * jr.normal(key)

    ranks = sbc_ranks(
        jr.key(0), gaussian_joint, posterior, num_sims=4_000, num_draws=63
    )
    pvalue = uniformity_pvalue(ranks.rank[:, 0], num_draws=63)
    assert (pvalue > FALSE_ALARM) is calibrated
    assert pvalue == ranks.pvalue[0] == ranks.adjusted_pvalue[0]


def test_two_hundred_objects_show_a_posterior_half_too_narrow():
    generator = np.random.default_rng(8)
    for width, calibrated in ((1.0, True), (0.5, False)):
        truth = generator.normal(size=200)
        draws = width * generator.normal(size=(200, 99))
        center = np.zeros((200, 1))
        rank = np.sum(center + draws < truth[:, None], axis=1)
        assert (uniformity_pvalue(rank, 99) > FALSE_ALARM) is calibrated


@pytest.mark.parametrize("num_draws", [9, 30, 99])
def test_the_false_alarms_of_discrete_ranks_are_as_many_as_they_should(num_draws):
    generator = np.random.default_rng(num_draws)
    ranks = generator.integers(0, num_draws + 1, (1_000, 200))
    pvalue = np.array([uniformity_pvalue(row, num_draws) for row in ranks])
    assert np.mean(pvalue < 0.1) == pytest.approx(0.1, abs=0.04)
    assert np.mean(pvalue < 0.01) < 0.025


def test_rank_counts_evenly_thinned_draws():
    draws = np.stack([np.arange(101.0), -np.arange(101.0)], axis=1)
    rank = rank_of_truth(draws, np.array([45.0, -45.0]), num_draws=11)
    assert rank.tolist() == [5, 6]  # of 0, 10, ... 100
    for bad in (0, 102):
        with pytest.raises(ParameterError, match="thin"):
            rank_of_truth(draws, np.zeros(2), bad)


def test_fraction_below_follows_the_weights():
    draws = np.array([[0.0], [1.0], [2.0], [3.0]])
    truth = np.array([1.5])
    assert fraction_below(draws, truth)[0] == 0.5
    assert fraction_below(draws, truth, np.array([3.0, 3.0, 1.0, 1.0]))[0] == 0.75


def test_histogram_counts_every_object_and_expects_the_share_of_its_bin():
    rank = np.random.default_rng(4).integers(0, 64, (200, 2))
    histogram = Ranks(("a", "b"), rank, 63).histogram("b", num_bins=10)
    assert histogram.count.sum() == 200
    assert histogram.expected.sum() == pytest.approx(200)
    edges = np.round(histogram.edges * 64).astype(int)
    first = np.sum((rank[:, 1] >= edges[0]) & (rank[:, 1] < edges[1]))
    assert histogram.count[0] == first
    assert histogram.expected[0] == pytest.approx(200 * edges[1] / 64)
    with pytest.raises(ParameterError, match="'c'"):
        Ranks(("a", "b"), rank, 63).histogram("c")


def test_bad_ranks_are_refused():
    with pytest.raises(ParameterError, match="20 objects"):
        uniformity_pvalue(np.zeros(5, int), 9)
    with pytest.raises(ParameterError, match="0 to 9"):
        uniformity_pvalue(np.full(50, 10), 9)


def test_holm_raises_pvalues_for_their_number():
    found = adjust_pvalues(np.array([0.04, 0.01, 0.9, 0.03]))
    np.testing.assert_allclose(found, [0.09, 0.04, 0.9, 0.09])
    generator = np.random.default_rng(6)
    smallest = [adjust_pvalues(generator.random(7)).min() for _ in range(2_000)]
    assert np.mean(np.array(smallest) < 0.05) == pytest.approx(0.05, abs=0.02)


@pytest.fixture(scope="module")
def correlated():
    """Truths of 1,500 objects from one correlated Gaussian, and 400 draws of each."""
    generator = np.random.default_rng(21)
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    factor = np.linalg.cholesky(covariance)
    truth = generator.normal(size=(1_500, 2)) @ factor.T
    noise = generator.normal(size=(1_500, 400, 2))
    return truth, noise, factor


def log_density(factor):
    precision = np.linalg.inv(factor @ factor.T)
    return lambda theta: -0.5 * np.einsum("di,ij,dj->d", theta, precision, theta)


@pytest.mark.parametrize(("width", "calibrated"), WIDTHS)
def test_coverage_is_nominal_for_the_exact_posterior_only(
    correlated, width, calibrated
):
    truth, noise, factor = correlated
    draws = width * noise @ factor.T
    quantile = np.stack(
        [fraction_below(d, t) for d, t in zip(draws, truth, strict=True)]
    )
    coverage = measure_coverage(quantile, ("a", "b"))
    assert bool(np.all(coverage.pvalue > FALSE_ALARM)) is calibrated
    gap = coverage.fraction - coverage.level[:, None]
    if calibrated:
        assert np.all(np.abs(gap) < 2.5 * coverage.chance[:, None])
    else:
        assert np.all(np.sign(gap) == np.sign(width - 1))
    with pytest.raises(ParameterError, match="3 parameters"):
        measure_coverage(quantile, ("a", "b", "c"))


@pytest.mark.parametrize(("width", "calibrated"), WIDTHS)
def test_density_ranks_are_uniform_for_the_exact_posterior_only(
    correlated, width, calibrated
):
    truth, noise, factor = correlated
    density = log_density(width * factor)
    fraction = np.array(
        [
            density_rank(density, width * n @ factor.T, t)
            for n, t in zip(noise, truth, strict=True)
        ]
    )
    assert (measure_density_ranks(fraction).pvalue > FALSE_ALARM) is calibrated


@pytest.mark.parametrize(("width", "calibrated"), WIDTHS)
def test_highest_density_regions_cover_for_the_exact_posterior_only(
    correlated, width, calibrated
):
    truth, noise, factor = correlated
    draws = width * noise @ factor.T
    precision = np.linalg.inv(factor @ factor.T) / width**2
    value = [
        -0.5 * np.einsum("...i,ij,...j->...", part, precision, part)
        for part in (draws, truth)
    ]
    ranks = measure_density_ranks(rank_densities(*value))
    density = log_density(width * factor)
    assert ranks.fraction[7] == density_rank(density, draws[7], truth[7])
    histogram = ranks.histogram()
    assert histogram.count.sum() == len(truth)
    assert histogram.count.size == 10
    assert histogram.pvalue == pytest.approx(stats.chi2.sf(histogram.chi_squared, 9))
    assert (histogram.pvalue > FALSE_ALARM) is calibrated
    coverage = ranks.coverage()
    assert bool(np.all(coverage.pvalue > FALSE_ALARM)) is calibrated
    exact = stats.chi2.cdf(stats.chi2.ppf(coverage.level, 2) * width**2, 2)
    assert np.all(np.abs(coverage.fraction[:, 0] - exact) < 2.5 * coverage.chance)


def test_density_ranks_see_a_correlation_that_intervals_cannot(correlated):
    truth, noise, _ = correlated
    density = log_density(np.eye(2))
    pairs = list(zip(noise, truth, strict=True))
    fraction = np.array([density_rank(density, n, t) for n, t in pairs])
    quantile = np.stack([fraction_below(n, t) for n, t in pairs])
    assert np.all(measure_coverage(quantile, ("a", "b")).pvalue > FALSE_ALARM)
    assert measure_density_ranks(fraction).pvalue < FALSE_ALARM


def test_density_rank_follows_the_weights():
    draws = np.array([[0.0], [1.0], [2.0]])
    weight = np.array([0.2, 0.2, 0.6])
    rank = density_rank(lambda t: -np.abs(t[:, 0]), draws, np.array([0.5]), weight)
    assert rank == pytest.approx(0.8)
    value = -np.abs(draws[:, 0])[None]
    many = rank_densities(value, np.array([-0.5]), weight[None])
    assert many[0] == pytest.approx(0.8)
