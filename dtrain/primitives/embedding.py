"""Rows looked up by index, and sums of bags of rows."""

from __future__ import annotations

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.primitives.scattering import check_indices


@exact_op
def embedding(
    weight: Array, *, index: Array, padding_index: int | None = None, by_frequency: bool = False
) -> OutputAndVJPs:
    """Rows of a table; the row `padding_index` gets no gradient.

    `by_frequency` divides the gradient of a row by the number of its mentions.
    """
    shape = weight.shape
    check_indices(index, shape[0], "embedding")

    def grad_weight(g: Array) -> Array:
        full = kernels.embedding_backward(g.reshape(-1, shape[1]), index.reshape(-1), shape[0])
        if padding_index is not None:
            full[padding_index] = 0
        if by_frequency:
            xp = array_module(index)
            counts = xp.bincount(index.reshape(-1), minlength=shape[0])
            full = full / xp.maximum(counts, 1).astype(g.dtype)[:, None]
        return full

    return weight[index], (grad_weight,)


@op
def bag_sum(x: Array, *, bag: Array, count: int) -> OutputAndVJPs:
    """Rows of x added up by the bag of each: (m, d) to (count, d)."""
    return kernels.embedding_backward(x, bag, count), (lambda g: g[bag],)
