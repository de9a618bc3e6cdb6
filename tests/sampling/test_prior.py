"""Priors of the user's own: densities by hand, draws, and files that do not fit."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from grainlight.core import FileFormatError, ParameterError
from grainlight.estimators.shell_model import ShellModel
from grainlight.sampling.own_prior import OwnPrior
from grainlight.sampling.prior import Density, PriorChoice
from grainlight.simulators import named_prior

THESIS = named_prior("thesis2023")
#: Thin shells, where the edge in optical depth is far away.
POINTS = np.array(
    [[-5.0, -1.0, 0.3, 4.5, 6000.0, 17.0], [-4.2, -0.3, 0.8, 5.5, 9000.0, 17.5]]
)
LN10 = np.log(10)


@pytest.fixture(scope="module")
def model(shell_model_folder):
    return ShellModel.load(shell_model_folder)


def log_ratio(choice, model):
    """How much the log density changes from the first point to the second."""
    values = jax.vmap(choice.prior(model).log_prob)(jnp.asarray(POINTS))
    return float(values[1] - values[0])


@pytest.mark.parametrize(
    ("name", "density", "by_hand"),
    [
        ("dust_mass", Density("uniform", 1e-6, 1e-2), lambda s: LN10 * s),
        ("dust_mass", Density("loguniform", 1e-6, 1e-2), lambda s: 0 * s),
        (
            "dust_mass",
            Density("normal", 3e-5, 2e-5),
            lambda s: stats.norm.logpdf(10**s, 3e-5, 2e-5) + LN10 * s,
        ),
        (
            "dust_mass",
            Density("lognormal", 3e-5, 0.5),
            lambda s: stats.norm.logpdf(s, np.log10(3e-5), 0.5),
        ),
        ("sn_temperature", Density("uniform", 5e3, 1e4), lambda s: 0 * s),
        ("sn_temperature", Density("loguniform", 5e3, 1e4), lambda s: -np.log(s)),
        (
            "sn_temperature",
            Density("normal", 7e3, 1e3),
            lambda s: stats.norm.logpdf(s, 7e3, 1e3),
        ),
        (
            "sn_temperature",
            Density("lognormal", 7e3, 0.1),
            lambda s: stats.norm.logpdf(np.log10(s), np.log10(7e3), 0.1) - np.log(s),
        ),
    ],
)
def test_a_density_is_that_of_the_formula(model, name, density, by_hand):
    choice = PriorChoice(THESIS, ((name, density),))
    column = POINTS[:, THESIS.parameters.index(name)]
    expected = by_hand(column)
    assert log_ratio(choice, model) == pytest.approx(
        expected[1] - expected[0], rel=1e-4, abs=1e-4
    )


def test_a_density_takes_the_place_of_one_uniform_in_the_value(model):
    ansari = named_prior("ansari2022")
    points = POINTS.copy()
    points[:, 3] = [6.0, 7.0]
    points[:, 5] = [16.5, 17.0]
    flat = PriorChoice(
        ansari, (("sn_luminosity", Density("loguniform", 6e5, 3e8)),)
    ).prior(model)
    values = jax.vmap(flat.log_prob)(jnp.asarray(points))
    # the outer radius alone is still uniform in its value
    assert float(values[1] - values[0]) == pytest.approx(LN10 * 0.5, abs=1e-4)


def test_a_prior_of_the_temperature_divides_by_the_learned_density(model):
    normal = Density("normal", 120.0, 30.0)
    choice = PriorChoice(THESIS, (("dust_temperature", normal),))
    temperature = jax.vmap(model.dust_temperature)(jnp.asarray(POINTS))
    thesis = jax.vmap(model.thesis_parameters)(jnp.asarray(POINTS))
    learned = np.asarray(jax.vmap(model.density.log_prob)(thesis))
    expected = stats.norm.logpdf(temperature, 120, 30) + np.log(temperature) - learned
    assert log_ratio(choice, model) == pytest.approx(
        float(expected[1] - expected[0]), rel=1e-3, abs=1e-3
    )


def test_clumps_are_a_parameter_where_they_have_a_prior(model, clumpy_model_folder):
    clumpy = ShellModel.load(clumpy_model_folder).under(clumpy=True)
    smooth = PriorChoice(THESIS)
    even = smooth.with_clumps()
    assert even.with_clumps() is even
    assert smooth.parameters.names == even.parameters.names[:6]
    assert even.parameters.names[6] == "clump_filling_factor"
    assert even.words.endswith("clump_filling_factor: uniform(0, 0.5)")
    assert even.scaled_sd["clump_filling_factor"] == pytest.approx(
        0.5 / 12**0.5, rel=1e-3
    )
    prior = even.prior(clumpy)
    draws = np.asarray(prior.sample(jr.key(1), 500))
    assert stats.kstest(draws[:, 6], "uniform", (0, 0.5)).pvalue > 1e-6
    points = np.append(POINTS, [[0.1], [0.4]], axis=1)
    values = jax.vmap(prior.log_prob)(jnp.asarray(points))
    assert values[1] - values[0] == pytest.approx(log_ratio(smooth, model), abs=1e-4)
    points[:, 6] = 0.6
    assert not np.isfinite(jax.vmap(prior.log_prob)(jnp.asarray(points))).any()
    few = Density("normal", 0.05, 0.02)
    chosen = PriorChoice(THESIS, (("clump_filling_factor", few),))
    assert chosen.with_clumps() is chosen
    points[:, 6] = [0.05, 0.09]
    values = jax.vmap(chosen.prior(clumpy).log_prob)(jnp.asarray(points))
    assert values[1] - values[0] == pytest.approx(
        log_ratio(smooth, model) - 2.0, abs=1e-3
    )


def test_a_prior_of_clumps_stays_where_the_model_was_trained(
    model, clumpy_model_folder
):
    even = PriorChoice(THESIS).with_clumps()
    with pytest.raises(ParameterError, match="as far as"):
        even.prior(model)
    with pytest.raises(ParameterError, match="inside 0 to 0.5"):
        PriorChoice(THESIS, (("clump_filling_factor", Density("uniform", 0, 0.8)),))
    clumpy = ShellModel.load(clumpy_model_folder).under(clumpy=True)
    clumpy.meta["largest_filling_factor"] = 0.3
    with pytest.raises(ParameterError, match=r"up to 0.3, .* up to 0.5"):
        even.prior(clumpy)


def test_a_prior_of_the_temperature_knows_of_clumps(clumpy_model_folder):
    clumpy = ShellModel.load(clumpy_model_folder).under(clumpy=True)
    normal = Density("normal", 120.0, 30.0)
    choice = PriorChoice(THESIS, (("dust_temperature", normal),)).with_clumps()
    points = jnp.asarray(np.append(POINTS, [[0.1], [0.4]], axis=1))
    temperature = jax.vmap(clumpy.dust_temperature)(points)
    thesis = jax.vmap(clumpy.thesis_parameters)(points)
    learned = np.asarray(jax.vmap(clumpy.density.log_prob)(thesis))
    expected = stats.norm.logpdf(temperature, 120, 30) + np.log(temperature) - learned
    values = jax.vmap(choice.prior(clumpy).log_prob)(points)
    assert values[1] - values[0] == pytest.approx(
        float(expected[1] - expected[0]), rel=1e-3, abs=1e-3
    )


@pytest.mark.slow
def test_draws_follow_the_densities_and_the_edge_in_depth(model):
    choice = PriorChoice(
        THESIS,
        (
            ("dust_mass", Density("lognormal", 1e-5, 0.1)),
            ("sn_temperature", Density("uniform", 5e3, 6e3)),
            ("sn_luminosity", Density("normal", 2e5, 1e4)),
        ),
    )
    prior = choice.prior(model)
    draws = np.asarray(prior.sample(jr.key(3), 2_000))
    assert draws[:, 0].std() == pytest.approx(0.1, rel=0.15)
    assert draws[:, 4].min() >= 5e3
    assert draws[:, 4].max() <= 6e3
    assert (10 ** draws[:, 3]).mean() == pytest.approx(2e5, rel=0.01)
    assert np.isfinite(jax.vmap(prior.log_prob)(jnp.asarray(draws))).all()
    assert len(np.unique(draws[:, 0])) > 1_500
    # negative control: the base prior is much broader
    base = np.asarray(PriorChoice(THESIS).prior(model).sample(jr.key(3), 2_000))
    assert base[:, 0].std() > 1


def test_bounds_of_a_flat_density_are_those_of_the_parameter():
    choice = PriorChoice(THESIS, (("dust_mass", Density("loguniform", 1e-4, 1e-3)),))
    member = choice.parameters["dust_mass"]
    assert (member.lower, member.upper) == (1e-4, 1e-3)
    assert choice.scaled_sd["dust_mass"] == pytest.approx(1 / 12**0.5, rel=1e-3)
    assert choice.scaled_sd["sn_temperature"] == THESIS.scaled_sd["sn_temperature"]


def test_a_file_is_read(tmp_path):
    path = tmp_path / "prior.toml"
    path.write_text(
        'base = "ansari2022"\n[dust_mass]\n'
        'distribution = "lognormal"\nmedian = 1e-3\ndex = 0.5\n'
    )
    choice = PriorChoice.read(path)
    assert choice.base.name == "ansari2022"
    assert choice.words == "ansari2022 with dust_mass: lognormal(0.001, 0.5)"
    stated = {"distribution": "lognormal", "median": 1e-3, "dex": 0.5}
    assert choice.densities == {"dust_mass": stated}
    assert PriorChoice.read("thesis2023").words == "thesis2023"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[broken", "TOML"),
        ("[foo]\n", "Expected parameters among"),
        ("dust_mass = 3\n", "Expected a distribution among"),
        ('[dust_mass]\ndistribution = ["uniform"]\n', "Expected a distribution"),
        ('base = "foo"\n', "Expected one of the priors"),
        ('[dust_mass]\ndistribution = "normal"\nmean = 1\n', "numbers mean and sd"),
        ('[dust_mass]\ndistribution = "normal"\nmean = 1\nsd = nan\n', "numbers"),
        ('[dust_mass]\ndistribution = "normal"\nmean = 1e-3\nsd = 0\n', "width"),
        ('[dust_mass]\ndistribution = "uniform"\nlower = 2\nupper = 1\n', "lower <"),
        ('[dust_mass]\ndistribution = "uniform"\nlower = 0\nupper = 1\n', "inside"),
        ('[dust_mass]\ndistribution = "lognormal"\nmedian = 9\ndex = 0.01\n', "room"),
        ('[dust_mass]\ndistribution = "normal"\nmean = 1e-3\nsd = 1e-9\n', "room"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, text, match):
    path = tmp_path / "prior.toml"
    path.write_text(text)
    with pytest.raises((ParameterError, FileFormatError), match=match):
        PriorChoice.read(path)


def test_the_temperature_needs_the_prior_that_was_learned(model):
    normal = (("dust_temperature", Density("normal", 100.0, 30.0)),)
    with pytest.raises(ParameterError, match="only its joint density was learned"):
        PriorChoice(named_prior("ansari2022"), normal).prior(model)


def test_a_stated_function_is_a_prior_within_the_old_support(model):
    def log_density(theta):
        return jax.scipy.stats.norm.logpdf(jnp.log10(theta[0]), -4.5, 0.2)

    choice = PriorChoice(THESIS)
    base = choice.prior(model)
    own = OwnPrior(base, log_density, choice.parameters)
    draws = np.asarray(own.sample(jr.key(1), 200), float)
    assert draws[:, 0].mean() == pytest.approx(-4.5, abs=0.1)
    assert draws[:, 0].std() == pytest.approx(0.2, rel=0.3)
    # unlike the prior that it replaces
    assert np.asarray(base.sample(jr.key(1), 200))[:, 0].std() > 0.5
    values = jax.vmap(own.log_prob)(jnp.asarray(POINTS))
    expected = stats.norm.logpdf(POINTS[:, 0], -4.5, 0.2)
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    assert own.log_prob(jnp.asarray(POINTS[0]).at[3].set(9.0)) == -jnp.inf
