"""Rows added by index in a fixed order: sorted by index, then added by one thread.

CuPy's `add.at` adds atomically, in an order that may change from run to run, and so may the bits.
"""

from __future__ import annotations

import math
from typing import Any

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each
from dtrain.backend.kernels.reference.indexing import index_grid


def add_rows(values: Array, index: Array, out: Array) -> None:
    """Add values[k], (count, n), to out[index[k]], (rows, n) and contiguous, k ascending."""
    import cupy

    if not values.size:
        return
    values, index = cupy.ascontiguousarray(values, out.dtype), index.astype("int64", copy=False)
    order = cupy.argsort(index, kind="stable").astype("int64", copy=False)
    count, n = values.shape
    for_each("indexing", "add_rows", values.size, values, index, order, out, n, count)


def add_at(values: Array, index: Any, out: Array) -> None:
    """Add values to out[index], once for each mention, in ascending order."""
    import cupy

    if out.dtype.kind == "c":
        add_at(values.real, index, out.real)
        add_at(values.imag if values.dtype.kind == "c" else values * 0, index, out.imag)
        return
    if out.dtype.kind not in "fV":  # any order of integers gives the same bits
        cupy.add.at(out, index, values)
        return
    positions = cupy.arange(out.size).reshape(out.shape)[index]
    values = cupy.broadcast_to(cupy.asarray(values, out.dtype), positions.shape)
    flat = cupy.ascontiguousarray(out)
    add_rows(values.reshape(-1, 1), positions.reshape(-1), flat.reshape(-1, 1))
    if flat is not out:
        out[...] = flat


def add_along_axis(values: Array, index: Array, out: Array, axis: int) -> None:
    """Add values[..., k, ...] to out[..., index[..., k, ...], ...], in ascending order."""
    add_at(values, index_grid(index, axis), out)


def add_slices(values: Array, index: Array, out: Array, axis: int) -> None:
    """Add slice k of `values` along an axis to slice index[k] of out, in ascending order."""
    import cupy

    if out.dtype.kind not in "fV":
        add_at(values, (*(slice(None),) * axis, index), out)
        return
    outer, length, inner = math.prod(out.shape[:axis]), out.shape[axis], out.shape[axis + 1 :]
    flat = cupy.ascontiguousarray(out)
    index = cupy.asarray(index)
    index = cupy.where(index < 0, index + length, index)
    rows = (cupy.arange(outer)[:, None] * length + index).reshape(-1)
    n = math.prod(inner)
    add_rows(values.reshape(rows.size, n), rows, flat.reshape(outer * length, n))
    if flat is not out:
        out[...] = flat
