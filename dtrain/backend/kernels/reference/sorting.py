"""The largest elements of rows."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module, to_sortable


def stable_order(x: Array, axis: int, descending: bool) -> Array:
    """The order of x along an axis. Equal elements keep their order; NaN is the largest."""
    x = to_sortable(x)
    if not descending:
        return x.argsort(axis, kind="stable")
    xp, last = array_module(x), x.shape[axis] - 1
    return xp.flip(last - xp.flip(x, axis).argsort(axis, kind="stable"), axis)


def topk_indices(x: Array, k: int, largest: bool) -> Array:
    """The indices of the k largest (smallest) elements of each row of x, (rows, n), in order.

    Of equal elements the first comes first; NaN is the largest.
    """
    return stable_order(x, 1, largest)[:, :k]
