"""Pooling, and interpolation by matrices of few nonzeros a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.table import Form
from dtrain.onnx.proto import Unsupported

#: With more entries a row than this, a matrix is multiplied as a whole.
_FEW = 4


def max_pool2d(
    b: Builder, x: Wire, *, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Wire:
    """The maximum of each window."""
    return b.MaxPool(
        x, kernel_shape=list(kernel), strides=list(stride), pads=[*padding, *padding],
        dilations=list(dilation),
    )  # fmt: skip


def avg_pool2d(b: Builder, x: Wire, *, kernel: Any, stride: Any, padding: Any) -> Wire:
    """The mean of each window, padding counted as zeros."""
    return b.AveragePool(
        x, kernel_shape=list(kernel), strides=list(stride), pads=[*padding, *padding],
        count_include_pad=1,
    )  # fmt: skip


def window_argmax(b: Builder, x: Wire, *, windows: Any) -> Wire:
    """The index of the first maximum of each window. windows: (windows, size)."""
    if not isinstance(windows, np.ndarray) or windows.ndim != 2:
        raise Unsupported("windows that differ from sample to sample have no ONNX form")
    best = b.ArgMax(b.Gather(x, b.constant(windows), axis=-1), axis=-1, keepdims=0, dtype=np.int64)
    places = b.Add(best, np.arange(len(windows)) * windows.shape[1])
    return b.Gather(b.constant(windows.reshape(-1)), places)


def resample(b: Builder, x: Wire, *, axis: int, band: Any) -> Wire:
    """The product of a matrix with each line of x along an axis."""
    columns, weights, size = band
    if not isinstance(columns, np.ndarray) or not isinstance(weights, np.ndarray):
        raise Unsupported("the weights of interpolation or pooling depend on a dynamic size")
    axis %= x.ndim
    is_entry = ~np.isnan(weights)
    weights = np.where(is_entry, weights, 0)
    if columns.shape[1] > _FEW:
        matrix = np.zeros((len(columns), size))
        np.add.at(matrix, (np.arange(len(columns))[:, None], columns), weights)
        order = [i for i in range(x.ndim) if i != axis] + [axis]
        out = b.MatMul(b.transpose(x, order), b.constant(matrix.T.astype(x.dtype)))
        return b.transpose(out, [order.index(i) for i in range(x.ndim)])
    made: Wire | None = None
    for column, weight, entry in zip(columns.T, weights.T, is_entry.T):
        part = b.Gather(x, b.constant(column), axis=axis)
        shape = [-1] + [1] * (x.ndim - axis - 1)
        if (weight != 1).any():
            part = b.Mul(part, weight.astype(x.dtype).reshape(shape))
        if not entry.all():
            part = b.where(b.constant(entry.reshape(shape)), part, 0, x.dtype)
        made = part if made is None else b.Add(made, part)
    if made is None:
        raise Unsupported("nothing is interpolated")
    return made


FORMS: dict[str, Form] = {
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "window_argmax": window_argmax,
    "resample": resample,
}
