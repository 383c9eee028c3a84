"""Sorting, the largest elements, medians, quantiles and membership."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.reductions import reduce
from dtrain.onnx.forms.table import Form


def topk(b: Builder, x: Wire, *, axis: int, k: Any, largest: bool) -> Wire:
    """The indices of the k largest (smallest) elements, of equal ones the first."""
    if not x.ndim:
        return b.wire(0, np.int64)
    if x.dtype not in (np.float32, np.float64, np.int64, np.int32):
        x = b.cast(x, "float32" if x.dtype.kind == "f" else "int32")
    outputs = [x.dtype, np.int64]
    return b.node("TopK", [x, b.ints([k])], outputs, axis=axis, largest=int(largest), sorted=1)[1]


def sort(b: Builder, x: Wire, *, axis: int, descending: bool) -> Wire:
    """Where each element of the sorted order comes from; equal ones keep their order."""
    if not x.ndim:
        return b.wire(0, np.int64)
    return topk(b, x, axis=axis, k=x.shape[axis], largest=descending)


def median_indices(b: Builder, x: Wire, *, axis: int, ignore_nan: bool) -> Wire:
    """The index of the lower median, which is kept with length 1; a NaN is the median."""
    last = b.wire(x.shape[axis], np.int64)
    ordered = x
    rank: Wire = b.Div(b.Sub(last, 1), 2)
    if x.dtype.kind == "f":
        is_nan = b.IsNaN(x)
        ordered = b.where(is_nan, math.inf, x, x.dtype)
        missing = reduce(b, "ReduceSum", b.cast(is_nan, "int64"), axis, True)
        present = b.Sub(last, missing)
        if ignore_nan:
            rank = b.Div(b.Max(b.Sub(present, 1), b.wire(0, np.int64)), 2)
        else:
            rank = b.where(b.Greater(missing, b.wire(0, np.int64)), present, rank)
    ordered.shape = x.shape
    order = sort(b, ordered, axis=axis, descending=False)
    kept = list(x.shape)
    kept[axis] = 1
    return b.GatherElements(order, b.Expand(rank, b.ints(kept)), axis=axis)


def quantile_ranks(b: Builder, x: Wire, q: Wire, *, ignore_nan: bool) -> Wire:
    """The fractional index of each quantile in the sorted last axis."""
    is_nan = b.is_nan(x)
    missing = reduce(b, "ReduceSum", b.cast(is_nan, "int64"), -1, True)
    last = b.Sub(b.wire(x.shape[-1], np.int64), 1)
    if ignore_nan:
        limit = b.Max(b.Sub(last, missing), b.wire(0, np.int64))
        return b.Mul(q, b.cast(limit, x.dtype))
    some = b.Greater(missing, b.wire(0, np.int64))
    return b.where(some, b.cast(last, x.dtype), b.Mul(q, b.cast(last, x.dtype)))


def isin(b: Builder, x: Wire, *, among: Any, invert: bool) -> Wire:
    """Whether each element is among the others."""
    among = b.Reshape(b.wire(among), b.ints([-1]))
    x, among = b.promoted(b.unsqueeze(x, -1), among)
    found = b.cast(reduce(b, "ReduceMax", b.cast(b.Equal(x, among), "int32"), -1), bool)
    return b.Not(found) if invert else found


FORMS: dict[str, Form] = {
    "sort": sort,
    "topk": topk,
    "median_indices": median_indices,
    "quantile_ranks": quantile_ranks,
    "isin": isin,
}
