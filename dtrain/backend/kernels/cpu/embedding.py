"""The gradient of a table whose rows were looked up."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled


@compiled
def _add_rows(g, index, out):
    for i in range(index.size):
        row = index[i]
        for j in range(g.shape[1]):
            out[row, j] += g[i, j]


def embedding_backward(g: np.ndarray, index: np.ndarray, rows: int) -> np.ndarray:
    out = np.zeros((rows, g.shape[1]), g.dtype)
    _add_rows(np.ascontiguousarray(g), index.astype(np.int64), out)
    return out
