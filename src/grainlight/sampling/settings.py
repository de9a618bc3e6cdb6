"""Settings of the samplers; the defaults were measured on thin, curved posteriors."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the samplers work; numbers of draws and steps are per object and chain.

    Attributes:
        num_particles: Particles of a group in the annealed start.
        max_stages: Most temperatures on the way from prior to posterior.
        stage_ess: Fraction of effective particles kept from stage to stage.
        stage_sweeps: Metropolis steps of every particle at each stage.
        archive_blocks: Stages after arrival whose particles join the archive.
        num_components: Components of the mixture that proposes.
        refine_rounds: Rounds in which the mixture learns from its own draws.
        refine_blocks: Draws of a round, in blocks of 512.
        archive_size: Draws that the mixture is fitted to.
        mixture_fraction: How often the mixture proposes a draw, not a step; below 0.9.
        steps_per_draw: Metropolis steps between two recorded draws.
        burn_fraction: Draws made before the first recorded one, relative to those.
        chunk_size: Objects run together.
        num_retries: How often an object that fails the gate is run again.
        retry_factor: Lengthening of each new run.
        retry_chunk_size: Objects run together in a new run.
        nuts_warmup: Adaptation steps of NUTS.
        nuts_doublings: Most doublings of a NUTS trajectory.
    """

    num_particles: int = 256
    max_stages: int = 60
    stage_ess: float = 0.5
    stage_sweeps: int = 12
    archive_blocks: int = 4
    num_components: int = 16
    refine_rounds: int = 12
    refine_blocks: int = 4
    archive_size: int = 4096
    mixture_fraction: float = 0.5
    steps_per_draw: int = 6
    burn_fraction: float = 0.1
    chunk_size: int = 32
    num_retries: int = 4
    retry_factor: int = 2
    retry_chunk_size: int = 8
    nuts_warmup: int = 500
    nuts_doublings: int = 8
