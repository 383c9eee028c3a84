"""The mean of two ranks' arrays, in place in both, in one pass; the bits of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled


@compiled(fastmath=False)
def _mean_of_both(a: np.ndarray, b: np.ndarray, scale: np.floating[Any]) -> None:
    for i in range(a.size):
        mean = (a[i] + b[i]) * scale
        a[i] = mean
        b[i] = mean


def mean_of_both(a: np.ndarray, b: np.ndarray, scale: float) -> None:
    """a = b = (a + b) scale; a, b: (n,)."""
    _mean_of_both(a, b, a.dtype.type(scale))
