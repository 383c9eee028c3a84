"""Two arrays become their mean in one pass: NumPy would go through them three times."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled


@compiled(fastmath=False)
def _mean_of_both(a, b, scale):
    for i in range(a.size):
        mean = (a[i] + b[i]) * scale
        a[i] = mean
        b[i] = mean


def mean_of_both(a: np.ndarray, b: np.ndarray, scale: float) -> None:
    _mean_of_both(a, b, a.dtype.type(scale))
