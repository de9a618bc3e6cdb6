"""Layers of the estimators: trunks, branches, heads, flow, constants."""

from grainlight.networks.branches import (
    Branches,
    BranchKind,
    ConvolutionBlock,
    Split,
)
from grainlight.networks.cholesky import CholeskyHead, fill_lower
from grainlight.networks.constant import AbstractConstant, trainable
from grainlight.networks.correlation import CorrelationHead
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
    "AbstractConstant",
    "BranchKind",
    "Branches",
    "CholeskyHead",
    "ConvolutionBlock",
    "CorrelationHead",
    "Decoder",
    "Flow",
    "Proposal",
    "Recognition",
    "ResidualBlock",
    "ResidualNetwork",
    "SourcesHead",
    "Split",
    "add_sources",
    "fill_lower",
    "normal_log_prob",
    "trainable",
]
