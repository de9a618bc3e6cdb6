r"""Gaussian predictions against what was observed: errors, limits, missing values.

With mean $\mu$ and covariance $\Sigma$ of an outcome, measured errors $\sigma$, a floor
$f$ and a common error $c$ shared by all dimensions (a distance modulus), the observed
values have the covariance

$$ C = \Sigma + \mathrm{diag}(\sigma^2) + f^2 I + c^2 \, 1 1^T . $$

- *Detected* dimensions give the exact Gaussian marginal $\ln N(x_D; \mu_D, C_{DD})$.
- A *limit* gives the probability of lying beyond it, given the detected dimensions:
  $\ln \Phi(s\,(x_j - \mu_{j|D}) / C_{jj|D}^{1/2})$, with the limiting value in $x_j$.
  The side $s = +1$ says that the value lies below $x_j$; $s = -1$ that it lies above,
  as a flux limit does in magnitudes.
- A *missing* dimension gives nothing.

Limits are multiplied as if independent given the detections: exact for one limit and
for limits whose conditional correlation is zero; otherwise they count as if the scatter
that they share were drawn for each of them anew. All shapes are fixed: rows and columns
that do not count become those of the identity.
"""

from enum import IntEnum

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Bool, Float, Int

from grainlight.estimators.moments import LOG_TWO_PI


class Kind(IntEnum):
    """What is known of one dimension of one object."""

    missing = 0
    detected = 1
    limit = 2


class Conditional(eqx.Module):
    """What the detected dimensions say, of themselves and of the others.

    Attributes:
        log_prob: Log-density of the detected values.
        chi_squared: Squared length of their whitened residual.
        shift: Change of the expectation of the latent values that are not detected.
        variance: Variance that is left to them.
        rows: Covariances with the whitened detections: what they take from the
            covariance of the others is `rows @ rows.T`.
    """

    log_prob: Float[Array, ""]
    chi_squared: Float[Array, ""]
    shift: Float[Array, " dim"]
    variance: Float[Array, " dim"]
    rows: Float[Array, "dim dim"]


def condition_on_detected(
    residual: Float[Array, " dim"],
    covariance: Float[Array, "dim dim"],
    cross: Float[Array, "dim dim"],
    variance: Float[Array, " dim"],
    detected: Bool[Array, " dim"],
) -> Conditional:
    """Condition jointly Gaussian latent values on the detected dimensions.

    Args:
        residual: Observed minus expected value.
        covariance: Covariance of the observed values, errors included.
        cross: Covariance of observed (row) with latent values (column).
        variance: Variance of the latent values.
        detected: Which dimensions are detected: the first ones.
    """
    both = detected[:, None] & detected[None, :]
    below = ~detected[:, None] & detected[None, :]
    # One factorization: the rows below the detected dimensions are the whitened
    # cross-covariances. The block of the others only has to be large enough.
    whole = jnp.where(both, covariance, 0.0) + jnp.where(below, cross.T, 0.0)
    whole = whole + jnp.diag(jnp.where(detected, 0.0, 1.0 + jnp.sum(variance)))
    factor = jnp.linalg.cholesky(whole, symmetrize_input=False)
    diagonal = jnp.where(detected, jnp.diagonal(factor), 1.0)
    square = jnp.where(both, factor, 0.0) + jnp.diag(jnp.where(detected, 0.0, 1.0))
    white = solve_triangular(square, jnp.where(detected, residual, 0.0), lower=True)
    chi_squared = jnp.sum(white**2)
    log_det = jnp.sum(jnp.log(diagonal))
    count = jnp.sum(detected)
    rows = jnp.where(below, factor, 0.0)
    shift = jnp.matmul(rows, white, precision="highest")
    left = variance - jnp.sum(rows**2, axis=1)
    return Conditional(
        -0.5 * (chi_squared + count * LOG_TWO_PI) - log_det,
        chi_squared,
        shift,
        jnp.maximum(left, 1e-6 * variance),
        rows,
    )


def observed_log_prob(
    mean: Float[Array, " dim"],
    covariance: Float[Array, "dim dim"],
    x: Float[Array, " dim"],
    error: Float[Array, " dim"],
    kind: Int[Array, " dim"],
    *,
    floor: Float[Array, ""] | float = 0.0,
    common: Float[Array, ""] | float = 0.0,
    side: int = 1,
) -> Float[Array, ""]:
    """Log-probability of an observation with errors, limits and missing values.

    Args:
        mean: Predicted mean.
        covariance: Predicted covariance.
        x: Observed value, or the limit; anything where missing.
        error: Standard error of the value, or of a value near the limit.
        kind: `Kind` of every dimension.
        floor: Standard deviation added to every dimension on its own.
        common: Standard deviation shared by all dimensions.
        side: +1 if limited values lie below the limit, -1 if above.
    """
    order = jnp.argsort(kind != Kind.detected, stable=True)
    mean, x, error, kind = mean[order], x[order], error[order], kind[order]
    covariance = covariance[order][:, order]
    present = kind != Kind.missing
    x = jnp.where(present, x, mean)
    noise = jnp.where(present, error, 1.0) ** 2 + floor**2
    total = covariance + common**2 + jnp.diag(noise)
    detected = kind == Kind.detected
    known = condition_on_detected(x - mean, total, total, jnp.diagonal(total), detected)
    limited = kind == Kind.limit
    variance = jnp.where(limited, known.variance, 1.0)
    distance = side * (x - mean - known.shift) / jnp.sqrt(variance)
    below = jnp.where(limited, log_ndtr(jnp.where(limited, distance, 0.0)), 0.0)
    return known.log_prob + jnp.sum(below)
