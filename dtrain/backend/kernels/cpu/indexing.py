"""Elements chosen and added by index along an axis, in one pass over the indices.

Arrays are taken as (outer, length, inner), where `length` is that of the axis.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.reference import indexing as reference


@compiled
def _take(x: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """out[o, k] = x[o, index[k]], for indices that are not negative."""
    for o in range(x.shape[0]):
        row, target = x[o], out[o]
        for k in range(index.size):
            target[k] = row[np.uint64(index[k])]  # of an unsigned index Numba tests no sign


@compiled
def _gather(x: np.ndarray, index: np.ndarray, out: np.ndarray) -> bool:
    """out[o, k, i] = x[o, index[o, k, i], i]; False, with `out` incomplete, if an index is out of
    range."""
    outer, n, inner = x.shape
    count = index.shape[1]
    source, indices, target = x.reshape(-1), index.reshape(-1), out.reshape(-1)
    for o in range(outer):
        start = o * n * inner
        if inner == 1:
            for k in range(count):
                at = indices[o * count + k]
                at = at if at >= 0 else at + n
                if at < 0 or at >= n:
                    return False
                target[o * count + k] = source[np.uint64(start + at)]
            continue
        for k in range(count):
            for i in range(inner):
                p = (o * count + k) * inner + i
                at = indices[p] if indices[p] >= 0 else indices[p] + n
                if at < 0 or at >= n:
                    return False
                target[p] = source[start + at * inner + i]
    return True


@compiled
def _add_along_axis(values: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """Add values[o, k, i] to out[o, index[o, k, i], i]."""
    outer, n, inner = out.shape
    count = index.shape[1]
    source, indices, target = values.reshape(-1), index.reshape(-1), out.reshape(-1)
    for o in range(outer):
        start = o * n * inner
        if inner == 1:
            for k in range(count):
                at = indices[o * count + k]
                target[np.uint64(start + (at if at >= 0 else at + n))] += source[o * count + k]
            continue
        for k in range(count):
            for i in range(inner):
                p = (o * count + k) * inner + i
                at = indices[p]
                target[start + (at if at >= 0 else at + n) * inner + i] += source[p]


@compiled
def _add_slices(values: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """Add values[o, k] to out[o, index[k]]."""
    outer, n, inner = out.shape
    count = index.size
    source, target = values.reshape(-1), out.reshape(-1)
    for o in range(outer):
        if inner == 1:
            for k in range(count):
                at = index[k] if index[k] >= 0 else index[k] + n
                target[o * n + at] += source[o * count + k]
            continue
        for k in range(count):
            at = index[k] if index[k] >= 0 else index[k] + n
            for i in range(inner):
                out[o, at, i] += values[o, k, i]


def is_in_range(index: np.ndarray, n: int) -> bool:
    """Whether all of the indices are in -n .. n - 1; not negative ones, in one pass, first."""
    if index.dtype == np.int64 and index.view(np.uint64).max() < n:
        return True
    return bool(-n <= index.min() and index.max() < n)


def _in_three(x: np.ndarray, axis: int) -> np.ndarray:
    """x as (outer, length, inner)."""
    return x.reshape(math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))


def _is_aligned(x: np.ndarray, index: np.ndarray, axis: int) -> bool:
    """Whether the index is as long as x along the other axes."""
    others = [d for d in range(x.ndim) if d != axis]
    return all(x.shape[d] == index.shape[d] for d in others) and index.size > 0


def take(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """The slices of x at the indices, of any shape, along an axis."""
    inner = math.prod(x.shape[axis + 1 :])
    if inner != 1 or not (x.size and index.size and is_in_range(index, x.shape[axis])):
        return reference.take(x, index, axis)  # a copy of each slice is fast for more elements
    out = np.empty((math.prod(x.shape[:axis]), index.size), x.dtype)
    rows, n = np.ascontiguousarray(x).reshape(-1, x.shape[axis]), x.shape[axis]
    index = index.astype(np.int64, "C", copy=False)
    _take(rows, np.where(index < 0, index + n, index).reshape(-1), out)
    return out.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def gather(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """The elements of x at `index` along an axis."""
    if not _is_aligned(x, index, axis):
        return reference.gather(x, index, axis)
    out = np.empty(index.shape, x.dtype)
    arrays = np.ascontiguousarray(x), index.astype(np.int64, "C", copy=False), out
    if not _gather(*(_in_three(a, axis) for a in arrays)):
        return reference.gather(x, index, axis)
    return out


def add_along_axis(values: np.ndarray, index: np.ndarray, out: np.ndarray, axis: int) -> None:
    """Add values to the elements of `out` at `index` along an axis."""
    if not (
        values.shape == index.shape
        and out.flags.c_contiguous
        and _is_aligned(out, index, axis)
        and is_in_range(index, out.shape[axis])
    ):
        reference.add_along_axis(values, index, out, axis)
        return
    values, index = np.ascontiguousarray(values), index.astype(np.int64, "C", copy=False)
    _add_along_axis(*(_in_three(a, axis) for a in (values, index, out)))


def add_slices(values: np.ndarray, index: np.ndarray, out: np.ndarray, axis: int) -> None:
    """Add slices of values to those of `out` at `index` along an axis."""
    n = out.shape[axis]
    shape = (*out.shape[:axis], index.size, *out.shape[axis + 1 :])
    is_aligned = values.shape == shape and out.flags.c_contiguous and values.size
    if not (is_aligned and is_in_range(index, n)):
        reference.add_slices(values, index, out, axis)
        return
    values, index = np.ascontiguousarray(values), index.astype(np.int64, "C", copy=False)
    _add_slices(_in_three(values, axis), index, _in_three(out, axis))
