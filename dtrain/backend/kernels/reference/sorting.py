"""The largest elements of rows."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module


def topk_indices(x: Array, k: int, largest: bool) -> Array:
    """The indices of the k largest (smallest) elements of each row of x, (rows, n), in order.

    Of equal elements the first comes first; NaN is the largest.
    """
    if not largest:
        return x.argsort(1, kind="stable")[:, :k]
    xp, last = array_module(x), x.shape[1] - 1
    return xp.flip(last - xp.flip(x, 1).argsort(1, kind="stable"), 1)[:, :k]
