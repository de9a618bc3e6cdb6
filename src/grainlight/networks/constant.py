"""Parts of an estimator that training leaves alone."""

import equinox as eqx
import jax
import paramax
from jaxtyping import PyTree


class AbstractConstant(eqx.Module):
    """A part fixed before training: a scaling, a mixing matrix, a range."""


def trainable(tree: PyTree) -> PyTree[bool]:
    """Mark the leaves of an estimator that training may change.

    Args:
        tree: An estimator.

    Returns:
        A prefix of `tree`, for `equinox.partition`: true at floating-point arrays that
        do not belong to an `AbstractConstant`.
    """
    frozen = (AbstractConstant, paramax.NonTrainable)

    def mark(node: object) -> bool:
        return False if isinstance(node, frozen) else eqx.is_inexact_array(node)

    return jax.tree.map(mark, tree, is_leaf=lambda node: isinstance(node, frozen))
