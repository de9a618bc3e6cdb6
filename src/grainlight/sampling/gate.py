"""The gate that chains must pass before their draws are called a posterior."""

from dataclasses import dataclass

import jax.numpy as jnp

from grainlight.core import Diagnostics, Status


@dataclass(frozen=True)
class Gate:
    """Thresholds on the worst parameter (Vehtari et al. 2021, arXiv:1903.08008).

    Attributes:
        rhat: Largest rank-normalized split R-hat.
        ess: Smallest bulk and tail effective number of draws.
        ess_chain: Smallest effective number of draws of one chain.
    """

    rhat: float = 1.01
    ess: float = 400.0
    ess_chain: float = 50.0

    def status(self, diagnostics: Diagnostics) -> Status:
        """How the chains fare: `ok`, `not_converged` or `low_ess`.

        Diagnostics that are not finite never pass.
        """
        if not bool(jnp.all(diagnostics.rhat <= self.rhat)):
            return Status.not_converged
        smallest = jnp.minimum(diagnostics.ess_bulk, diagnostics.ess_tail)
        enough = jnp.all(smallest >= self.ess)
        enough &= jnp.all(diagnostics.ess_chain >= self.ess_chain)
        return Status.ok if bool(enough) else Status.low_ess
