"""Sorting, the indices of medians and modes, and unique rows; none of them has a gradient."""

from __future__ import annotations

import math

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.backend.array_module import to_sortable
from dtrain.backend.kernels.reference.sorting import stable_order


def _in_order(x: Array, axis: int) -> tuple[Array, Array]:
    """x with `axis` last, and the order that sorts it there, NaN last."""
    last = array_module(x).moveaxis(x, axis, -1)
    return last, last.argsort(-1, kind="stable")


@op
def median_indices(x: Array, *, axis: int, ignore_nan: bool) -> OutputAndVJPs:
    """The index of the lower median along an axis, which is kept with length 1.

    A NaN is the median, unless `ignore_nan`.
    """
    xp = array_module(x)
    last, order = _in_order(x, axis)
    n = last.shape[-1]
    missing = (last != last).sum(-1, keepdims=True)
    if ignore_nan:
        rank = xp.maximum(n - missing - 1, 0) // 2
    else:
        rank = xp.where(missing > 0, n - missing, (n - 1) // 2)
    return xp.moveaxis(xp.take_along_axis(order, rank, -1), -1, axis), ()


@op
def mode_indices(x: Array, *, axis: int) -> OutputAndVJPs:
    """The index of the most frequent value along an axis, which is kept with length 1.

    Of equally frequent values the smallest, of its indices the last.
    """
    xp = array_module(x)
    last, order = _in_order(x, axis)
    values = xp.take_along_axis(last, order, -1)
    starts = xp.ones(values.shape, "bool")
    starts[..., 1:] = values[..., 1:] != values[..., :-1]
    positions = xp.arange(values.shape[-1])
    length = positions - _running_maximum(xp.where(starts, positions, 0)) + 1
    rank = length.argmax(-1, keepdims=True)
    return xp.moveaxis(xp.take_along_axis(order, rank, -1), -1, axis), ()


def _running_maximum(x: Array) -> Array:
    """The maximum up to each position along the last axis; CuPy has no maximum.accumulate."""
    xp = array_module(x)
    step = 1
    while step < x.shape[-1]:
        x[..., step:] = xp.maximum(x[..., step:], x[..., :-step].copy())
        step *= 2
    return x


def unique_rows(rows: Array, *, consecutive: bool) -> tuple[Array, Array, Array]:
    """Different rows of a matrix: (index of one of each, inverse, counts).

    In sorted order, or with `consecutive` each run of equal rows as one, in the order they have.
    """
    xp, rows = array_module(rows), to_sortable(rows)
    n = rows.shape[0]
    if rows.dtype.kind == "b":
        rows = rows.astype("uint8")
    if consecutive or not rows.size:
        order = xp.arange(n)
    else:
        order = xp.lexsort(xp.ascontiguousarray(rows.T[::-1]))
    ordered = rows[order]
    starts = xp.ones(n, "bool")
    starts[1:] = (ordered[1:] != ordered[:-1]).any(1)
    (first,) = xp.nonzero(starts)
    inverse = xp.empty(n, "int64")
    inverse[order] = xp.cumsum(starts) - 1
    ends = xp.concatenate((first[1:], xp.full(min(n, 1), n, first.dtype)))
    return order[first], inverse, (ends - first).astype("int64")


@exact_op
def sort(x: Array, *, axis: int, descending: bool) -> OutputAndVJPs:
    """Where each element of the sorted order comes from; equal ones keep their order."""
    if not x.ndim:
        return array_module(x).zeros((), "int64"), ()
    return stable_order(x, axis, descending), ()


@exact_op
def topk(x: Array, *, axis: int, k: int, largest: bool) -> OutputAndVJPs:
    """The indices of the k largest (smallest) elements along an axis, in the order of `sort`."""
    xp = array_module(x)
    last = xp.moveaxis(x, axis, -1)
    shape = last.shape
    rows = last.reshape(math.prod(shape[:-1]), shape[-1])
    indices = kernels.topk_indices(rows, k, largest).reshape(*shape[:-1], k)
    return xp.ascontiguousarray(xp.moveaxis(indices, -1, axis)), ()
