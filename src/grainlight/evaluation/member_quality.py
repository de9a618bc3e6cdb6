"""How good a member of a family of estimators is, on rows that it never saw.

The negative log-probability is the member's own, so that those of all likelihoods can
be compared object by object; errors, reliability and correlations are those of its
moments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from grainlight.estimators import GaussianPosterior, Moments
from grainlight.estimators.arrays import read_arrays, write_arrays
from grainlight.estimators.errors import Likelihood
from grainlight.estimators.thesis_rows import BANDS, ThesisRows, thesis_parameters
from grainlight.evaluation.accuracy import Errors, measure_errors
from grainlight.evaluation.comparison import LossDistribution, describe_losses
from grainlight.evaluation.correlation import MeanCorrelation, measure_correlation
from grainlight.evaluation.gaussian import GaussianPrediction
from grainlight.evaluation.reliability import Reliability, measure_reliability

TOGETHER = 64  # objects evaluated at once
MOST_MOMENTS = 1000  # objects whose moments are kept


@dataclass(frozen=True, eq=False)
class MemberQuality:
    """What a member says of rows, and what they are.

    Attributes:
        names: Bands; parameters, if it is a posterior.
        loss: Negative log-probability of every row [nats].
        mean: Predicted means of the first thousand rows; of a posterior in standard
            deviations of the training set.
        factor: Factors of their covariances.
        truth: What was predicted.
    """

    names: tuple[str, ...]
    loss: Float[np.ndarray, " object"]
    mean: Float[np.ndarray, "some name"]
    factor: Float[np.ndarray, "some name col"]
    truth: Float[np.ndarray, "some name"]

    @property
    def prediction(self) -> GaussianPrediction:
        """Its moments."""
        return GaussianPrediction(self.mean, self.factor)

    @property
    def losses(self) -> LossDistribution:
        """Distribution of its losses."""
        return describe_losses(self.loss)

    @property
    def deviations(self) -> LossDistribution:
        """Distribution of the mean absolute error of an object."""
        return describe_losses(np.mean(np.abs(self.mean - self.truth), axis=1))

    @property
    def errors(self) -> Errors:
        """Errors of the means."""
        return measure_errors(self.mean, self.truth, self.names)

    @property
    def reliability(self) -> Reliability:
        """Whether the covariances are as wide as they should be."""
        return measure_reliability(self.prediction, self.truth)

    @property
    def correlation(self) -> MeanCorrelation:
        """Mean covariance, and correlations beside those of the residuals."""
        return measure_correlation(self.prediction, self.truth, self.names)

    def save(self, path: Path) -> None:
        """Write all arrays to a file."""
        write_arrays(
            path, {name: np.asarray(part) for name, part in vars(self).items()}
        )

    @classmethod
    def load(cls, path: Path) -> "MemberQuality":
        """Read what `save` wrote; raises `ModelError` if the file is broken."""
        arrays = read_arrays(path)
        return cls(tuple(map(str, arrays.pop("names"))), **arrays)


def judge_member(
    member: Likelihood | GaussianPosterior, rows: ThesisRows
) -> MemberQuality:
    """Judge a likelihood of magnitudes, or a posterior of parameters.

    Args:
        member: The estimator.
        rows: Rows of parents that it was not trained on, with noise.
    """
    columns, some = rows.columns(), rows.first(MOST_MOMENTS).columns()
    if isinstance(member, GaussianPosterior):
        loss = _each(lambda t, c, x: -member.log_prob(t, x, c), columns)
        found = _each(lambda t, c, x: member.moments(x, c), some)
        spread = np.asarray(member.theta_scaling.spread, float)
        center = np.asarray(member.theta_scaling.center, float)
        return MemberQuality(
            thesis_parameters().names,
            loss,
            (np.asarray(found.mean, float) - center) / spread,
            np.asarray(found.factor, float) / spread[:, None],
            (np.asarray(some[0], float) - center) / spread,
        )
    loss = _each(lambda t, c, x: -member.log_prob(x, t, c), columns)
    moments: Moments = _each(lambda t, c, x: member.moments(t, c), some)
    return MemberQuality(
        BANDS,
        loss,
        np.asarray(moments.mean, float),
        np.asarray(moments.factor, float),
        np.asarray(some[2], float),
    )


def _each(function: Callable, columns: tuple[Array, ...]):
    """A function of one row, on all rows, some at a time."""

    @eqx.filter_jit
    def run(columns: tuple[Array, ...]):
        return jax.lax.map(lambda row: function(*row), columns, batch_size=TOGETHER)

    return jax.tree.map(
        lambda leaf: np.asarray(leaf, float),
        run(tuple(jnp.asarray(column) for column in columns)),
    )
