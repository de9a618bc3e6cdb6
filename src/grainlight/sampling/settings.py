"""Settings of the samplers; the defaults were measured on thin, curved posteriors."""

from dataclasses import dataclass

import jax

from grainlight.core import RangeError

#: How often a step is a difference; the mixture and its regions share the rest.
DIFFERENCE_FRACTION = 0.1
#: Objects run together, at first and in a new run: on processors, on a GPU.
CHUNKS = {"first": (32, 256), "again": (8, 128)}
#: Points whose densities are computed at once: as many as the cache of a processor
#: holds; on a GPU.
POINTS = (1024, 2**20)


@dataclass(frozen=True)
class Settings:
    """How the samplers work; numbers of draws and steps are per object and chain.

    Attributes:
        num_particles: Particles of a group in the annealed start.
        max_stages: Most temperatures on the way from prior to posterior.
        stage_ess: Fraction of effective particles kept from stage to stage.
        stage_sweeps: Metropolis steps of every particle at each stage.
        archive_blocks: Stages after arrival whose particles join the archive.
        num_scanned: Draws of the prior that may climb, if the target has residuals.
        num_climbs: Those of them that do; none climbs if zero.
        climb_steps: Steps of a climb.
        num_components: Components of the mixture that proposes.
        refine_rounds: Rounds in which the mixture learns from its own draws.
        refine_blocks: Draws of a round, in blocks of 512.
        archive_size: Draws that the mixture is fitted to; half of the first ones are
            of summits, if any were climbed.
        mixture_fraction: How often the mixture proposes a draw, not a step; 0 to 0.9.
        steps_per_draw: Metropolis steps between two recorded draws.
        burn_fraction: Draws made before the first recorded one, relative to those.
        chunk_size: Objects run together; none for 32 on processors, 256 on a GPU. They
            are annealed fewer at a time where a cache holds no more.
        num_retries: How often an object that fails the gate is run again.
        retry_factor: Lengthening of each new run over the one before, 1 or more; its
            steps are rounded.
        retry_chunk_size: Objects run together in a new run; none for 8, or 128.
        nuts_warmup: Adaptation steps of NUTS.
        nuts_doublings: Most doublings of a NUTS trajectory.
    """

    num_particles: int = 256
    max_stages: int = 60
    stage_ess: float = 0.5
    stage_sweeps: int = 12
    archive_blocks: int = 4
    num_scanned: int = 8192
    num_climbs: int = 64
    climb_steps: int = 25
    num_components: int = 16
    refine_rounds: int = 12
    refine_blocks: int = 4
    archive_size: int = 4096
    mixture_fraction: float = 0.5
    steps_per_draw: int = 6
    burn_fraction: float = 0.1
    chunk_size: int | None = None
    num_retries: int = 4
    retry_factor: float = 2.0
    retry_chunk_size: int | None = None
    nuts_warmup: int = 500
    nuts_doublings: int = 8

    def __post_init__(self) -> None:
        largest = 1 - DIFFERENCE_FRACTION
        if not 0 <= self.mixture_fraction <= largest:
            raise RangeError(
                f"Expected a mixture_fraction from 0 to {largest:g}, which leaves room "
                f"for steps by differences; got {self.mixture_fraction:g}."
            )
        if self.num_scanned < 1 or self.num_climbs < 0 or self.retry_factor < 1:
            raise RangeError(
                "Expected a num_scanned of 1 or more, a num_climbs of 0 or more and a "
                f"retry_factor of 1 or more; got {self.num_scanned}, "
                f"{self.num_climbs} and {self.retry_factor:g}. Raise what is too small."
            )

    @property
    def together(self) -> int:
        """Objects run together, on what there is."""
        return _chunk("first") if self.chunk_size is None else self.chunk_size

    @property
    def together_again(self) -> int:
        """Objects run together in a new run, on what there is."""
        chosen = self.retry_chunk_size
        return _chunk("again") if chosen is None else chosen


def few_together(num_points: int) -> int:
    """Objects side by side, a power of two, if each has so many points at once."""
    whole = max(1, POINTS[jax.default_backend() != "cpu"] // num_points)
    return 2 ** (whole.bit_length() - 1)


def _chunk(run: str) -> int:
    return CHUNKS[run][jax.default_backend() != "cpu"]
