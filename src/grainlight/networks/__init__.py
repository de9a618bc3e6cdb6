"""Layers of the estimators: residual trunk, covariance heads, flow, constants."""

from grainlight.networks.cholesky import CholeskyHead, fill_lower
from grainlight.networks.constant import AbstractConstant, trainable
from grainlight.networks.correlation import CorrelationHead
from grainlight.networks.flow import Flow
from grainlight.networks.residual import ACTIVATIONS, ResidualBlock, ResidualNetwork
from grainlight.networks.sources import SourcesHead

__all__ = [
    "ACTIVATIONS",
    "AbstractConstant",
    "CholeskyHead",
    "CorrelationHead",
    "Flow",
    "ResidualBlock",
    "ResidualNetwork",
    "SourcesHead",
    "fill_lower",
    "trainable",
]
