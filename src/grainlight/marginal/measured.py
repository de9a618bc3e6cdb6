"""Numbers with their errors, by source."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A number, and what it may be off by.

    Attributes:
        value: The number.
        statistical: Standard error for the number of draws.
        training: Standard error for the chance of training, from the ensemble.
        weights: Standard error for the unknown volumes of a nested run.
        model: What the density misses, from two estimates that should agree.
    """

    value: float
    statistical: float = 0.0
    training: float = 0.0
    weights: float = 0.0
    model: float = 0.0

    @property
    def error(self) -> float:
        """All sources together."""
        parts = (self.statistical, self.training, self.weights, self.model)
        return math.sqrt(sum(part**2 for part in parts))

    def __str__(self) -> str:
        if not math.isfinite(self.error):
            return f"{self.value:.4g} +- {self.error}"
        digits = max(0, 1 - math.floor(math.log10(self.error))) if self.error else 4
        return f"{self.value:.{digits}f} +- {self.error:.{digits}f}"

    def words(self) -> dict[str, float]:
        """Plain numbers for a file."""
        return {
            "value": self.value,
            "error": self.error,
            "statistical": self.statistical,
            "training": self.training,
            "weights": self.weights,
            "model": self.model,
        }
