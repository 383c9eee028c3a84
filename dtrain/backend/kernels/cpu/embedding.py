"""The gradient of a table whose rows were looked up."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled


@compiled
def _add_rows(g: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """Add g[i] to out[index[i]], i in ascending order."""
    for i in range(index.size):
        row = index[i]
        for j in range(g.shape[1]):
            out[row, j] += g[i, j]


def embedding_backward(g: np.ndarray, index: np.ndarray, rows: int) -> np.ndarray:
    """The gradient of the table, (rows, n); g: (count, n), index: (count,)."""
    out = np.zeros((rows, g.shape[1]), g.dtype)
    _add_rows(np.ascontiguousarray(g), index.astype(np.int64), out)
    return out
