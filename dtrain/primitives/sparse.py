"""The product of a sparse matrix, given by indices and values, and a dense one."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, kernels


@op
def sparse_matmul(
    values: Array, x: Array, *, rows: Array, columns: Array, count: int
) -> OutputAndVJPs:
    """A @ x for a matrix A of `count` rows with values[i] at (rows[i], columns[i]); x: (m, d).

    Values at the same place are added up. Gradients with respect to A are those of `values`.
    """
    height = x.shape[0]
    return _multiply(values, x, rows, columns, count), (
        lambda g: (g[rows] * x[columns]).sum(-1),
        lambda g: _multiply(values, g, columns, rows, height),
    )


def _multiply(values: Array, x: Array, rows: Array, columns: Array, count: int) -> Array:
    """The product, in an order of additions that does not depend on the device's threads."""
    if type(values) is type(x) is np.ndarray:
        from scipy.sparse import csr_array  # takes a quarter of a second

        return csr_array((values, (rows, columns)), shape=(count, x.shape[0])) @ x
    return kernels.embedding_backward(values[:, None] * x[columns], rows, count)
