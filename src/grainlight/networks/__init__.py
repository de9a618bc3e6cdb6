"""Layers of the estimators: trunks, branches, heads, encoders, flow, constants."""

from grainlight.networks.branches import (
    Branches,
    BranchKind,
    ConvolutionBlock,
    Split,
)
from grainlight.networks.cholesky import CholeskyHead, White, fill_lower
from grainlight.networks.constant import AbstractConstant, trainable
from grainlight.networks.correlation import CorrelationHead
from grainlight.networks.encoders import ENCODERS, Encoder, MaskedEncoder, TokenEncoder
from grainlight.networks.flow import Flow
from grainlight.networks.latent import (
    Decoder,
    Proposal,
    Recognition,
    normal_log_prob,
)
from grainlight.networks.residual import ACTIVATIONS, ResidualBlock, ResidualNetwork
from grainlight.networks.sources import SourcesHead, add_sources

__all__ = [
    "ACTIVATIONS",
    "ENCODERS",
    "AbstractConstant",
    "BranchKind",
    "Branches",
    "CholeskyHead",
    "ConvolutionBlock",
    "CorrelationHead",
    "Decoder",
    "Encoder",
    "Flow",
    "MaskedEncoder",
    "Proposal",
    "Recognition",
    "ResidualBlock",
    "ResidualNetwork",
    "SourcesHead",
    "Split",
    "TokenEncoder",
    "White",
    "add_sources",
    "fill_lower",
    "normal_log_prob",
    "trainable",
]
