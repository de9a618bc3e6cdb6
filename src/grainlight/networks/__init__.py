"""Layers of the estimators: residual trunk, Cholesky head, flow, constants."""

from grainlight.networks.cholesky import CholeskyHead, fill_lower
from grainlight.networks.constant import AbstractConstant, trainable
from grainlight.networks.flow import Flow
from grainlight.networks.residual import ACTIVATIONS, ResidualBlock, ResidualNetwork

__all__ = [
    "ACTIVATIONS",
    "AbstractConstant",
    "CholeskyHead",
    "Flow",
    "ResidualBlock",
    "ResidualNetwork",
    "fill_lower",
    "trainable",
]
