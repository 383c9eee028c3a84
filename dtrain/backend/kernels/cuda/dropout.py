"""Dropout whose random numbers a key gives: one launch, and no mask in memory."""

from __future__ import annotations

import numpy as np

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each
from dtrain.backend.random import RandomKey, dropout_threshold

#: Random numbers of 32 bits that a block of Philox gives.
_NUMBERS = 8


def keyed_dropout(x: Array, p: float, key: RandomKey) -> Array:
    """Each element times 0 with probability p, else times 1 / (1 - p)."""
    import cupy

    x = cupy.ascontiguousarray(x)
    out = cupy.empty(x.shape, x.dtype)
    threshold, kept = dropout_threshold(p)
    numbers = np.uint32(threshold), kept, x.size
    for_each("dropout", "keyed_dropout", -(-x.size // _NUMBERS), x, out, key, *numbers)
    return out
