"""Elements chosen and added by index along an axis.

`index` of `gather` and `add_along_axis` has as many axes as the array, and is no longer than it
along the other ones; `index` of `add_slices` has one axis. Indices are in range.
"""

from __future__ import annotations

from typing import Any

from dtrain.backend.array_module import Array, array_module


def take(x: Array, index: Array, axis: int) -> Array:
    """The slices of x at the indices, of any shape, along an axis."""
    return array_module(x).take(x, index, axis)


def gather(x: Array, index: Array, axis: int) -> Array:
    """x[..., index[..., k, ...], ...] along an axis; returns the shape of the index."""
    return x[index_grid(index, axis)]


def add_along_axis(values: Array, index: Array, out: Array, axis: int) -> None:
    """Add values[..., k, ...] to out[..., index[..., k, ...], ...], in ascending order."""
    add_at(values, index_grid(index, axis), out)


def add_slices(values: Array, index: Array, out: Array, axis: int) -> None:
    """Add slice k of `values` along an axis to slice index[k] of out, in ascending order."""
    add_at(values, (*(slice(None),) * axis, index), out)


def add_at(values: Array, index: Any, out: Array) -> None:
    """Add values to out[index], once for each mention, in ascending order."""
    array_module(out, values).add.at(out, index, values)


def index_grid(index: Array, axis: int) -> tuple[Array, ...]:
    """The index arrays of all axes: `index` along one, each element's own position elsewhere."""
    xp, ndim = array_module(index), index.ndim
    grid = [
        xp.arange(n).reshape([-1 if e == d else 1 for e in range(ndim)])
        for d, n in enumerate(index.shape)
    ]
    grid[axis] = index
    return tuple(grid)
