"""The largest elements of rows, by insertion into a sorted list of the best ones so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.reference import sorting as reference

_MOST = 128  # for more elements of each row sorting is faster


@inlined
def _precedes(x: Any, y: Any, largest: Any) -> Any:
    """Whether x comes before y, which was earlier in the row; NaN is the largest."""
    if largest:
        return x > y or (x != x and y == y)
    return x < y or (y != y and x == x)


@compiled(fastmath=False)
def _topk(x: np.ndarray, largest: bool, out: np.ndarray, best: np.ndarray) -> None:
    """out = the indices of the largest (smallest) elements of each row; best: for as many."""
    k = out.shape[1]
    for i in range(x.shape[0]):
        filled = 0
        for j in range(x.shape[1]):
            value = x[i, j]
            if filled == k and not _precedes(value, best[k - 1], largest):
                continue
            filled = min(filled + 1, k)
            at = filled - 1
            while at > 0 and _precedes(value, best[at - 1], largest):
                best[at], out[i, at] = best[at - 1], out[i, at - 1]
                at -= 1
            best[at], out[i, at] = value, j


def topk_indices(x: np.ndarray, k: int, largest: bool) -> np.ndarray:
    """The indices of the k largest (smallest) elements of each row, in order."""
    if not 0 < k <= _MOST:
        return reference.topk_indices(x, k, largest)
    out = np.empty((x.shape[0], k), np.int64)
    _topk(np.ascontiguousarray(x), largest, out, np.empty(k, x.dtype))
    return out
