"""Rows looked up by index, and sums of bags of rows."""

from __future__ import annotations

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.backend.dtypes import float32, is_half
from dtrain.primitives.scattering import check_indices, extremes_at


@exact_op(takes_complex=True, adds=True)
def embedding(
    weight: Array, *, index: Array, padding_index: int | None = None, by_frequency: bool = False
) -> OutputAndVJPs:
    """Rows of a table; the row `padding_index` gets no gradient.

    `by_frequency` divides the gradient of a row by the number of its mentions.
    """
    shape = weight.shape
    check_indices(index, shape[0], "embedding")

    def grad_weight(g: Array, total: Array | None = None) -> Array:
        xp, g, mentioned = array_module(index), g.reshape(-1, shape[1]), index.reshape(-1)
        if padding_index is not None:
            g = xp.where((mentioned == padding_index)[:, None], g.dtype.type(0), g)
        rows, count = None, shape[0]
        if total is not None:  # the sum of the rows that are mentioned, not one of all rows
            rows, mentioned = xp.unique(mentioned, return_inverse=True)
            count = len(rows)
        part = kernels.embedding_backward(g, mentioned, count)
        if by_frequency:
            mentions = xp.bincount(mentioned, minlength=count)
            part = part / xp.maximum(mentions, 1).astype(g.dtype)[:, None]
        if total is None:
            return part
        total[rows] += part
        return total

    return weight[index], (grad_weight,)


@op
def bag_sum(x: Array, *, bag: Array, count: int) -> OutputAndVJPs:
    """Rows of x added up by the bag of each: (m, d) to (count, d)."""
    return kernels.embedding_backward(x, bag, count), (lambda g: g[bag],)


def find_first_largest(rows: Array, bag: Array, count: int) -> tuple[Array, Array]:
    """Which row has the maximum of each bag, by columns, and which bags have no rows.

    Of equal rows it is the first. NaN counts in the first row of a bag alone, as in PyTorch: no
    later row is larger than it. rows: (m, d); bag: (m,), in ascending order; returns (count, d)
    indices, m - 1 for bags without rows, and (count, 1).
    """
    xp, m = array_module(rows), len(bag)
    rows = rows.astype(float32) if is_half(rows.dtype) else rows
    inf = rows.dtype.type("inf")
    begins = xp.concatenate((xp.ones(1, "bool"), bag[1:] != bag[:-1]))[:, None]
    comparable = xp.where(rows == rows, rows, xp.where(begins, inf, -inf))
    top = xp.full((count, rows.shape[1]), -inf)
    extremes_at(top, bag, comparable, largest=True)
    chosen = xp.full(top.shape, m - 1)
    candidates = xp.where(comparable == top[bag], xp.arange(m)[:, None], m - 1)
    extremes_at(chosen, bag, candidates, largest=False)
    return chosen, xp.bincount(bag, minlength=count)[:, None] == 0
