"""The weights of causal attention, without a mask in memory: of each row its first part alone."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.exponential import exp
from dtrain.backend.kernels.cpu.softmax import row_max


@compiled(wide=True)
def _causal_softmax(x: np.ndarray, queries: int, first: int, out: np.ndarray) -> None:
    """out = softmax of x[i, : first + q + 1], 0 after it; row i is of query q = i % queries."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        seen = first + i % queries + 1
        seen = seen if seen < x.shape[1] else x.shape[1]
        top = row_max(x, i, seen)
        total = zero
        for j in range(seen):
            power = exp(x[i, j] - top)
            out[i, j] = power
            total += power
        scale = one / total
        for j in range(seen):
            out[i, j] *= scale
        for j in range(seen, x.shape[1]):
            out[i, j] = zero


def _rows(x: np.ndarray) -> np.ndarray:
    """(n, t, s) as (n t, s), in C order."""
    return np.ascontiguousarray(x).reshape(x.shape[0] * x.shape[1], x.shape[2])


def causal_softmax(scores: np.ndarray, first: int = 0) -> np.ndarray:
    """softmax over the keys 0..first + i for query i, 0 for the others."""
    out = np.empty(scores.shape, scores.dtype)
    if out.size:
        _causal_softmax(_rows(scores), scores.shape[1], first, _rows(out))
    return out
