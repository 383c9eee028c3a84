"""Softmax of a sum with a mask, in one pass less than both: for compiled graphs.

It has the bits of `x + mask` and the softmax of that, so it needs no reference of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.bits import from_ordered_int, to_ordered_int
from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.exponential import exp


@inlined(fastmath=False)
def _add(x: Any, y: Any) -> Any:
    """x + y, rounded: fast math would make one sum of it and what it is added to."""
    return x + y


@compiled(wide=True)
def _masked_softmax(x: np.ndarray, mask: np.ndarray, out: np.ndarray) -> None:
    """out = softmax(x + mask), of each row; row i has row i % len(mask) of the mask."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        k = i % mask.shape[0]
        largest = to_ordered_int(_add(x[i, 0], mask[k, 0]))
        for j in range(x.shape[1]):
            out[i, j] = _add(x[i, j], mask[k, j])
            number = to_ordered_int(out[i, j])
            largest = number if number > largest else largest
        top = from_ordered_int(largest)
        total = zero
        for j in range(x.shape[1]):
            power = exp(out[i, j] - top)
            out[i, j] = power
            total += power
        scale = one / total
        for j in range(x.shape[1]):
            out[i, j] *= scale


def masked_softmax(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """softmax(x + mask) along the last axis; the mask has the shape of the last axes of x."""
    out = np.empty(x.shape, x.dtype)
    n = x.shape[-1]
    rows = np.ascontiguousarray(x).reshape(-1, n)
    _masked_softmax(rows, np.ascontiguousarray(mask).reshape(-1, n), out.reshape(-1, n))
    return out
